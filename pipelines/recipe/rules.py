"""Rules that say no, each with the reason that is counted and written beside the row.

A text rule judges one text (as a screen: the unit; as a gate: both views). A pair rule judges two.
"""

from dataclasses import dataclass
from typing import ClassVar, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from pairsmith.augmenters import count_words

Mask = npt.NDArray[np.bool_]
Values = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Measured:
    """The views of a batch of pairs and what was measured of them; arrays of one length."""

    anchors: pa.StringArray
    positives: pa.StringArray
    anchor_hashes: npt.NDArray[np.uint64]
    positive_hashes: npt.NDArray[np.uint64]
    overlap: npt.NDArray[np.float32] | None = None
    """Jaccard similarity of the sets of case-folded words; None where no gate asks."""
    similarity: npt.NDArray[np.float32] | None = None
    """Cosine by an encoder; None where no gate asks, nan for pairs refused before it was asked."""


@runtime_checkable
class TextRule(Protocol):
    """Refuses single texts."""

    @property
    def reason(self) -> str:
        """Return the reason as it is counted."""
        ...

    def refused_texts(self, texts: pa.StringArray) -> tuple[Mask, Values]:
        """Return which texts are refused, and the value that decided it."""
        ...


@runtime_checkable
class PairRule(Protocol):
    """Refuses pairs."""

    @property
    def reason(self) -> str:
        """Return the reason as it is counted."""
        ...

    def refused_pairs(self, pairs: Measured) -> tuple[Mask, Values]:
        """Return which pairs are refused, and the value that decided it."""
        ...


class _BothTexts:
    """Makes a text rule a pair rule: a pair is refused when either of its texts is."""

    def refused_pairs(self: TextRule, pairs: Measured) -> tuple[Mask, Values]:
        """Return which pairs are refused, and the value of the text that decided it."""
        anchor_mask, anchor_values = self.refused_texts(pairs.anchors)
        positive_mask, positive_values = self.refused_texts(pairs.positives)
        return anchor_mask | positive_mask, np.where(anchor_mask, anchor_values, positive_values)


@dataclass(frozen=True)
class MinWords(_BothTexts):
    """Refuses texts with fewer words; a Chinese or Japanese character counts as one."""

    words: int
    version: ClassVar[int] = 1

    @property
    def reason(self) -> str:
        """Return the reason as it is counted."""
        return f"fewer than {self.words} words"

    def refused_texts(self, texts: pa.StringArray) -> tuple[Mask, Values]:
        """Return which texts are too short, and their number of words."""
        counts = count_words(texts)
        return counts < self.words, counts.astype(np.float64)


@dataclass(frozen=True)
class MaxWords(_BothTexts):
    """Refuses texts with more words; a Chinese or Japanese character counts as one."""

    words: int
    version: ClassVar[int] = 1

    @property
    def reason(self) -> str:
        """Return the reason as it is counted."""
        return f"more than {self.words} words"

    def refused_texts(self, texts: pa.StringArray) -> tuple[Mask, Values]:
        """Return which texts are too long, and their number of words."""
        counts = count_words(texts)
        return counts > self.words, counts.astype(np.float64)


@dataclass(frozen=True)
class MaxChars(_BothTexts):
    """Refuses texts with more characters (Unicode code points)."""

    chars: int
    version: ClassVar[int] = 1

    @property
    def reason(self) -> str:
        """Return the reason as it is counted."""
        return f"more than {self.chars} characters"

    def refused_texts(self, texts: pa.StringArray) -> tuple[Mask, Values]:
        """Return which texts are too long, and their number of characters."""
        lengths = pc.utf8_length(texts).to_numpy(zero_copy_only=False)
        return lengths > self.chars, lengths.astype(np.float64)


@dataclass(frozen=True)
class Overlap:
    """Refuses pairs whose texts share too many of their words, or too few."""

    max: float = 1.0
    min: float = 0.0
    version: ClassVar[int] = 1

    def __post_init__(self) -> None:
        if not 0 <= self.min <= self.max <= 1:
            raise ValueError("Overlap needs 0 <= min <= max <= 1")

    @property
    def reason(self) -> str:
        """Return the reason as it is counted."""
        return f"word overlap not in [{self.min:g}, {self.max:g}]"

    def refused_pairs(self, pairs: Measured) -> tuple[Mask, Values]:
        """Return which pairs lie outside the bounds, and their overlap."""
        if pairs.overlap is None:
            raise ValueError("overlap was not measured")
        return outside(pairs.overlap, self.min, self.max), pairs.overlap.astype(np.float64)


@dataclass(frozen=True)
class Unchanged:
    """Refuses pairs whose texts are the same but for case, width and spacing."""

    version: ClassVar[int] = 1

    @property
    def reason(self) -> str:
        """Return the reason as it is counted."""
        return "positive unchanged"

    def refused_pairs(self, pairs: Measured) -> tuple[Mask, Values]:
        """Return which pairs hold one text twice; the value is always 1."""
        return pairs.anchor_hashes == pairs.positive_hashes, np.ones(len(pairs.anchors))


def outside(values: npt.NDArray[np.float32], low: float, high: float) -> Mask:
    """Return which values are below low or above high; not nan.

    Compared in float32, as measured: 0.9 is then inside [0, 0.9].
    """
    return (values < np.float32(low)) | (values > np.float32(high))
