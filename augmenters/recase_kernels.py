"""Compiled loops that change the case of words and letters: they write over a copy in place."""

import numpy as np
import numpy.typing as npt

from pairsmith.augmenters.case_kernels import (
    AS_IT_IS,
    CAPITALS,
    CASE_BIT,
    TITLE,
    count_cases,
    is_letter,
)
from pairsmith.augmenters.compiled import kernel, njit
from pairsmith.augmenters.core_kernels import core
from pairsmith.augmenters.kernels import decode, longest, scan
from pairsmith.augmenters.letters import LOWER, UPPER
from pairsmith.augmenters.plans import Bytes, Ints, Keys, below, draw, hit_each, integer


@njit
def _raise(data: Bytes, a: int, b: int, bits: np.uint64) -> None:
    """Write over data[a:b], small ASCII letters with `'` and `-` between, as `_recase` would."""
    if b - a > 1 and below(bits, 2) == 0:
        data[np.uintp(a)] -= np.uint8(CASE_BIT)
        return
    i = a
    # By eights, the last byte as often as needed: how long a word is no processor foresees.
    while i < b:
        for j in range(8):
            at = np.uintp(min(i + j, b - 1))
            data[at] = integer(data[at]) - integer(data[at] >= 97) * CASE_BIT
        i += 8


@njit
def _recase(
    data: Bytes,
    a: int,
    b: int,
    kinds: Bytes,
    cases: npt.NDArray[np.uint32],
    bits: np.uint64,
) -> None:
    """Write over data[a:b] in lower, Title or UPPER case, one that differs."""
    lower, upper, capital = count_cases(data, a, b, kinds)
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
                _write_low(integer(cases[point]), width, data, i)
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


@kernel
def recase_words(
    data: Bytes,
    offsets: Ints,
    valid: Bytes,
    keys: Keys,
    classes: Bytes,
    kinds: Bytes,
    cases: npt.NDArray[np.uint32],
    op: int,
    rate: float,
) -> tuple[Bytes, Ints]:
    """Return the texts with each word in another case with probability `rate`."""
    rows = offsets.size - 1
    threshold = np.uint64(rate * 2.0**64)
    out, out_offsets = data.copy(), offsets.copy()
    bounds = np.empty(longest(offsets) + 4, np.int32)
    edges = np.empty(bounds.size // 2, np.uint8)
    hits = np.empty(edges.size, np.int32)
    inside = np.empty(0, np.uint8)
    for row in range(rows):
        start = integer(out_offsets[row])
        n = scan(out, start, integer(out_offsets[row + 1]), classes, inside, bounds, edges)
        state = draw(keys[row], op)
        for h in range(hit_each(n, state, threshold, hits)):
            t = integer(hits[np.uintp(h)])
            a = integer(bounds[np.uintp(2 * t)])
            b = integer(bounds[np.uintp(2 * t + 1)])
            a, b, length, small = core(out, a, b, classes, kinds)
            bits = draw(draw(state, t), 0)
            if length > 0 and small:
                _raise(out, a, b, bits)
            elif length > 0:
                _recase(out, a, b, kinds, cases, bits)
    return out, out_offsets


@kernel
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
    threshold = np.uint64(rate * 2.0**64)
    out, out_offsets = data.copy(), offsets.copy()
    for row in range(rows):
        start = integer(out_offsets[row])
        end = integer(out_offsets[row + 1])
        state = draw(keys[row], op)
        seen = np.uint8(0)
        for i in range(start, end):  # LLVM makes this, and the next, a few wide instructions.
            seen |= out[np.uintp(i)]
        if seen < 128:
            for i in range(start, end):
                b = out[np.uintp(i)]
                hit = integer(draw(state, i - start) < threshold) & integer(is_letter(b))
                out[np.uintp(i)] = integer(b) ^ (hit * CASE_BIT)
            continue
        i = start
        while i < end:
            point, width = decode(out, i, end)
            if kinds[point] in (LOWER, UPPER) and draw(state, i - start) < threshold:
                _write_low(integer(cases[point]), width, out, i)
            i += width
    return out, out_offsets
