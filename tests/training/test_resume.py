"""A run that is killed again and again goes on as if nothing had happened."""

import json
import os
import random
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from pairsmith.commands.train import main
from tests.training.ranks import FORKS

STEPS = 80
KILLS = 20


def arguments(data: Path, model: str, output: Path) -> list[str]:
    return [
        *(str(data), "--model", model, "--output", str(output), "--steps", str(STEPS)),
        *("--batch-size", "32", "--checkpoint-every", "3", "--threads", "1", "--window", "2"),
        *("--learning-rate", "0.001", "--no-tensorboard", "--no-curves"),
    ]


def lines(path: Path) -> list[dict[str, Any]]:
    text = path.read_text() if path.is_file() else ""
    return [json.loads(line) for line in text.split("\n")[:-1]]


def last_step(log: Path) -> int:
    """Return the number of the last whole line of a log; 0 where there is none."""
    try:
        text = log.read_text()
    except FileNotFoundError:  # a run that begins anew takes away the log of the one before
        text = ""
    *_, line, _ = ["", *text.rsplit("\n", 2)] if text else ["", ""]
    return int(json.loads(line)["step"]) if line else 0


def kill_after(step: int, argv: list[str], log: Path) -> int:
    """Start the run, kill it as soon as its log holds `step`; return the last step it logged."""
    process = FORKS.Process(target=main, args=(argv,))
    process.start()
    deadline = time.monotonic() + 60
    while last_step(log) < step:
        assert process.is_alive(), f"ended before step {step}"
        assert time.monotonic() < deadline
        time.sleep(0.001)
    assert process.pid is not None
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    return last_step(log)


@pytest.mark.parametrize("kind", ["bert", "static"])
def test_twenty_kills_change_neither_batches_nor_losses(
    tmp_path: Path, dataset: Path, bert: Path, kind: str
) -> None:
    model = str(bert) if kind == "bert" else "static::16"
    undisturbed, output = tmp_path / "undisturbed", tmp_path / "killed"
    whole = FORKS.Process(target=main, args=(arguments(dataset, model, undisturbed),))
    whole.start()
    whole.join()
    assert whole.exitcode == 0

    argv = arguments(dataset, model, output)
    log = tmp_path / "killed.unfinished" / "log.jsonl"
    # One that comes a step late leaves the next its own.
    draws = random.Random(5)
    kills = [4 * number + draws.randint(1, 2) for number in range(KILLS)]
    died: list[int] = []
    for step in kills:
        if step > max(died, default=0):  # else the kill before came later than asked
            died.append(kill_after(step, argv, log))
        assert not output.exists()
    assert len(died) > KILLS * 3 / 4
    rest = FORKS.Process(target=main, args=(argv,))
    rest.start()
    rest.join()
    assert rest.exitcode == 0

    expected, found = lines(undisturbed / "log.jsonl"), lines(output / "log.jsonl")
    assert [line["step"] for line in found] == list(range(1, STEPS + 1))
    for line, other in zip(expected, found, strict=True):
        assert other["batch"] == line["batch"]
        assert (other["epoch"], other["position"]) == (line["epoch"], line["position"])
        assert other["loss"] == pytest.approx(line["loss"], abs=1e-6)
    for path in undisturbed.rglob("*.safetensors"):
        assert (output / path.relative_to(undisturbed)).read_bytes() == path.read_bytes()
