"""Compiled parts that look at one word: where it begins and ends without punctuation, how long."""

import numpy as np

from pairsmith.augmenters.characters import EXTENDER
from pairsmith.augmenters.compiled import kernel, njit
from pairsmith.augmenters.copy_kernels import copy
from pairsmith.augmenters.kernels import decode, longest, scan
from pairsmith.augmenters.letters import DIGIT, INNER, LETTER, LOWER, MARK, UPPER
from pairsmith.augmenters.plans import Bytes, Ints, integer

_LETTERS = (1 << LETTER) | (1 << LOWER) | (1 << UPPER)
_STRANGE = (1 << DIGIT) | (1 << MARK)


@njit
def core(data: Bytes, a: int, b: int, classes: Bytes, kinds: Bytes) -> tuple[int, int, int, bool]:
    """Return where the word itself begins and ends in the token data[a:b], its length, and `small`.

    The length counts characters with the marks that change them as one; it is 0 for what is no
    word: no letter, or a digit, or punctuation inside other than apostrophes and hyphens.
    small: all its letters are from a to z; never said of a word that has others than ASCII.
    """
    # First as if it were ASCII, in few steps a byte; `every` tells whether it is.
    first = a
    stop = b
    seen = 0
    every = np.uint8(0)
    while first < stop and kinds[data[np.uintp(first)]] in (MARK, INNER):
        every |= data[np.uintp(first)]
        first += 1
    while first < stop and kinds[data[np.uintp(stop - 1)]] in (MARK, INNER):
        stop -= 1
        every |= data[np.uintp(stop)]
    i = first
    # By eights, the last byte as often as needed: how long a word is no processor foresees.
    while i < stop:
        for j in range(8):
            byte = data[np.uintp(min(i + j, stop - 1))]
            every |= byte
            seen |= 1 << integer(kinds[byte])
        i += 8
    if every < 128:
        return first, stop, stop - first if _is_word(seen) else 0, seen & _LETTERS == 1 << LOWER
    first = a
    stop = a
    length = 0
    pending = 0  # Marks since the last letter: inside the word if a letter follows.
    seen = 0
    between = 0
    i = a
    while i < b:
        point, width = decode(data, i, b)
        kind = integer(kinds[point])
        if kind != MARK and kind != INNER:
            if length == 0:
                first = i
            elif pending > 0:
                seen |= between
                length += pending
            pending = 0
            seen |= 1 << kind
            length += 1
            stop = i + width
        elif classes[point] == EXTENDER:
            if pending == 0 and length > 0:
                stop = i + width
        else:
            between = 1 << kind if pending == 0 else between | (1 << kind)
            pending += 1
        i += width
    return first, stop, length if _is_word(seen) else 0, False


@njit
def _is_word(seen: int) -> bool:
    """Return whether the kinds of letters seen in a token, as bits, are those of a word."""
    return seen & _LETTERS != 0 and seen & _STRANGE == 0


@njit
def character_at(data: Bytes, a: int, b: int, length: int, classes: Bytes, number: int) -> int:
    """Return where the character with this number begins in data[a:b], of `length` characters."""
    if length == b - a:
        return a + number
    i = a
    count = -1
    while i < b:
        point, width = decode(data, i, b)
        count += integer(classes[point] != EXTENDER)
        if count == number:
            break
        i += width
    return i


@kernel
def word_cores(
    data: Bytes, offsets: Ints, valid: Bytes, classes: Bytes, kinds: Bytes, inside: Bytes
) -> tuple[Bytes, Ints]:
    """Return the words of all texts, without punctuation, as (bytes, int32 offsets)."""
    rows = offsets.size - 1
    bounds = np.empty(longest(offsets) + 4, np.int32)
    edges = np.empty(bounds.size // 2, np.uint8)
    size = integer(offsets[rows]) - offsets[0]
    out = np.empty(size, np.uint8)
    out_offsets = np.zeros(size + 1, np.int32)
    count = 0
    o = 0
    for row in range(rows):
        if valid.size and not valid[row]:
            continue
        n = scan(
            data, integer(offsets[row]), integer(offsets[row + 1]), classes, inside, bounds, edges
        )
        for t in range(n):
            a, b, length, _ = core(
                data, integer(bounds[2 * t]), integer(bounds[2 * t + 1]), classes, kinds
            )
            if length > 0:
                o = copy(data, a, b, out, o)
                count += 1
                out_offsets[count] = o
    return out[:o], out_offsets[: count + 1]
