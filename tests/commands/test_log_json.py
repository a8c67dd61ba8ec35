"""`--log json`: a program reads on standard error what a build does, one object a line."""

import json
from pathlib import Path
from typing import Any

import pytest

from pairsmith.schemas import open_dataset
from tests.pipelines.corpora import documents, pairsmith, write_jsonl, write_parquet

BUILD = ("build", "quickstart", "--log", "json")
WORKERS = ("--direct_num_workers=2", "--direct_running_mode=multi_processing")


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_parquet(tmp_path_factory.mktemp("corpus") / "in.parquet", documents(300), 100)


def events(*arguments: object, code: int = 0) -> list[dict[str, Any]]:
    done = pairsmith(*arguments)
    assert done.returncode == code, done.stderr
    assert done.stdout == ""
    return [json.loads(line) for line in done.stderr.splitlines()]


@pytest.mark.parametrize(
    "flags",
    [("--workers", 2, "--verbose"), WORKERS],
    ids=["here", "processes"],
)
def test_every_line_is_an_event_and_the_last_ones_tell_all(
    tmp_path: Path, corpus: Path, flags: tuple[object, ...]
) -> None:
    told = events(*BUILD, "--input", corpus, "--output", tmp_path / "out", *flags)
    assert {event["event"] for event in told} <= {"progress", "log", "done"}
    progress = [event for event in told if event["event"] == "progress"]
    assert len(progress) >= 2
    counts = open_dataset(tmp_path / "out").manifest.counts
    assert told[-1]["event"] == "done"
    assert told[-1]["counts"] == counts
    last = progress[-1]
    assert last["rows"] == counts["sources"]["read"]
    assert last["pairs"] == counts["pairs"]["written"]
    assert last["dropped"] == counts["pairs"]["dropped"]
    assert last["failed"] == 0
    assert last["bytes"] == last["of_bytes"]
    assert last["shards"] == last["of_shards"]
    assert last["eta_seconds"] == 0
    assert last["rows_per_second"] > 0
    assert last["pairs_per_second"] > 0
    seconds = [event["seconds"] for event in progress]
    assert seconds == sorted(seconds)


def test_what_goes_wrong_is_an_event(tmp_path: Path, corpus: Path) -> None:
    where = ("--output", tmp_path / "out")
    (error,) = events(*BUILD, "--input", tmp_path / "none", *where, code=2)
    assert error["event"] == "error"
    assert "no input file matches" in error["message"]
    for wrong in ("--shards=many", "--seed"):  # of which the parser complains
        (error,) = events(*BUILD, "--input", corpus, *where, wrong, code=2)
        assert error["event"] == "error"
        assert wrong.split("=")[0] in error["message"]
        assert not set(error["message"]) & set("╭│╰─")
    (tmp_path / "recipes.py").write_text("def broken():\n    return 7\n")
    recipe = f"{tmp_path}/recipes.py:broken"
    (error,) = events("build", recipe, "--log=json", "--input", corpus, *where, code=2)
    assert "returned a int, not a Recipe" in error["message"]
    rows = [{"text": f"{n} apples and {n} pears are on the table."} for n in range(200)]
    write_jsonl(tmp_path / "bad.jsonl", rows)
    with (tmp_path / "bad.jsonl").open("a") as stream:
        stream.write("{broken\n" * 9)
    told = events(*BUILD, "--input", tmp_path / "bad.jsonl", *where, code=2)
    assert told[-1]["event"] == "error"
    assert "read: not JSON (9)" in told[-1]["message"]


def test_what_a_plan_complains_of_is_an_event(corpus: Path) -> None:
    plan = ("plan", "quickstart", "--log", "json", "--input", corpus)
    for wrong, said in (
        ("--shards=many", "--shards"),  # of which the parser complains
        ("--machine=3", "did you mean --machines?"),
        ("--machines=0", "--machines must be at least 1"),
    ):
        (error,) = events(*plan, wrong, code=2)
        assert error["event"] == "error"
        assert said in error["message"]
        assert not set(error["message"]) & set("╭│╰─")


