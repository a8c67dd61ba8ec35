"""The order of the pairs of a shard, and where its row groups begin."""

from binascii import unhexlify
from collections.abc import Iterable, Iterator

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
    digits = texts.data
    return np.frombuffer(unhexlify(digits.tobytes()), ">u8")[::2].astype(np.uint64)


def cut_row_groups(tables: Iterable[pa.Table]) -> Iterator[pa.Table]:
    """Yield the rows of tables by row groups."""
    left, rows = list[pa.Table](), 0
    for table in tables:
        left.append(table)
        rows += len(table)
        while rows >= ROW_GROUP_ROWS:
            all_left = pa.concat_tables(left)
            yield all_left.slice(0, ROW_GROUP_ROWS).combine_chunks()
            left, rows = [all_left.slice(ROW_GROUP_ROWS)], rows - ROW_GROUP_ROWS
    if rows:
        yield pa.concat_tables(left).combine_chunks()
