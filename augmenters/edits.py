"""Augmenters that edit words where they stand: swapped, put in, replaced, split, joined, recased.

Words are cut as `words` says. All views count as positives: they are noise, not statements, though
the more words a view has lost to a vocabulary, the less it says what its text said.
"""

import dataclasses
from abc import ABC, abstractmethod
from dataclasses import KW_ONLY, dataclass
from functools import cached_property
from typing import ClassVar, Literal, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pairsmith.augmenters.buffers import read_only, string_buffers
from pairsmith.augmenters.letters import letter_kinds, other_cases
from pairsmith.augmenters.operations import (
    CASE_LETTERS,
    CASE_WORDS,
    INSERT,
    JOIN,
    PUNCTUATE,
    SPLIT,
    SUBSTITUTE,
    SWAP,
    SWAP_ANYWHERE,
    Edit,
    Plan,
    Words,
    check_rate,
    run,
)
from pairsmith.augmenters.vocabulary import (
    check_words,
    count_spellings,
    damped,
    is_chinese,
    words_table,
)
from pairsmith.augmenters.words import WordAugmenter
from pairsmith.schemas import UserError, require


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
        return Edit(PUNCTUATE, self.p, words=_as_read(self._words))

    @cached_property
    def _words(self) -> Words:
        marks = (*self.marks, *self.chinese_marks)
        chinese = [number >= len(self.marks) for number in range(len(marks))]
        return words_table(marks, [1.0] * len(marks), chinese)


@dataclass(frozen=True)
class VocabularyAugmenter(WordAugmenter):
    """What augmenters that write words of a vocabulary share.

    The vocabulary is listed, each word equally likely; or it is taken from the corpus by `fit`, as
    a build does: then words are drawn by their counts to the power of 0.75, as negatives are in
    word2vec (arXiv 1310.4546). Chinese words are drawn for places among Chinese, others
    elsewhere; where there are none of the kind, nothing changes. Words take the case of the word
    they replace: capitals, or a first capital.
    """

    p: float = 0.1
    """0 <= p < 1."""
    vocabulary: tuple[str, ...] = ()
    """Single words; empty to take those of the corpus."""
    most_words: int = 50_000
    """So many of the corpus's most frequent words are taken."""
    _: KW_ONLY
    counts: tuple[int, ...] | None = None
    """How often each word of the vocabulary stands in the corpus: set by `fit`."""

    def __post_init__(self) -> None:
        """Raise ValueError or TypeError for a setting out of range."""
        super().__post_init__()
        check_rate(self.p)
        object.__setattr__(self, "vocabulary", check_words(self.vocabulary))
        if self.most_words < 1:
            raise ValueError(f"most_words must be at least 1, not {self.most_words}")
        if self.counts is not None and len(self.counts) != len(self.vocabulary):
            raise ValueError("counts must be one number for each word of the vocabulary")

    def setup(self) -> None:
        """Load and compile. Raises UserError when numba or rjieba is not installed."""
        word = dataclasses.replace(self, vocabulary=("a",), counts=None)
        word(pa.array(["一"]), np.zeros(1, np.uint64))

    def fit(self, texts: pa.StringArray) -> Self:
        """Return an augmenter with the words of these texts; itself when its words are listed."""
        if self.vocabulary and self.counts is None:
            return self
        words, counts = count_spellings(texts, self.chinese, self.most_words)
        return dataclasses.replace(self, vocabulary=words, counts=counts)

    @cached_property
    def _words(self) -> Words:
        if self.counts is None and not self.vocabulary:
            raise UserError(
                f"{type(self).__name__} has no words: give it vocabulary=(…), or call "
                "fit(texts) to take those of a corpus, as a build does"
            )
        weights = [1.0] * len(self.vocabulary)
        if self.counts is not None:
            weights = [damped(count) for count in self.counts]
        return words_table(self.vocabulary, weights, [*map(is_chinese, self.vocabulary)])


@dataclass(frozen=True)
class WordInsert(VocabularyAugmenter):
    """Put a word of a vocabulary before each word with probability `p`."""

    name: ClassVar[str] = "word_insert"
    version: ClassVar[int] = 1

    def _plan(self) -> Edit:
        return Edit(INSERT, self.p, words=_as_read(self._words))


@dataclass(frozen=True)
class WordSubstitute(VocabularyAugmenter):
    """Replace each word by one of a vocabulary with probability `p`; it may draw the word itself.

    Punctuation around a word stays; numbers, addresses and the like are not replaced.
    """

    name: ClassVar[str] = "word_substitute"
    version: ClassVar[int] = 1

    def _plan(self) -> Edit:
        return Edit(SUBSTITUTE, self.p, words=_as_read(self._words))


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
        if self.unit == "words":
            return Edit(CASE_WORDS, self.p).apply(string_buffers(texts), keys)
        require("numba", extra="build")
        from pairsmith.augmenters.edit_kernels import flip_cases

        tables = (letter_kinds(), other_cases())
        return run(flip_cases, string_buffers(texts), keys, *tables, CASE_LETTERS, float(self.p))


def _as_read(words: Words) -> Words:
    """Return the words as kernels take them: arrays that were pickled can be written again."""
    data, offsets, ends, guide, chinese = words
    return Words(read_only(data), read_only(offsets), read_only(ends), read_only(guide), chinese)
