"""The compiled loop behind `changes_of`."""

import numpy as np

from pairsmith.augmenters.compiled import kernel
from pairsmith.augmenters.plans import Bytes, Ints, Longs, integer


@kernel
def histogram(
    data: Bytes, offsets: Ints, valid: Bytes, other: Bytes, ends: Ints, seen: Bytes, bins: int
) -> Longs:
    """Return the counts of `changes_of`."""
    counts = np.zeros(bins, np.int64)
    for row in range(offsets.size - 1):
        if valid.size and not valid[row]:
            continue
        if seen.size and not seen[row]:
            counts[0] += 1
            continue
        a, a_end = integer(offsets[row]), integer(offsets[row + 1])
        b, b_end = integer(ends[row]), integer(ends[row + 1])
        longer = max(a_end - a, b_end - b)
        while a < a_end and b < b_end and data[a] == other[b]:
            a += 1
            b += 1
        while a < a_end and b < b_end and data[a_end - 1] == other[b_end - 1]:
            a_end -= 1
            b_end -= 1
        between = max(a_end - a, b_end - b)
        if between == 0:
            counts[1] += 1
        else:
            counts[2 + (between * (bins - 2) - 1) // longer] += 1
    return counts
