"""Texts in, views of them out: keyed augmenters over Arrow string arrays.

Importing this loads nothing heavy; numba, rjieba and sentencepiece load at `setup()` or first use.
"""

from pairsmith.augmenters.augmenter import Augmenter, FunctionAugmenter, from_function
from pairsmith.augmenters.measures import count_words, word_overlap
from pairsmith.augmenters.words import Crop, SpanMask, WordDropout, WordRepeat, WordShuffle

__all__ = [
    "Augmenter",
    "Crop",
    "FunctionAugmenter",
    "SpanMask",
    "WordDropout",
    "WordRepeat",
    "WordShuffle",
    "count_words",
    "from_function",
    "word_overlap",
]
