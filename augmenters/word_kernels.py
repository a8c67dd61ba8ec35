"""The compiled loop behind all word augmenters: cut a text, plan its tokens anew, write it."""

import numpy as np

from pairsmith.augmenters.characters import LEFT_CJK, RIGHT_CJK
from pairsmith.augmenters.compiled import kernel, njit
from pairsmith.augmenters.copy_kernels import SLACK, copy, copy_run, copy_word
from pairsmith.augmenters.kernels import MOST_BYTES, lengthened, longest, scan, would_merge
from pairsmith.augmenters.operations import (
    CROP,
    DROP,
    REPEAT,
    SHUFFLE,
    SPANS,
    SWAP,
    SWAP_ANYWHERE,
    Marks,
    Pieces,
    Plan,
)
from pairsmith.augmenters.plans import (
    BLOCK,
    Bytes,
    Ints,
    Keys,
    Longs,
    draw,
    integer,
    plan_crop,
    plan_drop,
    plan_repeat,
    plan_shuffle,
    plan_spans,
    plan_swap,
    plan_swap_anywhere,
)

_SPACE = 32
_DIGITS = 10


@kernel
def rewrite(
    data: Bytes,
    offsets: Ints,
    valid: Bytes,
    keys: Keys,
    classes: Bytes,
    inside: Bytes,
    pieces: Pieces,
    plan: Plan,
) -> tuple[Bytes, Ints]:
    """Return the rewritten texts as (bytes, int32 offsets); no offsets at all beyond 2 GiB.

    Tokens are what `scan` finds; or, when `pieces` holds any text, what it says, and those are
    written side by side without spaces of ours.
    """
    bounds_of_pieces, firsts = pieces
    op, low, high, size, marks = plan
    rows = offsets.size - 1
    bounds = np.empty((2 if firsts.size else 1) * longest(offsets) + 4, np.int32)
    edges = np.empty(bounds.size // 2, np.uint8)
    moves = op in (SHUFFLE, SWAP, SWAP_ANYWHERE)
    # Before the first token stand as many as can be before any: see plan_shuffle.
    order = np.full(2 * size + edges.size + 3 * BLOCK if moves else 0, -1, np.int64)
    ranks = np.empty(order.size if op == SHUFFLE else 0, np.int64)
    what = np.empty(bounds.size + BLOCK, np.int32)
    gap = what if op == DROP else np.empty(bounds.size, np.int32)
    out = np.empty(integer(offsets[rows]) - offsets[0] + SLACK, np.uint8)
    out_offsets = np.zeros(rows + 1, np.int32)
    mark_bytes = marks[0].size + marks[1].size + _DIGITS + 2
    marked = marks[0].size > 0
    o = 0
    for row in range(rows):
        if valid.size and not valid[row]:
            out_offsets[row + 1] = o
            continue
        start = integer(offsets[row])
        end = integer(offsets[row + 1])
        if firsts.size:
            n = _take_pieces(bounds_of_pieces, firsts, row, bounds, edges)
        else:
            n = scan(data, start, end, classes, inside, bounds, edges)
        state = draw(keys[row], op)
        m = plan_text(n, state, op, low, high, size, marked, order, ranks, what, gap)
        # Each token may get a space; what is said twice has two.
        most = 2 * (end - start + n) if op == REPEAT else end - start + n
        most += SLACK + (mark_bytes * m if marked else 0)
        if o + most > out.size:
            out = lengthened(out, o, most)
        o = write_text(data, start, end, bounds, edges, n, m, op, what, gap, marks, out, o)
        if o > MOST_BYTES:
            return out[:0], out_offsets[:0]
        out_offsets[row + 1] = o
    return out[:o], out_offsets


@njit
def plan_text(
    n: int,
    state: np.uint64,
    op: int,
    low: float,
    high: float,
    size: int,
    marked: bool,
    order: Longs,
    ranks: Longs,
    what: Ints,
    gap: Ints,
) -> int:
    """Plan a text of n tokens by an operation and its settings, and return the plan's length.

    order, ranks: scratch, see `plan_shuffle`. gap: of DROP, `what` itself.
    """
    m = n
    if n == 0:
        pass
    elif op == DROP:
        m = plan_drop(n, state, low, what)
    elif op == SPANS:
        m = plan_spans(n, state, low, high, marked, what, gap)
    elif op == CROP:
        m = plan_crop(n, state, low, high, size, what, gap)
    elif op == SHUFFLE:
        plan_shuffle(n, state, size, order, ranks, what)
    elif op == SWAP:
        plan_swap(n, state, low, what)
    elif op == SWAP_ANYWHERE:
        plan_swap_anywhere(n, state, low, order, what)
    else:
        m = plan_repeat(n, state, low, what, gap)
    return m


@njit
def write_text(
    data: Bytes,
    start: int,
    end: int,
    bounds: Ints,
    edges: Bytes,
    n: int,
    m: int,
    op: int,
    what: Ints,
    gap: Ints,
    marks: Marks,
    out: Bytes,
    o: int,
) -> int:
    """Write a text of n tokens by its plan of m at out[o:] and return where it ends."""
    if n == 0:
        o = copy(data, start, end, out, o)
    elif op in (SHUFFLE, SWAP, SWAP_ANYWHERE):
        o = _write_moved(data, start, end, bounds, edges, n, what, out, o)
    else:
        bare = op == CROP and m < n
        o = _write(data, start, end, bounds, edges, n, what, gap, m, out, o, marks, bare)
    return o


@njit
def _take_pieces(pieces: Ints, firsts: Ints, row: int, bounds: Ints, edges: Bytes) -> int:
    """Copy the bounds of a text's pieces and return their number; nothing parts CJK edges."""
    first = integer(firsts[row])
    n = integer(firsts[row + 1]) - first
    for t in range(n):
        bounds[2 * t] = pieces[2 * (first + t)]
        bounds[2 * t + 1] = pieces[2 * (first + t) + 1]
        edges[t] = LEFT_CJK | RIGHT_CJK
    return n


@njit
def _write_moved(
    data: Bytes,
    start: int,
    end: int,
    bounds: Ints,
    edges: Bytes,
    n: int,
    what: Ints,
    out: Bytes,
    o: int,
) -> int:
    """Write a text whose tokens changed places but not its spaces, and return where it ends.

    All tokens one by one: which of them moved no processor foresees.
    """
    before = start
    for j in range(n):
        t = integer(what[np.uintp(j)])
        a = integer(bounds[np.uintp(2 * j)])
        if a - before == 1:
            out[np.uintp(o)] = data[np.uintp(before)]
            o += 1
        elif a > before:
            o = copy(data, before, a, out, o)
        elif j > 0 and would_merge(edges[np.uintp(what[np.uintp(j - 1)])], edges[np.uintp(t)]):
            out[np.uintp(o)] = _SPACE
            o += 1
        first = integer(bounds[np.uintp(2 * t)])
        o = copy_word(data, first, integer(bounds[np.uintp(2 * t + 1)]), out, o)
        before = integer(bounds[np.uintp(2 * j + 1)])
    return copy_word(data, before, end, out, o)


@njit
def _write(
    data: Bytes,
    start: int,
    end: int,
    bounds: Ints,
    edges: Bytes,
    n: int,
    what: Ints,
    gap: Ints,
    m: int,
    out: Bytes,
    o: int,
    marks: Marks,
    bare: bool,
) -> int:
    """Write a plan of m > 0 places at out[o:] and return where it ends.

    Space around the text stays unless `bare`. marks: (prefix, suffix,
    numbered, edge); a mark is prefix, its number if numbered, suffix.
    """
    prefix, suffix, numbered, mark_edge = marks
    number = 0
    before = 0
    if not bare:
        o = copy_word(data, start, integer(bounds[0]), out, o)
    j = 0
    while j < m:
        t = what[j]
        edge = mark_edge if t < 0 else edges[t]
        if j > 0:
            g = gap[j]
            if g > 0 and bounds[2 * g - 1] < bounds[2 * g]:
                o = copy_word(data, integer(bounds[2 * g - 1]), integer(bounds[2 * g]), out, o)
            elif would_merge(before, edge):
                out[o] = _SPACE
                o += 1
        j += 1
        if t < 0:
            o = copy(prefix, 0, prefix.size, out, o)
            if numbered:
                o = _write_number(number, out, o)
                number += 1
            o = copy(suffix, 0, suffix.size, out, o)
            before = edge
        else:
            first = bounds[2 * t]
            while j < m and what[j] == t + 1 and gap[j] == t + 1:
                t += 1
                j += 1
            o = copy_run(data, integer(first), integer(bounds[2 * t + 1]), out, o)
            before = edges[t]
    if not bare:
        o = copy_word(data, integer(bounds[2 * n - 1]), end, out, o)
    return o


@njit
def _write_number(number: int, out: Bytes, o: int) -> int:
    """Write a number >= 0 in decimal and return where it ends."""
    digits = 1
    rest = number
    while rest > 9:
        rest //= 10
        digits += 1
    for i in range(digits):
        out[o + digits - 1 - i] = 48 + number % 10
        number //= 10
    return o + digits
