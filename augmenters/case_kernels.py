"""Compiled rules of case: which one a word has, which another should get, and other ones.

numba's cache of this file does not see changes in `kernels.py` and `plans.py`: touch it after one.
"""

import numpy as np
import numpy.typing as npt

from pairsmith.augmenters.kernels import decode, longest
from pairsmith.augmenters.letters import LOWER, UPPER
from pairsmith.augmenters.plans import Bytes, Ints, Keys, below, draw, hit_each, integer, njit

AS_IT_IS, TITLE, CAPITALS = 0, 1, 2
"""The cases of a word in `Words`."""


@njit
def _count_cases(data: Bytes, a: int, b: int, kinds: Bytes) -> tuple[int, int, bool]:
    """Return the number of small letters and of capitals, and whether the first is a capital."""
    lower = 0
    upper = 0
    capital = False
    i = a
    while i < b:
        point, width = decode(data, i, b)
        lower += integer(kinds[point] == LOWER)
        if kinds[point] == UPPER:
            capital = capital or lower + upper == 0
            upper += 1
        i += width
    return lower, upper, capital


@njit
def case_for(data: Bytes, a: int, b: int, kinds: Bytes, first: bool) -> int:
    """Return the case of a word that takes the place of data[a:b]; first: of a text."""
    if data[a] < 128 and kinds[data[a]] == LOWER:  # A quick look, at what most words begin with.
        return AS_IT_IS
    lower, upper, capital = _count_cases(data, a, b, kinds)
    if upper > 1 and lower == 0:
        return CAPITALS
    # A capital alone is the word I or an initial, unless it begins the text.
    return TITLE if capital and (first or lower > 0) else AS_IT_IS


@njit
def recase(
    data: Bytes,
    a: int,
    b: int,
    kinds: Bytes,
    cases: npt.NDArray[np.uint32],
    bits: np.uint64,
    out: Bytes,
    o: int,
) -> None:
    """Write data[a:b] over its copy at out[o:] in lower, Title or UPPER case, one that differs."""
    lower, upper, capital = _count_cases(data, a, b, kinds)
    can_lower = integer(upper > 0)
    can_upper = integer(lower > 0)
    can_title = integer(lower + upper > 1 and not (capital and upper == 1))
    choices = can_lower + can_upper + can_title
    if choices == 0:
        return
    chosen = below(bits, choices)
    # Of the ones that can be, in the order lower, Title, UPPER.
    case = AS_IT_IS
    if chosen >= can_lower:
        case = TITLE if chosen < can_lower + can_title else CAPITALS
    letters = 0
    i = a
    while i < b:
        point, width = decode(data, i, b)
        kind = kinds[point]
        if kind in (LOWER, UPPER):
            capital = case == CAPITALS or (case == TITLE and letters == 0)
            if capital != (kind == UPPER):
                _write_low(integer(cases[point]), width, out, o + i - a)
            letters += 1
        i += width


@njit
def _write_low(point: int, width: int, out: Bytes, o: int) -> None:
    """Write a code point of one, two or three bytes in UTF-8."""
    if width == 1:
        out[o] = point
    elif width == 2:
        out[o] = 0xC0 | (point >> 6)
        out[o + 1] = 0x80 | (point & 0x3F)
    else:
        out[o] = 0xE0 | (point >> 12)
        out[o + 1] = 0x80 | ((point >> 6) & 0x3F)
        out[o + 2] = 0x80 | (point & 0x3F)


@njit
def flip_cases(
    data: Bytes,
    offsets: Ints,
    valid: Bytes,
    keys: Keys,
    kinds: Bytes,
    cases: npt.NDArray[np.uint32],
    op: int,
    rate: float,
) -> tuple[Bytes, Ints]:
    """Return the texts with the case of each letter flipped with probability `rate`."""
    rows = offsets.size - 1
    base = integer(offsets[0])
    threshold = np.uint64(rate * 2.0**64)
    out = data[base : integer(offsets[rows])].copy()
    out_offsets = np.empty(rows + 1, np.int32)
    for row in range(rows + 1):
        out_offsets[row] = integer(offsets[row]) - base
    places = np.empty(longest(offsets) + 1, np.int32)
    hits = np.empty(places.size, np.int32)
    for row in range(rows):
        end = integer(out_offsets[row + 1])
        letters = _list_letters(out, integer(out_offsets[row]), end, kinds, places)
        for h in range(hit_each(letters, draw(keys[row], op), threshold, hits)):
            i = integer(places[np.uintp(hits[np.uintp(h)])])
            b = out[np.uintp(i)]
            if b < 128:
                out[np.uintp(i)] = b ^ np.uint8(0x20)
            else:
                point, width = decode(out, i, end)
                _write_low(integer(cases[point]), width, out, i)
    return out, out_offsets


@njit
def _list_letters(data: Bytes, start: int, end: int, kinds: Bytes, places: Ints) -> int:
    """List where the letters with case begin, and return their number."""
    n = 0
    seen = np.uint8(0)
    for i in range(start, end):  # LLVM makes this a few wide instructions.
        seen |= data[np.uintp(i)]
    if seen < 128:
        for i in range(start, end):  # Free of branches: a to z, and A to Z, without a table.
            places[np.uintp(n)] = i
            n += integer((data[np.uintp(i)] | np.uint8(0x20)) - np.uint8(97) < 26)
        return n
    i = start
    while i < end:
        point, width = decode(data, i, end)
        places[np.uintp(n)] = i
        n += integer(integer(kinds[point]) in (LOWER, UPPER))
        i += width
    return n
