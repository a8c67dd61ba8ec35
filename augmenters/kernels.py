"""Compiled loops that cut the texts of Arrow string buffers into tokens and count them.

Imported by `setup()` or at first use only: numba takes a second to load. Scratch arrays are made
once per call and stay in the cache from text to text.
"""

import numpy as np

from pairsmith.augmenters.characters import (
    CJK,
    CLOSER,
    EXTENDER,
    GLUES_LEFT,
    LEFT_CJK,
    OPENER,
    OPENS_RIGHT,
    RIGHT_CJK,
    SPACE,
)
from pairsmith.augmenters.compiled import kernel, njit
from pairsmith.augmenters.copy_kernels import copy
from pairsmith.augmenters.plans import Bytes, Flags, Ints, integer

# Bit b stands for the byte b: 9 to 13 and 28 to 32.
ASCII_SPACES = np.uint64(0x1F0003E00)
MOST_BYTES = 2**31 - 1
"""What 32-bit offsets of a string array can address."""


@njit
def decode(data: Bytes, i: int, end: int) -> tuple[int, int]:
    """Return the code point at byte `i` and its width; bytes that are no UTF-8 stay in bounds."""
    b = integer(data[np.uintp(i)])
    if b < 0xC0:
        return b, 1
    if b >= 0xE0 and b < 0xF0 and i + 2 < end:
        c = integer(data[np.uintp(i + 1)]) & 0x3F
        return ((b & 0x0F) << 12) | (c << 6) | (integer(data[np.uintp(i + 2)]) & 0x3F), 3
    width = min(2 if b < 0xE0 else (3 if b < 0xF0 else 4), end - i)
    point = b & (0xFF >> (width + 1))
    for k in range(1, width):
        point = (point << 6) | (integer(data[np.uintp(i + k)]) & 0x3F)
    return point, width


@njit
def scan(
    data: Bytes, start: int, end: int, classes: Bytes, inside: Bytes, bounds: Ints, edges: Bytes
) -> int:
    """Cut data[start:end] into tokens and return their number.

    bounds: token t is data[bounds[2 * t]:bounds[2 * t + 1]]; shape (end - start + 4,) will do, as
    a token and what parts it from the next take two bytes. edges: half as many, one per token.
    inside: empty, or for each byte of data 1 where a character goes on with the word before it.
    """
    if is_plain(data, start, end):
        n = _scan_plain(data, start, end, bounds)
        for t in range(n):
            edges[np.uintp(t)] = 0
    else:
        n = scan_any(data, start, end, classes, inside, bounds, edges)
    return n


@njit
def is_plain(data: Bytes, start: int, end: int) -> bool:
    """Return True when all spaces in the text are ASCII ones and no character is CJK."""
    seen = np.uint8(0)
    for i in range(start, end):  # LLVM makes this a few wide instructions.
        seen |= data[np.uintp(i)]
    if seen < 128:
        return True
    for i in range(start, end - 2):
        b = data[np.uintp(i)]
        if b < 0xC2:
            continue
        c = data[np.uintp(i + 1)]
        d = data[np.uintp(i + 2)]
        if b > 0xE2 or (b == 0xE2 and c >= 0xBA):
            return False
        if b == 0xE2 and c == 0x80 and (d <= 0x8A or d in (0xA8, 0xA9, 0xAF)):
            return False
        if (b == 0xE2 and c == 0x81 and d == 0x9F) or (b == 0xE1 and c == 0x9A and d == 0x80):
            return False
        if b == 0xC2 and c in (0x85, 0xA0):
            return False
    return not (end - start >= 2 and data[end - 2] == 0xC2 and data[end - 1] in (0x85, 0xA0))


@njit
def _scan_plain(data: Bytes, start: int, end: int, bounds: Ints) -> int:
    """Cut a plain text at ASCII spaces. Free of branches: words are too short to predict."""
    k = 0
    was_space = 1
    for i in range(start, end):
        b = np.uint64(data[np.uintp(i)])
        space = integer(ASCII_SPACES >> (b & np.uint64(63))) & integer(b < 64) & 1
        bounds[np.uintp(k)] = i
        k += was_space ^ space
        was_space = space
    if not was_space:
        bounds[k] = end
        k += 1
    return k >> 1


