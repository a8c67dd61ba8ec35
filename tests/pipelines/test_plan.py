"""What `pairsmith plan` foresees is what a build then does; and it leaves nothing behind."""

import json
import os
import random
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
import pyarrow as pa
import pytest

from pairsmith.commands.main import main
from pairsmith.pipelines.build import build
from pairsmith.pipelines.planning.costs import Cost, fixed_costs
from pairsmith.pipelines.planning.forecast import Forecast, forecast
from pairsmith.pipelines.planning.scan import Scan, distinct, scan
from pairsmith.pipelines.reading.inputs import plan_inputs
from pairsmith.pipelines.recipe import Documents, Pair, Recipe, View
from pairsmith.pipelines.recipe.shipped import dropout, quickstart
from pairsmith.schemas import Dataset, UserError
from tests.pipelines.corpora import documents, pairsmith, write_csv, write_jsonl, write_parquet

IMPORTS = """
from shortened_by import half
from pairsmith.augmenters import from_function
from pairsmith.pipelines.recipe import Pair, Recipe, View


def halves():
    return Recipe((Pair("half", View(), View(from_function(half))),))
"""


PRINTS = """
def half(text, rng):
    print("halving", len(text))
    return text[::2]
"""


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """1,000 documents, many of them twice, some blank, some broken."""
    rows: list[dict[str, Any]] = [*documents(1000)]
    rows += [{**row, "doc_id": f"again/{row['doc_id']}"} for row in rows[::4]]
    rows += [{**row, "text": "Only the id is that of another."} for row in rows[:50]]
    rows += [{"doc_id": f"blank/{n}", "text": " "} for n in range(20)]
    random.Random(5).shuffle(rows)
    path = write_jsonl(tmp_path_factory.mktemp("corpus") / "in.jsonl", rows)
    path.write_bytes(path.read_bytes() + b"{broken\n" * 5)
    return path


@pytest.fixture(scope="module")
def expected(corpus: Path) -> Forecast:
    return forecast(quickstart(), [str(corpus)], machines=10, price=2.5)


