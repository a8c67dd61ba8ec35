"""Compiled loops that edit words where they stand: one pass over Arrow buffers.

What is not edited is copied in long runs. A word is hit with the rate asked for; only then is it
looked at.
"""

import numpy as np

from pairsmith.augmenters.case_kernels import AS_IT_IS, TITLE, case_for
from pairsmith.augmenters.characters import EXTENDER, LEFT_CJK, RIGHT_CJK
from pairsmith.augmenters.compiled import kernel, njit
from pairsmith.augmenters.copy_kernels import SLACK, copy, copy_run, copy_word
from pairsmith.augmenters.kernels import (
    MOST_BYTES,
    decode,
    lengthened,
    longest,
    scan,
    would_merge,
)
from pairsmith.augmenters.letters import (
    DIGIT,
    INNER,
    LETTER,
    LOWER,
    MARK,
    UPPER,
)
from pairsmith.augmenters.operations import (
    INSERT,
    JOIN,
    PUNCTUATE,
    SPLIT,
    SUBSTITUTE,
    Edit,
    Words,
)
from pairsmith.augmenters.plans import (
    Bytes,
    Ints,
    Keys,
    below,
    draw,
    hit_each,
    hit_some,
    integer,
    keep_long,
    unit,
)

_SPACE = 32
_LETTERS = (1 << LETTER) | (1 << LOWER) | (1 << UPPER)
_STRANGE = (1 << DIGIT) | (1 << MARK)


@kernel
def edit_words(
    data: Bytes,
    offsets: Ints,
    valid: Bytes,
    keys: Keys,
    classes: Bytes,
    kinds: Bytes,
    inside: Bytes,
    edit: Edit,
) -> tuple[Bytes, Ints]:
    """Return the edited texts as (bytes, int32 offsets); no offsets at all beyond 2 GiB.

    PUNCTUATE takes from one to int(rate * n) + 1 places of n; the others each with probability
    `rate`: of JOIN a gap of space between words, else a word.
    """
    op, rate, size, words = edit
    rows = offsets.size - 1
    bounds = np.empty(longest(offsets) + 4, np.int32)
    edges = np.empty(bounds.size // 2, np.uint8)
    threshold = np.uint64(rate * 2.0**64)
    what = np.empty(edges.size, np.int32)
    room = longest(words.offsets) + 2
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
        if op == PUNCTUATE:
            hits = hit_some(n, state, rate, what)
        else:
            hits = hit_each(n, state, threshold, what)
        if op == SPLIT:
            hits = keep_long(what, hits, bounds, edges, size, 2)
        copied = start
        most = end - start + hits * room + SLACK
        if o + most > out.size:
            out = lengthened(out, o, most)
        for h in range(hits):
            t = integer(what[h])
            own = draw(state, t)
            a = integer(bounds[2 * t])
            b = integer(bounds[2 * t + 1])
            if op == JOIN:
                if t > 0:
                    o = copy_run(data, copied, integer(bounds[2 * t - 1]), out, o)
                    copied = a
                continue
            if op in (PUNCTUATE, INSERT):
                chinese = edges[t] & LEFT_CJK != 0
                if t > 0 and bounds[2 * t - 1] == a:
                    chinese = chinese or edges[t - 1] & RIGHT_CJK != 0
                word = _choose(words, chinese, draw(own, 0))
                if word < 0:
                    continue
                case = AS_IT_IS
                if op == INSERT:
                    case = case_for(data, a, b, kinds, t == 0)
                    # Only the first word of a text is capital for its place.
                    case = AS_IT_IS if case == TITLE and t > 0 else case
                edge = LEFT_CJK | RIGHT_CJK if chinese else 0
                o = copy_run(data, copied, a, out, o)
                if t > 0 and bounds[2 * t - 1] == a and would_merge(edges[t - 1], edge):
                    out[o] = _SPACE
                    o += 1
                o = _write(words, word, case, out, o)
                if would_merge(edge, edges[t]):
                    out[o] = _SPACE
                    o += 1
                copied = a
                continue
            a, b, length = core(data, a, b, classes, kinds)
            if length == 0:
                continue
            if op == SPLIT:
                chinese = edges[t] & (LEFT_CJK | RIGHT_CJK) != 0
                if length >= (2 if chinese else size):
                    i = _character(data, a, b, length, classes, below(draw(own, 0), length - 1) + 1)
                    o = copy_run(data, copied, i, out, o)
                    out[o] = _SPACE
                    o += 1
                    copied = i  # The rest is copied with what follows: one copy for each split.
                continue
            o = copy_run(data, copied, a, out, o)
            copied = b
            if op == SUBSTITUTE:
                chinese = edges[t] & (LEFT_CJK | RIGHT_CJK) != 0
                word = _choose(words, chinese, draw(own, 0))
                if word >= 0:
                    o = _write(words, word, case_for(data, a, b, kinds, t == 0), out, o)
                    continue
            o = copy_word(data, a, b, out, o)
        o = copy_run(data, copied, end, out, o)
        if o > MOST_BYTES:
            return out[:0], out_offsets[:0]
        out_offsets[row + 1] = o
    return out[:o], out_offsets


@njit
def core(data: Bytes, a: int, b: int, classes: Bytes, kinds: Bytes) -> tuple[int, int, int]:
    """Return where the word itself begins and ends in the token data[a:b], and its length.

    The length counts characters with the marks that change them as one; it is 0 for what is no
    word: no letter, or a digit, or punctuation inside other than apostrophes and hyphens.
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
    for i in range(first, stop):
        every |= data[np.uintp(i)]
        seen |= 1 << integer(kinds[data[np.uintp(i)]])
    if every < 128:
        return first, stop, stop - first if _is_word(seen) else 0
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
    return first, stop, length if _is_word(seen) else 0


@njit
def _is_word(seen: int) -> bool:
    """Return whether the kinds of letters seen in a token, as bits, are those of a word."""
    return seen & _LETTERS != 0 and seen & _STRANGE == 0


@njit
def _character(data: Bytes, a: int, b: int, length: int, classes: Bytes, number: int) -> int:
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


@njit
def _choose(words: Words, chinese: bool, bits: np.uint64) -> int:
    """Return a word drawn by its share; -1 when there is none."""
    first = integer(words.chinese) if chinese else 0
    stop = integer(words.ends.size) if chinese else integer(words.chinese)
    if first == stop:
        return -1
    share = unit(bits)
    word = first + integer(words.guide[first + integer(share * (stop - first))])
    while words.ends[word] <= share:
        word += 1
    return word


@njit
def _write(words: Words, word: int, case: int, out: Bytes, o: int) -> int:
    """Write a word in one of its cases and return where it ends."""
    a = integer(words.offsets[3 * word + case])
    return copy_word(words.data, a, integer(words.offsets[3 * word + case + 1]), out, o)


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
            a, b, length = core(
                data, integer(bounds[2 * t]), integer(bounds[2 * t + 1]), classes, kinds
            )
            if length > 0:
                o = copy(data, a, b, out, o)
                count += 1
                out_offsets[count] = o
    return out[:o], out_offsets[: count + 1]
