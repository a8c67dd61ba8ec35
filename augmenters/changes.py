"""How much augmenters change: what raises the alarm when one does nothing."""

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pairsmith.augmenters.buffers import string_buffers
from pairsmith.schemas import require

BINS = 12
"""Of a histogram: no view, unchanged, then ten of equal width from 0 to 1."""
Changes = npt.NDArray[np.int64]


def changes_of(before: pa.StringArray, after: pa.StringArray) -> Changes:
    """Return how many texts were changed how much: int64, shape (BINS,).

    Texts that were null before are not counted. How much is the share of the longer text's bytes
    that lies between what the two begin with and what they end with in common: 0 for a copy.
    """
    require("numba", extra="build")
    from pairsmith.augmenters.change_kernels import histogram

    a, b = string_buffers(before), string_buffers(after)
    counts: Changes = histogram(a.data, a.offsets, a.valid, b.data, b.offsets, b.valid, BINS)
    return counts
