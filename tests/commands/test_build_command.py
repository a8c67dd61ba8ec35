"""`pairsmith build` and `verify` as a user meets them: what they print, refuse and leave behind."""

import json
import os
import pty
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pairsmith.commands.main import main
from pairsmith.schemas import open_dataset
from tests.pipelines.corpora import documents, pairsmith, write_jsonl, write_parquet

RECIPES = """
from dataclasses import dataclass

from pairsmith.augmenters import from_function
from pairsmith.pipelines.recipe import Pair, Recipe, View


def shout(text, rng):
    if "Item 7:" in text:
        raise ValueError("no seven, please")
    return None if "Item 0:" in text else text.upper() + "!" * int(rng.integers(1, 4))


def loud() -> Recipe:
    view = View(from_function(shout, name="shout"))
    return Recipe(pairs=(Pair("loud", anchor=View(), positive=view, draws=2),), shards=3)


def no_recipe():
    return 7


def wrong():
    return Recipe(pairs=())


def halves():
    return Recipe(pairs=(Pair("k", View(), View()),), seed=1.5)


def no_augmenter():
    return Recipe(pairs=(Pair("k", View(print), View()),))


@dataclass(frozen=True)
class Moody:
    reason: str = "moody"

    def refused_pairs(self, pairs):
        raise ArithmeticError("not today")


def moody():
    return Recipe(pairs=(Pair("k", View(), View()),), gates=(Moody(),))
"""

DASK = "apache_beam.runners.dask.dask_runner.DaskRunner"
PYSPARK = "beam_pyspark_runner.pyspark_runner.PySparkRunner"
THREADS = "--direct_running_mode=multi_threading"

ASKS = """
from pairsmith.pipelines.recipe import Pair, Recipe, View
from tests.augmenters.fakes import Model


def asks():
    return Recipe(pairs=(Pair("asked", View(), View(Model())),))
"""


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    return write_parquet(tmp_path / "in.parquet", documents(30))


def everything(folder: Path) -> list[Path]:
    """Return what lies below a folder, but what Python keeps of the recipes there."""
    return [path for path in sorted(folder.rglob("*")) if "__pycache__" not in path.parts]


@pytest.fixture
def refused(
    capsys: pytest.CaptureFixture[str],
) -> Callable[..., str]:
    """Run, in this process, a build that must be refused, and return its one line."""

    def run(output: Path, *arguments: object) -> str:
        before = everything(output.parent)
        assert main(["build", *map(str, arguments), "--output", str(output)]) == 2
        printed = capsys.readouterr()
        assert printed.out == ""
        (line,) = printed.err.strip().splitlines()
        assert everything(output.parent) == before, "something was left behind"
        return line

    return run


Made = Callable[..., None]


@pytest.fixture
def made(capsys: pytest.CaptureFixture[str]) -> Made:
    """Run, in this process, a build that must end well."""

    def run(output: Path, *arguments: object) -> None:
        command = ["build", *map(str, arguments), "--output", str(output)]
        assert main(command) == 0, capsys.readouterr().err
        capsys.readouterr()

    return run


