"""Compiled loops that make typing and reading mistakes: one pass over Arrow buffers.

A word is hit with the rate asked for; only then is it looked at, so that rare mistakes cost little.
"""

from string import ascii_letters
from typing import NamedTuple

import numpy as np

from pairsmith.augmenters.case_kernels import CASE_BIT, is_letter
from pairsmith.augmenters.compiled import kernel, njit
from pairsmith.augmenters.copy_kernels import SLACK, copy_run
from pairsmith.augmenters.kernels import MOST_BYTES, lengthened, longest, scan
from pairsmith.augmenters.operations import KEYBOARD
from pairsmith.augmenters.plans import Bytes, Ints, Keys, below, draw, hit_each, integer, keep_long

_STRANGE = 1 << 16
_SEEN = np.zeros(256, np.int32)
"""1 for an ASCII letter; _STRANGE for what no word has inside; 0 for `'`, `-` and other letters."""
_SEEN[:128] = _STRANGE
_SEEN[[ord("'"), ord("-")]] = 0
_SEEN[[*map(ord, ascii_letters)]] = 1


class Mistakes(NamedTuple):
    """What can become what: entries `firsts[x]` to `firsts[x + 1]` stand for letter or byte x.

    KEYBOARD: entry e is the neighbouring letter data[e]. OCR: it is the string
    data[bounds[2 * e]:bounds[2 * e + 1]], which is read as the one from there to bounds[2 * e + 2].
    """

    firsts: Ints
    bounds: Ints
    data: Bytes
    counts: Bytes
    """OCR: counts[256 * x + y] entries fit where byte x stands before byte y."""


