"""Ids of datasets in object stores: cut when a row group is first read, and kept beside it.

They stand in the shard cache, a file for each row group, and share its room and its promises:
whoever asks first cuts, others wait, a killed process leaves nothing half, and what was used
longest ago goes first. A dataset larger than the room is no obstacle: what went is cut again.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import pyarrow as pa
import pyarrow.parquet as pq
from tokenizers import Tokenizer

from pairsmith.schemas import UserError
from pairsmith.training.streaming.shard_cache import RemoteShard
from pairsmith.training.tokens.cache import NEGATIVE_IDS, TEXT_IDS, id_width, tokenizer_digest
from pairsmith.training.tokens.ids import IdRows, cutter
from pairsmith.training.tokens.work import SOURCES, WRITING, ids_of


@dataclass(frozen=True)
class RemoteTokens:
    """The ids of a dataset in an object store, by one tokenizer."""

    shards: tuple[RemoteShard, ...]
    """All of them, in the order of the dataset's manifest."""
    tokenizer: str
    """Digest of the tokenizer."""
    width: int
    """Bytes of an id: 2, or 4 for more than 65,536 subwords."""
    cut: Callable[[list[str]], IdRows] = field(compare=False)

    def read(self, shard: int, row_group: int, *, negatives: bool = False) -> pa.Table:
        """Return the ids of the rows of a row group, with the columns of `TokenCache.read`.

        They are cut now where they are not there. Safe to call from several threads.
        Raises UserError when the shard cannot be had, or the cache cannot be written to or read.
        """
        source = self.shards[shard]
        # Opened here: a lock of the cache must not be waited for by who holds another.
        with source.open(row_group) as file:

            def make() -> pa.Buffer:
                try:
                    table = file.read_row_group(row_group, columns=SOURCES, use_threads=False)
                except (OSError, pa.ArrowException) as error:
                    raise UserError(f"{source} cannot be read any more ({error})") from error
                return _written(ids_of(table, self.cut, self.width))

            key = self._key(shard, row_group)
            data = source.cache.get(key, make)
        columns = [*TEXT_IDS, *(NEGATIVE_IDS if negatives else ())]
        try:
            with pq.ParquetFile(pa.BufferReader(data), page_checksum_verification=True) as made:
                return made.read(columns=columns, use_threads=False)
        except (OSError, pa.ArrowException) as error:
            path = source.cache.folder / key
            raise UserError(f"{path} cannot be read ({error}); delete it") from error

    @property
    def complete(self) -> bool:
        """Tell whether all ids are kept now; only footers are read.

        Raises UserError when a shard cannot be had.
        """
        for number, shard in enumerate(self.shards):
            with shard.open() as file:
                rows = [file.metadata.row_group(i).num_rows for i in range(file.num_row_groups)]
            keys = (self._key(number, i) for i, count in enumerate(rows) if count)
            if not all((shard.cache.folder / key).exists() for key in keys):
                return False
        return True

    def _key(self, shard: int, row_group: int) -> str:
        return self.shards[shard].key(f"{row_group:05d}-{self.tokenizer[:16]}")


def remote_tokens(shards: Sequence[RemoteShard], tokenizer: Tokenizer) -> RemoteTokens:
    """Return the ids of these shards, yet to be cut where they are not kept.

    Raises UserError for a tokenizer that cuts at random.
    """
    digest = tokenizer_digest(tokenizer)
    return RemoteTokens(tuple(shards), digest, id_width(tokenizer), cutter(tokenizer))


def _written(table: pa.Table) -> pa.Buffer:
    """Return the bytes of a Parquet file of one row group."""
    sink = pa.BufferOutputStream()
    pq.write_table(
        table.replace_schema_metadata(),
        sink,
        row_group_size=max(1, table.num_rows),
        **WRITING,
    )
    return sink.getvalue()
