"""Augmenters on words: one compiled pass per text, keyed per record, without the GIL.

A word is a maximal run of characters that are not white space, as `str.split()` cuts. Chinese is
cut into words by rjieba, or into characters; kana into characters. Closing punctuation goes with
the character before it, opening brackets and quotes with what follows. Thai, Lao, Khmer and
Burmese, which write no spaces either, are not cut: there a phrase is one word.

Words keep their spelling, punctuation and the space before them; words that become neighbours
without a space get one, unless they are Chinese. No text becomes empty; a text without words
stays as it is; null gives null.
"""

from abc import ABC, abstractmethod
from dataclasses import KW_ONLY, dataclass
from functools import cached_property
from typing import ClassVar, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pairsmith.augmenters.buffers import string_buffers
from pairsmith.augmenters.chinese_cuts import word_insides
from pairsmith.augmenters.operations import (
    CROP,
    DROP,
    NO_CUTS,
    REPEAT,
    SHUFFLE,
    SPANS,
    Choice,
    Edit,
    Plan,
    Style,
    check_rate,
    check_spans,
    check_style,
    marks_of,
)


@dataclass(frozen=True)
class WordAugmenter(ABC):
    """What all augmenters on words share."""

    languages: ClassVar[tuple[str, ...]] = ()
    keeps_meaning: ClassVar[bool] = True
    needs: ClassVar[str] = ""

    _: KW_ONLY
    chinese: Literal["words", "characters"] = "words"
    """What a token of Chinese text is."""

    def __post_init__(self) -> None:
        """Raise ValueError for a setting out of range."""
        if self.chinese not in ("words", "characters"):
            raise ValueError(f"chinese must be 'words' or 'characters', not {self.chinese!r}")

    def setup(self) -> None:
        """Load and compile. Raises UserError when numba or rjieba is not installed."""
        self(pa.array(["一"]), np.zeros(1, np.uint64))

    def __call__(self, texts: pa.StringArray, keys: npt.NDArray[np.uint64]) -> pa.StringArray:
        """Return a view of each text; null for null.

        keys: uint64, shape (len(texts),). Equal key and text give equal output on every machine.
        Raises TypeError or ValueError for arrays of other types or lengths, or over 2 GiB.
        """
        buffers = string_buffers(texts)
        inside = word_insides(buffers) if self.chinese == "words" else NO_CUTS
        return self._plan().apply(buffers, keys, inside)

    @abstractmethod
    def _plan(self) -> Plan | Edit: ...


@dataclass(frozen=True)
class WordChoice:
    """Word augmenters of which each text gets one, all in one compiled pass."""

    steps: tuple[WordAugmenter, ...]
    ends: tuple[float, ...]
    """Where the shares of [0, 1) end that choose each step but the last."""

    @classmethod
    def among(cls, steps: tuple[object, ...], ends: tuple[float, ...]) -> "WordChoice | None":
        """Return the choice among augmenters; None unless they cut alike and write no marks.

        Nor for a subclass of one's own that is called otherwise.
        """
        words = tuple(
            step
            for step in steps
            if isinstance(step, WordAugmenter) and type(step).__call__ is WordAugmenter.__call__
        )
        marked = any(isinstance(step, SpanMask) for step in words)
        alike = len(words) == len(steps) and len({step.chinese for step in words}) == 1
        return cls(words, ends) if alike and not marked else None

    def setup(self) -> None:
        """Compile. Raises UserError when numba is not installed."""
        texts = string_buffers(pa.array(["a"]))
        Choice.of([WordDropout()._plan()], ()).apply(texts, np.zeros(1, np.uint64))

    def __call__(self, texts: pa.StringArray, keys: npt.NDArray[np.uint64]) -> pa.StringArray:
        """Return the view of each text by the step that its key chose, of the subkey of its number.

        Raises as the steps do.
        """
        buffers = string_buffers(texts)
        inside = word_insides(buffers) if self.steps[0].chinese == "words" else NO_CUTS
        return self._choice.apply(buffers, keys, inside)

    @cached_property
    def _choice(self) -> Choice:
        return Choice.of([step._plan() for step in self.steps], self.ends)


