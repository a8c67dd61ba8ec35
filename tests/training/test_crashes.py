"""Whatever ends a run, its last checkpoint is whole, one line says why, and it can go on."""

import errno
import json
import os
import resource
import shutil
import signal
import time
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from pairsmith.commands.main import main
from pairsmith.schemas import UserError, open_dataset
from pairsmith.training.checkpoint import last_checkpoint
from pairsmith.training.config import TrainConfig
from pairsmith.training.settings import change
from pairsmith.training.train import train
from tests.training.pair_folders import paired_sentences, write_dataset
from tests.training.ranks import finish, once, start

STEPS = 40


def arguments(data: Path, bert: Path, output: Path) -> list[str]:
    return [
        *(str(data), "--model", str(bert), "--output", str(output), "--steps", str(STEPS)),
        *("--batch-size", "32", "--checkpoint-every", "1000", "--threads", "1"),
        *("--learning-rate", "0.001", "--no-tensorboard", "--no-curves"),
    ]


def log(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "log.jsonl").read_text().split("\n")[:-1]]


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 2)])
def test_a_signal_saves_the_step_and_the_same_command_goes_on(
    tmp_path: Path, dataset: Path, bert: Path, number: signal.Signals, code: int
) -> None:
    undisturbed, output = tmp_path / "undisturbed", tmp_path / "model"
    (whole,) = finish(start([arguments(dataset, bert, undisturbed)], tmp_path), tmp_path)
    assert whole.code == 0, whole.said

    argv, unfinished = arguments(dataset, bert, output), tmp_path / "model.unfinished"
    (process,) = start([argv], tmp_path)
    once(lambda: (unfinished / "log.jsonl").is_file() and bool(log(unfinished)), [process])
    assert process.pid is not None
    process._popen._send_signal(number)  # type: ignore[attr-defined]
    (ended,) = finish([process], tmp_path)
    assert ended.code == code
    done = len(log(unfinished))
    (line,) = ended.said.splitlines()
    assert line.removeprefix("pairsmith train: ") == (
        f"stopped by {number.name} after step {done} of {STEPS}; the same command resumes"
    )
    checkpoint = last_checkpoint(unfinished / "checkpoints")
    assert checkpoint is not None
    assert checkpoint.name == f"step-{done:08d}"

    (rest,) = finish(start([argv], tmp_path), tmp_path)
    assert rest.code == 0
    assert f"resumed after step {done}" in rest.said
    assert [x["loss"] for x in log(output)] == [x["loss"] for x in log(undisturbed)]
    (path,) = output.glob("*.safetensors")
    assert path.read_bytes() == (undisturbed / path.name).read_bytes()


def test_a_second_sigterm_does_not_cut_the_checkpoint_short(
    tmp_path: Path, dataset: Path, bert: Path
) -> None:
    # Two texts at a time, so that a step takes seconds.
    argv = [*arguments(dataset, bert, tmp_path / "model"), "--chunk", "2"]
    argv[argv.index("--batch-size") + 1] = "600"
    unfinished = tmp_path / "model.unfinished"
    (process,) = start([argv], tmp_path)
    once(lambda: (unfinished / "log.jsonl").is_file() and bool(log(unfinished)), [process])
    for _ in range(2):  # as where a cluster tells torchrun and its processes
        process.terminate()
        time.sleep(0.05)
    (ended,) = finish([process], tmp_path)
    assert ended.code == 143, ended.said
    done = len(log(unfinished))
    assert last_checkpoint(unfinished / "checkpoints") is not None
    assert f"stopped by SIGTERM after step {done} of {STEPS}" in ended.said


def test_a_second_run_with_the_same_output_is_refused_and_the_first_goes_on(
    tmp_path: Path, dataset: Path, bert: Path, config: TrainConfig
) -> None:
    output = tmp_path / "model"
    unfinished = tmp_path / "model.unfinished"
    (process,) = start([arguments(dataset, bert, output)], tmp_path)
    once(lambda: (unfinished / "log.jsonl").is_file() and bool(log(unfinished)), [process])
    assert process.pid is not None
    os.kill(process.pid, signal.SIGSTOP)  # so that it is not done too soon
    try:
        with pytest.raises(UserError, match=r"another run is at work on .*model; wait for it"):
            train(change(config, output=output))
    finally:
        os.kill(process.pid, signal.SIGCONT)
    (first,) = finish([process], tmp_path)
    assert first.code == 0, first.said
    assert [line["step"] for line in log(output)] == list(range(1, STEPS + 1))
    assert not list(tmp_path.glob("model.*"))


