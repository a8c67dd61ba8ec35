"""What a run tells: a line on the terminal, a log of every step, curves on boards."""

import json
import os
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Annotated, Protocol, Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.progress import Progress as Bar
from rich.table import Table

from pairsmith.training.settings import AtLeast

Groups = dict[str, dict[str, dict[str, float]]]
"""Means by grouping, group and measure: see `breakdown.Breakdown`."""

LOG = "log.jsonl"
SECONDS_PER_LINE = 10.0


_SHOWN = (
    *("loss", "accuracy", "gap", "alignment", "uniformity", "masked"),
    *("gradient_norm", "learning_rate", "temperature", "mfu"),
)


@dataclass(frozen=True)
class TelemetryConfig:
    """What a run tells, and where."""

    tensorboard: bool = True
    """Write curves for TensorBoard to the folder `logs` of the model."""
    wandb: str = ""
    """Project at Weights & Biases to report to; WANDB_MODE=offline keeps the run in the model."""
    groups_every: Annotated[int, AtLeast(0)] = 50
    """Steps between lines by kind, view, language, dataset and length; 0: none."""
    curves: bool = True
    """Draw the curves into the model's folder and show them on its card."""
    peak_tflops: Annotated[float, AtLeast(0)] = 0.0
    """What the device could do, for the MFU; 0: looked up for known GPUs, else not told."""


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
    wait: float = 0.0
    """Seconds of these spent waiting for the batch."""
    tokens: int = 0
    """Of all texts of the batch, without padding."""
    mfu: float | None = None
    """Share of the device's arithmetic that the step made use of."""
    accuracy: float | None = None
    """Share of rows whose positive came before all candidates that are not masked."""
    gap: float | None = None
    """Mean cosine of the positive less that of the hardest negative."""
    alignment: float | None = None
    """Mean squared distance of anchor and positive."""
    uniformity: float | None = None
    """Log of the mean Gaussian potential of the anchors, when groups are told."""
    masked: float | None = None
    """Share of candidates that were masked as false negatives."""
    temperature: float | None = None
    """What divided the similarities, where it is learned."""
    groups: Groups | None = None
    """Means since the last time, by grouping and group: see `breakdown.Breakdown`."""


class Board(Protocol):
    """Shows numbers by step."""

    def show(self, step: int, numbers: Mapping[str, float]) -> None:
        """Add a point to the curve of each name."""

    def close(self) -> None:
        """Flush and close all files."""


class Journal:
    """Writes `log.jsonl`, one line for each step, into a run's folder, and shows curves on boards.

    After a resumption the log is cut back to the checkpoint's step, so that in the end it holds
    every step once, like that of an undisturbed run. What a failure of power left of a line goes
    with all lines behind it, which is told.
    """

    def __init__(self, folder: Path, step: int, boards: Iterable[Board] = ()):
        path = folder / LOG
        _keep_lines(path, step)
        self._log = path.open("a", encoding="utf-8")
        self._boards = tuple(boards)

    def step(self, line: Step) -> None:
        """Record one step."""
        told = {name: value for name, value in vars(line).items() if value is not None}
        self._log.write(json.dumps(told) + "\n")
        self._log.flush()
        if not self._boards:
            return
        seconds = max(line.seconds, 1e-9)
        numbers = {f"train/{name}": told[name] for name in _SHOWN if name in told}
        numbers |= {
            "train/pairs_per_second": line.rows / seconds,
            "train/tokens_per_second": line.tokens / seconds,
            "train/input_wait": line.wait / seconds,
        }
        numbers.update(_flat(line.groups or {}))
        for board in self._boards:
            board.show(line.step, numbers)

    def scores(self, step: int, scores: Mapping[str, float]) -> None:
        """Record an evaluation."""
        for board in self._boards:
            board.show(step, scores)

    def flush(self) -> None:
        """Have the system write the log to the disk: a checkpoint must not know of more steps."""
        os.fsync(self._log.fileno())

    def close(self) -> None:
        """Flush and close all files."""
        self._log.close()
        for board in self._boards:
            board.close()


