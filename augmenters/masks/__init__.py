"""Masked words and spans, filled by language models."""

from pairsmith.augmenters.masks.fill_mask import FillMask
from pairsmith.augmenters.masks.fill_spans import FillSpans

__all__ = ["FillMask", "FillSpans"]
