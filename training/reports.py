"""What a run tells, once: rank 0 has a journal and a progress line, the other processes neither."""

from collections.abc import Mapping
from contextlib import ExitStack, closing
from pathlib import Path
from types import TracebackType
from typing import Self

from pairsmith.training.distributed import World
from pairsmith.training.telemetry import Journal, Meter, Step, scores_line


class Reports:
    """The log, the curves and the progress line of a run."""

    def __init__(self, folder: Path, world: World, step: int, steps: int, *, tensorboard: bool):
        self._open = ExitStack()
        self._journal: Journal | None = None
        self._meter: Meter | None = None
        if world.leads:
            journal = Journal(folder, step, tensorboard=tensorboard)
            self._journal = self._open.enter_context(closing(journal))
            self._meter = self._open.enter_context(Meter(steps, step))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._open.close()

    def step(self, line: Step) -> None:
        """Record and show one step."""
        if self._journal and self._meter:
            self._journal.step(line)
            self._meter.step(line)

    def scores(self, step: int, scores: Mapping[str, float]) -> None:
        """Record and show an evaluation."""
        if self._journal and self._meter:
            self._journal.scores(step, scores)
            self._meter.say(scores_line(step, scores))

    def say(self, text: str) -> None:
        """Show a line."""
        if self._meter:
            self._meter.say(text)
