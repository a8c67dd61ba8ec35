"""A build that is interrupted goes on; others that are at work, and what is not ours, stay."""

import signal
from pathlib import Path

import pytest

from tests.pipelines.corpora import documents, everything, sums, write_parquet
from tests.pipelines.forked import Fault, Forks

OWN = """
from beside import shortened
from pairsmith.augmenters import from_function
from pairsmith.pipelines.recipe import Pair, Recipe, View


def half(text, rng):
    return shortened(text, 0.5)


def own():
    return Recipe((Pair("short", View(), View(from_function(half))),), shards=4)
"""
BESIDE = """
def shortened(text, share):
    return text[: int(len(text) * share)]
"""


@pytest.mark.parametrize(
    ("sent", "code", "line"),
    [
        (signal.SIGINT, 2, "interrupted; the same command resumes"),
        (signal.SIGTERM, 143, "stopped by SIGTERM; the same command resumes"),
    ],
    ids=["Ctrl-C", "SIGTERM"],
)
def test_a_build_that_is_interrupted_leaves_its_neighbours_alone_and_goes_on(
    tmp_path: Path, forks: Forks, sent: signal.Signals, code: int, line: str
) -> None:
    corpus = write_parquet(tmp_path / "in.parquet", documents(60), row_group=20)
    output = tmp_path / "runs" / "first"
    (tmp_path / "runs" / "second").mkdir(parents=True)
    (tmp_path / "runs" / "second" / "precious").write_text("keep me")
    build = ("quickstart", "--input", corpus, "--shards", 8, "--waves", 8, "--output")
    pressed = Fault(str(output), after=0, when=".work/wave-*.json", sent=sent)
    first = forks.run(*build, output, "--workers", 2, fault=pressed)
    assert first.code == code, first.said
    assert first.said == f"pairsmith build: {line}\n"
    assert (tmp_path / "runs" / "second" / "precious").read_text() == "keep me"
    finished = [path.name for path in output.glob(".work/wave-*.json")]
    assert 1 <= len(finished) < 8
    shards = {
        path.name: path.stat().st_mtime_ns for path in output.glob(".work/new/shards/*.parquet")
    }
    again = forks.run(*build, output)
    assert again.code == 0, again.said
    kept = [
        name
        for name, written in shards.items()
        if (output / "shards" / name).stat().st_mtime_ns == written
    ]
    assert len(kept) >= len(finished)  # not made again
    assert forks.run(*build, tmp_path / "other").code == 0
    assert sums(output) == sums(tmp_path / "other")


def test_another_recipe_or_input_does_not_go_on_with_what_is_there(
    tmp_path: Path, forks: Forks
) -> None:
    corpus = write_parquet(tmp_path / "in.parquet", documents(20))
    output = tmp_path / "out"
    build = ("quickstart", "--input", corpus, "--shards", 4, "--waves", 4, "--output")
    killed = forks.run(*build, output, fault=Fault(path=f"{output}/.work/wave-00003.json"))
    assert killed.killed
    write_parquet(corpus, documents(21))
    assert forks.run(*build, output).code == 0
    assert forks.run(*build, tmp_path / "anew").code == 0
    assert sums(output) == sums(tmp_path / "anew")


@pytest.mark.parametrize("edited", ["own.py", "beside.py"])
@pytest.mark.parametrize("finished", [False, True])
def test_a_recipe_whose_code_was_edited_does_not_go_on_with_what_is_there(
    tmp_path: Path, forks: Forks, finished: bool, edited: str
) -> None:
    corpus = write_parquet(tmp_path / "in.parquet", documents(20))
    (tmp_path / "own.py").write_text(OWN)
    (tmp_path / "beside.py").write_text(BESIDE)
    output = tmp_path / "out"
    build = (f"{tmp_path}/own.py:own", "--input", corpus, "--waves", 4, "--output")
    if finished:
        assert forks.run(*build, output).code == 0
        assert "used again: 4 of 4 shards" in forks.run(*build, output).said
    else:
        fault = Fault(path=f"{output}/.work/wave-00003.json")
        assert forks.run(*build, output, fault=fault).killed
    code = (tmp_path / edited).read_text()
    (tmp_path / edited).write_text(code.replace("* share", "* share / 2").replace("0.5", "0.25"))
    again = forks.run(*build, output)
    assert again.code == 0, again.said
    assert "used again" not in again.said
    assert forks.run(*build, tmp_path / "anew").code == 0
    assert everything(output) == everything(tmp_path / "anew")


def test_what_others_left_in_an_unfinished_folder_stays(tmp_path: Path, forks: Forks) -> None:
    corpus = write_parquet(tmp_path / "in.parquet", documents(30))
    output = tmp_path / "out"
    (output / ".git" / "x").mkdir(parents=True)
    (output / ".mine").touch()
    (output / "UNFINISHED").touch()
    (output / ".manifest.json.0123456789abcdef").touch()
    done = forks.run("quickstart", "--input", corpus, "--output", output)
    assert done.code == 0, done.said
    assert (output / ".git" / "x").is_dir()
    assert {path.name for path in output.glob(".*")} == {".git", ".mine"}


def test_what_a_worker_wrote_after_its_driver_had_cleared_up_is_removed(
    tmp_path: Path, forks: Forks
) -> None:
    corpus = write_parquet(tmp_path / "in.parquet", documents(5))
    late = tmp_path / "out/.work/new/shards"
    late.mkdir(parents=True)
    (late / ".00000.parquet.0123456789abcdef").touch()
    done = forks.run("context", "--input", corpus, "--output", tmp_path / "out")
    assert done.code == 0, done.said
    assert not (tmp_path / "out/.work").exists()


def test_a_folder_of_something_else_is_never_touched(tmp_path: Path, forks: Forks) -> None:
    corpus = write_parquet(tmp_path / "in.parquet", documents(6))
    (tmp_path / "mine" / "shards").mkdir(parents=True)
    (tmp_path / "mine" / "shards" / "precious").write_text("keep me")
    done = forks.run("quickstart", "--input", corpus, "--output", tmp_path / "mine")
    assert done.code == 2
    assert "already holds files of something else" in done.said
    assert (tmp_path / "mine" / "shards" / "precious").read_text() == "keep me"
