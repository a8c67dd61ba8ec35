"""What one rank is given: its share of every batch, and an iterator over what is made of these."""

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from xxhash import xxh3_64_hexdigest

from pairsmith.training.streaming.lookahead import Ints
from pairsmith.training.streaming.row_groups import IDENTITY
from pairsmith.training.streaming.window import Cursor, Window

Item = TypeVar("Item")


@dataclass(frozen=True)
class Share:
    """What one rank has of a global batch."""

    pairs: pa.RecordBatch
    """Its rows: the columns asked for, those that identify them, `weight` as it counts, and int32
    `dataset`, `row_group` (numbers among the order's) and `row` (in the row group)."""
    global_rows: int
    """Rows of the batch over all ranks."""
    source: int
    """The dataset of the batch; -1: several."""
    digest: str
    """Hash of the identities of the global batch: equal on all ranks."""
    cursor: Cursor
    """Where the next batch begins."""


class Stream(Iterator[Item], Generic[Item]):
    """An endless iterator over prepared shares; close it to end its threads."""

    def __init__(self, items: Iterator["Future[Item]"], pool: "ThreadPoolExecutor | None"):
        self._items = items
        self._pool = pool

    def __next__(self) -> Item:
        """Return the next item, or raise what its preparation raised."""
        return next(self._items).result()

    def close(self) -> None:
        """End the threads; what they have begun is finished and thrown away."""
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)


def share_of(
    window: Window, groups: npt.NDArray[np.int32], batch: int, own: Ints, pairs: pa.RecordBatch
) -> Share:
    """Return one rank's share of a batch of a window.

    groups: the dataset and row group of each segment, shape (segments, 2). own: its rows in the
    window; pairs: the columns asked for, of these rows.
    """
    members = window.members(batch)
    identity = [window.identity[name] for name in IDENTITY[:3]]
    source, group = groups[window.segment[own]].T
    columns = {name: window.identity[name][own] for name in IDENTITY}
    columns |= {"dataset": source, "row_group": group, "row": window.place[own].astype(np.int32)}
    for name, values in columns.items():
        pairs = pairs.append_column(name, pa.array(values))
    return Share(
        pairs=pairs,
        global_rows=len(members),
        source=int(window.sources[batch]),
        digest=xxh3_64_hexdigest(b"".join(column[members].tobytes() for column in identity)),
        cursor=window.after(batch),
    )
