"""Texts in, views of them out: keyed augmenters over Arrow string arrays.

Importing this loads nothing heavy; numba, rjieba and sentencepiece load at `setup()` or first use.
"""

from pairsmith.augmenters.augmenter import (
    Augmenter,
    FunctionAugmenter,
    Views,
    from_function,
    views_of,
)
from pairsmith.augmenters.cache import Cached
from pairsmith.augmenters.compose import OneOf, Sequence, Sometimes, intensities
from pairsmith.augmenters.ids import drop_ids, mask_id_spans
from pairsmith.augmenters.measures import count_words, word_overlap
from pairsmith.augmenters.pieces import TokenDropout, TokenSpanMask
from pairsmith.augmenters.words import Crop, SpanMask, WordDropout, WordRepeat, WordShuffle

__all__ = [
    "Augmenter",
    "Cached",
    "Crop",
    "FunctionAugmenter",
    "OneOf",
    "Sequence",
    "Sometimes",
    "SpanMask",
    "TokenDropout",
    "TokenSpanMask",
    "Views",
    "WordDropout",
    "WordRepeat",
    "WordShuffle",
    "count_words",
    "drop_ids",
    "from_function",
    "intensities",
    "mask_id_spans",
    "views_of",
    "word_overlap",
]