def test_what_the_user_can_mend_is_one_line_and_leaves_nothing(
    tmp_path: Path, corpus: Path, refused: Callable[..., str]
) -> None:
    output = tmp_path / "out"
    (tmp_path / "blank.txt").write_text("\n \n\n")
    (tmp_path / "empty.txt").touch()
    (tmp_path / "header.csv").write_text("doc_id,text\n")
    write_jsonl(tmp_path / "other.jsonl", [{"body": "x"}] * 3)
    (tmp_path / "cut.parquet").write_bytes(corpus.read_bytes()[:-50])
    pq.write_table(pa.table({"body": ["x"]}), tmp_path / "other.parquet")
    cases = {
        ("quickstart", "--input", corpus, tmp_path / "cut.parquet"): "cut.parquet is not whole",
        ("quickstart", "--input", tmp_path / "other.parquet"): "has no column 'text' (it has 'bod",
        ("quickstart", "--input", tmp_path / "none"): "no input file matches",
        ("quickstart", "--input", tmp_path / "empty.txt"): "the corpus is empty",
        ("quickstart", "--input", tmp_path / "blank.txt"): "no pair is left of 3 rows",
        ("quickstart", "--input", tmp_path / "header.csv"): "the corpus is empty: no rows",
        ("quickstart", "--input", corpus, "--input", corpus): "--input is given twice",
        ("quickstart", "--input", tmp_path / "other.jsonl"): "no text column (3)",
        ("nonesuch", "--input", corpus): "unknown recipe 'nonesuch'; shipped are quickstart",
        ("nowhere.py:loud", "--input", corpus): "no file nowhere.py",
        ("no_such_module:loud", "--input", corpus): "No module named 'no_such_module'",
        ("quickstart", "--input", corpus, "--shards", 0): "--shards must be at least 1",
        ("quickstart", "--input", corpus, "--shard=3"): "did you mean --shards?",
        ("quickstart", "--input", corpus, "--max-failed", 2): "between 0 and 1",
        ("quickstart", "--input", corpus, "--runner=NoSuchRunner"): "NoSuchRunner",
        ("quickstart", "--input", corpus, f"--runner={DASK}"): "at the end of a bundle; take",
        ("quickstart", "--input", corpus, f"--runner={PYSPARK}"): "tagged outputs are wrong; take",
        ("quickstart", "--input", corpus, THREADS): "it loses rows; take multi_processing",
    }
    for arguments, expected in cases.items():
        assert expected in refused(output, *arguments)


def test_a_dataset_whose_manifest_is_damaged_says_what_to_do(
    tmp_path: Path, corpus: Path, refused: Callable[..., str]
) -> None:
    output = tmp_path / "out"
    output.mkdir()
    (output / "manifest.json").write_text("{")
    line = refused(output, "context", "--input", corpus)
    assert f"{output}/manifest.json is not a pairsmith manifest" in line
    assert line.endswith(f"; to build in this place, remove {output} first")


def test_a_missing_extra_is_named(tmp_path: Path, corpus: Path) -> None:
    (tmp_path / "blocked").mkdir()
    (tmp_path / "blocked" / "numba.py").write_text(
        "raise ModuleNotFoundError('no numba', name='numba')"
    )
    environment = {**os.environ, "PYTHONPATH": str(tmp_path / "blocked")}
    done = pairsmith(
        *("build", "context", "--input", corpus, "--output", tmp_path / "out"), env=environment
    )
    assert done.returncode == 2
    assert "pip install '.[build]'" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert not (tmp_path / "out").exists()


def test_a_recipe_of_ones_own_with_draws_failures_and_missing_views(
    tmp_path: Path, corpus: Path, made: Made, refused: Callable[..., str]
) -> None:
    (tmp_path / "my_recipes.py").write_text(RECIPES)
    output = tmp_path / "out"
    name = f"{tmp_path / 'my_recipes.py'}:loud"
    line = refused(output, name, "--input", corpus, "--max-failed", 0)
    assert "2 of 540 pairs failed" in line
    assert "pair: shout raised an error (2)" in line
    made(output, name, "--input", corpus, "--max-failed", 0.1)
    dataset = open_dataset(output)
    # 30 documents of 9 units, 2 draws; "Item 0:" and "Item 7:" stand once each.
    assert dataset.manifest.counts["pairs"] == {
        "made": 540,
        "written": 536,
        "dropped": 2,
        "failed": 2,
    }
    rows = dataset.read().to_pylist()
    assert all(re.fullmatch(r"!{1,3}", row["positive"][len(row["anchor"]) :]) for row in rows)
    assert {row["draw"] for row in rows} == {0, 1}
    assert len({row["pair_id"] for row in rows}) == 536
    assert "returned a int, not a Recipe" in refused(
        tmp_path / "x", f"{tmp_path / 'my_recipes.py'}:no_recipe", "--input", corpus
    )
    assert "at least one pair" in refused(
        tmp_path / "x", f"{tmp_path / 'my_recipes.py'}:wrong", "--input", corpus
    )


