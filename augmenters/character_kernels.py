"""The compiled loop that takes one Chinese character for another, writing over a copy."""

from typing import NamedTuple

import numpy as np

from pairsmith.augmenters.characters import HAN_COUNT, HAN_FIRST
from pairsmith.augmenters.compiled import kernel
from pairsmith.augmenters.plans import Bytes, Ints, Keys, below, draw, integer, unit


class Others(NamedTuple):
    """What each character can be taken for; all are three bytes long in UTF-8.

    Of character HAN_FIRST + c they are points[firsts[c]:firsts[c + 1]].
    """

    firsts: Ints
    points: Ints


@kernel
def replace_characters(
    data: Bytes,
    offsets: Ints,
    valid: Bytes,
    keys: Keys,
    op: int,
    rate: float,
    share: float,
    near: Others,
    far: Others,
) -> tuple[Bytes, Ints]:
    """Return the texts as (bytes, int32 offsets), each character that can be replaced with `rate`.

    share: how often by one of `far` instead of `near`, where there are both.
    """
    rows = offsets.size - 1
    threshold = np.uint64(rate * 2.0**64)
    out, out_offsets = data.copy(), offsets.copy()
    for row in range(rows):
        state = draw(keys[row], op)
        counter = 0
        i = integer(out_offsets[row])
        end = integer(out_offsets[row + 1])
        while i + 2 < end:
            b = integer(out[np.uintp(i)])
            if b < 0xE4 or b > 0xE9:
                i += 1
                continue
            c = (b & 0x0F) << 12
            c |= (integer(out[np.uintp(i + 1)]) & 0x3F) << 6
            c |= integer(out[np.uintp(i + 2)]) & 0x3F
            c -= HAN_FIRST
            i += 3
            if c < 0 or c >= HAN_COUNT:
                continue
            own = draw(state, counter)
            counter += 1
            if own >= threshold:
                continue
            first, stop = integer(near.firsts[c]), integer(near.firsts[c + 1])
            other, last = integer(far.firsts[c]), integer(far.firsts[c + 1])
            if first == stop and other == last:
                continue
            if first == stop or (other < last and unit(draw(own, 0)) < share):
                point = integer(far.points[other + below(draw(own, 1), last - other)])
            else:
                point = integer(near.points[first + below(draw(own, 1), stop - first)])
            out[i - 3] = 0xE0 | (point >> 12)
            out[i - 2] = 0x80 | ((point >> 6) & 0x3F)
            out[i - 1] = 0x80 | (point & 0x3F)
    return out, out_offsets