@dataclass(frozen=True)
class WordDropout(WordAugmenter):
    """Delete each word with probability `p`. If all would go, one stays."""

    name: ClassVar[str] = "word_dropout"
    version: ClassVar[int] = 1

    p: float = 0.1
    """0 <= p < 1."""

    def __post_init__(self) -> None:
        """Raise ValueError for a setting out of range."""
        super().__post_init__()
        check_rate(self.p)

    def _plan(self) -> Plan:
        return Plan(DROP, self.p)


@dataclass(frozen=True)
class SpanMask(WordAugmenter):
    """Mask spans of words as T5 does (arXiv 1910.10683): `density` of all words, in the mean.

    A text too short for a whole span sometimes gets one and sometimes none, so that density and
    mean length hold in any corpus; texts of mean_length words or fewer get shorter ones.
    """

    name: ClassVar[str] = "span_mask"
    version: ClassVar[int] = 1

    density: float = 0.15
    """0 <= density < 1, and no more than spans that must not touch can cover."""
    mean_length: float = 3.0
    """Words in a span: at least 1."""
    style: Style = "sentinel"
    """What stands for a span: `<extra_id_0>`, `<extra_id_1>`, … or `mask` or nothing."""
    mask: str = "[MASK]"
    """One word."""

    def __post_init__(self) -> None:
        """Raise ValueError for a setting out of range."""
        super().__post_init__()
        check_spans(self.density, self.mean_length)
        check_style(self.style, self.mask)

    def _plan(self) -> Plan:
        return Plan(SPANS, self.density, self.mean_length, marks=marks_of(self.style, self.mask))


@dataclass(frozen=True)
class Crop(WordAugmenter):
    """Keep one run of words: its share of the text uniform in [min, max], its place uniform."""

    name: ClassVar[str] = "crop"
    version: ClassVar[int] = 1

    min: float = 0.3
    """0 < min <= max."""
    max: float = 0.8
    """At most 1."""
    min_words: int = 1
    """Keep at least so many; a text that has no more stays whole."""

    def __post_init__(self) -> None:
        """Raise ValueError for a setting out of range."""
        super().__post_init__()
        if not 0 < self.min <= self.max <= 1:
            raise ValueError(f"0 < min <= max <= 1 must hold, not min={self.min}, max={self.max}")
        if self.min_words < 1:
            raise ValueError(f"min_words must be at least 1, not {self.min_words}")

    def _plan(self) -> Plan:
        return Plan(CROP, self.min, self.max, self.min_words)


@dataclass(frozen=True)
class WordShuffle(WordAugmenter):
    """Shuffle words within a window, as arXiv 1711.00043 does.

    Words are sorted by place + uniform [0, window): none moves `window` places or more.
    """

    name: ClassVar[str] = "word_shuffle"
    version: ClassVar[int] = 1

    window: int = 3
    """2 to 1000."""

    def __post_init__(self) -> None:
        """Raise ValueError for a setting out of range."""
        super().__post_init__()
        if not 2 <= self.window <= 1000:
            raise ValueError(f"window must be from 2 to 1000, not {self.window}")

    def _plan(self) -> Plan:
        return Plan(SHUFFLE, size=self.window)


@dataclass(frozen=True)
class WordRepeat(WordAugmenter):
    """Say some words twice, as ESimCSE does (arXiv 2109.04380, section 3.1).

    Of N words, a number uniform in [0, max(2, rate * N)] is drawn without replacement.
    """

    name: ClassVar[str] = "word_repeat"
    version: ClassVar[int] = 1

    rate: float = 0.32
    """0 <= rate <= 1."""

    def __post_init__(self) -> None:
        """Raise ValueError for a setting out of range."""
        super().__post_init__()
        if not 0 <= self.rate <= 1:
            raise ValueError(f"rate must be from 0 to 1, not {self.rate}")

    def _plan(self) -> Plan:
        return Plan(REPEAT, self.rate)
