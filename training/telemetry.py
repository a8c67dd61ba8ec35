"""What a run tells: a line on the terminal, a log of every step, curves for TensorBoard."""

import json
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.progress import Progress as Bar
from rich.table import Table

LOG = "log.jsonl"
SECONDS_PER_LINE = 10.0


@dataclass(frozen=True)
class Step:
    """One line of the log: a step and the batch it was made on."""

    step: int
    epoch: int
    position: int
    """Rows of the epoch taken, after this step."""
    rows: int
    batch: str
    """Hash of the batch's texts: equal batches, equal hash."""
    loss: float
    gradient_norm: float
    learning_rate: float
    seconds: float
    """Spent on this step, waiting for its batch included."""


class Journal:
    """Writes `log.jsonl`, one line for each step, and TensorBoard curves, into a run's folder.

    After a resumption the log is cut back to the checkpoint's step, so that in the end it holds
    every step once, like that of an undisturbed run.
    """

    def __init__(self, folder: Path, step: int, *, tensorboard: bool):
        path = folder / LOG
        _keep_lines(path, step)
        self._log = path.open("a", encoding="utf-8")
        self._writer: Any = None
        if tensorboard:
            from torch.utils.tensorboard import SummaryWriter

            self._writer = SummaryWriter(str(folder / "logs"), purge_step=step + 1)

    def step(self, line: Step) -> None:
        """Record one step."""
        self._log.write(json.dumps(vars(line)) + "\n")
        self._log.flush()
        if self._writer is not None:
            for name in ("loss", "gradient_norm", "learning_rate"):
                self._writer.add_scalar(f"train/{name}", getattr(line, name), line.step)
            speed = line.rows / max(line.seconds, 1e-9)
            self._writer.add_scalar("train/pairs_per_second", speed, line.step)

    def scores(self, step: int, scores: Mapping[str, float]) -> None:
        """Record an evaluation."""
        if self._writer is not None:
            for name, value in scores.items():
                self._writer.add_scalar(name, value, step)

    def close(self) -> None:
        """Flush and close all files."""
        self._log.close()
        if self._writer is not None:
            self._writer.close()


class Meter:
    """The progress line on standard error: live on a terminal, else a line every 10 seconds."""

    def __init__(self, total: int, done: int):
        self._total, self._rows, self._seconds = total, 0, 0.0
        self._console = Console(stderr=True)
        self._live = self._console.is_terminal
        self._printed = time.monotonic()
        self._bar = Bar(
            TextColumn("step {task.completed}/{task.total}"),
            BarColumn(),
            TextColumn("{task.fields[state]}"),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            console=self._console,
            disable=not self._live,
        )
        self._task = self._bar.add_task("", total=total, completed=done, state="")

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._bar.stop()

    def step(self, line: Step) -> None:
        """Show one step."""
        self._rows += line.rows
        self._seconds += line.seconds
        rate = self._rows / max(self._seconds, 1e-9)
        now = time.monotonic()
        state = f"loss {line.loss:.3f}  {rate:,.0f} pairs/s"
        self._bar.update(self._task, completed=line.step, state=state)
        if not self._live and now - self._printed > SECONDS_PER_LINE:
            self._printed = now
            self.say(f"step {line.step}/{self._total}  {state}")

    def say(self, text: str) -> None:
        """Print a line above the progress line."""
        say(text, self._console)


def say(text: str, console: Console | None = None) -> None:
    """Print a line as it is, on standard error unless there is a console."""
    console = console or Console(stderr=True)
    console.print(text, highlight=False, markup=False, soft_wrap=True)


def scores_line(step: int, scores: Mapping[str, float]) -> str:
    """Return an evaluation as one line."""
    return f"after step {step}: " + "  ".join(f"{k} {v:.4f}" for k, v in scores.items())


def print_scores(scores: Mapping[int, Mapping[str, float]]) -> None:
    """Print evaluations as a table on standard output: a row for each score, a column per step."""
    table = Table("score", *(f"step {step}" for step in scores))
    for column in table.columns[1:]:
        column.justify = "right"
    for name in next(iter(scores.values()), {}):
        table.add_row(name, *(f"{values[name]:.4f}" for values in scores.values()))
    Console(file=sys.stdout, width=None if sys.stdout.isatty() else 160).print(table)


def _keep_lines(path: Path, count: int) -> None:
    if not path.is_file():
        return
    with path.open("rb+") as file:
        for _ in range(count):
            file.readline()
        file.truncate(file.tell())
