"""The row groups of all shards: what there is to read, and the one place where it is read."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import pyarrow as pa
import pyarrow.parquet as pq

from pairsmith.schemas import UserError
from pairsmith.training.tokens.cache import NEGATIVE_IDS, TEXT_IDS

TEXTS = ("anchor", "positive")
IDENTITY = ("group_id", "anchor_hash", "positive_hash", "weight")
NEGATIVES = ("negatives", "negative_info.list.element.source_id")
ABOUT = ("pair_id", "kind", "anchor_view", "positive_view", "lang")
TARGETS = ("label", "similarity")
IDS = TEXT_IDS + NEGATIVE_IDS
"""Columns of token ids, which come from the cache of a `TokenisedShard`."""
_FOOTERS_AT_ONCE = 16


class Shard(Protocol):
    """One Parquet file of pairs, wherever it lies."""

    def open(self, row_group: int | None = None) -> pq.ParquetFile:
        """Return the file, to be closed by the caller, for its footer or for one row group.

        Raises UserError when it cannot be had.
        """


@dataclass(frozen=True)
class LocalShard:
    """A shard on a disk."""

    path: Path
    state: tuple[int, int] = field(compare=False)
    """Size and time of the file that this is, in place of which there may be another one. Not its
    inode, which some file systems of networks change."""

    def open(self, row_group: int | None = None) -> pq.ParquetFile:
        """Return the file, mapped into memory.

        Raises UserError when it is another one, as of a dataset that was built anew.
        """
        del row_group
        file = pq.ParquetFile(self.path, memory_map=True)
        if _state(self.path) != self.state:
            file.close()
            raise UserError(f"{self} was replaced meanwhile; run the same command again")
        return file

    def __str__(self) -> str:
        return str(self.path)


def local_shard(path: Path) -> LocalShard:
    """Return the shard that is at `path` now.

    Raises UserError when there is none.
    """
    try:
        return LocalShard(path, _state(path))
    except OSError as error:
        raise UserError(f"{path} cannot be read any more ({error})") from error


def _state(path: Path) -> tuple[int, int]:
    status = path.stat()
    return status.st_size, status.st_mtime_ns


class Tokens(Protocol):
    """The ids of a dataset."""

    def read(self, shard: int, row_group: int, *, negatives: bool = False) -> pa.Table:
        """Return the ids of the rows of a row group, as `TokenCache.read` does."""


@dataclass(frozen=True)
class TokenisedShard:
    """A shard, and the ids of its texts."""

    shard: Shard
    tokens: Tokens = field(compare=False)
    number: int
    """Of the shard in the dataset's manifest."""

    def open(self, row_group: int | None = None) -> pq.ParquetFile:
        """Return the shard's file."""
        return self.shard.open(row_group)

    def __str__(self) -> str:
        return str(self.shard)

    def ids(self, row_group: int, columns: Sequence[str]) -> pa.Table:
        """Return columns of ids of a row group, in the order of its rows."""
        negatives = any(name in NEGATIVE_IDS for name in columns)
        return self.tokens.read(self.number, row_group, negatives=negatives).select(list(columns))


@dataclass(frozen=True)
class RowGroup:
    """One row group of one shard."""

    shard: Shard
    index: int
    rows: int
    least_weight: float = float("nan")
    """Of the column `weight`, by the footer; nan where that does not say."""


def row_groups(shards: Sequence[Shard]) -> tuple[RowGroup, ...]:
    """Return the row groups of the shards, in order; only footers are read, several at once.

    Raises UserError when a shard cannot be read.
    """
    with ThreadPoolExecutor(min(_FOOTERS_AT_ONCE, len(shards) or 1), "footers") as pool:
        return tuple(group for groups in pool.map(_footer, shards) for group in groups)


def read(group: RowGroup, columns: Sequence[str]) -> pa.Table:
    """Return columns of a row group, texts with 64-bit offsets, ids from their cache.

    The texts of a window may pass 2 GiB.
    Raises UserError when the shard cannot be read any more.
    """
    kept = [name for name in columns if name not in IDS]
    try:
        with group.shard.open(group.index) as file:
            table = file.read_row_group(group.index, columns=kept, use_threads=False)
    except (OSError, pa.ArrowException) as error:
        raise UserError(f"{group.shard} cannot be read any more ({error})") from error
    large = [pa.field(field.name, _large(field.type)) for field in table.schema]
    table = table.cast(pa.schema(large))
    if isinstance(group.shard, TokenisedShard) and len(kept) < len(columns):
        ids = group.shard.ids(group.index, [name for name in columns if name in IDS])
        for name in ids.column_names:
            table = table.append_column(name, ids[name])
    return table


def _footer(shard: Shard) -> list[RowGroup]:
    try:
        with shard.open() as file:
            metadata = file.metadata
            return [
                RowGroup(shard, i, metadata.row_group(i).num_rows, _least_weight(metadata, i))
                for i in range(metadata.num_row_groups)
                if metadata.row_group(i).num_rows
            ]
    except (OSError, pa.ArrowException) as error:
        raise UserError(f"{shard} cannot be read any more ({error})") from error


def _least_weight(metadata: pq.FileMetaData, number: int) -> float:
    group = metadata.row_group(number)
    for i in range(group.num_columns):
        column = group.column(i)
        if (
            column.path_in_schema == "weight"
            and column.is_stats_set
            and column.statistics.has_min_max
        ):
            return float(column.statistics.min)
    return float("nan")


def _large(kind: pa.DataType) -> pa.DataType:
    if pa.types.is_list(kind) and pa.types.is_string(kind.value_type):
        return pa.large_list(pa.large_string())
    return pa.large_string() if pa.types.is_string(kind) else kind
