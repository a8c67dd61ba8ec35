"""Filling one shard: its blocks become sorted pairs, its files are written under final names."""

import hashlib
import io
from collections.abc import Iterable, Iterator
from contextlib import closing
from typing import Any, BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pairsmith.pipelines.accounts import ShardResult, count_shard
from pairsmith.pipelines.batches import COLUMN_BYTES, column_bytes, joined
from pairsmith.pipelines.pairing.made import Made
from pairsmith.pipelines.pairing.pairs import list_units, make_pairs
from pairsmith.pipelines.pairing.rejected import PLAIN_REJECTED, plain
from pairsmith.pipelines.reading.blocks import BLOCKS
from pairsmith.pipelines.recipe.negatives import RandomNegatives, add_random
from pairsmith.pipelines.recipe.recipe import Recipe
from pairsmith.pipelines.recipe.token_ids import add_ids
from pairsmith.pipelines.shards.parts import SCHEMAS, Tag
from pairsmith.pipelines.shards.row_groups import cut_row_groups
from pairsmith.pipelines.shards.runs import Runs
from pairsmith.pipelines.storage.files import join, write_file
from pairsmith.schemas import REJECTED, ROW_GROUP_ROWS, ShardFile, UserError

_REPEATING = [
    "kind",
    "anchor_view",
    "positive_view",
    "lang",
    "label",
    "source_id",
    "stage",
    "reason",
    "negative_info.list.element.kind",
    # What several kinds of pairs are made of.
    "anchor",
    "unit",
    "group_id",
]
_BUFFER_BYTES = 256 << 10
"""Of a file: Parquet writes in many small pieces."""
_REJECTED_ORDER = [(name, "ascending") for name in PLAIN_REJECTED.names]


def fill_shard(
    number: int,
    parts: Iterable[tuple[Tag, pa.RecordBatch]],
    recipe: Recipe,
    output: str,
    batch_units: int,
    scratch: str | None = None,
) -> ShardResult:
    """Make and write the files of one shard from all its parts, in whatever order they come.

    batch_units: about how many units are augmented at a time; it does not change the result.
    scratch: the local folder where pairs wait that memory need not hold, instead of the system's.
    Every file is written under a temporary name and renamed, so it is whole or not there.
    Raises UserError for a shard that is too large.
    """
    batches: dict[Tag, list[pa.RecordBatch]] = {tag: [] for tag in SCHEMAS}
    for tag, batch in parts:
        batches[tag].append(batch)
    order = [("source_id", "ascending"), ("block", "ascending")]
    check_size(number, column_bytes(batches["blocks"]), recipe.shards)
    blocks = joined(batches.pop("blocks"), BLOCKS).sort_by(order)
    made = Made(dropped=batches["dropped"], failed=batches["failed"])
    if recipe.fits and len(blocks):
        recipe = recipe.fitted(list_units(blocks).table["text"])
    files = {}
    with closing(Runs(plain(recipe.schema), scratch)) as runs:
        for some in _runs(blocks, batch_units):
            make_pairs(some, recipe, made)
            runs.take(made.written)
        if runs.rows:
            groups = _row_groups(runs, recipe, number)
            path = f"shards/{number:05d}.parquet"
            files["shards"] = write_parquet(groups, recipe.schema, output, path)
    rejected = {}
    for folder, batches_of_folder in (("dropped", made.dropped), ("failed", made.failed)):
        check_size(number, column_bytes(batches_of_folder), recipe.shards)
        rows = _sorted(batches_of_folder, PLAIN_REJECTED, _REJECTED_ORDER)
        rejected[folder] = rows
        if len(rows):
            path = f"{folder}/{number:05d}.parquet"
            files[folder] = write_parquet(cut_row_groups(rows), REJECTED, output, path)
    return count_shard(files, blocks, runs, rejected["dropped"], rejected["failed"], made)


def write_parquet(
    groups: Iterable[pa.Table], schema: pa.Schema, output: str, path: str
) -> ShardFile:
    """Write tables, each as a row group, to `output/path`; return its entry for the manifest.

    The same rows give the same bytes, whatever chunks they come in.
    """
    rows = 0
    with write_file(join(output, path)) as stream:
        sink = _Summed(stream)
        with (
            io.BufferedWriter(sink, _BUFFER_BYTES) as buffered,
            pq.ParquetWriter(
                pa.PythonFile(buffered, "w"),
                schema,
                compression="zstd",
                use_dictionary=_REPEATING,
                write_batch_size=ROW_GROUP_ROWS // 2,
            ) as writer,
        ):
            for group in groups:
                writer.write_table(group.cast(schema), ROW_GROUP_ROWS)
                rows += len(group)
    return ShardFile(path, rows, sink.bytes, sink.sum.hexdigest())


class _Summed(io.RawIOBase):
    """Hands on what is written to a stream, and knows how much it was and its sha256."""

    def __init__(self, stream: BinaryIO) -> None:
        self.stream = stream
        self.bytes = 0
        self.sum = hashlib.sha256()

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self.sum.update(data)
        self.bytes += len(data)
        return self.stream.write(data)


def check_size(number: int, size: int, shards: int) -> None:
    """Raise UserError when the bytes of a column in a shard are more than Arrow can hold."""
    if size > COLUMN_BYTES:
        raise UserError(
            f"shard {number} of {shards} holds {size / 2**30:.1f} GiB in one column, more than "
            f"the 2 GiB that it can; raise --shards to at least {-(-shards * size // COLUMN_BYTES)}"
        )


def _row_groups(runs: Runs, recipe: Recipe, number: int) -> Iterator[pa.Table]:
    """Yield the pairs of a shard in order, with random negatives and ids where there are some."""
    groups = runs.merged()
    rules = [rule for rule in recipe.negatives if isinstance(rule, RandomNegatives)]
    if rules:  # which are picked among all pairs of the shard
        positives, given = (runs.column_bytes[name] for name in ("positive", "negatives"))
        picked = sum(rule.count for rule in rules) * positives
        check_size(number, max(positives, given + picked), recipe.shards)
        pairs = pa.concat_tables(groups)
        for rule in rules:
            pairs = add_random(pairs, rule, recipe.seed)
        groups = cut_row_groups(pairs)
    for group in groups:
        yield group if recipe.ids is None else add_ids(group, recipe.ids, recipe.seed)


def _sorted(
    batches: list[pa.RecordBatch], schema: pa.Schema, order: list[tuple[str, str]]
) -> pa.Table:
    """Return the rows in order. Takes them out of the list, which would keep a second copy."""
    table = pa.Table.from_batches(batches, schema)
    batches.clear()
    return table.sort_by(order)


def _runs(blocks: pa.RecordBatch, batch_units: int) -> Iterable[pa.RecordBatch]:
    """Yield runs of blocks with about `batch_units` units each."""
    ends = np.cumsum(blocks["own"].to_numpy())
    start = 0
    while start < len(blocks):
        reached = ends[start - 1] if start else 0
        stop = max(start + 1, int(np.searchsorted(ends, reached + batch_units, side="right")))
        yield blocks[start:stop]
        start = stop
