"""Compiled loops that edit words where they stand: one pass over Arrow buffers.

What is not edited is copied in long runs. A word is hit with the rate asked for; only then is it
looked at.
"""

import numpy as np

from pairsmith.augmenters.case_kernels import AS_IT_IS, TITLE, case_for
from pairsmith.augmenters.characters import LEFT_CJK, RIGHT_CJK
from pairsmith.augmenters.compiled import kernel, njit
from pairsmith.augmenters.copy_kernels import SLACK, copy_run, copy_word
from pairsmith.augmenters.core_kernels import character_at, core
from pairsmith.augmenters.kernels import (
    MOST_BYTES,
    lengthened,
    longest,
    scan,
    would_merge,
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
)

_SPACE = 32
_LOW = np.uint64(2**32 - 1)


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
    rows = offsets.size - 1
    bounds = np.empty(longest(offsets) + 4, np.int32)
    edges = np.empty(bounds.size // 2, np.uint8)
    what = np.empty(edges.size, np.int32)
    room = longest(edit.words.offsets) + 2
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
        state = draw(keys[row], edit.operation)
        hits = list_hits(n, state, edit, bounds, edges, what)
        most = end - start + hits * room + SLACK
        if o + most > out.size:
            out = lengthened(out, o, most)
        o = write_edits(
            data, start, end, classes, kinds, bounds, edges, state, edit, what, hits, out, o
        )
        if o > MOST_BYTES:
            return out[:0], out_offsets[:0]
        out_offsets[row + 1] = o
    return out[:o], out_offsets


@njit
def list_hits(
    n: int,
    state: np.uint64,
    edit: Edit,
    bounds: Ints,
    edges: Bytes,
    what: Ints,
) -> int:
    """List the tokens that are hit and return their number."""
    if edit.operation == PUNCTUATE:
        hits = hit_some(n, state, edit.rate, what)
    else:
        hits = hit_each(n, state, np.uint64(edit.rate * 2.0**64), what)
    if edit.operation == SPLIT:
        hits = keep_long(what, hits, bounds, edges, edit.size, 2)
    return hits


@njit
def write_edits(
    data: Bytes,
    start: int,
    end: int,
    classes: Bytes,
    kinds: Bytes,
    bounds: Ints,
    edges: Bytes,
    state: np.uint64,
    edit: Edit,
    what: Ints,
    hits: int,
    out: Bytes,
    o: int,
) -> int:
    """Write a text with the tokens edited that are listed, and return where it ends."""
    op, _, size, words = edit
    copied = start
    for h in range(hits):
        t = integer(what[np.uintp(h)])
        own = draw(state, t)
        a = integer(bounds[np.uintp(2 * t)])
        b = integer(bounds[np.uintp(2 * t + 1)])
        if op == JOIN:
            if t > 0:
                o = copy_run(data, copied, integer(bounds[2 * t - 1]), out, o)
                copied = a
            continue
        if op in (PUNCTUATE, INSERT):
            chinese = edges[np.uintp(t)] & LEFT_CJK != 0
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
                out[np.uintp(o)] = _SPACE
                o += 1
            o = _write(words, word, case, out, o)
            if would_merge(edge, edges[np.uintp(t)]):
                out[np.uintp(o)] = _SPACE
                o += 1
            copied = a
            continue
        a, b, length, _ = core(data, a, b, classes, kinds)
        if length == 0:
            continue
        if op == SPLIT:
            chinese = edges[np.uintp(t)] & (LEFT_CJK | RIGHT_CJK) != 0
            if length >= (2 if chinese else size):
                i = character_at(data, a, b, length, classes, below(draw(own, 0), length - 1) + 1)
                o = copy_run(data, copied, i, out, o)
                out[np.uintp(o)] = _SPACE
                o += 1
                copied = i  # The rest is copied with what follows: one copy for each split.
            continue
        o = copy_run(data, copied, a, out, o)
        copied = b
        if op == SUBSTITUTE:
            chinese = edges[np.uintp(t)] & (LEFT_CJK | RIGHT_CJK) != 0
            word = _choose(words, chinese, draw(own, 0))
            if word >= 0:
                o = _write(words, word, case_for(data, a, b, kinds, t == 0), out, o)
                continue
        o = copy_word(data, a, b, out, o)
    return copy_run(data, copied, end, out, o)


@njit
def _choose(words: Words, chinese: bool, bits: np.uint64) -> int:
    """Return a word drawn by its share, with Walker's aliases; -1 when there is none."""
    first = words.chinese if chinese else words.first
    stop = words.stop if chinese else words.chinese
    word = -1
    if first < stop:
        word = first + below(bits, stop - first)
        alias = words.draws[np.uintp(word)]
        other = first + integer(alias >> np.uint64(32))
        word = word if (bits & _LOW) < (alias & _LOW) else other
    return word


@njit
def _write(words: Words, word: int, case: int, out: Bytes, o: int) -> int:
    """Write a word in one of its cases and return where it ends."""
    entry = 2 * words.first + case * (words.stop - words.first) + word
    a = integer(words.offsets[np.uintp(entry)])
    b = integer(words.offsets[np.uintp(entry + 1)])
    return copy_word(words.data, a, b, out, o)
