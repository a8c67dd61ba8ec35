"""What a run tells, once: rank 0 has a journal and a progress line, the other processes neither."""

from collections.abc import Mapping
from contextlib import ExitStack, closing
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
import numpy.typing as npt

from pairsmith.training.collate import Batch
from pairsmith.training.config import TrainConfig
from pairsmith.training.distributed import World
from pairsmith.training.encoders.encoder import Encoder
from pairsmith.training.losses.objective import Outcome
from pairsmith.training.telemetry.boards import open_boards
from pairsmith.training.telemetry.breakdown import Breakdown, measures, row_means
from pairsmith.training.telemetry.flops import peak_flops, step_flops, utilisation
from pairsmith.training.telemetry.journal import Groups, Journal, Meter, Step, scores_line


class Reports:
    """The log, the curves and the progress line of a run."""

    def __init__(self, folder: Path, world: World, step: int, steps: int, config: TrainConfig):
        self._telemetry, self._world = config.telemetry, world
        self._peak = peak_flops(world.device, config.telemetry.peak_tflops)
        self._breakdown = Breakdown(config.names)
        self._open = ExitStack()
        self._journal: Journal | None = None
        self._meter: Meter | None = None
        if world.leads:
            boards = open_boards(config.telemetry, folder, step, config.as_data())
            journal = Journal(folder, step, boards)
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

    def means(
        self, step: int, batch: Batch, lengths: npt.NDArray[np.int64], outcome: Outcome
    ) -> tuple[dict[str, float | None], Groups | None]:
        """Return what the loss tells of all processes' rows, and means by group when they are due.

        lengths: tokens of each text of the batch. Called by every process at every step.
        """
        rows, every = batch.rows, self._telemetry.groups_every
        values = measures(outcome)
        both = lengths[:rows] + lengths[rows : 2 * rows]
        means = row_means(values, self._world.sum)
        if not every:
            return means, None
        self._breakdown.add(batch.about, both, values)
        if step % every:
            return means, None
        groups = self._breakdown.take(batch.about, both, outcome.anchors)
        return means | {"uniformity": groups["all"]["all"].get("uniformity")}, groups

    def mfu(self, encoder: Encoder, lengths: npt.NDArray[np.int64], seconds: float) -> float | None:
        """Return the share of the device's arithmetic that a step used; None where unknown."""
        if not self._peak:
            return None
        return utilisation(step_flops(encoder, lengths), seconds, self._peak)

    def step(self, line: Step) -> None:
        """Record and show one step."""
        if self._journal and self._meter:
            self._journal.step(line)
            self._meter.step(line)

    def flush(self) -> None:
        """Have the log on the disk."""
        if self._journal:
            self._journal.flush()

    def scores(self, step: int, scores: Mapping[str, float]) -> None:
        """Record and show an evaluation."""
        if self._journal and self._meter:
            self._journal.scores(step, scores)
            self._meter.say(scores_line(step, scores))
