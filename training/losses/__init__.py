"""Losses over a batch of pairs, in memory linear in the batch, on one rank or many."""

from pairsmith.training.losses.cache import cached_step
from pairsmith.training.losses.config import LossConfig
from pairsmith.training.losses.geometry import alignment, uniformity
from pairsmith.training.losses.objective import Objective, Outcome
from pairsmith.training.losses.verify import verify

__all__ = [
    "LossConfig",
    "Objective",
    "Outcome",
    "alignment",
    "cached_step",
    "uniformity",
    "verify",
]