@kernel
def mistake_words(
    data: Bytes,
    offsets: Ints,
    valid: Bytes,
    keys: Keys,
    classes: Bytes,
    inside: Bytes,
    op: int,
    rate: float,
    least: int,
    kinds: Keys,
    mistakes: Mistakes,
) -> tuple[Bytes, Ints]:
    """Return the texts with mistakes as (bytes, int32 offsets); no offsets at all beyond 2 GiB.

    Each word of at least `least` letters gets one with probability `rate`. kinds: of KEYBOARD, the
    random number below which a mistake is of the first, second or third kind, shape (3,).
    """
    rows = offsets.size - 1
    bounds = np.empty(longest(offsets) + 4, np.int32)
    edges = np.empty(bounds.size // 2, np.uint8)
    what = np.empty(edges.size, np.int32)
    threshold = np.uint64(rate * 2.0**64)
    given = integer(offsets[rows]) - offsets[0]
    # To make room later is to copy all; what is never written takes no memory.
    out = np.empty(given + given // 4 + SLACK, np.uint8)
    out_offsets = np.zeros(rows + 1, np.int32)
    o = 0
    for row in range(rows):
        if valid.size and not valid[row]:
            out_offsets[row + 1] = o
            continue
        start = integer(offsets[row])
        end = integer(offsets[row + 1])
        n = scan(data, start, end, classes, inside, bounds, edges)
        state = draw(keys[row], op)
        hits = hit_each(n, state, threshold, what)
        hits = keep_long(what, hits, bounds, edges, least, least)
        most = end - start + 2 * hits + SLACK
        if o + most > out.size:
            out = lengthened(out, o, most)
        copied = start
        for h in range(hits):
            t = integer(what[np.uintp(h)])
            own = draw(state, t)
            first = integer(bounds[np.uintp(2 * t)])
            stop = integer(bounds[np.uintp(2 * t + 1)])
            if op == KEYBOARD:
                i, skip, size, one, two = _mistype(data, first, stop, own, least, kinds, mistakes)
            else:
                i, skip, size, one, two = _misread(data, first, stop, own, least, mistakes)
            if skip == 0:
                continue
            # The rest of the word is copied with what follows: one copy for each mistake.
            o = copy_run(data, copied, i, out, o)
            out[np.uintp(o)] = one
            out[np.uintp(o + 1)] = two
            o += size
            copied = i + skip
        o = copy_run(data, copied, end, out, o)
        if o > MOST_BYTES:
            return out[:0], out_offsets[:0]
        out_offsets[row + 1] = o
    return out[:o], out_offsets


@njit
def _is_digit(b: np.uint8) -> bool:
    """Return True for 0 to 9."""
    return integer(b) >= 48 and integer(b) <= 57


@njit
def _letters(data: Bytes, first: int, stop: int) -> tuple[int, int, int]:
    """Return where letters and digits begin and end in a word, and the number of its ASCII letters.

    The number is 0 when it is a number, an address or the like: between its first and last letter
    or digit nothing else may stand than letters, `'` and `-`.
    """
    while first < stop and not (is_letter(data[first]) or _is_digit(data[first])):
        first += 1
    while stop > first and not (is_letter(data[stop - 1]) or _is_digit(data[stop - 1])):
        stop -= 1
    seen = 0
    last = stop - 1
    i = first
    # By eights, the last byte as often as needed: how long a word is no processor foresees.
    while i < stop:
        for j in range(8):
            seen += integer(_SEEN[data[np.uintp(min(i + j, last))]])
        i += 8
    if i > stop:
        seen -= (i - stop) * integer(_SEEN[data[np.uintp(last)]])
    return first, stop, seen if seen < _STRANGE else 0


@njit
def _mistype(
    data: Bytes,
    first: int,
    stop: int,
    own: np.uint64,
    least: int,
    kinds: Keys,
    mistakes: Mistakes,
) -> tuple[int, int, int, int, int]:
    """Return a typing mistake: from which byte how many give way to how many, and those, 2 at most.

    None give way where nothing is mistyped.
    """
    first, stop, letters = _letters(data, first, stop)
    if letters < least:
        return first, 0, 0, 0, 0
    bits = draw(own, 0)
    kind = integer(bits >= kinds[0]) + integer(bits >= kinds[1]) + integer(bits >= kinds[2])
    place = draw(own, 1)
    if kind == 1:
        # Nearly all pairs differ: only where the one drawn does not, count those that do.
        i = first + below(place, stop - 1 - first)
        pairs = _differ(data, i)
        if pairs == 0:
            for j in range(first, stop - 1):
                pairs += _differ(data, j)
            left = below(draw(own, 3), pairs)
            i = first
            while pairs > 0 and (left > 0 or not _differ(data, i)):
                left -= _differ(data, i)
                i += 1
        if pairs > 0:
            a, b = integer(data[i]), integer(data[i + 1])
            return i, 2, 2, _shaped(b, a), _shaped(a, b)
        kind = 0
    left = below(place, letters)
    i = first
    if letters == stop - first:
        i += left
    else:
        while left > 0 or not is_letter(data[i]):
            left -= integer(is_letter(data[i]))
            i += 1
    a = integer(data[i])
    if kind == 2:
        return i, 1, 0, 0, 0
    if kind == 3:
        shape = a
        if i + 1 < stop and is_letter(data[i + 1]):
            shape = integer(data[i + 1])
        return i, 1, 2, a, _shaped(a, shape)
    letter = (a | CASE_BIT) - 97
    entry = integer(mistakes.firsts[letter])
    entry += below(draw(own, 2), integer(mistakes.firsts[letter + 1]) - entry)
    return i, 1, 1, _shaped(integer(mistakes.data[entry]), a), 0


@njit
def _shaped(letter: int, other: int) -> int:
    """Return a letter as a capital where another is one: the shape of a word stays."""
    return (letter & ~CASE_BIT) | (other & CASE_BIT)


@njit
def _differ(data: Bytes, i: int) -> int:
    """Return 1 when bytes i and i + 1 are two letters, and not the same one, else 0."""
    a, b = data[np.uintp(i)], data[np.uintp(i + 1)]
    other = integer((integer(a) | CASE_BIT) != (integer(b) | CASE_BIT))
    return integer(is_letter(a)) & integer(is_letter(b)) & other


@njit
def _misread(
    data: Bytes, first: int, stop: int, own: np.uint64, least: int, mistakes: Mistakes
) -> tuple[int, int, int, int, int]:
    """Return a reading mistake, as `_mistype` does."""
    length = 0
    found = 0
    last = stop - 1
    for i in range(first, stop):
        b = data[np.uintp(i)]
        length += integer(is_letter(b)) + integer(_is_digit(b))
        found += _count(data, i, last, mistakes)
    if length < least or found == 0:
        return first, 0, 0, 0, 0
    left = below(draw(own, 0), found)
    place = first
    so_far = 0
    before = 0
    for i in range(first, stop):  # To the end, as above: a processor foresees what it has seen.
        so_far += _count(data, i, last, mistakes)
        place += integer(so_far <= left)
        before = so_far if so_far <= left else before
    left -= before
    i = place
    # What stands for one byte comes first, and fits wherever that byte stands.
    entry = integer(mistakes.firsts[data[i]])
    singles = integer(mistakes.counts[np.uintp(integer(data[i]) << 8)])
    if left < singles:
        entry += left
    else:
        left -= singles
        entry += singles
        while left > 0 or not _stands(data, i, stop, entry, mistakes):
            left -= integer(_stands(data, i, stop, entry, mistakes))
            entry += 1
    a = integer(mistakes.bounds[2 * entry])
    b = integer(mistakes.bounds[2 * entry + 1])
    c = integer(mistakes.bounds[2 * entry + 2])
    two = integer(mistakes.data[b + 1]) if c - b > 1 else 0
    return i, b - a, c - b, integer(mistakes.data[b]), two


@njit
def _count(data: Bytes, i: int, last: int, mistakes: Mistakes) -> int:
    """Return how many entries stand at byte i of a word that ends with byte `last`."""
    goes_on = integer(i < last)
    after = integer(data[np.uintp(i + goes_on)]) * goes_on
    return integer(mistakes.counts[np.uintp(integer(data[np.uintp(i)]) << 8 | after)])


@njit
def _stands(data: Bytes, i: int, stop: int, entry: int, mistakes: Mistakes) -> bool:
    """Return True when the string of an entry stands at byte i and ends by `stop`."""
    a = integer(mistakes.bounds[2 * entry])
    b = integer(mistakes.bounds[2 * entry + 1])
    if i + b - a > stop:
        return False
    j = 0
    while a + j < b and data[i + j] == mistakes.data[a + j]:
        j += 1
    return a + j == b
