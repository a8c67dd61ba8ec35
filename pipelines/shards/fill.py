"""Filling one shard: its blocks become sorted pairs, its files are written under final names."""

import hashlib
import io
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from pairsmith.pipelines.accounts import ShardResult, count_shard
from pairsmith.pipelines.batches import COLUMN_BYTES, column_bytes, joined
from pairsmith.pipelines.pairing.made import Made
from pairsmith.pipelines.pairing.pairs import list_units, make_pairs
from pairsmith.pipelines.pairing.rejected import PLAIN_REJECTED
from pairsmith.pipelines.reading.blocks import BLOCKS
from pairsmith.pipelines.recipe.negatives import RandomNegatives, add_random
from pairsmith.pipelines.recipe.recipe import Recipe
from pairsmith.pipelines.recipe.token_ids import add_ids
from pairsmith.pipelines.shards.parts import SCHEMAS, Tag
from pairsmith.pipelines.shards.row_groups import cut_row_groups
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
) -> ShardResult:
    """Make and write the files of one shard from all its parts, in whatever order they come.

    batch_units: about how many units are augmented at a time; it does not change the result.
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
    units = list_units(blocks)
    if recipe.fits and len(blocks):
        recipe = recipe.fitted(units.table["text"])
    files = {}
    groups = _row_groups(make_pairs(units, recipe, made, batch_units), recipe, number)
    first = next(groups, None)
    if first is not None:
        path = f"shards/{number:05d}.parquet"
        files["shards"] = write_parquet(chain([first], groups), recipe.schema, output, path)
    rejected = {}
    for folder, batches_of_folder in (("dropped", made.dropped), ("failed", made.failed)):
        check_size(number, column_bytes(batches_of_folder), recipe.shards)
        rows = _sorted(batches_of_folder, PLAIN_REJECTED, _REJECTED_ORDER)
        rejected[folder] = rows
        if len(rows):
            path = f"{folder}/{number:05d}.parquet"
            files[folder] = write_parquet(cut_row_groups([rows]), REJECTED, output, path)
    return count_shard(files, blocks, rejected["dropped"], rejected["failed"], made)


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


def _row_groups(pairs: Iterator[pa.Table], recipe: Recipe, number: int) -> Iterator[pa.Table]:
    """Yield pairs that come in order by row groups, with random negatives and ids if asked for."""
    rules = [rule for rule in recipe.negatives if isinstance(rule, RandomNegatives)]
    if rules:  # which are picked among all pairs of the shard
        pairs = iter(_with_random(list(pairs), rules, recipe, number))
    for group in cut_row_groups(pairs):
        yield group if recipe.ids is None else add_ids(group, recipe.ids, recipe.seed)


def _with_random(
    tables: list[pa.Table], rules: list[RandomNegatives], recipe: Recipe, number: int
) -> list[pa.Table]:
    if not tables:
        return []
    pairs = pa.concat_tables(tables)
    tables.clear()
    positives, given = (pairs[name].nbytes for name in ("positive", "negatives"))
    picked = sum(rule.count for rule in rules) * positives
    check_size(number, max(positives, given + picked), recipe.shards)
    for rule in rules:
        pairs = add_random(pairs, rule, recipe.seed)
    return [pairs]


def _sorted(
    batches: list[pa.RecordBatch], schema: pa.Schema, order: list[tuple[str, str]]
) -> pa.Table:
    """Return the rows in order. Takes them out of the list, which would keep a second copy."""
    table = pa.Table.from_batches(batches, schema)
    batches.clear()
    return table.sort_by(order)
