"""Rows of unequal length that lie end to end, as arrays of their values and of their lengths."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]


def flatten(rows: Sequence[Sequence[int] | Ints]) -> tuple[Ints, Ints]:
    """Return the rows end to end, and their lengths."""
    lengths = np.fromiter(map(len, rows), np.int64, len(rows))
    return np.fromiter((i for row in rows for i in row), np.int64, int(lengths.sum())), lengths


def row_places(lengths: Ints) -> Ints:
    """Return the place of each value in its row: lengths (2, 0, 3) give 0 1 0 1 2."""
    ends = np.cumsum(lengths)
    return np.arange(lengths.sum()) - np.repeat(ends - lengths, lengths)
