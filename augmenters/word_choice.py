"""Augmenters that write words of a vocabulary into texts: between their words, or in their place.

Words are cut as `words` says. All views count as positives, as EDA's do (arXiv 1901.11196), though
the more words of a text give way to others, the less the view says what the text said.
"""

import dataclasses
from dataclasses import KW_ONLY, dataclass
from functools import cached_property
from typing import ClassVar, Self

import numpy as np
import pyarrow as pa

from pairsmith.augmenters.operations import INSERT, SUBSTITUTE, Edit, Words, check_rate
from pairsmith.augmenters.vocabulary import (
    check_words,
    cjk_at_an_end,
    count_spellings,
    damped,
    words_table,
)
from pairsmith.augmenters.words import WordAugmenter
from pairsmith.schemas import UserError


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
        return words_table(self.vocabulary, weights, [*map(cjk_at_an_end, self.vocabulary)])


@dataclass(frozen=True)
class WordInsert(VocabularyAugmenter):
    """Put a word of a vocabulary before each word with probability `p`."""

    name: ClassVar[str] = "word_insert"
    version: ClassVar[int] = 1

    def _plan(self) -> Edit:
        return Edit(INSERT, self.p, words=self._words.as_read())


@dataclass(frozen=True)
class WordSubstitute(VocabularyAugmenter):
    """Replace each word by one of a vocabulary with probability `p`; it may draw the word itself.

    Punctuation around a word stays; numbers, addresses and the like are not replaced.
    """

    name: ClassVar[str] = "word_substitute"
    version: ClassVar[int] = 1

    def _plan(self) -> Edit:
        return Edit(SUBSTITUTE, self.p, words=self._words.as_read())
