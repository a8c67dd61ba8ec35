"""Compiled word overlap: the tokens of both texts of a pair are hashed and counted as sets."""

import numpy as np
import numpy.typing as npt

from pairsmith.augmenters.characters import FOLD_COUNT
from pairsmith.augmenters.compiled import kernel, njit
from pairsmith.augmenters.kernels import ASCII_SPACES, decode, is_plain, longest, scan_any
from pairsmith.augmenters.plans import Bytes, Ints, Keys, Longs, integer

Points = npt.NDArray[np.uint32]


@njit
def _hash_tokens(
    data: Bytes,
    start: int,
    end: int,
    classes: Bytes,
    folds: Points,
    inside: Bytes,
    bounds: Ints,
    edges: Bytes,
    hashes: Keys,
) -> int:
    """Hash the case-folded tokens of data[start:end], and return their number: see `scan`.

    hashes: uint64, half as many as `bounds`.
    """
    if is_plain(data, start, end):
        return _hash_plain(data, start, end, folds, hashes)
    n = scan_any(data, start, end, classes, inside, bounds, edges)
    for t in range(n):
        h = np.uint64(0)
        i = integer(bounds[2 * t])
        stop = integer(bounds[2 * t + 1])
        while i < stop:
            point, width = decode(data, i, stop)
            h = _hashed(h, _folded(point, folds))
            i += width
        hashes[t] = h
    return n


@njit
def _hash_plain(data: Bytes, start: int, end: int, folds: Points, hashes: Keys) -> int:
    """Hash the tokens of a plain text. No branch depends on where words end: see `_scan_plain`."""
    k = 0
    h = np.uint64(0)
    was_space = 1
    i = start
    while i < end:
        b = np.uint64(data[np.uintp(i)])
        if b < 128:
            space = integer((ASCII_SPACES >> b) & np.uint64(1)) if b <= 32 else 0
            hashes[np.uintp(k)] = h
            k += space & ~was_space
            h = _hashed(h, folds[np.uintp(b)]) & np.uint64(space - 1)
            was_space = space
            i += 1
        else:
            point, width = decode(data, i, end)
            h = _hashed(h, _folded(point, folds))
            was_space = 0
            i += width
    hashes[np.uintp(k)] = h
    return k + (1 - was_space)


@njit
def _hashed(h: np.uint64, point: np.uint32) -> np.uint64:
    """Return the hash of a token and one more code point. Golden, so that two never cancel out."""
    return (h ^ np.uint64(point)) * np.uint64(0x9E3779B97F4A7C15)


@njit
def _folded(point: int, folds: Points) -> np.uint32:
    """Return the code point in lower case."""
    if point < FOLD_COUNT:
        return folds[np.uintp(point)]  # type: ignore[no-any-return]
    full_width_a_to_z = point >= 0xFF21 and point <= 0xFF3A
    return np.uint32(point + 0x20 if full_width_a_to_z else point)


@kernel
def jaccard(
    a: Bytes,
    a_offsets: Ints,
    a_valid: Bytes,
    b: Bytes,
    b_offsets: Ints,
    b_valid: Bytes,
    classes: Bytes,
    folds: Points,
    inside: Bytes,
) -> npt.NDArray[np.float32]:
    """Return |A and B| / |A or B| of the token sets of each pair: float32; nan beside a null."""
    rows = a_offsets.size - 1
    bounds = np.empty(max(longest(a_offsets), longest(b_offsets)) + 4, np.int32)
    edges = np.empty(bounds.size // 2, np.uint8)
    a_tokens = np.empty(bounds.size // 2, np.uint64)
    b_tokens = np.empty(bounds.size // 2, np.uint64)
    slots = _power_above(2 * bounds.size)
    # A hash set with open addressing; a slot is taken when it bears the row's stamp.
    hashes = np.empty(slots, np.uint64)
    stamps = np.full(slots, -1, np.int64)
    out = np.empty(rows, np.float32)
    for row in range(rows):
        if (a_valid.size and not a_valid[row]) or (b_valid.size and not b_valid[row]):
            out[row] = np.nan
            continue
        a0, a1 = integer(a_offsets[row]), integer(a_offsets[row + 1])
        b0, b1 = integer(b_offsets[row]), integer(b_offsets[row + 1])
        na = _hash_tokens(a, a0, a1, classes, folds, inside, bounds, edges, a_tokens)
        nb = _hash_tokens(b, b0, b1, classes, folds, inside, bounds, edges, b_tokens)
        last = _power_above(2 * (na + nb)) - 1
        in_a, in_b, in_both = 3 * row, 3 * row + 1, 3 * row + 2
        union = 0
        shared = 0
        for h in a_tokens[:na]:
            slot = _slot(hashes, stamps, last, in_a, h)
            if stamps[slot] < in_a:
                hashes[slot] = h
                stamps[slot] = in_a
                union += 1
        for h in b_tokens[:nb]:
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


@njit
def _power_above(least: int) -> int:
    """Return the smallest power of two >= `least`."""
    power = 4
    while power < least:
        power *= 2
    return power


@njit
def _slot(hashes: Keys, stamps: Longs, last: int, taken: int, h: np.uint64) -> int:
    """Return the slot where `h` is, or would go; slots with stamps below `taken` are free."""
    slot = integer(h >> np.uint64(32)) & last
    while stamps[slot] >= taken and hashes[slot] != h:
        slot = (slot + 1) & last
    return slot