def test_warnings_and_what_is_used_again_are_events(tmp_path: Path, corpus: Path) -> None:
    (tmp_path / "recipes.py").write_text(
        "from pairsmith.augmenters import WordDropout\n"
        "from pairsmith.pipelines.recipe import Pair, Recipe, View\n"
        "def idle():\n"
        "    return Recipe((Pair('k', View(), View(WordDropout(1e-9))),), shards=2)\n"
    )
    build = ("build", f"{tmp_path}/recipes.py:idle", "--log", "json", "--warn-idle")
    where = ("--input", corpus, "--output", tmp_path / "out")
    told = {event["event"]: event for event in events(*build, *where)}
    assert "k/positive/1:word_dropout changed 0 of" in told["warning"]["message"]
    told = {event["event"]: event for event in events(*build, *where)}
    assert told["reused"]["message"] == "used again: 2 of 2 shards"


def test_that_a_build_was_stopped_is_an_event(tmp_path: Path, corpus: Path) -> None:
    (tmp_path / "recipes.py").write_text(
        "import os, signal\n"
        "from pairsmith.augmenters import from_function\n"
        "from pairsmith.pipelines.recipe import Pair, Recipe, View\n"
        "def stopped(text, rng):\n"
        "    os.kill(os.getpid(), signal.SIGTERM)\n"
        "    return text\n"
        "def mine():\n"
        "    return Recipe((Pair('k', View(), View(from_function(stopped))),))\n"
    )
    build = ("build", f"{tmp_path}/recipes.py:mine", "--log", "json", "--workers", 1)
    told = events(*build, "--input", corpus, "--output", tmp_path / "out", code=143)
    line = "stopped by SIGTERM; the same command resumes"
    assert told[-1] == {"event": "error", "message": line}


def test_progress_counts_to_the_end_also_where_a_build_resumes_and_shards_are_empty(
    tmp_path: Path,
) -> None:
    few = write_jsonl(tmp_path / "in.jsonl", [{"text": f"Here are {n} words."} for n in range(6)])
    output, go_on = tmp_path / "out", tmp_path / "go on"
    (tmp_path / "recipes.py").write_text(
        "import os, pathlib, signal\n"
        "from pairsmith.augmenters import from_function\n"
        "from pairsmith.pipelines.recipe import Pair, Recipe, View\n"
        "def stopped(text, rng):\n"
        f"    done = len([*pathlib.Path({str(output)!r}).glob('.work/wave-*.json')])\n"
        f"    if done >= 3 and not pathlib.Path({str(go_on)!r}).exists():\n"
        "        os.kill(os.getpid(), signal.SIGTERM)\n"
        "    return text[1:]\n"
        "def mine():\n"
        "    return Recipe((Pair('k', View(), View(from_function(stopped))),), shards=16)\n"
    )
    build = ("build", f"{tmp_path}/recipes.py:mine", "--log", "json", "--workers", 1, "--waves", 8)
    where = ("--input", few, "--output", output)
    events(*build, *where, code=143)
    kept = len([*output.glob(".work/wave-*.json")])
    assert 3 <= kept < 8
    go_on.touch()
    *_, last = [event for event in events(*build, *where) if event["event"] == "progress"]
    assert last["shards"] == last["of_shards"] == 16 - 2 * kept
    assert last["bytes"] == last["of_bytes"] == 0  # all was cut
    assert last["eta_seconds"] == 0


def test_worker_processes_say_nothing_by_themselves(tmp_path: Path) -> None:
    lines = ["A line of five words.", *["word " * 2000] * 900]  # 9 MB: enough for two processes
    (tmp_path / "in.txt").write_text("\n".join(f"{n}: {line}" for n, line in enumerate(lines)))
    where = ("--input", tmp_path / "in.txt", "--output", tmp_path / "out", "--workers", 2)
    done = pairsmith("build", "identity", *where)
    assert done.returncode == 0
    assert done.stderr == ""
    assert "pairs by kind: identity 1\n" in done.stdout
