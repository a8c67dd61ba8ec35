"""What a build keeps tells no secret, nor who made it and where; what it logs tells no secret."""

import errno
import json
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace

import pyarrow.parquet as pq
import pytest

from pairsmith.commands.main import main
from pairsmith.schemas.private import without_places, without_secrets
from tests.pipelines.corpora import documents, write_parquet

USER = "zaphod.planted"
HOST = "planted-host-42"
SECRETS = {
    "AWS_SECRET_ACCESS_KEY": "wJalrPLANTED/K7MDENG",
    "OPENAI_API_KEY": "sk-planted-0123456789",
    "HF_TOKEN": "hf_plantedplantedplanted",
    "DB_PASSWORD": "planted horse battery",
}
FLAG = "flagplanted98765"
RECIPES = """
import os, socket
from dataclasses import dataclass
from typing import ClassVar

import pyarrow as pa

from pairsmith.pipelines.recipe import Documents, Lines, Pair, Recipe, View


def leak() -> str:
    home, host = os.path.expanduser("~"), socket.gethostname()
    secrets = [os.environ[name] for name in SECRETS]
    return (
        f"[Errno 2] No such file or directory: '{home}/models/en.bin' on {host}; "
        f"{secrets} postgres://me:{secrets[2]}@{host}.example.com/{home}/db"
    )


SECRETS = ("AWS_SECRET_ACCESS_KEY", "OPENAI_API_KEY", "HF_TOKEN", "DB_PASSWORD")


@dataclass(frozen=True)
class Leaky:
    model: str
    name: ClassVar[str] = "leaky"
    version: ClassVar[int] = 1
    languages: ClassVar[tuple[str, ...]] = ()
    keeps_meaning: ClassVar[bool] = True
    needs: ClassVar[str] = "nothing"

    def setup(self):
        pass

    def __call__(self, texts, keys):
        if any("Item 7:" in text for text in texts.to_pylist()):
            raise ValueError(leak())
        return pa.array([text.upper() for text in texts.to_pylist()], pa.string())


@dataclass(frozen=True)
class LeakyLines:
    version: ClassVar[int] = 1

    def __call__(self, text, lang):
        if "Item 62:" in text:
            raise OSError(leak())
        return Lines()(text, lang)


@dataclass(frozen=True)
class LeakyRule:
    reason: str = "rule"

    def refused_pairs(self, pairs):
        raise RuntimeError(leak())


def good(gates=()) -> Recipe:
    view = View(Leaky(os.path.expanduser("~/models/en.bin")))
    source = Documents(segment=LeakyLines())
    return Recipe((Pair("k", View(), view),), source=source, gates=gates, shards=2)


def ruled() -> Recipe:
    return good((LeakyRule(),))


def broken() -> Recipe:
    raise RuntimeError(leak())
"""


@pytest.fixture
def home(tmp_path: Path) -> Path:
    folder = tmp_path / "home" / USER
    folder.mkdir(parents=True)
    (folder / "recipes.py").write_text(RECIPES)
    rows = documents(60)
    rows[1]["text"] = "Item 62: alone.\n" + rows[1]["text"]
    write_parquet(folder / "corpus.parquet", rows)
    return folder


