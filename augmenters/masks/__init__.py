"""Masked words and spans, filled by language models."""

from pairsmith.augmenters.masks.fill_mask import FillMask

__all__ = ["FillMask"]
