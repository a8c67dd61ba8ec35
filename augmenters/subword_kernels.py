"""Compiled unigram sampling: a text's cut into subwords is drawn by its key.

A model is a trie of its pieces over UTF-8 bytes, and a score for each. Texts are normalised as
sentencepiece does, and cut where its own encoder might cut them.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from pairsmith.augmenters.compiled import kernel, njit
from pairsmith.augmenters.plans import Bytes, Ints, Keys, Longs, draw, integer, unit

Floats = npt.NDArray[np.float64]

SAMPLE = 16
"""Which draw of a key all others are counted from; operations on texts have the ones below."""
CHAR_BYTES = np.array([1] * 192 + [2] * 32 + [3] * 16 + [4] * 16, np.uint8)
"""Bytes of a character by its first one."""
_LOW = -1e300


class Trie(NamedTuple):
    """Pieces by their bytes: nodes from the root, 0, on."""

    starts: Ints
    """Children of node k are starts[k]:starts[k + 1]."""
    labels: Bytes
    children: Ints
    ids: Ints
    """The piece that ends at each node; -1 for none."""
    tables: Ints
    """The table of each node with many children; -1 for the others."""
    by_label: Ints
    """Shape (tables, 256): the child by its label; -1 for none."""


class Pieces(NamedTuple):
    """What the kernels know of a model."""

    trie: Trie
    scores: Floats
    """By id: log probability, or what orders merges."""
    ranks: Ints
    """By id: place among the scores, from the best; equal ones share it."""
    whole: Bytes
    """By id: 1 for a symbol of the user's, which is never cut nor merged; (0,) without any."""
    bytes_ids: Ints
    """The piece of each byte, shape (256,); or (0,) without byte fallback."""
    unknown: int
    unknown_score: float


@njit
def child(trie: Trie, node: int, label: int) -> int:
    """Return the child of a node by its label, or -1."""
    table = trie.tables[node]
    if table >= 0:
        return integer(trie.by_label[table, label])
    for edge in range(trie.starts[node], trie.starts[node + 1]):
        if trie.labels[edge] == label:
            return integer(trie.children[edge])
    return -1


@njit
def find(trie: Trie, data: Bytes, start: int, end: int) -> int:
    """Return the id of the piece data[start:end], or -1."""
    node = 0
    for i in range(start, end):
        node = child(trie, node, data[i])
        if node < 0:
            return -1
    return integer(trie.ids[node])


@njit
def symbol_at(pieces: Pieces, data: Bytes, start: int, stop: int) -> tuple[int, int]:
    """Return the longest symbol of the user's at data[start:stop], and its end; -1 for none."""
    found = -1
    end = start
    if pieces.whole.size:
        node = 0
        for i in range(start, stop):
            node = child(pieces.trie, node, data[i])
            if node < 0:
                break
            piece = integer(pieces.trie.ids[node])
            if piece >= 0 and pieces.whole[piece]:
                found = piece
                end = i + 1
    return found, end


@njit
def _emit_one(
    pieces: Pieces, data: Bytes, start: int, stop: int, piece: int, ids: Ints, ends: Ints, o: int
) -> int:
    """Write the piece data[start:stop], and return where the next goes.

    As sentencepiece does, what is unknown becomes bytes, or one unknown mark however long it is.
    """
    if piece != pieces.unknown:
        ids[o] = piece
    elif pieces.bytes_ids.size:
        for i in range(start, stop):
            ids[o] = pieces.bytes_ids[data[i]]
            ends[o] = i + 1
            o += 1
        return o
    elif o > 0 and ids[o - 1] == piece and ends[o - 1] == start:
        ends[o - 1] = stop
        return o
    else:
        ids[o] = piece
    ends[o] = stop
    return o + 1


@kernel
def sample_unigram(
    data: Bytes, offsets: Longs, keys: Keys, pieces: Pieces, alpha: float, nbest: int
) -> tuple[Ints, Ints, Longs]:
    """Return ids, their ends in data, and offsets of the lists: one segmentation x of each text.

    x has probability proportional to P(x) ** alpha: among all (nbest < 0), by forward filtering and
    backward sampling; or among the `nbest` likeliest.
    """
    rows = offsets.size - 1
    ids = np.empty(data.size + 1, np.int32)
    ends = np.empty(data.size + 1, np.int32)
    lists = np.zeros(rows + 1, np.int64)
    most = 0
    for row in range(rows):
        most = max(most, integer(offsets[row + 1] - offsets[row]))
    last = np.empty(most + 1, np.int32)
    total = np.empty(most + 1, np.float64)
    edges = np.empty((4 * most + 64, 3), np.int32)  # start, piece, the edge before to the same end
    chosen = np.empty(most + 1, np.int32)
    width = max(nbest, 1)
    best = np.empty((most + 1 if nbest > 0 else 0, width), np.float64)
    back = np.empty((most + 1 if nbest > 0 else 0, width, 2), np.int32)
    found = np.empty(most + 1, np.int32)
    heads = np.empty((most + 1, 2), np.int32)
    o = 0
    for row in range(rows):
        start = integer(offsets[row])
        n = integer(offsets[row + 1]) - start
        edges = _lattice(data, start, n, pieces, last, edges)
        state = draw(keys[row], SAMPLE)
        if nbest > 0:
            m = _among_best(n, pieces, last, edges, best, back, found, heads, state, alpha, chosen)
        else:
            m = _among_all(n, pieces, last, edges, total, state, alpha, chosen)
        first = o
        stop = start
        for j in range(m - 1, -1, -1):
            begin = stop
            stop = start + n if j == 0 else start + integer(edges[chosen[j - 1], 0])
            o = emit(pieces, data, begin, stop, edges[chosen[j], 1], ids, ends, o, first)
        lists[row + 1] = o
    return ids[:o], ends[:o], lists