@njit
def scan_any(
    data: Bytes, start: int, end: int, classes: Bytes, inside: Bytes, bounds: Ints, edges: Bytes
) -> int:
    """Cut any text: see `scan`."""
    n = 0
    i = start
    while i < end:
        point, width = decode(data, i, end)
        kind = classes[point]
        if kind == SPACE:
            i += width
            continue
        first = i
        if kind != CJK:
            edge = GLUES_LEFT if kind in (CLOSER, EXTENDER) else 0
            last = kind
            i += width
            while i < end:
                b = data[np.uintp(i)]
                if b > 32 and b < 128:
                    i += 1
                    continue
                point, width = decode(data, i, end)
                kind = classes[point]
                if kind in (SPACE, CJK):
                    break
                last = kind
                i += width
            stop = i
            if i < end and kind == CJK:
                stop = _before_openers(data, first, i, classes)
            elif (classes[data[i - 1]] if data[i - 1] < 128 else last) == OPENER:
                edge |= OPENS_RIGHT
            if stop > first:
                if inside.size and n and bounds[2 * n - 1] == first and inside[first]:
                    n -= 1
                    edge = (edge & OPENS_RIGHT) | (edges[n] & (LEFT_CJK | GLUES_LEFT))
                else:
                    bounds[2 * n] = first
                bounds[2 * n + 1] = stop
                edges[n] = edge
                n += 1
            if i >= end or kind != CJK:
                continue
            first = stop
        joins = inside.size and n and bounds[2 * n - 1] == i and inside[i]
        i += width
        while i < end:
            point, width = decode(data, i, end)
            kind = classes[point]
            if kind not in (CLOSER, EXTENDER):
                break
            i += width
        edge = LEFT_CJK
        if joins:
            n -= 1
            edge = edges[n] & (LEFT_CJK | GLUES_LEFT)
        else:
            bounds[2 * n] = first
        bounds[2 * n + 1] = i
        edges[n] = edge | RIGHT_CJK
        n += 1
    return n


@njit
def _before_openers(data: Bytes, first: int, stop: int, classes: Bytes) -> int:
    """Return where the opening brackets and quotes that end data[first:stop] begin."""
    while stop > first:
        i = stop - 1
        while i > first and data[i] & 0xC0 == 0x80:
            i -= 1
        point, _ = decode(data, i, stop)
        if classes[point] != OPENER:
            break
        stop = i
    return stop


@njit
def would_merge(left: int, right: int) -> bool:
    """Return True when two tokens without a gap would read as other tokens: see the edge bits."""
    if left & RIGHT_CJK:
        return not right & LEFT_CJK and right & GLUES_LEFT != 0
    return not right & LEFT_CJK or left & OPENS_RIGHT != 0


@kernel
def lengthened(out: Bytes, o: int, room: int) -> Bytes:
    """Return a longer copy of out[:o], with room for so many bytes behind `o`.

    Called only when there is none: to take its result for `out` is to count who holds both.
    """
    longer = np.empty(out.size + out.size // 2 + room, np.uint8)
    copy(out, 0, o, longer, 0)
    return longer


@njit
def longest(offsets: Ints) -> int:
    """Return the number of bytes of the longest text."""
    most = 0
    for row in range(offsets.size - 1):
        most = max(most, offsets[row + 1] - offsets[row])
    return most


@kernel
def count_tokens(data: Bytes, offsets: Ints, valid: Bytes, classes: Bytes, inside: Bytes) -> Ints:
    """Return the number of tokens of each text: int32; 0 for null."""
    rows = offsets.size - 1
    bounds = np.empty(longest(offsets) + 4, np.int32)
    edges = np.empty(bounds.size // 2, np.uint8)
    counts = np.zeros(rows, np.int32)
    for row in range(rows):
        if not valid.size or valid[row]:
            a = integer(offsets[row])
            b = integer(offsets[row + 1])
            counts[row] = scan(data, a, b, classes, inside, bounds, edges)
    return counts


@kernel
def rows_with_cjk(data: Bytes, offsets: Ints, valid: Bytes, classes: Bytes) -> Flags:
    """Return which texts have a CJK character: bool, shape (rows,)."""
    found = np.zeros(offsets.size - 1, np.bool_)
    for row in range(found.size):
        i = integer(offsets[row])
        end = integer(offsets[row + 1])
        if (valid.size and not valid[row]) or is_plain(data, i, end):
            continue
        while i < end and not found[row]:
            point, width = decode(data, i, end)
            found[row] = classes[point] == CJK
            i += width
    return found


@kernel
def mark_insides(data: Bytes, offsets: Ints, chosen: Flags, lengths: Ints) -> Bytes:
    """Return `inside` for `scan`: uint8, shape (data.size,).

    lengths: of the words of the chosen texts, in code points, each text followed by a line end.
    """
    inside = np.zeros(data.size, np.uint8)
    word = 0
    left = integer(lengths[0])
    for row in range(chosen.size):
        if not chosen[row]:
            continue
        for i in range(offsets[row], offsets[row + 1] + 1):
            ends = i == offsets[row + 1]
            if not ends and data[np.uintp(i)] & 0xC0 == 0x80:
                continue
            begins = left == integer(lengths[word])
            if not ends and not begins:
                inside[np.uintp(i)] = 1
            left -= 1
            if left == 0 and word + 1 < lengths.size:
                word += 1
                left = integer(lengths[word])
    return inside
