"""Settings of the loss."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from pairsmith.schemas import UserError
from pairsmith.training.settings import flag

Loss = Literal["infonce", "ntxent", "symmetric", "supcon", "triplet", "cosine", "cosent"]


@dataclass(frozen=True)
class LossConfig:
    """What an encoder is trained to do with a batch of pairs; docs/losses.md has the formulas."""

    loss: Loss = "infonce"
    """infonce: find the positive; ntxent: from both sides, among all texts; symmetric: both ways;
    supcon: find all of one `label`; triplet: beat the hardest negative; cosine, cosent: fit
    `similarity`."""
    temperature: float = 0.05
    """Divides the similarities; a smaller one stresses the negatives that are hardest."""
    learn_temperature: bool = False
    """Learn the temperature, from --temperature on."""
    lowest_temperature: float = 0.01
    """A learned temperature stays above."""
    highest_temperature: float = 1.0
    """A learned temperature stays below."""
    negative_weight: float = 1.0
    """Weight of a stored hard negative beside the batch's others; 0 leaves them to the margin."""
    hardness: float = 0.0
    """Draw negatives in proportion to exp(hardness x similarity / temperature); 0: all alike."""
    margin: float = 0.2
    """By how much --loss triplet wants the positive nearer than the hardest negative."""
    bidirectional: float = 0.0
    """Weight of the bidirectional margin on each row's own hard negatives; SNCSE's is 0.001."""
    least_gap: float = 0.1
    """A hard negative is to be this much less similar than the positive."""
    most_gap: float = 0.3
    """And at most this much: it still shares most of the words."""
    consistency: float = 0.0
    """Weight of the divergence between what anchor and positive find similar in the batch."""
    matryoshka: tuple[int, ...] = ()
    """Numbers of leading dimensions that shall do as vectors of their own, beside all of them."""
    matryoshka_weights: tuple[float, ...] = ()
    """Weights of the --matryoshka sizes beside all dimensions, which weigh 1; empty: 1 each."""

    @property
    def column(self) -> str | None:
        """Return the dataset's optional column without which this loss is none."""
        return {"supcon": "label", "cosine": "similarity", "cosent": "similarity"}.get(self.loss)

    @property
    def contrasts_negatives(self) -> bool:
        """Tell whether stored negatives are among the texts that a row's are held against."""
        contrasts = self.loss not in ("cosine", "cosent") or self.consistency > 0
        return contrasts and self.negative_weight > 0

    @property
    def uses_negatives(self) -> bool:
        """Tell whether anything looks at stored negatives."""
        return self.contrasts_negatives or self.bidirectional > 0

    @property
    def uses_temperature(self) -> bool:
        """Tell whether similarities are divided by a temperature."""
        return self.loss not in ("cosine", "triplet") or self.consistency > 0

    def check(self) -> None:
        """Raise UserError for a value that cannot work."""
        for name in ("temperature", "lowest_temperature"):
            value = getattr(self, name)
            if not (0 < value < math.inf):
                raise UserError(f"{flag(name)} {value} must be above 0")
        if self.learn_temperature and not (
            self.lowest_temperature <= self.temperature <= self.highest_temperature
        ):
            raise UserError(
                f"--temperature {self.temperature} is not between --lowest-temperature "
                f"{self.lowest_temperature} and --highest-temperature {self.highest_temperature}"
            )
        for name in ("negative_weight", "hardness", "margin", "bidirectional", "consistency"):
            value = getattr(self, name)
            if not (0 <= value < math.inf):
                raise UserError(f"{flag(name)} {value} must be 0 or above")
        if not self.least_gap <= self.most_gap:
            raise UserError(
                f"--least-gap {self.least_gap} is above --most-gap {self.most_gap}; exchange them"
            )
        if self.hardness and self.loss not in ("infonce", "ntxent"):
            raise UserError(
                f"--hardness goes with --loss infonce and ntxent, not {self.loss}; leave it out"
            )
        if self.learn_temperature and not self._has_temperature:
            raise UserError(
                f"--learn-temperature: --loss {self.loss} has no temperature to learn; leave it out"
            )
        self._check_matryoshka()

    @property
    def _has_temperature(self) -> bool:
        return self.loss in ("infonce", "ntxent", "symmetric", "supcon") or self.consistency > 0

    def _check_matryoshka(self) -> None:
        sizes, weights = self.matryoshka, self.matryoshka_weights
        if any(size < 1 for size in sizes) or len(set(sizes)) < len(sizes):
            raise UserError(f"--matryoshka {_spaced(sizes)}: give different sizes above 0")
        if weights and len(weights) != len(sizes):
            raise UserError(
                f"--matryoshka-weights has {len(weights)} numbers for {len(sizes)} of "
                "--matryoshka; give one for each"
            )
        if any(not (0 <= weight < math.inf) for weight in weights):
            raise UserError(f"--matryoshka-weights {_spaced(weights)}: give numbers from 0 up")

    def sizes(self, dimension: int) -> tuple[tuple[int, ...], tuple[float, ...]]:
        """Return the numbers of dimensions to train, ascending, and their shares of the loss.

        Raises UserError when one is above `dimension`, which is always trained.
        """
        weights = dict.fromkeys(self.matryoshka, 1.0)
        weights.update(zip(self.matryoshka, self.matryoshka_weights, strict=False))
        if self.matryoshka and max(self.matryoshka) > dimension:
            raise UserError(
                f"--matryoshka {max(self.matryoshka)} is above the {dimension} dimensions that the "
                "model has"
            )
        weights.setdefault(dimension, 1.0)
        total = sum(weights.values())
        if total == 0:
            raise UserError("--matryoshka-weights are all 0; give one above")
        ordered = tuple(sorted(weights))
        return ordered, tuple(weights[size] / total for size in ordered)


def _spaced(values: Iterable[float]) -> str:
    return " ".join(map(str, values))
