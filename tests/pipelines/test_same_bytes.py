"""One recipe and seed give the same shards, however the input lies and the work is done."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.pipelines.corpora import (
    documents,
    sums,
    write_csv,
    write_jsonl,
    write_parquet,
)
from tests.pipelines.forked import Forks

SHARDS = 9
ROOT = Path(__file__).resolve().parents[2]


Build = Callable[..., dict[str, str]]


@pytest.fixture(scope="module")
def build(forks: Forks) -> Build:
    """Return a function that runs `pairsmith build` and returns the sums of the shards."""

    def run(output: Path, *arguments: object) -> dict[str, str]:
        flags = ("--output", output, "--shards", SHARDS, "--input", *arguments)
        ended = forks.run("quickstart", *flags)
        assert ended.code == 0, ended.said
        return sums(output)

    return run


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_parquet(tmp_path_factory.mktemp("corpus") / "all.parquet", documents())


@pytest.fixture(scope="module")
def expected(build: Build, corpus: Path) -> dict[str, str]:
    return build(corpus.parent / "expected", corpus)


def test_the_build_is_not_trivial(expected: dict[str, str]) -> None:
    assert len(expected) == SHARDS
    assert len(set(expected.values())) == SHARDS


@pytest.mark.parametrize(
    "flags",
    [
        ("--batch-rows", 7),
        ("--batch-rows", 1),
        ("--waves", 1),
        ("--waves", 7),
        ("--direct_num_workers=2", "--direct_running_mode=multi_processing"),
        ("--direct_num_workers=1", "--direct_running_mode=multi_processing"),
        ("--runner=BundleBasedDirectRunner",),
        ("--runner=DirectRunner",),
    ],
    ids=[
        "batch 7",
        "batch 1",
        "1 wave",
        "7 waves",
        "2 processes",
        "1 process",
        "bundle-based",
        "DirectRunner",
    ],
)
def test_same_bytes_however_the_work_is_done(
    tmp_path: Path, build: Build, corpus: Path, expected: dict[str, str], flags: tuple[object, ...]
) -> None:
    assert build(tmp_path / "out", corpus, *flags) == expected


@pytest.mark.checkout
def test_same_bytes_on_another_python(
    tmp_path: Path, corpus: Path, expected: dict[str, str]
) -> None:
    other = ROOT / "build/python-3.13/bin/pairsmith"
    if not other.is_file():
        pytest.skip(f"no {other.relative_to(ROOT)}: run .ci/other-python where Python 3.13 is")
    flags = ("quickstart", "--shards", SHARDS, "--output", tmp_path / "out", "--input", corpus)
    command = [str(other), "build", *map(str, flags)]
    subprocess.run(command, check=True, timeout=300, stdin=subprocess.DEVNULL)
    assert sums(tmp_path / "out") == expected


def test_same_bytes_when_files_are_renamed_reordered_and_split(
    tmp_path: Path, build: Build, expected: dict[str, str]
) -> None:
    rows = documents()[::-1]
    for number, start in enumerate(range(0, len(rows), 13)):
        write_parquet(tmp_path / f"{97 - number}.parquet", rows[start : start + 13], row_group=4)
    assert build(tmp_path / "out", tmp_path / "*.parquet") == expected


def test_same_bytes_from_every_format(
    tmp_path: Path, build: Build, expected: dict[str, str]
) -> None:
    rows = documents()
    write_jsonl(tmp_path / "a.jsonl", rows[:10])
    write_jsonl(tmp_path / "b.jsonl.gz", rows[10:20])
    write_jsonl(tmp_path / "c.jsonl.zst", rows[20:30])
    write_csv(tmp_path / "d.csv", rows[30:40])
    write_parquet(tmp_path / "e.parquet", rows[40:])
    assert build(tmp_path / "out", tmp_path / "*.*") == expected


def test_same_bytes_when_every_row_is_there_twice(
    tmp_path: Path, build: Build, expected: dict[str, str]
) -> None:
    write_parquet(tmp_path / "a.parquet", documents())
    write_jsonl(tmp_path / "b.jsonl", documents())
    assert build(tmp_path / "out", tmp_path / "*.*") == expected


def test_shards_do_not_depend_on_names_when_rows_are_dropped_or_failed(
    tmp_path: Path, build: Build
) -> None:
    lines = ["A first line of several words.", "", "\ufffd", "A third line of several words."]
    (tmp_path / "a.txt").write_text("\n".join(lines))
    (tmp_path / "y1.txt").write_text("\n".join(lines[:2]))
    (tmp_path / "y2.txt").write_text("\n".join(lines[2:]))
    one = build(tmp_path / "one", tmp_path / "a.txt")
    two = build(tmp_path / "two", tmp_path / "y*.txt")
    assert one == two


def test_another_seed_gives_other_bytes(
    tmp_path: Path, build: Build, corpus: Path, expected: dict[str, str]
) -> None:
    assert build(tmp_path / "out", corpus, "--seed", 18) != expected
