"""Compiled loops over lists of token ids, and over what sentencepiece says of a text's pieces."""

import numpy as np

from pairsmith.augmenters.characters import SPACE
from pairsmith.augmenters.compiled import kernel, njit
from pairsmith.augmenters.kernels import decode
from pairsmith.augmenters.operations import DROP, SPANS
from pairsmith.augmenters.plans import (
    Bytes,
    Ints,
    Keys,
    Longs,
    draw,
    integer,
    plan_drop,
    plan_spans,
)

_VARINT, _FIXED64, _LENGTH, _FIXED32 = 0, 1, 2, 5
_PIECES = 2
_BEGIN = 4
_END = 5


@kernel
def rewrite_ids(
    values: Ints, offsets: Longs, keys: Keys, op: int, low: float, high: float, marks: Ints
) -> tuple[Ints, Longs]:
    """Return the rewritten lists as (values, offsets): ids dropped, or spans of them masked.

    marks: span j of a list becomes marks[j], the last one when there are more spans; none: nothing.
    """
    rows = offsets.size - 1
    most = 0
    for row in range(rows):
        most = max(most, integer(offsets[row + 1] - offsets[row]))
    what = np.empty(most + 1, np.int32)
    gap = np.empty(most + 1, np.int32)
    out = np.empty(integer(offsets[rows]) - offsets[0], np.int32)
    out_offsets = np.zeros(rows + 1, np.int64)
    o = 0
    for row in range(rows):
        first = integer(offsets[row])
        n = integer(offsets[row + 1]) - first
        m = 0
        if n > 0 and op == DROP:
            m = plan_drop(n, draw(keys[row], DROP), low, what)
        elif n > 0:
            m = plan_spans(n, draw(keys[row], SPANS), low, high, marks.size > 0, what, gap)
        spans = 0
        for j in range(m):
            if what[j] >= 0:
                out[o] = values[first + what[j]]
            else:
                out[o] = marks[min(spans, marks.size - 1)]
                spans += 1
            o += 1
        out_offsets[row + 1] = o
    return out[:o], out_offsets


@kernel
def piece_bounds(
    data: Bytes, offsets: Ints, classes: Bytes, protos: Bytes, proto_offsets: Longs
) -> tuple[Ints, Ints]:
    """Return where the pieces of each text stand in data, and each text's first one.

    protos: one serialized SentencePieceText per text. Space before a piece is not part of it; a
    piece that is nothing else (a lone "▁", all bytes of a character but the last) is left out.
    """
    rows = offsets.size - 1
    bounds = np.empty(protos.size // 4 + 2, np.int32)  # Two for a piece of at least eight bytes.
    firsts = np.zeros(rows + 1, np.int32)
    n = 0
    for row in range(rows):
        start = integer(offsets[row])
        end = integer(offsets[row + 1])
        i = integer(proto_offsets[row])
        while i < proto_offsets[row + 1]:
            tag, i = _varint(protos, i)
            if tag != (_PIECES << 3 | _LENGTH):
                i = _skip(protos, i, tag & 7)
                continue
            size, i = _varint(protos, i)
            stop = i + size
            a = 0
            b = 0
            while i < stop:
                tag, i = _varint(protos, i)
                if tag == _BEGIN << 3:
                    a, i = _varint(protos, i)
                elif tag == _END << 3:
                    b, i = _varint(protos, i)
                else:
                    i = _skip(protos, i, tag & 7)
            a += start
            b = min(b + start, end)
            while a < b:
                point, width = decode(data, a, b)
                if classes[point] != SPACE:
                    bounds[2 * n] = a
                    bounds[2 * n + 1] = b
                    n += 1
                    break
                a += width
        firsts[row + 1] = n
    return bounds[: 2 * n], firsts


@njit
def _varint(protos: Bytes, i: int) -> tuple[int, int]:
    """Return the base-128 number at byte i and where it ends."""
    number = 0
    shift = 0
    while protos[i] > 127:
        number |= (integer(protos[i]) & 127) << shift
        shift += 7
        i += 1
    return number | integer(protos[i]) << shift, i + 1


@njit
def _skip(protos: Bytes, i: int, wire: int) -> int:
    """Return where the field ends whose value of this wire type begins at byte i."""
    if wire == _FIXED64:
        return i + 8
    if wire == _FIXED32:
        return i + 4
    size, i = _varint(protos, i)
    return i + size if wire == _LENGTH else i
