"""The learning rate of every step, and what evaluations so far have to say about it.

All are pure functions of the step and the scores, which the checkpoint holds: nothing else has to
be remembered for a run to go on.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

from pairsmith.schemas import UserError
from pairsmith.training.settings import Above, AtLeast, AtMost

Scores = Mapping[int, Mapping[str, float]]


@dataclass(frozen=True)
class ScheduleConfig:
    """How the learning rate changes over the run."""

    schedule: Literal["cosine", "linear", "constant", "wsd", "plateau"] = "cosine"
    """After the warmup, the learning rate falls as a half cosine to 0, or linearly to 0, or is
    constant; wsd: it is constant and falls at the end; plateau: it drops whenever the evaluation
    --stop-on has not got better for a while."""
    warmup: Annotated[float, AtLeast(0), AtMost(1)] = 0.1
    """Share of the steps in which the learning rate rises."""
    decay: Annotated[float, AtLeast(0), AtMost(1)] = 0.2
    """With --schedule wsd: share of the steps, the last ones, in which it falls to 0."""
    drop: Annotated[float, Above(0), AtMost(1)] = 0.5
    """With --schedule plateau: factor by which it drops."""
    drop_patience: Annotated[int, AtLeast(0)] = 1
    """With --schedule plateau: how many evaluations may pass without a better one before it."""

    def check(self) -> None:
        """Raise UserError for settings that do not fit together."""
        if self.schedule == "wsd" and self.warmup + self.decay > 1:
            raise UserError(
                f"--warmup {self.warmup} and --decay {self.decay} are more than all steps; "
                "give two shares with a sum of at most 1"
            )


def learning_rate(
    step: int, steps: int, highest: float, config: ScheduleConfig, drops: int = 0
) -> float:
    """Return the rate of step `step` (from 0) of `steps`: a linear rise, then what is configured.

    cosine: SGDR's half period without restarts (Loshchilov and Hutter, arXiv 1608.03983). wsd:
    warmup, stable, decay (Hu et al., MiniCPM, arXiv 2404.06395), the decay linear (Hägele et al.,
    arXiv 2405.18392). plateau: `drops` is how often it has dropped.
    """
    rising = math.ceil(config.warmup * steps)
    if step < rising:
        return highest * (step + 1) / rising
    done = (step - rising) / max(1, steps - rising)
    match config.schedule:
        case "cosine":
            return highest * 0.5 * (1 + math.cos(math.pi * done))
        case "linear":
            return highest * (1 - done)
        case "constant":
            return highest
        case "wsd":
            falling = math.ceil(config.decay * steps)
            return highest * min(1.0, (steps - step) / max(1, falling))
        case "plateau":
            return highest * config.drop**drops


def drops(values: Sequence[float], patience: int) -> int:
    """Return how often the rate has dropped after evaluations `values`, higher being better.

    It drops when more than `patience` of them in a row were no better than the best before, and
    counts anew: torch's ReduceLROnPlateau with mode "max", threshold 0.
    """
    best, worse, count = -math.inf, 0, 0
    for value in values:
        best, worse = (value, 0) if value > best else (best, worse + 1)
        if worse > patience:
            count, worse = count + 1, 0
    return count


def best_step(scores: Scores, name: str) -> int | None:
    """Return the step of the best evaluation called `name`, the first of equal ones."""
    # A score that is no number, as of vectors that are all alike, is worse than any.
    values = {
        step: -math.inf if math.isnan(found[name]) else found[name]
        for step, found in scores.items()
        if name in found
    }
    return max(values, key=lambda step: (values[step], -step), default=None)


def since_best(scores: Scores, name: str) -> int:
    """Return how many evaluations called `name` have come after the best one."""
    best = best_step(scores, name)
    return 0 if best is None else sum(step > best for step in scores)
