"""Compiled BPE-dropout: which merges a text is cut by is drawn by its key."""

import numpy as np

from pairsmith.augmenters.compiled import kernel, njit
from pairsmith.augmenters.plans import Bytes, Ints, Keys, Longs, draw, integer, unit
from pairsmith.augmenters.subword_kernels import CHAR_BYTES, SAMPLE, Pieces, emit, find, symbol_at


@kernel
def sample_bpe(
    data: Bytes, offsets: Longs, keys: Keys, pieces: Pieces, dropout: float
) -> tuple[Ints, Ints, Longs]:
    """Return ids, their ends in data, and offsets of the lists: merges dropped at random.

    Each merge that is due, the best first, is left out with probability `dropout` (BPE-dropout,
    arXiv 1910.13267) until one of its sides has changed, as sentencepiece has it.
    """
    rows = offsets.size - 1
    ids = np.empty(data.size + 1, np.int32)
    ends = np.empty(data.size + 1, np.int32)
    lists = np.zeros(rows + 1, np.int64)
    most = 0
    for row in range(rows):
        most = max(most, integer(offsets[row + 1] - offsets[row]))
    bounds = np.empty((most + 1, 2), np.int32)
    links = np.empty((most + 1, 2), np.int32)
    frozen = np.empty(most + 1, np.uint8)
    # Each of n symbols brings one merge, and each of n - 1 merges at most two.
    heap = np.empty((3 * most + 2, 3), np.int32)
    o = 0
    for row in range(rows):
        start = integer(offsets[row])
        stop = integer(offsets[row + 1])
        count = _symbols(data, start, stop, pieces, bounds, links, frozen)
        state = draw(keys[row], SAMPLE)
        due = 0
        for left in range(count - 1):
            due = _offer(heap, due, left, left + 1, data, pieces, bounds, frozen)
        counter = 0
        while due > 0:
            left = integer(heap[0, 1])
            size = integer(heap[0, 2])
            due = _pop(heap, due)
            right = integer(links[left, 1])
            # Either side may have been merged with something else since.
            if bounds[left, 0] == bounds[left, 1] or right < 0:
                continue
            if bounds[right, 1] - bounds[left, 0] != size:
                continue
            counter += 1
            if unit(draw(state, counter)) < dropout:
                continue
            bounds[left, 1] = bounds[right, 1]
            bounds[right, 0] = bounds[right, 1]
            before = integer(links[left, 0])
            after = integer(links[right, 1])
            links[left, 1] = after
            if before >= 0:
                due = _offer(heap, due, before, left, data, pieces, bounds, frozen)
            if after >= 0:
                links[after, 0] = left
                due = _offer(heap, due, left, after, data, pieces, bounds, frozen)
        first = o
        at = 0 if count else -1
        while at >= 0:
            begin = integer(bounds[at, 0])
            end = integer(bounds[at, 1])
            piece = find(pieces.trie, data, begin, end)
            piece = pieces.unknown if piece < 0 else piece
            o = emit(pieces, data, begin, end, piece, ids, ends, o, first)
            at = integer(links[at, 1])
        lists[row + 1] = o
    return ids[:o], ends[:o], lists


@njit
def _symbols(
    data: Bytes, start: int, stop: int, pieces: Pieces, bounds: Ints, links: Ints, frozen: Bytes
) -> int:
    """Cut a text into characters and symbols of the user's, and return their number."""
    count = 0
    i = start
    while i < stop:
        symbol, end = symbol_at(pieces, data, i, stop)
        frozen[count] = symbol >= 0
        if symbol < 0:
            end = i + min(integer(CHAR_BYTES[data[i]]), stop - i)
        bounds[count, 0] = i
        bounds[count, 1] = end
        links[count, 0] = count - 1
        links[count, 1] = count + 1
        count += 1
        i = end
    if count:
        links[count - 1, 1] = -1
    return count


@njit
def _offer(
    heap: Ints,
    due: int,
    left: int,
    right: int,
    data: Bytes,
    pieces: Pieces,
    bounds: Ints,
    frozen: Bytes,
) -> int:
    """Put the merge of two symbols on the heap, if the model has it, and return the heap's size.

    heap: rank of the merge, left symbol, bytes of both; the least rank and then the first is next.
    """
    if frozen[left] or frozen[right]:
        return due
    begin = integer(bounds[left, 0])
    end = integer(bounds[right, 1])
    piece = find(pieces.trie, data, begin, end)
    if piece < 0:
        return due
    rank = integer(pieces.ranks[piece])
    at = due
    while at > 0:
        above = (at - 1) >> 1
        if not _before(rank, left, heap[above, 0], heap[above, 1]):
            break
        _move(heap, above, at)
        at = above
    heap[at, 0] = rank
    heap[at, 1] = left
    heap[at, 2] = end - begin
    return due + 1


@njit
def _pop(heap: Ints, due: int) -> int:
    """Take the next merge off the heap, and return the heap's size."""
    due -= 1
    at = 0
    while 2 * at + 1 < due:
        below = 2 * at + 1
        if below + 1 < due and _before(
            heap[below + 1, 0], heap[below + 1, 1], heap[below, 0], heap[below, 1]
        ):
            below += 1
        if not _before(heap[below, 0], heap[below, 1], heap[due, 0], heap[due, 1]):
            break
        _move(heap, below, at)
        at = below
    _move(heap, due, at)
    return due


@njit
def _move(heap: Ints, source: int, to: int) -> None:
    for field in range(3):  # Not heap[to] = heap[source], which makes views.
        heap[to, field] = heap[source, field]


@njit
def _before(rank: int, left: int, other_rank: int, other_left: int) -> bool:
    return rank < other_rank or (rank == other_rank and left < other_left)
