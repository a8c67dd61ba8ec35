"""Compiled loops over Arrow string buffers: cut a text into tokens, decide, write, in one pass.

Imported by `setup()` or at first use only: numba takes half a second to load. All kernels that cut
text stand in this one file because numba's cache looks at the time stamp of no other.
"""

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba
import numpy as np

from pairsmith.augmenters.characters import CJK, CLOSER, EXTENDER, FOLD_COUNT, OPENER, SPACE

F = TypeVar("F", bound=Callable[..., Any])

# What a token's neighbours must know of it, as bits.
_LEFT_CJK = 1
_RIGHT_CJK = 2
_GLUES_LEFT = 4
_OPENS_RIGHT = 8


def jit(function: F) -> F:
    """Return `function` compiled at its first call, without the GIL, cached on disk."""
    return cast(F, numba.njit(nogil=True, cache=True, error_model="numpy")(function))


@jit
def mix(z):  # type: ignore[no-untyped-def]
    """Return the splitmix64 finaliser of a uint64."""
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


@jit
def decode(data, i, end):  # type: ignore[no-untyped-def]
    """Return the code point at byte `i` and its width; bytes that are no UTF-8 stay in bounds."""
    b = np.int64(data[i])
    if b < 0xC0:
        return b, 1
    width = 2 if b < 0xE0 else (3 if b < 0xF0 else 4)
    width = min(width, end - i)
    point = b & (0xFF >> (width + 1))
    for k in range(1, width):
        point = (point << 6) | (np.int64(data[i + k]) & 0x3F)
    return point, width


@jit
def scan(data, start, end, classes, inside, starts, ends, edges):  # type: ignore[no-untyped-def]
    """Cut data[start:end] into tokens and return their number; scratch: (end - start) // 2 + 2.

    inside: empty, or for each byte of data 1 where a character goes on with the word before it.
    """
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
            edge = _GLUES_LEFT if kind == CLOSER or kind == EXTENDER else 0
            last = kind
            i += width
            while i < end:
                b = data[i]
                if b > 32 and b < 128:
                    i += 1
                    continue
                point, width = decode(data, i, end)
                kind = classes[point]
                if kind == SPACE or kind == CJK:
                    break
                last = kind
                i += width
            stop = i
            if i < end and kind == CJK:
                stop = _before_openers(data, first, i, classes)
            elif (classes[data[i - 1]] if data[i - 1] < 128 else last) == OPENER:
                edge |= _OPENS_RIGHT
            if stop > first:
                if inside.size and n and ends[n - 1] == first and inside[first]:
                    n -= 1
                    edge = (edge & _OPENS_RIGHT) | (edges[n] & (_LEFT_CJK | _GLUES_LEFT))
                else:
                    starts[n] = first
                ends[n] = stop
                edges[n] = edge
                n += 1
            if i >= end or kind != CJK:
                continue
            first = stop
        joins = inside.size and n and ends[n - 1] == i and inside[i]
        i += width
        while i < end:
            point, width = decode(data, i, end)
            kind = classes[point]
            if kind != CLOSER and kind != EXTENDER:
                break
            i += width
        edge = _LEFT_CJK
        if joins:
            n -= 1
            edge = edges[n] & (_LEFT_CJK | _GLUES_LEFT)
        else:
            starts[n] = first
        ends[n] = i
        edges[n] = edge | _RIGHT_CJK
        n += 1
    return n


@jit
def _before_openers(data, first, stop, classes):  # type: ignore[no-untyped-def]
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


@jit
def longest(offsets):  # type: ignore[no-untyped-def]
    """Return the number of bytes of the longest text."""
    most = 0
    for row in range(offsets.size - 1):
        most = max(most, offsets[row + 1] - offsets[row])
    return most