def _flat(groups: Groups) -> Iterator[tuple[str, float]]:
    """Yield `by_kind/context/loss` and so on."""
    for column, rows in groups.items():
        if column != "all":
            for name, row in rows.items():
                yield from ((f"by_{column}/{name}/{k}", v) for k, v in row.items())


class Meter:
    """The progress line on standard error: live on a terminal, else a line every 10 seconds."""

    def __init__(self, total: int, done: int):
        self._total, self._seconds, self._wait = total, 0.0, 0.0
        self._rows = self._tokens = 0
        # Of the steps since the last line: the first ones are slower than those to come.
        self._recent, self._told = 0.0, done
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
        self._tokens += line.tokens
        self._seconds += line.seconds
        self._recent += line.seconds
        self._wait += line.wait
        seconds = max(self._seconds, 1e-9)
        state = f"loss {line.loss:.3f}  {self._rows / seconds:,.0f} pairs/s"
        if self._tokens:
            state += f"  {_short(self._tokens / seconds)} tokens/s"
        state += f"  wait {self._wait / seconds:.0%}"
        if line.mfu is not None:
            state += f"  MFU {line.mfu:.0%}"
        self._bar.update(self._task, completed=line.step, state=state)
        now = time.monotonic()
        if not self._live and now - self._printed > SECONDS_PER_LINE:
            self._printed = now
            left = (self._total - line.step) * self._recent / (line.step - self._told)
            self._recent, self._told = 0.0, line.step
            self.say(f"step {line.step}/{self._total}  {state}  {duration(left)} left")

    def say(self, text: str) -> None:
        """Print a line above the progress line."""
        say(text, self._console)


def last_groups(log: Path) -> Groups | None:
    """Return the last means by group that a log has, if any."""
    lines = (json.loads(line) for line in reversed(log.read_text("utf-8").splitlines()))
    return next((line["groups"] for line in lines if "groups" in line), None)


def duration(seconds: float) -> str:
    """Return seconds as people say them: 40 s, 12 min, 3.5 h."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"


def _short(number: float) -> str:
    for size, mark in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if number >= size:
            return f"{number / size:.3g}{mark}"
    return f"{number:.0f}"


def say(text: str, console: Console | None = None) -> None:
    """Print a line as it is, on standard error unless there is a console."""
    console = console or Console(stderr=True)
    console.print(text, highlight=False, markup=False, soft_wrap=True)


def scores_line(step: int, scores: Mapping[str, float]) -> str:
    """Return an evaluation as one line."""
    return f"after step {step}: " + "  ".join(f"{k} {v:.4f}" for k, v in scores.items())


def print_scores(scores: Mapping[str, Mapping[str, float]]) -> None:
    """Print evaluations as a table on standard output: a row for each score, one column each."""
    table = Table("score", *scores)
    for column in table.columns[1:]:
        column.justify = "right"
    names = list(dict.fromkeys(name for values in scores.values() for name in values))
    for name, following in zip(names, [*names[1:], ""], strict=True):
        cells = (f"{v[name]:.4f}" if name in v else "" for v in scores.values())
        ends = name.rpartition("/")[0] != following.rpartition("/")[0]
        table.add_row(name, *cells, end_section=ends)
    print_table(table)


def print_table(table: Table) -> None:
    """Print a table on standard output, its words as they are: names may have [brackets]."""
    width = None if sys.stdout.isatty() else 160
    Console(file=sys.stdout, width=width, markup=False, emoji=False).print(table)


def _keep_lines(path: Path, count: int) -> None:
    """Cut a log off behind `count` lines, or before the first one that is not whole."""
    kept = size = 0
    with path.open("ab+") as file:
        file.seek(0)
        for _, line in zip(range(count), file, strict=False):
            if not _is_whole(line):
                break
            kept, size = kept + 1, size + len(line)
        file.truncate(size)
    if kept < count:
        say(f"note: {path} has only {kept} of the {count} steps so far; the others are lost")


def _is_whole(line: bytes) -> bool:
    try:
        json.loads(line)
    except ValueError:
        return False
    return line.endswith(b"\n")
