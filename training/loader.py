"""Shards -> record batches, in an order that depends on nothing but (seed, epoch, manifests).

The row groups of all datasets are put in an order drawn for the epoch; each run of `window` of them
is shuffled row by row. So one window is all that is ever held, and a cursor (epoch, position)
finds its place without decoding what comes before its window.
"""

import queue
import threading
from collections.abc import Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from pairsmith.schemas import Dataset, UserError, subkeys

Item = TypeVar("Item")

TEXTS = ("anchor", "positive")
IDENTITY = ("group_id", "anchor_hash", "positive_hash", "weight")
NEGATIVES = ("negatives", "negative_info.list.element.source_id")
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_END = object()


@dataclass(frozen=True)
class Cursor:
    """A place in the endless order of samples: `position` rows of `epoch` have been taken."""

    epoch: int = 0
    position: int = 0


@dataclass(frozen=True)
class RowGroup:
    """One row group of one shard."""

    path: Path
    index: int
    rows: int


def row_groups(datasets: Sequence[Dataset]) -> tuple[RowGroup, ...]:
    """Return the row groups of all shards, in manifest order; only footers are read."""
    groups = []
    for path in (path for dataset in datasets for path in dataset.shards):
        with pq.ParquetFile(path) as file:
            rows = [file.metadata.row_group(i).num_rows for i in range(file.num_row_groups)]
        groups += [RowGroup(path, i, count) for i, count in enumerate(rows) if count]
    return tuple(groups)


def batches_per_epoch(rows: int, batch_size: int) -> int:
    """Return how many batches `stream` makes of `rows` rows: a last batch of one row is dropped."""
    return rows // batch_size + (rows % batch_size > 1)


def stream(
    groups: Sequence[RowGroup],
    cursor: Cursor,
    *,
    seed: int,
    batch_size: int,
    window: int,
    columns: Sequence[str] = TEXTS + IDENTITY,
) -> Iterator[tuple[pa.RecordBatch, Cursor]]:
    """Yield batches without end, each with the cursor after it.

    Batch k of an epoch holds rows [k * batch_size, (k + 1) * batch_size) of the epoch's order, so
    every row comes once in an epoch. The last batch may be smaller; a single row left over is not
    contrasted with anything and is passed over. Texts are large_string.
    Raises UserError when a shard cannot be read any more.
    """
    if sum(group.rows for group in groups) < 2:
        raise UserError("the data has fewer than 2 pairs; build a larger dataset")
    while True:
        taken, pieces = cursor.position, _epoch(groups, cursor, seed, window, columns)
        for batch in _rebatch(pieces, batch_size):
            taken += batch.num_rows
            yield batch, Cursor(cursor.epoch, taken)
        cursor = Cursor(cursor.epoch + 1)


def permutation(count: int, seed: int, epoch: int, number: int) -> npt.NDArray[np.int64]:
    """Return a random order of `count` things: the ranks of splitmix64 values, on every machine."""
    base = subkeys(subkeys(np.array([seed % 2**64], np.uint64), epoch), number)
    keys = subkeys(base + np.arange(count, dtype=np.uint64) * _GOLDEN, 0)
    return np.argsort(keys, kind="stable")


def prefetch(items: Iterable[Item], depth: int = 4) -> Generator[Item, None, None]:
    """Yield `items`, made up to `depth` ahead by one thread.

    An exception of `items` is raised here in its turn. Closing the generator stops the thread.
    """
    ready: queue.Queue[object] = queue.Queue(depth)
    stop = threading.Event()

    def put(thing: object) -> None:
        while not stop.is_set():
            try:
                ready.put(thing, timeout=0.1)
            except queue.Full:
                continue
            return

    def work() -> None:
        try:
            for item in items:
                put(item)
                if stop.is_set():
                    return
            put(_END)
        except BaseException as error:  # noqa: BLE001  raised again by the consumer
            put(_Failure(error))

    thread = threading.Thread(target=work, name="prefetch", daemon=True)
    thread.start()
    try:
        while (item := ready.get()) is not _END:
            if isinstance(item, _Failure):
                raise item.error
            yield item  # type: ignore[misc]
    finally:
        stop.set()
        thread.join()


@dataclass(frozen=True)
class _Failure:
    error: BaseException


def _epoch(
    groups: Sequence[RowGroup], cursor: Cursor, seed: int, window: int, columns: Sequence[str]
) -> Iterator[pa.Table]:
    """Yield the rows of the epoch from the cursor on, one table for each window."""
    order = [groups[i] for i in permutation(len(groups), seed, cursor.epoch, 0)]
    skip = cursor.position
    for number, start in enumerate(range(0, len(order), window)):
        members = order[start : start + window]
        rows = sum(group.rows for group in members)
        if skip >= rows:
            skip -= rows
            continue
        table = pa.concat_tables([_read(group, columns) for group in members]).combine_chunks()
        yield table.take(permutation(rows, seed, cursor.epoch, number + 1)[skip:])
        skip = 0


def _read(group: RowGroup, columns: Sequence[str]) -> pa.Table:
    try:
        with pq.ParquetFile(group.path) as file:
            table = file.read_row_group(group.index, columns=list(columns))
    except (OSError, pa.ArrowException) as error:
        raise UserError(f"{group.path} cannot be read any more ({error})") from error
    # 64-bit offsets: the texts of a window may pass 2 GiB.
    large = [pa.field(field.name, _large(field.type)) for field in table.schema]
    return table.cast(pa.schema(large))


def _large(kind: pa.DataType) -> pa.DataType:
    if pa.types.is_list(kind) and pa.types.is_string(kind.value_type):
        return pa.large_list(pa.large_string())
    return pa.large_string() if pa.types.is_string(kind) else kind


def _rebatch(tables: Iterable[pa.Table], size: int) -> Iterator[pa.RecordBatch]:
    held: list[pa.Table] = []
    rows = 0
    for table in tables:
        while rows + table.num_rows >= size:
            piece, table = table.slice(0, size - rows), table.slice(size - rows)
            yield _one([*held, piece])
            held, rows = [], 0
        if table.num_rows:
            held.append(table)
            rows += table.num_rows
    if rows > 1:
        yield _one(held)


def _one(tables: list[pa.Table]) -> pa.RecordBatch:
    return pa.concat_tables(tables).combine_chunks().to_batches()[0]
