"""Dropout and span masking of token ids, for whoever has lists of ids already.

Lists are values and offsets, as in Arrow: list i is values[offsets[i]:offsets[i + 1]].
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from pairsmith.augmenters.buffers import check_keys, read_only
from pairsmith.augmenters.operations import DROP, SPANS, check_rate, check_spans
from pairsmith.schemas import require

IdLists = tuple[npt.NDArray[np.int32], npt.NDArray[np.int64]]
_NO_MARKS: npt.NDArray[np.int32] = np.empty(0, np.int32)


def drop_ids(
    values: npt.NDArray[np.int32],
    offsets: npt.NDArray[np.integer[Any]],
    keys: npt.NDArray[np.uint64],
    p: float,
) -> IdLists:
    """Return the lists with each id deleted with probability `p`; no list becomes empty.

    keys: uint64, shape (len(offsets) - 1,). Returns int32 values and int64 offsets.
    Raises ValueError unless 0 <= p < 1 and the arrays fit each other.
    """
    check_rate(p)
    return _rewrite(values, offsets, keys, DROP, p, 0.0, _NO_MARKS)


def mask_id_spans(
    values: npt.NDArray[np.int32],
    offsets: npt.NDArray[np.integer[Any]],
    keys: npt.NDArray[np.uint64],
    *,
    density: float = 0.15,
    mean_length: float = 3.0,
    marks: npt.NDArray[np.int32] = _NO_MARKS,
) -> IdLists:
    """Return the lists with spans of ids masked as T5 does (arXiv 1910.10683); see `SpanMask`.

    marks: ids that stand for the first span of a list, the second, …; further spans get the last.
    So T5's sentinels or one mask token; with none, spans are deleted. At least one id stays.
    keys: uint64, shape (len(offsets) - 1,). Returns int32 values and int64 offsets.
    Raises ValueError for settings out of range and arrays that do not fit each other.
    """
    check_spans(density, mean_length)
    return _rewrite(values, offsets, keys, SPANS, density, mean_length, marks)


def _rewrite(
    values: npt.NDArray[np.int32],
    offsets: npt.NDArray[np.integer[Any]],
    keys: npt.NDArray[np.uint64],
    operation: int,
    low: float,
    high: float,
    marks: npt.NDArray[np.int32],
) -> IdLists:
    for name, ids in (("values", values), ("marks", marks)):
        if ids.dtype != np.int32 or ids.ndim != 1:
            raise ValueError(f"{name} must be a flat int32 array, not {ids.dtype} {ids.shape}")
    ends = np.asarray(offsets, np.int64)
    if ends.ndim != 1 or not ends.size or ends[0] < 0 or ends[-1] > values.size:
        raise ValueError(f"offsets must be a flat array within [0, {values.size}]")
    if (np.diff(ends) < 0).any():
        raise ValueError("offsets must not decrease")
    require("numba", extra="build")
    from pairsmith.augmenters.id_kernels import rewrite_ids

    lists: IdLists = rewrite_ids(
        read_only(values),
        read_only(ends),
        check_keys(keys, ends.size - 1),
        operation,
        float(low),
        float(high),
        read_only(marks),
    )
    return lists