def test_a_pair_that_makes_the_loss_no_number_is_listed(
    tmp_path: Path, config: TrainConfig
) -> None:
    rows = [row | {"similarity": 0.5} for row in paired_sentences(600)]
    rows[123]["similarity"] = float("inf")
    data = write_dataset(tmp_path / "poisoned", rows, shards=2)
    poisoned = change(config, data=(str(data),), checkpoint_every=1, loss="cosine")
    with pytest.raises(UserError, match="has loss inf") as caught:
        train(poisoned)
    assert "\n" not in str(caught.value)
    unfinished = tmp_path / "model.unfinished"
    step = len(log(unfinished)) + 1
    file = unfinished / f"pairs-of-step-{step}.txt"
    assert str(file) in str(caught.value)
    listed = file.read_text().split()
    assert len(set(listed)) == 64 or step == 10
    (bad,) = (
        row["pair_id"]
        for shard in open_dataset(data).shards
        for row in pq.read_table(shard).to_pylist()
        if row["similarity"] == float("inf")
    )
    assert bad in listed
    if step > 1:
        checkpoint = last_checkpoint(unfinished / "checkpoints")
        assert checkpoint is not None
        assert checkpoint.name == f"step-{step - 1:08d}"
    assert not config.output.exists()


def test_a_file_that_may_not_grow_is_one_line_and_leaves_the_checkpoint_before(
    tmp_path: Path, config: TrainConfig, capsys: pytest.CaptureFixture[str]
) -> None:
    argv = ["train", str(config.data[0]), "--output", str(config.output), "--no-tensorboard"]
    argv += ["--model", config.encoder.model, "--steps", "240", "--batch-size", "8"]
    argv += ["--checkpoint-every", "25"]
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    # Enough for every checkpoint; the log outgrows it.
    resource.setrlimit(resource.RLIMIT_FSIZE, (30_000, before[1]))
    try:
        assert main(argv) == 2
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, ignored)
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("pairsmith train: File too large")
    checkpoint = last_checkpoint(tmp_path / "model.unfinished" / "checkpoints")
    assert checkpoint is not None
    step = int(checkpoint.name.partition("-")[2])
    assert main(argv) == 0
    assert f"resumed after step {step} of 240" in capsys.readouterr().err
    assert [line["step"] for line in log(config.output)] == list(range(1, 241))


def test_curves_that_do_not_fit_on_the_disk_are_one_line(
    small_disk: Path, config: TrainConfig, sts_file: Path
) -> None:
    output = small_disk / "model"
    logs = output.with_name("model.unfinished") / "logs"

    def fill(step: int, scores: object) -> None:
        if step == 20:
            (logs / "more").write_bytes(bytes(500_000))

    full = change(config, output=output, tensorboard=True, sts=(sts_file,))
    with pytest.raises(OSError, match="No space left on device") as caught:
        train(full, fill)
    assert caught.value.errno == errno.ENOSPC
    assert not output.exists()
    (logs / "more").unlink()
    train(full)
    assert list((output / "logs").glob("events.*"))


def test_what_cannot_be_removed_in_the_end_is_told_and_the_model_is_there(
    config: TrainConfig, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    rest, remove = config.output.with_name("model.unfinished"), shutil.rmtree

    def rmtree(path: Path, ignore_errors: bool = False) -> None:
        if path == rest:  # as NFS does, where a file that is removed is still open
            raise OSError(errno.ENOTEMPTY, os.strerror(errno.ENOTEMPTY), str(path))
        remove(path, ignore_errors)

    monkeypatch.setattr(shutil, "rmtree", rmtree)
    train(config)
    assert f"{rest} is of no more use, and could not be removed" in capsys.readouterr().err
    assert (config.output / "modules.json").is_file()


def test_a_file_that_may_not_grow_ends_all_processes_and_one_tells(
    tmp_path: Path, config: TrainConfig
) -> None:
    argv = [str(config.data[0]), "--output", str(config.output), "--no-tensorboard"]
    argv += ["--model", config.encoder.model, "--steps", "5000", "--batch-size", "8"]
    processes = start([argv, argv], tmp_path)
    once((tmp_path / "model.unfinished" / "log.jsonl").is_file, processes)
    for process in processes:
        assert process.pid is not None
        resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (30_000, 30_000))
    ended = finish(processes, tmp_path)
    assert [rank.code for rank in ended] == [2, 2], ended
    (line,) = ended[0].said.splitlines()
    assert line.startswith("pairsmith train: File too large")
    assert ended[1].said == ""


