"""The compiled loop behind a choice of word augmenters: each text by the one that its key chose.

In one pass, so that no text is moved before its view is made, and no view after.
"""

import numpy as np

from pairsmith.augmenters.compiled import kernel, njit
from pairsmith.augmenters.copy_kernels import SLACK
from pairsmith.augmenters.edit_kernels import list_hits, write_edits
from pairsmith.augmenters.kernels import MOST_BYTES, lengthened, longest, scan
from pairsmith.augmenters.operations import (
    CHOOSING,
    DROP,
    NO_MARKS,
    PUNCTUATE,
    SHUFFLE,
    Choice,
    Edit,
    Words,
)
from pairsmith.augmenters.plans import BLOCK, Bytes, Ints, Keys, Longs, draw, integer, unit
from pairsmith.augmenters.word_kernels import plan_text, write_text


@kernel
def rewrite_by_choice(
    data: Bytes,
    offsets: Ints,
    valid: Bytes,
    keys: Keys,
    classes: Bytes,
    kinds: Bytes,
    inside: Bytes,
    choice: Choice,
) -> tuple[Bytes, Ints]:
    """Return the views as (bytes, int32 offsets); no offsets at all beyond 2 GiB.

    The view of a text is that which its operation makes of the subkey of its number.
    """
    rows = offsets.size - 1
    bounds = np.empty(longest(offsets) + 4, np.int32)
    edges = np.empty(bounds.size // 2, np.uint8)
    most_size = choice.sizes.max()
    ranks = np.empty(edges.size + most_size + 3 * BLOCK, np.int64)
    # No plan writes to the first `most_size` of it: they stand before the first token of a shuffle.
    places = np.full(ranks.size + most_size, -1, np.int64)
    what = np.empty(bounds.size + BLOCK, np.int32)
    gap = np.empty(what.size, np.int32)
    room = longest(choice.words.offsets) + 2
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
        drawn = unit(draw(keys[row], CHOOSING))
        number = 0
        for end_of_share in choice.ends:
            number += drawn >= end_of_share
        op = choice.operations[number]
        state = draw(draw(keys[row], number), op)
        m = _plan(n, state, choice, number, bounds, edges, places, ranks, what, gap)
        most = 2 * (end - start + n) + SLACK + (m * room if op >= PUNCTUATE else 0)
        if o + most > out.size:
            out = lengthened(out, o, most)
        o = _write(
            data,
            start,
            end,
            classes,
            kinds,
            bounds,
            edges,
            n,
            m,
            state,
            choice,
            number,
            what,
            gap,
            out,
            o,
        )
        if o > MOST_BYTES:
            return out[:0], out_offsets[:0]
        out_offsets[row + 1] = o
    return out[:o], out_offsets


@njit
def _edit_of(choice: Choice, number: int) -> Edit:
    """Return an operation that edits words where they stand."""
    words = Words(
        choice.words.data,
        choice.words.offsets,
        choice.words.draws,
        choice.ranges[number, 0],
        choice.ranges[number, 1],
        choice.ranges[number, 2],
    )
    return Edit(choice.operations[number], choice.lows[number], choice.sizes[number], words)


@njit
def _plan(
    n: int,
    state: np.uint64,
    choice: Choice,
    number: int,
    bounds: Ints,
    edges: Bytes,
    places: Longs,
    ranks: Longs,
    what: Ints,
    gap: Ints,
) -> int:
    """Plan a text by an operation: return the length of its plan, or the number of edits."""
    op = choice.operations[number]
    if op >= PUNCTUATE:
        m = list_hits(n, state, _edit_of(choice, number), bounds, edges, what)
    else:
        low, high, size = choice.lows[number], choice.highs[number], choice.sizes[number]
        margin = places.size - ranks.size
        own = places[margin - size :] if op == SHUFFLE else places[margin:]
        m = plan_text(n, state, op, low, high, size, False, own, ranks, what, gap)
    return m


@njit
def _write(
    data: Bytes,
    start: int,
    end: int,
    classes: Bytes,
    kinds: Bytes,
    bounds: Ints,
    edges: Bytes,
    n: int,
    m: int,
    state: np.uint64,
    choice: Choice,
    number: int,
    what: Ints,
    gap: Ints,
    out: Bytes,
    o: int,
) -> int:
    """Write a text as planned and return where it ends."""
    op = choice.operations[number]
    if op >= PUNCTUATE:
        edit = _edit_of(choice, number)
        o = write_edits(
            data, start, end, classes, kinds, bounds, edges, state, edit, what, m, out, o
        )
    else:
        gap = what if op == DROP else gap
        o = write_text(data, start, end, bounds, edges, n, m, op, what, gap, NO_MARKS, out, o)
    return o
