"""Augmenters that edit words where they stand: swapped, split, joined, recased, punctuated.

Words are cut as `words` says. All views count as positives: they are noise, not statements.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pairsmith.augmenters.buffers import string_buffers
from pairsmith.augmenters.characters import char_classes
from pairsmith.augmenters.letters import letter_kinds, other_cases
from pairsmith.augmenters.operations import (
    CASE_LETTERS,
    CASE_WORDS,
    JOIN,
    PUNCTUATE,
    SPLIT,
    SWAP,
    SWAP_ANYWHERE,
    Edit,
    Plan,
    Words,
    check_rate,
    run,
)
from pairsmith.augmenters.vocabulary import check_words, words_table
from pairsmith.augmenters.words import WordAugmenter
from pairsmith.schemas import require


@dataclass(frozen=True)
class WordSwap(WordAugmenter):
    """Let words change places in pairs. Spaces stay where they are.

    With neighbours, the pairs begin at the first word or at the second, either equally likely, and
    each changes places with probability `p`: so does every word but the first and the last, which
    do half as often. Anywhere, as EDA swaps (arXiv 1901.11196), p * N of N words are paired at
    random, rounded at random to pairs, so that each word moves with probability `p`.
    """

    name: ClassVar[str] = "word_swap"
    version: ClassVar[int] = 1

    p: float = 0.1
    """0 <= p < 1."""
    reach: Literal["neighbours", "anywhere"] = "neighbours"
    """Which words may change places."""

    def __post_init__(self) -> None:
        """Raise ValueError for a setting out of range."""
        super().__post_init__()
        check_rate(self.p)
        if self.reach not in ("neighbours", "anywhere"):
            raise ValueError(f"reach must be 'neighbours' or 'anywhere', not {self.reach!r}")

    def _plan(self) -> Plan:
        return Plan(SWAP if self.reach == "neighbours" else SWAP_ANYWHERE, self.p)


@dataclass(frozen=True)
class PunctuationInsert(WordAugmenter):
    """Put punctuation before words, as AEDA does (arXiv 2108.13230), and change nothing else.

    Of N words, a number uniform in 1 to int(p * N) + 1, at most N, is drawn without replacement.
    """

    name: ClassVar[str] = "punctuation_insert"
    version: ClassVar[int] = 1

    p: float = 0.3
    """0 <= p < 1; AEDA's code has 0.3."""
    marks: tuple[str, ...] = (".", ";", "?", ":", "!", ",")
    """Equally likely, with a space on both sides."""
    chinese_marks: tuple[str, ...] = ("。", "；", "？", "：", "！", "，")
    """Those beside Chinese words, without spaces."""

    def __post_init__(self) -> None:
        """Raise ValueError for a setting out of range."""
        super().__post_init__()
        check_rate(self.p)
        for field in ("marks", "chinese_marks"):
            object.__setattr__(self, field, check_words(getattr(self, field)))

    def _plan(self) -> Edit:
        return Edit(PUNCTUATE, self.p, words=self._words.as_read())

    @cached_property
    def _words(self) -> Words:
        marks = (*self.marks, *self.chinese_marks)
        chinese = [number >= len(self.marks) for number in range(len(marks))]
        return words_table(marks, [1.0] * len(marks), chinese)


@dataclass(frozen=True)
class WordSplit(WordAugmenter):
    """Split each word that is long enough in two with probability `p`, at any place alike.

    Numbers, addresses and the like stay. Chinese words of two characters or more are long enough.
    """

    name: ClassVar[str] = "word_split"
    version: ClassVar[int] = 1

    p: float = 0.1
    """0 <= p < 1."""
    min_length: int = 4
    """Characters of a word that may be split, without the punctuation around it: at least 2."""

    def __post_init__(self) -> None:
        """Raise ValueError for a setting out of range."""
        super().__post_init__()
        check_rate(self.p)
        if self.min_length < 2:
            raise ValueError(f"min_length must be at least 2, not {self.min_length}")

    def _plan(self) -> Edit:
        return Edit(SPLIT, self.p, self.min_length)


@dataclass(frozen=True)
class SpacingAugmenter(ABC):
    """What augmenters share that need not know where Chinese words begin."""

    languages: ClassVar[tuple[str, ...]] = ()
    keeps_meaning: ClassVar[bool] = True
    needs: ClassVar[str] = ""

    p: float = 0.1
    """0 <= p < 1."""

    def __post_init__(self) -> None:
        """Raise ValueError for a setting out of range."""
        check_rate(self.p)

    def setup(self) -> None:
        """Load and compile. Raises UserError when numba is not installed."""
        self(pa.array(["a"]), np.zeros(1, np.uint64))

    @abstractmethod
    def __call__(self, texts: pa.StringArray, keys: npt.NDArray[np.uint64]) -> pa.StringArray:
        """Return a view of each text; null for null."""


@dataclass(frozen=True)
class WordJoin(SpacingAugmenter):
    """Delete the space between two words, each with probability `p`."""

    name: ClassVar[str] = "word_join"
    version: ClassVar[int] = 1

    def __call__(self, texts: pa.StringArray, keys: npt.NDArray[np.uint64]) -> pa.StringArray:
        """Return a view of each text; null for null. Raises as `WordAugmenter` does."""
        return Edit(JOIN, self.p).apply(string_buffers(texts), keys)


@dataclass(frozen=True)
class RandomCase(SpacingAugmenter):
    """Change the case of words or of letters with probability `p`.

    A word becomes small, Capitalised or CAPITAL, whichever of these change it equally likely.
    Latin, Greek, Cyrillic and Armenian letters have case, but for the few whose other case is
    longer or shorter in UTF-8.
    """

    name: ClassVar[str] = "random_case"
    version: ClassVar[int] = 1

    unit: Literal["words", "letters"] = "words"
    """What is changed with probability `p`."""

    def __post_init__(self) -> None:
        """Raise ValueError for a setting out of range."""
        super().__post_init__()
        if self.unit not in ("words", "letters"):
            raise ValueError(f"unit must be 'words' or 'letters', not {self.unit!r}")

    def __call__(self, texts: pa.StringArray, keys: npt.NDArray[np.uint64]) -> pa.StringArray:
        """Return a view of each text; null for null. Raises as `WordAugmenter` does."""
        require("numba", extra="build")
        from pairsmith.augmenters.recase_kernels import flip_cases, recase_words

        buffers, rate = string_buffers(texts), float(self.p)
        tables = (letter_kinds(), other_cases())
        if self.unit == "words":
            return run(recase_words, buffers, keys, char_classes(), *tables, CASE_WORDS, rate)
        return run(flip_cases, buffers, keys, *tables, CASE_LETTERS, rate)
