"""`pairsmith train` and `pairsmith evaluate` as a user meets them."""

import contextlib
import json
import os
import pty
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from pairsmith.commands.main import main
from pairsmith.training.collate import Batch
from tests.training.pair_folders import paired_sentences, write_dataset


@pytest.fixture
def quick(tokenizer_file: Path) -> list[str]:
    """Return flags of a run of a second."""
    model = f"static:{tokenizer_file}:16"
    return ["--model", model, "--steps", "5", "--batch-size", "64", "--no-tensorboard"]


def test_train_then_evaluate(
    tmp_path: Path,
    dataset: Path,
    sts_file: Path,
    quick: list[str],
    capsys: pytest.CaptureFixture[str],
) -> None:
    model = str(tmp_path / "model")
    arguments = ["train", str(dataset), "--output", model, *quick, "--sts", str(sts_file)]
    assert main(arguments) == 0
    printed = capsys.readouterr()
    assert "sts/made/spearman" in printed.out
    assert "step 0" in printed.out
    assert f"wrote {model}" in printed.out
    assert "after step 5: sts/made/spearman" in printed.err

    assert main(["evaluate", model, "--sts", str(sts_file), "--json"]) == 0
    scores = json.loads(capsys.readouterr().out)
    record = json.loads((tmp_path / "model" / "training.json").read_text())
    assert scores == pytest.approx(record["scores"]["5"], abs=1e-6)
    assert main(["evaluate", model, "--sts", str(sts_file), "--split", "train"]) == 0
    assert re.search(r"sts/made/spearman\W+-0\.\d{4} ", capsys.readouterr().out)


def test_on_a_terminal_scores_stand_above_a_live_line(
    tmp_path: Path, dataset: Path, sts_file: Path, quick: list[str]
) -> None:
    script = str(Path(sys.executable).with_name("pairsmith"))
    output = ["--output", str(tmp_path / "model"), "--sts", str(sts_file)]
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [script, "train", str(dataset), *quick, *output], stdout=theirs, stderr=theirs
    ) as process:
        os.close(theirs)
        shown = b""
        with contextlib.suppress(OSError):  # how Linux tells that the other end was closed
            while part := os.read(ours, 65536):
                shown += part
    os.close(ours)
    assert process.returncode == 0
    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown.decode())
    lines = [line.rpartition("\r")[2] for line in re.split(r"\r?\n", plain)]
    assert sum(line.startswith("after step ") for line in lines) == plain.count("after step ") == 6
    assert re.search(r"step 5/5 .*loss \d+\.\d{3}  [\d,]+ pairs/s", plain)