@pytest.fixture(scope="module")
def built(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    output = tmp_path_factory.mktemp("built") / "out"
    return build(quickstart(), "quickstart", [str(corpus)], output)


def test_what_comes_out_is_what_was_foreseen(expected: Forecast, built: Dataset) -> None:
    counts = built.manifest.counts
    assert expected.sample["whole"]
    for noun in ("sources", "pairs", "kinds"):
        assert getattr(expected, noun) == pytest.approx(counts[noun], rel=0.02, abs=5), noun
    for folder in ("dropped", "failed"):
        foreseen, real = expected.reasons[folder], counts["reasons"][folder]
        assert foreseen == pytest.approx(real, rel=0.1, abs=5), folder
    assert expected.reasons["dropped"]["duplicates: same text"] >= 250
    assert expected.reasons["dropped"]["duplicates: same id"] == 50
    assert expected.reasons["failed"]["read: not JSON"] == 5
    files = [*built.manifest.shards, *built.manifest.dropped, *built.manifest.failed]
    real = sum(file.bytes for file in files)
    assert sum(expected.bytes.values()) == pytest.approx(real, rel=0.25)


def test_time_and_money_add_up(expected: Forecast) -> None:
    assert expected.cpu_seconds > 1
    assert 0 < expected.machines_hours < expected.hours + 0.01
    assert expected.cost == pytest.approx(2.5 * 10 * expected.machines_hours)
    assert expected.recommended_shards >= 1
    assert expected.waves >= 1
    assert expected.tasks >= 1


def test_what_a_build_would_refuse_is_warned_of(tmp_path: Path) -> None:
    lines = [*(json.dumps(row) for row in documents(30)), *["{broken"] * 30]
    (tmp_path / "in.jsonl").write_text("\n".join(lines))
    (warning,) = forecast(quickstart(), [str(tmp_path / "in.jsonl")]).warnings
    assert warning == "30 of 60 sources would fail: read: not JSON (30)"
    assert forecast(quickstart(), [str(tmp_path / "in.jsonl")], max_failed=0.6).warnings == ()
    (tmp_path / "blank.txt").write_text("\n\n")
    with pytest.raises(UserError, match="no row of the sample has a text"):
        forecast(quickstart(), [str(tmp_path / "blank.txt")])


def test_an_input_most_of_whose_texts_are_screened_is_foreseen(tmp_path: Path) -> None:
    lines = [f"Short {n}." for n in range(95)]
    lines += [f"A line with more words than the screens ask for, number {n}." for n in range(5)]
    (tmp_path / "in.txt").write_text("\n".join(lines))
    expected = forecast(dropout(), [str(tmp_path / "in.txt")], seconds=1)
    assert expected.pairs["made"] == 5
    assert expected.cpu_seconds > 0


def some(path: Path, rows: int) -> Scan:
    """Scan a file as one that is too large to be read whole."""
    (file,) = plan_inputs([str(path)], Documents())
    return scan(file.splits, Documents(), 500, whole_bytes=1000, some_rows=rows)


def test_a_large_input_is_judged_by_parts_of_it(tmp_path: Path) -> None:
    numbers = np.random.default_rng(3).zipf(1.5, 40_000)  # most turn up again and again
    rows = [{"text": f"The number {n} is {'really ' * (n % 7)}one of many."} for n in numbers]
    texts = {row["text"] for row in rows}
    write_parquet(tmp_path / "a.parquet", rows, row_group=1000)
    write_jsonl(tmp_path / "b.jsonl", rows)
    write_jsonl(tmp_path / "c.jsonl.gz", rows)
    write_jsonl(tmp_path / "d.jsonl.zst", rows)
    write_csv(tmp_path / "e.csv", rows)
    for path in sorted(tmp_path.iterdir()):
        found = some(path, 8000)
        assert not found.whole
        assert 8000 <= found.seen < 12_000, path
        assert found.rows == pytest.approx(len(rows), rel=0.1), path
        assert found.kept == pytest.approx(len(texts), rel=0.25), path
        assert found.bytes == pytest.approx(sum(map(len, texts)), rel=0.25), path
        copies = sum(found.rejected["dropped"].values())
        assert copies == pytest.approx(len(rows) - len(texts), rel=0.25), path
        drawn = found.documents["text_id"].to_pylist()
        assert len(set(drawn)) == len(drawn)


def test_texts_that_stand_once_or_side_by_side_are_told_from_a_part() -> None:
    part = np.arange(5000, dtype=np.uint64)
    batch = np.arange(5000) // 100
    assert distinct(part, batch, 100_000) == pytest.approx(100_000)
    assert distinct(part // 2, batch, 100_000) == pytest.approx(50_000)
    assert distinct(part % 10, batch, 100_000) == pytest.approx(10)


def test_a_recipe_that_imports_what_lies_beside_it_is_foreseen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "shortened_by.py").write_text("def half(text, rng):\n    return text[::2]\n")
    (tmp_path / "shortening.py").write_text(IMPORTS)
    corpus = write_jsonl(tmp_path / "in.jsonl", documents(20))
    monkeypatch.setattr(sys, "path", [*sys.path])
    command = ["plan", f"{tmp_path}/shortening.py:halves", "--input", str(corpus), "--seconds", "1"]
    assert main(command) == 0, capsys.readouterr().err
    assert "pairs by kind: half 180" in capsys.readouterr().out


def test_what_a_recipe_prints_and_what_lies_around_change_no_plan(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "printing.py").write_text(IMPORTS.replace("from shortened_by import half", PRINTS))
    (tmp_path / "queue.py").write_text("raise RuntimeError('not the library')\n")
    corpus = write_jsonl(tmp_path / "in.jsonl", documents(20))
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.chdir(tmp_path)
    command = ["plan", "printing.py:halves", "--input", str(corpus), "--seconds", "1"]
    assert main(command) == 0, capsys.readouterr().err
    assert "pairs by kind: half 180" in capsys.readouterr().out


@dataclass(frozen=True)
class Marked:
    """Cuts nothing but texts with a mark that few have, far behind."""

    version: ClassVar[int] = 1

    def __call__(self, text: str, lang: str | None) -> list[str]:
        return [text.strip("#")] if "#" in text else []


def test_a_recipe_that_makes_nothing_of_most_documents_is_foreseen(tmp_path: Path) -> None:
    rows = [{**row, "text": row["text"] * 9 + "#" * (n == 7)} for n, row in enumerate(documents())]
    corpus = write_parquet(tmp_path / "in.parquet", rows)
    recipe = Recipe((Pair("same", View(), View()),), source=Documents(segment=Marked()))
    found = forecast(recipe, [str(corpus)], seconds=1)
    assert found.pairs["written"] == 1
    assert found.sources["dropped"] == 59


def test_what_every_build_costs_is_not_what_long_documents_cost(tmp_path: Path) -> None:
    line = "A sentence of some length, as there are many. "
    paths = [tmp_path / "short.jsonl", tmp_path / "long.jsonl"]
    for path, times in zip(paths, (1, 20_000), strict=True):
        write_jsonl(path, [{"text": f"{n}: {line * times}"} for n in range(3)])
    short, long = map(seconds_a_piece, paths)
    assert long < 3 * short


def seconds_a_piece(path: Path) -> float:
    """Return the seconds that cutting or filling is said to take where there is nothing to do."""
    (file,) = plan_inputs([str(path)], Documents())
    found = scan(file.splits, Documents(), 500)
    folder = path.with_suffix("")
    folder.mkdir()
    return fixed_costs(dropout(), found.documents, folder, Cost()).piece.cpu


def test_a_recipe_that_takes_for_ever_to_load_is_one_line(
    corpus: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pairsmith.pipelines.planning.costs._SECONDS", 0.01)
    with pytest.raises(UserError, match=r"a build of three rows takes over 0\.01 s"):
        forecast(dropout(), [str(corpus)], seconds=0)


@dataclass(frozen=True)
class Slow:
    """A model that takes ten milliseconds for a text, and keeps a list of what it was asked."""

    log: str
    name: str = "slow"
    version: int = 1
    languages: tuple[str, ...] = ("*",)
    keeps_meaning: bool = True
    needs: str = ""
    cache_by: Literal["text", "record"] = "text"

    def setup(self) -> None:
        pass

    def __call__(self, texts: pa.StringArray, keys: Sequence[int]) -> pa.StringArray:
        time.sleep(0.01 * len(texts))
        with Path(self.log).open("a") as log:
            log.write("\n" * len(texts))
        return pa.array([f"{text} indeed" for text in texts.to_pylist()], pa.string())


def test_a_model_is_asked_for_a_few_units_and_its_time_counts(tmp_path: Path) -> None:
    corpus = write_parquet(tmp_path / "in.parquet", documents(2000))
    recipe = Recipe((Pair("slow", View(), View(Slow(str(tmp_path / "asked")))),))
    assert recipe.costly
    found = forecast(recipe, [str(corpus)], machines=4)
    asked = len((tmp_path / "asked").read_text())
    assert asked < 1000
    units = found.pairs["made"]
    assert units == pytest.approx(18_000, rel=0.1)
    # One model a machine, which a process after the other asks.
    assert found.hours * 3600 == pytest.approx(0.01 * units, rel=0.25)
    assert found.machines_hours < found.hours / 3


def test_the_command_stops_above_a_limit_and_writes_nothing(tmp_path: Path) -> None:
    temporary, folder, inputs = (tmp_path / name for name in ("tmp", "here", "inputs"))
    for made in (temporary, folder, inputs):
        made.mkdir()
    corpus = write_jsonl(inputs / "in.jsonl", [*documents(), *documents()[::4]])
    environment = {**os.environ, "TMPDIR": str(temporary)}
    flags = ("quickstart", "--input", corpus, "--shards", 3)
    settings: dict[str, Any] = {"env": environment, "cwd": folder}
    done = pairsmith("plan", *flags, "--machines", 9, "--price", 1e6, "--max-cost", 1, **settings)
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert "on 9 machines, more than --max-cost 1" in line
    for word in ("pairs by kind: context", "dropped: ", "on disk: ", "here: ", "cost: ", "3 asked"):
        assert word in done.stdout
    done = pairsmith("plan", *flags, "--max-hours", 1e-5, "--json", **settings)
    assert done.returncode == 1
    assert "hours on 1 machine, more than --max-hours 1e-05" in done.stderr
    data = json.loads(done.stdout)
    assert data["pairs"]["made"] > 1000
    assert str(corpus.parent) not in done.stdout
    assert [path for path in temporary.rglob("*") if "pairsmith" in path.name] == []
    assert list(folder.iterdir()) == []
    assert [path.name for path in corpus.parent.iterdir()] == ["in.jsonl"]


def test_a_build_s_line_becomes_a_plan_by_changing_one_word(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    corpus, output = write_jsonl(tmp_path / "in.jsonl", documents()), tmp_path / "out"
    line = ["quickstart", "--input", str(corpus), "--output", str(output), "--replace"]
    line += ["--seed", "3", "--shards", "3", "--max-failed", "0.2", "--min-changed", "0"]
    line += ["--warn-idle", "--cache", str(tmp_path / "cache"), "--workers", "1", "--waves", "2"]
    line += ["--batch-rows", "512", "--log", "text", "--s3_endpoint_url=http://localhost:9"]
    assert main(["plan", *line]) == 0
    foreseen = [part for part in capsys.readouterr().out.splitlines() if "pairs by kind" in part]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.jsonl"]
    assert main(["build", *line]) == 0
    assert foreseen == [
        part for part in capsys.readouterr().out.splitlines() if "pairs by kind" in part
    ]
    assert main(["plan", *line, "--store_seconds=0"]) == 2  # so stores are reached as it says
    assert "--store_seconds must be above 0" in capsys.readouterr().err
    assert main(["plan", *line, "--machine=3"]) == 2
    assert "did you mean --machines?" in capsys.readouterr().err


def test_flags_of_plan_that_make_no_sense_are_one_line(
    corpus: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cases = {
        ("--max-cost", 3): "--max-cost needs --price",
        ("--machines", 0): "--machines must be at least 1",
        ("--max-hours", -1): "--max-hours must not be negative",
    }
    for flags, said in cases.items():
        assert main(["plan", "quickstart", "--input", str(corpus), *map(str, flags)]) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert said in line


@pytest.mark.parametrize(
    ("flag", "said"),
    [
        ("--runner=DaskRunner", "--runner=DaskRunner: it drops"),
        ("--direct_running_mode=multi_threading", "it loses rows"),
        ("--prism_location=nowhere", "--prism_location=nowhere: no such file"),
        ("--model_accelerator=type:nvidia-tesla-t4;count:1", "the recipe asks no model"),
    ],
)
def test_what_a_build_refuses_at_its_start_is_not_foreseen(
    corpus: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], flag: str, said: str
) -> None:
    line = ["quickstart", "--input", str(corpus), "--output", str(tmp_path / "out"), flag]
    for command in ("plan", "build"):
        assert main([command, *line]) == 2
        assert said in capsys.readouterr().err
