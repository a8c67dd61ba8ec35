"""The pairs of a shard in their order, a row group at a time, so that there is no second copy."""

from binascii import unhexlify
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from pairsmith.augmenters.buffers import string_buffers
from pairsmith.schemas import ROW_GROUP_ROWS


def in_order(*pair_ids: pa.StringArray) -> npt.NDArray[np.int64]:
    """Return the order of pair ids, as if all stood in one array.

    By the first half of their 32 hex digits, as a number: numpy sorts those three times as fast.
    """
    numbers = np.concatenate([_first_halves(ids) for ids in pair_ids])
    order = np.argsort(numbers)
    ordered = numbers[order]
    if (ordered[1:] == ordered[:-1]).any():  # then the second halves decide
        order = pc.sort_indices(pa.chunked_array(pair_ids)).to_numpy().astype(np.int64)
    return order


def _first_halves(pair_ids: pa.StringArray) -> npt.NDArray[np.uint64]:
    texts = string_buffers(pair_ids)
    digits = texts.data[texts.offsets[0] : texts.offsets[-1]]
    return np.frombuffer(unhexlify(digits.tobytes()), ">u8")[::2].astype(np.uint64)


def cut_row_groups(table: pa.Table) -> Iterator[pa.Table]:
    """Yield the rows of a table by row groups."""
    for start in range(0, len(table), ROW_GROUP_ROWS):
        yield table.slice(start, ROW_GROUP_ROWS).combine_chunks()
