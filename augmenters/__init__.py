"""Texts in, views of them out: keyed augmenters over Arrow string arrays."""
