"""EDA: easy data augmentation, one of four small edits."""

from typing import Literal

from pairsmith.augmenters.augmenter import Augmenter
from pairsmith.augmenters.compose import OneOf
from pairsmith.augmenters.edits import WordSwap
from pairsmith.augmenters.word_choice import WordInsert, WordSubstitute
from pairsmith.augmenters.words import WordDropout


def eda(
    p: float = 0.1,
    *,
    substitute: Augmenter | None = None,
    insert: Augmenter | None = None,
    chinese: Literal["words", "characters"] = "words",
) -> OneOf:
    """Return EDA (arXiv 1901.11196): for each text one of its four edits, equally likely.

    p: the share of words that are replaced, put in, swapped or deleted (alpha in the paper), in
    the mean; the paper rounds it down to whole words, and never to none.
    substitute, insert: what replaces words and puts some in; the paper takes synonyms. By default
    words of the corpus, without regard to meaning, so that a build must fit them.
    chinese: what a word of Chinese text is.
    """
    return OneOf(
        substitute or WordSubstitute(p, chinese=chinese),
        insert or WordInsert(p, chinese=chinese),
        WordSwap(p, "anywhere", chinese=chinese),
        WordDropout(p, chinese=chinese),
    )