@jit
def count_tokens(data, offsets, valid, classes, inside):  # type: ignore[no-untyped-def]
    """Return the number of tokens of each text: int32; 0 for null."""
    rows = offsets.size - 1
    room = longest(offsets) // 2 + 2
    starts = np.empty(room, np.int32)
    ends = np.empty(room, np.int32)
    edges = np.empty(room, np.uint8)
    counts = np.zeros(rows, np.int32)
    for row in range(rows):
        if not valid.size or valid[row]:
            a = np.int64(offsets[row])
            b = np.int64(offsets[row + 1])
            counts[row] = scan(data, a, b, classes, inside, starts, ends, edges)
    return counts


@jit
def _token_hash(data, start, end, folds):  # type: ignore[no-untyped-def]
    """Return a 64-bit hash of the case-folded token data[start:end]."""
    h = np.uint64(0)
    i = np.int64(start)
    while i < end:
        point, width = decode(data, i, np.int64(end))
        if point < FOLD_COUNT:
            point = np.int64(folds[point])
        elif point >= 0xFF21 and point <= 0xFF3A:  # full width A to Z
            point += 0x20
        h = (h ^ np.uint64(point)) * np.uint64(0x9E3779B97F4A7C15)
        h ^= h >> np.uint64(32)
        i += width
    return mix(h)


@jit
def jaccard(a, a_offsets, a_valid, b, b_offsets, b_valid, classes, folds, inside):  # type: ignore[no-untyped-def]
    """Return |A and B| / |A or B| of the token sets of each pair: float32; nan beside a null."""
    rows = a_offsets.size - 1
    room = max(longest(a_offsets), longest(b_offsets)) // 2 + 2
    starts = np.empty(room, np.int32)
    ends = np.empty(room, np.int32)
    edges = np.empty(room, np.uint8)
    slots = _power_above(longest(a_offsets) + longest(b_offsets) + 4)
    # A hash set with open addressing; a slot is taken when it bears the row's stamp.
    hashes = np.empty(slots, np.uint64)
    stamps = np.full(slots, -1, np.int64)
    out = np.empty(rows, np.float32)
    for row in range(rows):
        if (a_valid.size and not a_valid[row]) or (b_valid.size and not b_valid[row]):
            out[row] = np.nan
            continue
        a0, a1 = np.int64(a_offsets[row]), np.int64(a_offsets[row + 1])
        b0, b1 = np.int64(b_offsets[row]), np.int64(b_offsets[row + 1])
        last = _power_above(a1 - a0 + b1 - b0 + 4) - 1
        in_a, in_b, in_both = 3 * row, 3 * row + 1, 3 * row + 2
        union = 0
        shared = 0
        n = scan(a, a0, a1, classes, inside, starts, ends, edges)
        for t in range(n):
            h = _token_hash(a, starts[t], ends[t], folds)
            slot = _slot(hashes, stamps, last, in_a, h)
            if stamps[slot] < in_a:
                hashes[slot] = h
                stamps[slot] = in_a
                union += 1
        n = scan(b, b0, b1, classes, inside, starts, ends, edges)
        for t in range(n):
            h = _token_hash(b, starts[t], ends[t], folds)
            slot = _slot(hashes, stamps, last, in_a, h)
            if stamps[slot] < in_a:
                hashes[slot] = h
                stamps[slot] = in_b
                union += 1
            elif stamps[slot] == in_a:
                stamps[slot] = in_both
                shared += 1
        out[row] = shared / union if union else 1.0
    return out


@jit
def _power_above(least):  # type: ignore[no-untyped-def]
    """Return the smallest power of two >= `least`."""
    power = 4
    while power < least:
        power *= 2
    return power


@jit
def _slot(hashes, stamps, last, taken, h):  # type: ignore[no-untyped-def]
    """Return the slot where `h` is, or would go; slots with stamps below `taken` are free."""
    slot = np.int64(h >> np.uint64(8)) & last
    while stamps[slot] >= taken and hashes[slot] != h:
        slot = (slot + 1) & last
    return slot