def test_a_recipe_that_is_broken_is_one_line_that_says_where(
    tmp_path: Path, corpus: Path, refused: Callable[..., str]
) -> None:
    (tmp_path / "more_recipes.py").write_text(RECIPES)
    (tmp_path / "slip.py").write_text("def f(:\n")
    (tmp_path / "zero.py").write_text("x = 1\ny = 1 / 0\n")
    (tmp_path / "json.py").write_text("def f(): pass\n")
    cases = {
        "more_recipes.py:halves": "seed must be int, not 1.5",
        "more_recipes.py:no_augmenter": "is no augmenter",
        "more_recipes.py:moody": "the rule Moody raised ArithmeticError: not today",
        "slip.py:f": "SyntaxError",
        "zero.py:f": "ZeroDivisionError: division by zero",
        "json.py:f": "rename the file",
    }
    for name, expected in cases.items():
        assert expected in refused(tmp_path / "out", tmp_path / name, "--input", corpus)
    line = refused(tmp_path / "out", tmp_path / "zero.py:f", "--input", corpus)
    assert "zero.py:2)" in line


def test_a_recipe_of_ones_own_works_in_worker_processes(tmp_path: Path, corpus: Path) -> None:
    (tmp_path / "my_recipes.py").write_text(RECIPES)
    done = pairsmith(
        *("build", f"{tmp_path}/my_recipes.py:loud", "--input", corpus, "--output"),
        *(tmp_path / "out", "--direct_num_workers=2", "--direct_running_mode=multi_processing"),
    )
    assert done.returncode == 0, done.stderr
    assert open_dataset(tmp_path / "out").manifest.counts["pairs"]["written"] == 536


def test_a_full_disk_is_one_line_and_leaves_nothing(
    tmp_path: Path, small_disk: Path, refused: Callable[..., str]
) -> None:
    corpus = write_parquet(tmp_path / "in.parquet", documents(3000))
    flags = ("--direct_num_workers=2", "--direct_running_mode=multi_processing")
    assert "No space left on device" in refused(small_disk / "out", "quickstart", "--input", corpus)
    # Worker processes write their own log to the same place; the one line comes last.
    arguments = ("--input", corpus, "--output", small_disk / "out", *flags)
    done = pairsmith("build", "quickstart", *arguments)
    assert done.returncode == 2
    assert "No space left on device" in done.stderr.strip().splitlines()[-1]
    assert list(small_disk.iterdir()) == []


def test_a_folder_that_cannot_be_made_is_one_line(
    tmp_path: Path, corpus: Path, refused: Callable[..., str]
) -> None:
    (tmp_path / "a_file").touch()
    line = refused(tmp_path / "a_file" / "out", "context", "--input", corpus)
    assert "a_file" in line


def test_a_name_that_is_too_long_is_one_line(
    tmp_path: Path, corpus: Path, refused: Callable[..., str]
) -> None:
    long = "long" * 100
    line = refused(tmp_path / long, "context", "--input", corpus)
    assert line.endswith("File name too long; choose another --output")
    line = refused(tmp_path / "out", "context", "--input", tmp_path / f"{long}.parquet")
    assert "cannot look for" in line
    assert "File name too long; look at its name and its folders" in line


def test_the_cache_of_a_build_into_the_working_folder_lies_beside_that(
    tmp_path: Path, corpus: Path, made: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "asking.py").write_text(ASKS)
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    made(Path(), f"{tmp_path}/asking.py:asks", "--input", corpus)
    assert open_dataset(tmp_path / "here").rows
    assert list((tmp_path / "here.cache").rglob("*.parquet"))


