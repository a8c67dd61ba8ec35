"""Settings: what is refused, what is recorded, and what importing costs."""

import subprocess
import sys

import pytest

from pairsmith.augmenters.rewriting import HARD_NEGATIVE, PARAPHRASE, Rewrite
from pairsmith.augmenters.settings import as_data
from pairsmith.schemas import UserError
from pairsmith.schemas.manifest import digest

URL = "https://api.example.com/v1"


@pytest.mark.parametrize(
    "endpoint",
    [
        "",
        "api.example.com/v1",
        "ftp://api.example.com/v1",
        " https://api.example.com/v1",
        "https:///v1",
        "https://api.example.com:port/v1",
        "https://me:secret@api.example.com/v1",
        "https://secret@api.example.com/v1",
        "https://api.example.com/v1?key=secret",
        "https://api.example.com/v1#secret",
        "https://api.example.com/v1/chat/completions",
        "http://api.example.com/v1",
        "http://localhost.example.com/v1",
        "http://127.0.0.1@example.com/v1",
    ],
)
def test_endpoints_that_must_not_be_asked_are_refused_without_telling_secrets(endpoint):
    with pytest.raises(UserError, match="endpoint") as caught:
        Rewrite(model="m", endpoint=endpoint)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    "endpoint", ["http://localhost:11434/v1", "http://127.0.0.1:8000/v1/", "http://[::1]:8080/v1"]
)
def test_http_is_fine_on_this_machine_and_elsewhere_when_asked_for(endpoint):
    assert Rewrite(model="m", endpoint=endpoint)
    assert Rewrite(model="m", endpoint="http://gpu-box:8000/v1", insecure=True)


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("model", " "),
        ("temperature", -0.1),
        ("temperature", float("nan")),
        ("max_tokens", 0),
        ("retries", -1),
        ("concurrency", 0),
        ("timeout", 0),
        ("backoff", float("inf")),
        ("language", "fr"),
        ("price", (1, -1)),
        ("price", (1, 2, 3)),
        ("max_cost", 5),
        ("parameters", (("model", "other"),)),
        ("parameters", (("stop", {1}),)),
        ("parameters", (("top_p", float("nan")),)),
    ],
)
def test_settings_that_mean_nothing_are_refused(setting, value):
    with pytest.raises(ValueError, match=rf"{setting}|JSON"):
        Rewrite(**{"model": "m", "endpoint": URL, setting: value})


@pytest.mark.parametrize("bound", [1, None])
def test_a_priced_ledger_needs_a_bound_on_what_an_answer_costs(tmp_path, bound):
    money = {"price": (1, 1), "max_cost": bound, "ledger": str(tmp_path / "spent")}
    with pytest.raises(ValueError, match="max_completion_tokens"):
        Rewrite(model="m", endpoint=URL, parameters=(("max_tokens", None),), **money)


def test_the_digest_changes_with_what_decides_the_views_and_with_nothing_else():
    def of(prompt=PARAPHRASE, **settings):
        return digest(as_data(Rewrite(prompt, **{"model": "m", "endpoint": URL, **settings})))

    indifferent = [
        {"endpoint": "http://localhost:8000/v1"},
        {"api_key_env": "OTHER"},
        {"concurrency": 1, "timeout": 1.0, "retries": 0, "backoff": 0.1},
        {"price": (1, 2), "max_cost": 3.0, "ledger": "spent"},
    ]
    assert {of(), *(of(**settings) for settings in indifferent)} == {of()}
    deciding = [
        {"model": "other"},
        {"temperature": 0.0},
        {"max_tokens": 9},
        {"seed": False},
        {"language": "zh"},
        {"parameters": (("top_p", 0.9),)},
        {"prompt": HARD_NEGATIVE},
    ]
    assert len({of(), *(of(**settings) for settings in deciding)}) == 1 + len(deciding)


def test_a_key_that_is_not_there_is_missed_before_anything_is_sent(monkeypatch):
    rewrite = Rewrite(model="m", endpoint=URL, api_key_env="NO_SUCH_KEY")
    with pytest.raises(UserError, match="NO_SUCH_KEY"):
        rewrite.setup()
    monkeypatch.setenv("NO_SUCH_KEY", "two\nlines")
    with pytest.raises(UserError, match="characters that no key has"):
        rewrite.setup()
    monkeypatch.setenv("NO_SUCH_KEY", "fine")
    rewrite.setup()
    Rewrite(model="m", endpoint=URL, api_key_env="").setup()
    Rewrite(model="m", endpoint="http://localhost:1/v1").setup()


def test_httpx_is_asked_for_by_the_name_of_its_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "httpx", None)
    with pytest.raises(UserError, match=r"pip install '\.\[llm\]'"):
        Rewrite(model="m", endpoint="http://localhost:1/v1").setup()


def test_importing_loads_nothing_heavy():
    code = "import sys, pairsmith.augmenters.rewriting; print('httpx' in sys.modules)"
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert run.stdout == "False\n"