def run(home: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
    """Run the command as a user of that name, at that home, on a machine of that name if it can."""
    command = [str(Path(sys.executable).with_name("pairsmith")), *map(str, arguments)]
    return subprocess.run(
        [*_on_host(), *command],
        capture_output=True,
        text=True,
        timeout=300,
        stdin=subprocess.DEVNULL,
        cwd=home,
        env={**os.environ, **SECRETS, "HOME": str(home), "USER": USER, "LOGNAME": USER},
    )


def _on_host() -> Sequence[str]:
    if shutil.which("unshare") is None:
        return ()
    inside = ["unshare", "--uts", "sh", "-c", f'hostname {HOST} && exec "$@"', "sh"]
    return inside if subprocess.run([*inside, "true"], capture_output=True).returncode == 0 else ()


def host() -> str:
    return HOST if _on_host() else socket.gethostname()


def kept(output: Path) -> str:
    """Return all that a dataset says: every text of every file, and the files' own metadata."""
    told = []
    for path in (path for path in output.rglob("*") if path.is_file()):
        if path.suffix == ".parquet":
            file = pq.ParquetFile(path)
            told += [str(file.metadata.metadata), str(file.schema_arrow.metadata)]
            told.append(str(file.read().to_pylist()))
        else:
            told.append(path.read_text())
    return "\n".join(told)


def leaks(text: str, *more: str) -> list[str]:
    return [planted for planted in (*SECRETS.values(), FLAG, *more) if planted in text]


FLAGS = {
    "here": ("--log", "json", "--verbose", "--workers", 2),
    "bundles": ("--verbose", "--runner=BundleBasedDirectRunner", f"--s3_secret_access_key={FLAG}"),
}


@pytest.mark.parametrize("flags", FLAGS.values(), ids=FLAGS)
def test_a_dataset_tells_nothing_private_and_logs_tell_no_secret(
    home: Path, flags: tuple[object, ...]
) -> None:
    recipe, corpus, output = home / "recipes.py", home / "corpus.parquet", home / "out"
    where = ("--input", corpus, "--output", output, "--cache", home / "cache")
    done = run(home, "build", f"{recipe}:good", *where, "--max-failed", 0.5, *flags)
    assert done.returncode == 0, done.stderr
    told = kept(output)
    assert "en.bin" in told, "the error's text and the setting are there"
    assert "OSError" in told
    assert "recipes.py:good" in told
    assert leaks(told, USER, str(home), str(home.parent), host()) == []
    assert leaks(done.stdout + done.stderr) == []
    for name, said in (("ruled", "the rule LeakyRule raised"), ("broken", "RuntimeError")):
        where = ("--input", corpus, "--output", home / name)
        done = run(home, "build", f"{recipe}:{name}", *where, "--max-failed", 0.5, *flags)
        assert done.returncode == 2
        assert said in done.stderr
        assert leaks(done.stdout + done.stderr) == []
        assert not (home / name).exists()


def test_a_plan_tells_nothing_private(home: Path) -> None:
    where = (f"{home}/recipes.py:good", "--input", home / "corpus.parquet")
    done = run(home, "plan", *where, "--json")
    assert done.returncode == 0, done.stderr
    assert '"pairs"' in done.stdout
    assert leaks(done.stdout + done.stderr, USER, str(home), host()) == []


@pytest.mark.parametrize("log", ["text", "json"])
@pytest.mark.parametrize("kind", [OSError, RuntimeError])
def test_a_bug_tells_no_secret(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    kind: type[Exception],
    log: str,
) -> None:
    def fail(argv: Sequence[str]) -> int:
        raise kind(errno.ECONNREFUSED, "GET https://me:planted@host/?token=planted")

    monkeypatch.setitem(sys.modules, "pairsmith.commands.verify", SimpleNamespace(main=fail))
    assert main(["verify", "--log", log]) == 1
    told = capsys.readouterr().err
    assert "GET https://<secret>@host/?token=<secret>" in told
    assert "planted" not in told
    if log == "json":
        assert [json.loads(line)["event"] for line in told.splitlines()] == ["error"]


def test_secrets_are_told_by_name_by_place_and_by_what_is_assigned_to_them() -> None:
    environment = {"MY_API_KEY": "0123456789", "TOKENIZERS_PARALLELISM": "otherwise", "A_KEY": "1"}
    cases = {
        "got 0123456789!": "got <secret>!",
        "1 of 2 otherwise": "1 of 2 otherwise",
        "https://me:pw@host/x": "https://<secret>@host/x",
        "Authorization: Bearer abcdefghijkl": "Authorization: Bearer <secret>",
        "['--s3_secret_access_key=xyz', '--b=1']": "['--s3_secret_access_key=<secret>', '--b=1']",
        "{'password': 'xyz', 'tokens': 7}": "{'password': '<secret>', 'tokens': 7}",
        "max_tokens=128, key=value": "max_tokens=128, key=value",
    }
    for text, told in cases.items():
        assert without_secrets(text, environment) == told


def test_places_lose_folders_and_texts_stay_as_they_are() -> None:
    name = socket.gethostname()
    cases = {
        "No such file: '/srv/data/in.txt'": "No such file: 'in.txt'",
        f"{Path.home()}/a b.txt": "a b.txt",
        "~/models/en.bin and /x": "en.bin and /x",
        "and/or 1/2 https://host/a/b 8//3": "and/or 1/2 https://host/a/b 8//3",
        f"failed on {name}": "failed on <host>" if len(name) > 3 else f"failed on {name}",
    }
    for text, told in cases.items():
        assert without_places(text) == told