def refused(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    """Run a command that must be refused and return its one line."""
    assert main(arguments) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    (line,) = printed.err.strip().splitlines()
    return line


def test_what_the_user_can_mend_is_one_line_and_leaves_nothing(
    tmp_path: Path,
    dataset: Path,
    sts_file: Path,
    quick: list[str],
    capsys: pytest.CaptureFixture[str],
) -> None:
    output, there = str(tmp_path / "model"), tmp_path / "there"
    there.mkdir()
    file = tmp_path / "file"
    file.write_text("")
    empty = write_dataset(tmp_path / "empty", [])
    one = write_dataset(tmp_path / "one", paired_sentences(1))
    cut = write_dataset(tmp_path / "cut", paired_sentences(50))
    (cut / "shards" / "part-00000.parquet").write_bytes(b"")
    before = sorted(tmp_path.rglob("*"))
    data, to = str(dataset), ["--output", output, *quick]
    cases = [
        ([str(tmp_path / "nowhere"), *to], "no dataset at"),
        ([str(there), *to], "has no manifest.json"),
        ([str(empty), *to], "0 pairs are too few"),
        ([str(one), *to], "1 pairs are too few"),
        ([str(cut), *to], "has 0 bytes"),
        ([data, "--output", str(there), *quick], "there exists; choose another --output"),
        ([data, "--output", ".", *quick], ". exists; choose another --output"),
        ([data, "--output", str(file / "model"), *quick], "cannot write to"),
        ([data, "--output", output, "--model", "static:nowhere:16"], "cannot open nowhere"),
        ([data, *to, "--sts", str(tmp_path / "no.parquet")], "no file"),
        ([data, *to, "--intent", str(sts_file)], "has no column 'text'"),
        ([data, "--output", output, "--batch-size", "1"], "--batch-size 1 is too small"),
    ]
    for arguments, message in cases:
        line = refused(["train", *arguments], capsys)
        assert line.startswith("pairsmith train: ")
        assert message in line
        assert sorted(tmp_path.rglob("*")) == before, f"{arguments} left something behind"


@pytest.mark.parametrize(
    "line",
    [
        "train DATA --output s3://bucket/model",
        "train DATA --output model --token-folder gs://bucket/ids",
        "train DATA --output model --shard-cache s3://bucket/cache",
        "train DATA --output s3://bucket/model --plan",
        "train DATA --output s3://bucket/model --verify",
        "tune DATA --output s3://bucket/model --maximise s --search seed=1,2",
        "tune DATA --output model --maximise s --search seed=1,2 --storage sqlite:///search.db",
        "export model --onnx s3://bucket/model.onnx",
        "build context --input DATA --output pairs --cache s3://bucket/cache",
    ],
)
def test_a_url_is_refused_where_only_a_path_will_do(
    tmp_path: Path,
    dataset: Path,
    line: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    said = refused(line.replace("DATA", str(dataset)).split(), capsys)
    assert re.search(r"--\S+ \w+://\S+ is a URL; give a path on this machine", said)
    assert list(tmp_path.iterdir()) == []


def test_evaluate_refuses_in_one_line(
    tmp_path: Path, sts_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    nowhere = str(tmp_path / "nowhere")
    assert "nothing to evaluate on" in refused(["evaluate", nowhere], capsys)
    line = refused(["evaluate", nowhere, "--sts", str(sts_file)], capsys)
    assert f"cannot open {nowhere}" in line
    assert "no file" in refused(["evaluate", nowhere, "--sts", nowhere], capsys)


def test_a_full_disk_is_one_line_and_the_same_command_goes_on(
    tmp_path: Path, small_disk: Path, dataset: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = small_disk / "model"
    tokenizer = ["--model", "static::200", "--vocabulary", "150", "--batch-size", "64"]
    arguments = ["train", str(dataset), "--output", str(output), *tokenizer, "--steps", "12"]
    filler = small_disk / "filler"
    filler.write_bytes(bytes(800_000))
    assert main([*arguments, "--checkpoint-every", "2"]) == 2
    *_, line = capsys.readouterr().err.strip().splitlines()
    assert "No space left on device" in line
    assert not output.exists()
    filler.unlink()
    assert main([*arguments, "--checkpoint-every", "2"]) == 0
    assert output.is_dir()


@pytest.mark.parametrize(
    ("command", "package"),
    [("train", "torch"), ("train", "tensorboard"), ("evaluate", "pytrec_eval")],
)
def test_a_missing_extra_is_named(
    command: str,
    package: str,
    tmp_path: Path,
    dataset: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, package, None)  # as Python itself marks what is not there
    arguments = [command, str(dataset)]
    arguments += ["--output", str(tmp_path / "model")] if command == "train" else []
    line = refused(arguments, capsys)
    assert line == (
        f"pairsmith {command}: the Python package {package!r} is missing; "
        "install it with: pip install '.[train]' in a checkout of pairsmith"
    )


@pytest.mark.parametrize(
    "more",
    [
        ["--epochs", "2"],  # of which a run would keep ids beside the shards
        ["--token-cache", "True"],
        ["--chunk", "50", "--loss", "symmetric", "--matryoshka", "8"],
    ],
)
def test_verify_checks_a_run_and_leaves_nothing(
    tmp_path: Path,
    tokenizer_file: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    more: list[str],
) -> None:
    moved = []

    def to(batch: Batch, device: torch.device) -> Batch:
        moved.append(device.type)
        return batch

    monkeypatch.setattr(Batch, "to", to)
    data = write_dataset(tmp_path / "pairs", paired_sentences(200))
    before = sorted(tmp_path.rglob("*"))
    model = ["--model", f"static:{tokenizer_file}:16", "--batch-size", "64", "--threads", "1"]
    command = ["train", str(data), "--output", str(tmp_path / "m"), *model, *more, "--verify"]
    assert main(command) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines
    assert all(line.endswith("ok") for line in lines)
    assert moved == ["cpu"]  # to where the encoder is
    assert sorted(tmp_path.rglob("*")) == before


HURT = "note: changed copies of anchors (negation) are negatives like any other"
MORE = "note: pairs have up to 2 negatives, and --negatives 1 uses the first 1"


@pytest.mark.parametrize(
    ("kinds", "flags", "told"),
    [
        ("negation random", "", [HURT, MORE]),
        ("negation random", "--negative-weight 0 --bidirectional 1", [MORE]),
        ("negation random", "--negatives 2", [HURT]),
        ("negation random", "--negatives 0", []),
        ("random negation", "", [MORE]),
        ("mined", "", []),
    ],
)
def test_a_note_tells_of_negatives_that_hurt_and_of_those_left_out(
    tmp_path: Path,
    quick: list[str],
    capsys: pytest.CaptureFixture[str],
    kinds: str,
    flags: str,
    told: list[str],
) -> None:
    more = {"negatives": ["they do not", "a ship"][: len(kinds.split())]}
    more["negative_kinds"] = kinds.split()
    rows = [{**row, **more} for row in paired_sentences(70)]
    data, model = write_dataset(tmp_path / "pairs", rows), tmp_path / "model"
    assert main(["train", str(data), "--output", str(model), *quick, *flags.split()]) == 0
    notes = [line for line in capsys.readouterr().err.splitlines() if line.startswith("note: ")]
    assert len(notes) == len(told)
    assert all(note.startswith(start) for note, start in zip(notes, told, strict=True))


def test_threads_that_wait_for_each_other_sleep_unless_told_otherwise(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for given, expected in ((None, "PASSIVE"), ("ACTIVE", "ACTIVE")):
        monkeypatch.setenv("OMP_WAIT_POLICY", given or "")
        if given is None:
            monkeypatch.delenv("OMP_WAIT_POLICY")
        assert main(["nothing"]) == 2
        assert os.environ["OMP_WAIT_POLICY"] == expected
