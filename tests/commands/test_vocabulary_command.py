"""`pairsmith vocabulary` as a user meets it."""

import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import sentencepiece

from pairsmith.commands.main import main
from tests.pipelines.corpora import documents, pairsmith, write_parquet


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    return write_parquet(tmp_path / "in.parquet", documents())


@pytest.fixture
def refused(corpus: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    def run(output: Path, *arguments: object) -> str:
        line = ["vocabulary", "--input", corpus, "--output", output, *arguments]
        assert main([str(part) for part in line]) == 2
        told = capsys.readouterr()
        assert told.out == ""
        (line,) = told.err.strip().splitlines()
        assert line.startswith("pairsmith vocabulary: ")
        return line

    return run


def test_it_writes_a_model_and_says_of_what(tmp_path: Path, corpus: Path) -> None:
    output = tmp_path / "models" / "corpus.model"
    arguments = ("--size", 250, "--symbols", "[MASK]", "<x>", "--sentences", 400)
    done = pairsmith("vocabulary", "--input", corpus, "--output", output, *arguments)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert "rows: 60 read, 0 dropped, 0 failed" in done.stdout
    assert re.search(r"sentences: 540 read, 400 distinct ones trained on", done.stdout)
    assert re.search(r"pieces: 250  sha256: [0-9a-f]{16}", done.stdout)
    processor = sentencepiece.SentencePieceProcessor(model_file=str(output))
    assert [processor.id_to_piece(i) for i in (4, 5)] == ["[MASK]", "<x>"]
    assert [path.name for path in output.parent.iterdir()] == ["corpus.model"]


def test_a_column_of_another_name_can_be_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    corpus = write_parquet(tmp_path / "in.parquet", [{"body": r["text"]} for r in documents()])
    output = tmp_path / "out.model"
    arguments = ["--size", "250", "--text", "body", "--type", "bpe"]
    command = ["vocabulary", "--input", str(corpus), "--output", str(output), *arguments]
    assert main(command) == 0, capsys.readouterr().err
    assert output.is_file()


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("--size", 99_999), "--size 99999 is more than"),
        (("--size", 0), "--size must be at least 1"),
        (("--sentences", 0), "--sentences must be at least 1"),
        (("--coverage", 0.5), "--coverage must be from 0.98 to 1"),
        (("--max-failed", 2), "--max-failed is a share"),
        (("--symbols", "a", "a"), "--symbols must be different"),
        (("--text", "body"), "has no column 'body'"),
        (("--sentence=7",), "did you mean --sentences?"),
        (("7",), "cannot place '7'"),
        (("--runner=PrismRunner",), "leave out --runner"),
        (("--direct_running_mode=multi_processing",), "leave out --runner"),
        (("--store_seconds=0",), "--store_seconds must be above 0"),
    ],
)
def test_what_the_user_can_mend_is_one_line(
    tmp_path: Path,
    refused: Callable[..., str],
    arguments: tuple[object, ...],
    expected: str,
) -> None:
    assert expected in refused(tmp_path / "out.model", *arguments)
    assert [path.name for path in tmp_path.iterdir()] == ["in.parquet"]


def test_an_output_that_cannot_be_is_one_line(
    tmp_path: Path, corpus: Path, refused: Callable[..., str]
) -> None:
    assert "is there already" in refused(corpus)
    assert "cannot write" in refused(corpus / "out.model")
    assert "--output gs://bucket/out.model is a URL" in refused(Path("gs://bucket/out.model"))


def test_ctrl_c_leaves_nothing_behind_even_while_it_trains(tmp_path: Path) -> None:
    corpus = write_parquet(tmp_path / "in.parquet", documents(6000))
    script = Path(sys.executable).with_name("pairsmith")
    output = tmp_path / "new" / "out.model"
    arguments = ["vocabulary", "--input", corpus, "--output", output, "--size", "900"]
    process = subprocess.Popen(
        [script, *map(str, arguments)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    begun = False
    for _ in range(3000):
        # The file is there until all is read; then the training begins.
        reads = any(tmp_path.glob("new/.*.reading"))
        if begun and not reads:
            break
        begun = begun or reads
        time.sleep(0.01)
    time.sleep(0.3)
    process.send_signal(signal.SIGINT)
    _, told = process.communicate(timeout=20)
    assert process.returncode == 2
    assert told.strip().endswith("interrupted; the same command starts again")
    assert [path.name for path in tmp_path.iterdir()] == ["in.parquet"]
