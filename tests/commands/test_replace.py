"""A finished dataset is replaced by one of its own files and more, or where that is asked for."""

from collections.abc import Callable
from pathlib import Path

import pytest

from pairsmith.commands.main import main
from pairsmith.schemas import open_dataset
from tests.pipelines.corpora import documents, everything, write_parquet

Built = Callable[..., tuple[int, str]]


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    return write_parquet(tmp_path / "in.parquet", documents(30))


@pytest.fixture
def other(tmp_path: Path) -> Path:
    return write_parquet(tmp_path / "other.parquet", documents(9))


@pytest.fixture
def built(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Built:
    """Return a function that builds into `out`, and returns exit code and first line."""

    def run(*arguments: object) -> tuple[int, str]:
        command = ["build", "context", "--output", tmp_path / "out", "--input", *arguments]
        code = main([*map(str, command)])
        return code, "".join(capsys.readouterr().err.splitlines()[:1])

    return run


def test_a_dataset_of_other_inputs_is_refused_and_kept(
    tmp_path: Path, corpus: Path, other: Path, built: Built
) -> None:
    output = tmp_path / "out"
    assert built(corpus) == (0, "")
    before = everything(output)
    line = f"pairsmith build: {output} already holds a finished dataset of other inputs: "
    end = "; choose another --output, or replace it with --replace"
    assert built(other) == (2, f"{line}1 left out (in.parquet), 1 new (other.parquet){end}")
    assert everything(output) == before
    # One name in common does not make two corpora one.
    assert built(corpus, other)[0] == 0
    assert built(other) == (2, f"{line}1 left out (in.parquet){end}")


def test_whoever_replaces_a_finished_dataset_is_told_what_differs(
    tmp_path: Path, corpus: Path, other: Path, built: Built
) -> None:
    (tmp_path / "elsewhere").mkdir()
    namesake = write_parquet(tmp_path / "elsewhere" / "in.parquet", documents(12))
    line = f"replaces the finished dataset in {tmp_path / 'out'}; its input files now: "
    assert built(corpus) == (0, "")
    assert built(corpus) == (0, f"{line}the same names and sizes")
    assert built(corpus, other) == (0, f"{line}1 new (other.parquet)")
    assert built(other, namesake) == (0, f"{line}1 of another size (in.parquet)")
    assert built(other, "--replace") == (0, f"{line}1 left out (in.parquet)")
    assert [file.name for file in open_dataset(tmp_path / "out").manifest.inputs] == [other.name]


def test_what_is_on_a_store_is_not_replaced(
    corpus: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place = ["--output", "gs://some-bucket/pairs", "--replace"]
    assert main(["build", "context", "--input", str(corpus), *place]) == 2
    assert "--replace is for folders" in capsys.readouterr().err
