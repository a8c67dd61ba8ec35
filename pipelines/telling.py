"""How a build tells what it does: to a person at a terminal, or to a program, as JSON lines.

A JSON line is an object on standard error with `event`: `progress`, `log`, `replacing`, `reused`,
`warning`, `error`, `done`. Nothing that is told holds a secret.
"""

import json
import logging
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Protocol

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from pairsmith.schemas.private import kept, without_secrets


@dataclass(frozen=True)
class Standing:
    """How far a build is, for the eye."""

    seconds: float
    rows: int
    pairs: int
    """Written."""
    dropped: int
    """Pairs that are not written, and those below that have failed."""
    failed: int
    bytes: int
    """Of the input, read."""
    of_bytes: int
    """To be read; less where a build resumes."""
    shards: int
    """Filled."""
    of_shards: int
    """To be filled; less where a build resumes."""
    rows_per_second: float
    pairs_per_second: float
    eta_seconds: float | None
    """None until a shard is filled."""


Show = Callable[[Standing], None]


class Teller(Protocol):
    """Tells somebody what a build does."""

    @property
    def listens(self) -> bool:
        """Return whether anybody wants to see progress."""
        ...

    @property
    def every(self) -> float:
        """Return after how many seconds progress is shown again; 0 for whenever there is news."""
        ...

    def showing(self) -> AbstractContextManager[Show]:
        """Show progress while it is entered."""
        ...

    def say(self, event: str, text: str) -> None:
        """Tell a line of an event, such as `warning`."""
        ...


@dataclass(frozen=True)
class OnConsole:
    """Tells a person: bars on a terminal, and lines."""

    console: Console
    every: ClassVar[float] = 0.0

    @property
    def listens(self) -> bool:
        """Return whether the console is a terminal."""
        return bool(self.console.is_terminal)

    @contextmanager
    def showing(self) -> Iterator[Show]:
        """Draw two bars while it is entered."""
        columns = (
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            TaskProgressColumn(),
            TextColumn("{task.fields[note]}"),
            TimeRemainingColumn(),
        )
        with Progress(*columns, console=self.console, transient=True) as bars:
            reading = bars.add_task("reading", total=None, note="")
            pairing = bars.add_task("pairing", total=None, note="", start=False)

            def show(now: Standing) -> None:
                if now.shards:
                    bars.start_task(pairing)
                note = f"{now.rows:,} rows, {now.rows_per_second:,.0f} rows/s"
                bars.update(reading, completed=now.bytes, total=now.of_bytes, note=note)
                note = f"{now.pairs:,} pairs, {now.pairs_per_second:,.0f} pairs/s, "
                note += f"{now.dropped:,} dropped, ETA"
                bars.update(pairing, completed=now.shards, total=now.of_shards, note=note)

            yield show

    def say(self, event: str, text: str) -> None:
        """Print a line."""
        text = without_secrets(text)
        if event == "warning":
            text, style = f"warning: {text}", "yellow"
        else:
            style = ""
        # As it is, and in one line: a path may hold brackets, which are markup, and be long.
        self.console.print(text, style=style, highlight=False, markup=False, soft_wrap=True)


@dataclass(frozen=True)
class AsJson:
    """Tells a program: JSON lines on standard error."""

    every: float = 5.0
    listens: ClassVar[bool] = True

    @contextmanager
    def showing(self) -> Iterator[Show]:
        """Write `progress` events while it is entered."""

        def show(now: Standing) -> None:
            figures = {
                name: round(value, 1) if isinstance(value, float) else value
                for name, value in asdict(now).items()
            }
            emit("progress", **figures)

        yield show

    def say(self, event: str, text: str) -> None:
        """Write a line as an event."""
        emit(event, message=text)


def emit(event: str, **fields: Any) -> None:
    """Write one JSON line to standard error."""
    line = json.dumps({"event": event, **kept(fields, without_secrets)}, ensure_ascii=False)
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()


class _Log(logging.Handler):
    """Writes what is logged, without secrets, as text or as JSON lines."""

    def __init__(self, as_json: bool) -> None:
        super().__init__()
        self.as_json = as_json
        self.setFormatter(logging.Formatter("%(levelname)s:%(name)s:%(message)s"))

    def emit(self, record: logging.LogRecord) -> None:
        """Write a record."""
        if self.as_json:
            message = logging.Formatter("%(message)s").format(record)
            emit("log", level=record.levelname, logger=record.name, message=message)
        else:
            sys.stderr.write(f"{without_secrets(self.format(record))}\n")


@dataclass(frozen=True)
class Logging:
    """What is logged, and how; worker processes do as their driver does."""

    verbose: bool
    as_json: bool

    def begin(self) -> None:
        """Log like this from now on."""
        logging.disable(logging.NOTSET if self.verbose else logging.CRITICAL)
        for handler in [h for h in logging.root.handlers if isinstance(h, _Log)]:
            logging.root.removeHandler(handler)
        if self.verbose:
            logging.root.addHandler(_Log(self.as_json))
        if self.as_json:
            logging.captureWarnings(True)

    @staticmethod
    def now() -> "Logging":
        """Return how this process logs."""
        handlers = [h for h in logging.root.handlers if isinstance(h, _Log)]
        disabled = logging.root.manager.disable >= logging.CRITICAL
        return Logging(not disabled, any(handler.as_json for handler in handlers))