def test_a_default_cache_that_is_a_file_is_found_before_anything_else(
    tmp_path: Path, refused: Callable[..., str]
) -> None:
    (tmp_path / "asks.py").write_text(ASKS)
    (tmp_path / "out.cache").write_text("mine")
    asks = f"{tmp_path / 'asks.py'}:asks"
    line = refused(tmp_path / "out", asks, "--input", tmp_path / "not_looked_for")
    place = tmp_path / "out.cache"
    assert f"cannot write to the cache {place}: {place} is a file; choose another --cache" in line
    line = refused(tmp_path / "out", "quickstart", "--input", tmp_path / "looked_for")
    assert "no input file matches" in line  # what asks no model needs no cache


def test_progress_is_drawn_on_a_terminal(tmp_path: Path, corpus: Path) -> None:
    leader, follower = pty.openpty()
    script = Path(sys.executable).with_name("pairsmith")
    arguments = ["build", "quickstart", "--input", corpus, "--output", tmp_path / "out"]
    process = subprocess.Popen(
        [script, *arguments], stdout=subprocess.DEVNULL, stderr=follower, stdin=follower
    )
    os.close(follower)
    drawn = b""
    try:
        while chunk := os.read(leader, 65536):
            drawn += chunk
    except OSError:  # how a terminal ends on Linux
        pass
    os.close(leader)
    assert process.wait() == 0
    for word in (b"reading", b"pairing", b"rows/s", b"pairs/s", b"dropped", b"ETA"):
        assert word in drawn


def test_nothing_is_drawn_where_there_is_no_terminal(tmp_path: Path, corpus: Path) -> None:
    done = pairsmith("build", "context", "--input", corpus, "--output", tmp_path / "out")
    assert done.stderr == ""
    assert "pairs by kind: context" in done.stdout


def test_the_manifest_holds_no_folder_of_this_machine(
    tmp_path: Path, corpus: Path, made: Made
) -> None:
    made(tmp_path / "out", "context", "--input", corpus)
    for name in ("manifest.json", "README.md"):
        assert str(tmp_path) not in (tmp_path / "out" / name).read_text()
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert [file["name"] for file in manifest["inputs"]] == ["in.parquet"]


def test_the_card_says_how_to_train(
    tmp_path: Path, corpus: Path, made: Made, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "out"
    made(output, "context", "--input", corpus)
    (command,) = re.findall(r"`pairsmith (train .+?)`", (output / "README.md").read_text())
    words = command.replace("THIS_FOLDER", str(output)).split()
    assert main([*words, "--plan"]) == 0, capsys.readouterr().err


def test_verify_says_what_is_wrong_with_every_file(
    tmp_path: Path, corpus: Path, made: Made, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "out"
    made(output, "context", "--input", corpus, "--shards", 3)
    assert main(["verify", output.as_uri()]) == 0
    assert main(["verify", str(output)]) == 0
    assert re.search(r"is whole: \d+ pairs in 3 shards", capsys.readouterr().out)
    first, second, _ = sorted((output / "shards").iterdir())
    data = bytearray(first.read_bytes())
    data[100] ^= 1
    first.write_bytes(data)
    second.unlink()
    broken = pairsmith("verify", output)
    assert broken.returncode == 2
    lines = broken.stderr.splitlines()
    assert len(lines) == 2
    assert f"{first} differs from its sha256" in lines[0]
    assert f"{second} is missing" in lines[1]


def test_a_system_without_locks_on_files_is_one_line(
    golden: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "fcntl", None)  # as on Windows
    assert main(["verify", str(golden)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "on Windows, run it in WSL" in line


def test_an_unknown_command_names_the_known_ones(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["biuld"]) == 2
    assert (
        "there are plan, build, verify, train, tune, evaluate, export, augmenters, vocabulary"
        in capsys.readouterr().err
    )
    assert main([]) == 2
    assert pairsmith("--help").stdout.startswith("usage: pairsmith COMMAND")