@njit
def emit(
    pieces: Pieces,
    data: Bytes,
    start: int,
    stop: int,
    piece: int,
    ids: Ints,
    ends: Ints,
    o: int,
    first: int,
) -> int:
    """Write a piece of the list that begins at `first`: no mark joins one of the list before."""
    return first + _emit_one(pieces, data, start, stop, piece, ids[first:], ends[first:], o - first)


@kernel
def _lattice(data: Bytes, start: int, n: int, pieces: Pieces, last: Ints, edges: Ints) -> Ints:
    """Fill in the edges of the text data[start:start + n], and return them, grown if need be.

    last: by place, the last edge that ends there, or -1.
    """
    for i in range(n + 1):
        last[i] = -1
    k = 0
    i = 0
    while i < n:
        symbol, after = symbol_at(pieces, data, start + i, start + n)
        if symbol >= 0:
            # Paths that went on inside it end there.
            edges = _add(edges, k, i, symbol, last, after - start)
            k += 1
            i = after - start
            continue
        step = min(integer(CHAR_BYTES[data[start + i]]), n - i)
        single = False
        node = 0
        for j in range(i, n):
            node = child(pieces.trie, node, data[start + j])
            if node < 0:
                break
            piece = pieces.trie.ids[node]
            if piece >= 0:
                edges = _add(edges, k, i, piece, last, j + 1)
                k += 1
                single |= j + 1 - i == step
        if not single:
            edges = _add(edges, k, i, pieces.unknown, last, i + step)
            k += 1
        i += step
    return edges


@kernel
def _add(edges: Ints, k: int, start: int, piece: int, last: Ints, end: int) -> Ints:
    if k == edges.shape[0]:
        bigger = np.empty((2 * k, 3), np.int32)
        bigger[:k] = edges
        edges = bigger
    edges[k, 0] = start
    edges[k, 1] = piece
    edges[k, 2] = last[end]
    last[end] = k
    return edges


@njit
def _score(pieces: Pieces, piece: int) -> float:
    return pieces.unknown_score if piece == pieces.unknown else pieces.scores[piece]


@njit
def _among_all(
    n: int,
    pieces: Pieces,
    last: Ints,
    edges: Ints,
    total: Floats,
    state: np.uint64,
    alpha: float,
    chosen: Ints,
) -> int:
    """Draw a path among all; chosen: its edges from the last to the first. Return their number."""
    total[0] = 0.0
    for end in range(1, n + 1):
        high = _LOW
        e = integer(last[end])
        while e >= 0:
            high = max(high, total[edges[e, 0]] + alpha * _score(pieces, edges[e, 1]))
            e = integer(edges[e, 2])
        mass = 0.0
        e = integer(last[end])
        while e >= 0:
            mass += np.exp(total[edges[e, 0]] + alpha * _score(pieces, edges[e, 1]) - high)
            e = integer(edges[e, 2])
        total[end] = high + np.log(mass) if mass > 0 else _LOW
    m = 0
    end = n
    while end > 0:
        left = unit(draw(state, m))
        e = integer(last[end])
        chosen[m] = e
        while e >= 0:
            chosen[m] = e
            left -= np.exp(total[edges[e, 0]] + alpha * _score(pieces, edges[e, 1]) - total[end])
            if left < 0:
                break
            e = integer(edges[e, 2])
        end = integer(edges[chosen[m], 0])
        m += 1
    return m


@njit
def _among_best(
    n: int,
    pieces: Pieces,
    last: Ints,
    edges: Ints,
    best: Floats,
    back: Ints,
    found: Ints,
    heads: Ints,
    state: np.uint64,
    alpha: float,
    chosen: Ints,
) -> int:
    """Draw a path among the likeliest; chosen as above.

    best, back: by place and rank, the score of a path to there, its last edge and the rank before;
    found: how many there are. heads: scratch, the edges to a place and the next rank of each.
    """
    width = best.shape[1]
    best[0, 0] = 0.0
    found[0] = 1
    for end in range(1, n + 1):
        into = 0
        e = integer(last[end])
        while e >= 0:
            heads[into, 0] = e
            heads[into, 1] = 0
            into += 1
            e = integer(edges[e, 2])
        found[end] = 0
        while found[end] < width:
            top = -1
            score = _LOW
            for h in range(into):
                e = integer(heads[h, 0])
                start = integer(edges[e, 0])
                if heads[h, 1] < found[start]:
                    here = best[start, heads[h, 1]] + _score(pieces, edges[e, 1])
                    if top < 0 or here > score:
                        top = h
                        score = here
            if top < 0:
                break
            best[end, found[end]] = score
            back[end, found[end], 0] = heads[top, 0]
            back[end, found[end], 1] = heads[top, 1]
            heads[top, 1] += 1
            found[end] += 1
    mass = 0.0
    for rank in range(found[n]):
        mass += np.exp(alpha * (best[n, rank] - best[n, 0]))
    left = unit(draw(state, 0)) * mass
    rank = 0
    while rank + 1 < found[n]:
        left -= np.exp(alpha * (best[n, rank] - best[n, 0]))
        if left < 0:
            break
        rank += 1
    m = 0
    end = n
    while end > 0:
        chosen[m] = back[end, rank, 0]
        rank = integer(back[end, rank, 1])
        end = integer(edges[chosen[m], 0])
        m += 1
    return m
