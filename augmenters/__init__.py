"""Texts in, views of them out: keyed augmenters over Arrow string arrays."""

from pairsmith.augmenters.measures import count_words, word_overlap

__all__ = ["count_words", "word_overlap"]