def test_weights_of_the_best_evaluation_are_the_result(
    tmp_path: Path, config: TrainConfig, sts_file: Path
) -> None:
    from pairsmith.training.evaluation.saved import encode_with, open_saved
    from pairsmith.training.evaluation.scores import sts

    name = "sts/made/spearman"
    watched = change(
        *(config,), sts=(sts_file,), stop_on=name, patience=2, evaluate_every=1, steps=200
    )
    scores = {step: found[name] for step, found in train(watched).items()}
    last = max(scores)
    assert last < 200
    best = min(step for step, value in scores.items() if value == max(scores.values()))
    assert last == best + 2
    saved = encode_with(open_saved(str(config.output), "cpu"), 32)
    assert sts(saved, sts_file) == pytest.approx(scores[best], abs=1e-6)
    record = json.loads((config.output / "training.json").read_text())
    assert record["training"]["weights of step"] == best
    (head, row) = _scores_on_card(config.output, name)
    assert head == ["score", *(f"step {step}" for step in sorted({0, best}))]
    assert row[-1] == f"{scores[best]:.4f}"

    other = change(watched, output=tmp_path / "last", keep="last")
    assert train(other)[last][name] == scores[last]
    saved = encode_with(open_saved(str(other.output), "cpu"), 32)
    assert sts(saved, sts_file) == pytest.approx(scores[last], abs=1e-6)
    (head, row) = _scores_on_card(other.output, name)
    assert head == ["score", "step 0", f"step {last}"]
    assert row == [name, f"{scores[0]:.4f}", f"{scores[last]:.4f}"]


def _scores_on_card(model: Path, name: str) -> tuple[list[str], list[str]]:
    """Return the cells of the head of the card's scores, and those of the score `name`."""
    lines = (model / "README.md").read_text().splitlines()
    table = [line.strip("| ").split(" | ") for line in lines[lines.index("## Scores") + 2 :]]
    return table[0], next(row for row in table if row[0] == name)


def test_an_evaluation_that_is_not_made_cannot_be_watched(
    config: TrainConfig, sts_file: Path
) -> None:
    with pytest.raises(UserError, match="which are: sts/made/spearman"):
        train(change(config, sts=(sts_file,), stop_on="sts/maid/spearman"))
    with pytest.raises(UserError, match="none; give --sts"):
        train(change(config, stop_on="sts/made/spearman"))


@pytest.mark.parametrize("schedule", ["linear", "constant", "wsd", "plateau"])
def test_schedules_are_followed(config: TrainConfig, sts_file: Path, schedule: str) -> None:
    changed = change(config, schedule=schedule, warmup=0.0, sts=(sts_file,), evaluate_every=2)
    changed = change(changed, stop_on="sts/made/spearman", patience=0)
    scores = train(change(changed, drop_patience=0) if schedule == "plateau" else changed)
    rates = [line["learning_rate"] for line in log(config.output)]
    assert rates[0] == 0.02
    if schedule == "constant":
        assert set(rates) == {0.02}
    elif schedule == "linear":
        assert rates[10] == pytest.approx(0.01)
    elif schedule == "wsd":
        assert rates[16:] == pytest.approx([0.02, 0.015, 0.01, 0.005])
    else:
        values = [found["sts/made/spearman"] for found in scores.values()]
        better = [new > max(values[: i + 1]) for i, new in enumerate(values[1:])]
        expected = [0.02]
        for better_now in better:
            expected.append(expected[-1] if better_now else expected[-1] / 2)
        assert rates[::2] == pytest.approx(expected[:10])


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_half_precision_learns_what_float32_does(
    tmp_path: Path, config: TrainConfig, bert: Path, precision: str
) -> None:
    losses = []
    for kind in ("fp32", precision):
        output = tmp_path / kind
        train(change(config, model=str(bert), output=output, learning_rate=0.003, precision=kind))
        losses.append([line["loss"] for line in log(output)])
    assert losses[1] != losses[0]
    assert losses[1] == pytest.approx(losses[0], rel=0.1)


def test_overflowing_steps_are_passed_over_and_counted(
    tmp_path: Path, config: TrainConfig, bert: Path
) -> None:
    # Gradients of so small a temperature overflow until the loss is scaled down.
    wild = change(config, model=str(bert), temperature=1e-5, precision="fp16", clip=0.0)
    train(change(wild, learning_rate=1e-5, checkpoint_every=1))
    lines = log(config.output)
    skipped = [line for line in lines if line["gradient_norm"] == 0 < line["loss"]]
    assert 0 < len(skipped) < len(lines)
    record = json.loads((config.output / "training.json").read_text())
    assert record["training"]["steps skipped"] == len(skipped)
