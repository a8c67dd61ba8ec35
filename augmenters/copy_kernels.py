"""The compiled copying of short runs of bytes, of which views are made."""

from typing import Any

import numpy as np
from numba.core import cgutils, types
from numba.extending import intrinsic

from pairsmith.augmenters.compiled import njit
from pairsmith.augmenters.plans import Bytes


def _copying(typing: Any, source: Any, i: Any, out: Any, o: Any, size: Any) -> Any:
    """Return the type of copying `size` bytes, and what writes its code: one load, one store."""
    if not isinstance(size, types.IntegerLiteral):
        return None

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        source, i, out, o, _ = arguments
        kinds = signature.args
        raw_memcpy: Any = cgutils.raw_memcpy
        given = context.make_array(kinds[0])(context, builder, source).data
        made = context.make_array(kinds[2])(context, builder, out).data
        count = context.get_constant(types.intp, size.literal_value)
        raw_memcpy(builder, builder.gep(made, [o]), builder.gep(given, [i]), count, 1)
        return context.get_dummy_value()

    return types.void(source, types.intp, out, types.intp, size), generate


_block: Any = intrinsic(prefer_literal=True)(_copying)
"""`_block(source, i, out, o, size)` copies source[i:i + size] to out[o:o + size]."""

SLACK = 64
"""So many bytes behind what they write `copy_word` and `copy_run` may overwrite."""


@njit
def copy(source: Bytes, start: int, end: int, out: Bytes, o: int) -> int:
    """Copy source[start:end] to out[o:] and return where it ends.

    The last block overlaps the one before it: a loop over what is left would end where no
    processor foresees it.
    """
    n = end - start
    if n >= 16:
        last = n - 16
        i = 0
        while i < last:
            _block(source, start + i, out, o + i, 16)
            i += 16
        _block(source, start + last, out, o + last, 16)
    elif n >= 8:
        _block(source, start, out, o, 8)
        _block(source, start + n - 8, out, o + n - 8, 8)
    elif n >= 4:
        _block(source, start, out, o, 4)
        _block(source, start + n - 4, out, o + n - 4, 4)
    elif n > 0:
        for i in (0, n >> 1, n - 1):
            out[np.uintp(o + i)] = source[np.uintp(start + i)]
    return o + n


@njit
def copy_word(source: Bytes, start: int, end: int, out: Bytes, o: int) -> int:
    """Copy source[start:end] as `copy` does, but write SLACK bytes of `out` at least.

    A word is seldom longer than one block, and how much shorter it is then nothing asks.
    """
    n = end - start
    if start + 16 > source.size:
        copy(source, start, end, out, o)
    else:
        _block(source, start, out, o, 16)
        if n > 16:
            copy(source, start + 16, end, out, o + 16)
    return o + n


@njit
def copy_run(source: Bytes, start: int, end: int, out: Bytes, o: int) -> int:
    """Copy source[start:end], some words, as `copy_word` does, but in larger blocks."""
    n = end - start
    if end + SLACK > source.size:
        copy(source, start, end, out, o)
    else:
        i = 0
        while i < n:
            _block(source, start + i, out, o + i, SLACK)
            i += SLACK
    return o + n
