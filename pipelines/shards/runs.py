"""The pairs of a shard while it is filled: sorted runs, of which only so much is in memory.

A shard has no bound of its own, and each process of a build has one: what is more waits in files.
"""

import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pairsmith.pipelines.shards.row_groups import in_order
from pairsmith.schemas import ROW_GROUP_ROWS

_KEPT_BYTES = 24 << 20
"""Of runs in memory; beyond that they go to a file. What most shards hold stays below."""
_PIECE_ROWS = 512
"""Of a run in a file: so many are read at a time, of each run."""
_BUFFER_BYTES = 1 << 20
"""Of a file that is written: a piece has many small columns, and each would be a system call."""


class Runs:
    """Pairs in batches that are each sorted by `pair_id`. Close it after use, for its files."""

    def __init__(self, schema: pa.Schema, folder: str | None) -> None:
        """Take the schema of the pairs, and a folder for files without a name in it."""
        self.schema = schema
        self.folder = folder
        self.rows = 0
        self.kinds: Counter[str] = Counter()
        self.column_bytes = dict.fromkeys(schema.names, 0)
        self._sources: list[pa.Array] = []
        self._ids: list[pa.StringArray] = []
        self._runs: list[_Kept | _Filed] = []
        self._kept = 0
        self._files = ExitStack()

    def close(self) -> None:
        """Close the files, which ends them."""
        self._files.close()

    @property
    def source_ids(self) -> pa.ChunkedArray:
        """Return the sources that have a pair; of several runs more than once."""
        return pa.chunked_array(self._sources, pa.string())

    def take(self, batches: list[pa.RecordBatch]) -> None:
        """Add batches and take them out of the list. Raises OSError when a file finds no room."""
        for batch in batches:
            self.rows += len(batch)
            counted = pc.value_counts(batch["kind"])
            for kind, count in zip(*counted.flatten(), strict=True):
                self.kinds[kind.as_py()] += count.as_py()
            for name, column in zip(batch.schema.names, batch.columns, strict=True):
                self.column_bytes[name] += column.nbytes
            self._sources.append(pc.unique(batch["source_id"]))
            self._ids.append(batch["pair_id"])
            self._runs.append(_Kept(batch))
            self._kept += batch.nbytes
        batches.clear()
        if self._kept > _KEPT_BYTES:
            self._file()

    def merged(self) -> Iterator[pa.Table]:
        """Yield the rows in the order of their `pair_id`, by row groups; to be done once."""
        if not self._runs:
            return
        order = in_order(*self._ids)
        ends = np.cumsum([len(ids) for ids in self._ids])
        self._ids.clear()
        owners = np.searchsorted(ends, order, side="right")
        for start in range(0, len(order), ROW_GROUP_ROWS):
            owner = owners[start : start + ROW_GROUP_ROWS]
            taken = np.bincount(owner, minlength=len(self._runs)).tolist()
            slices = [
                part for run, n in zip(self._runs, taken, strict=True) for part in run.following(n)
            ]
            # Rows of one run stay in its order, so that the place of a row follows from its owner.
            places = np.argsort(np.argsort(owner, kind="stable"), kind="stable")
            yield pa.Table.from_batches(slices, self.schema).combine_chunks().take(pa.array(places))

    def _file(self) -> None:
        """Move the runs in memory to a file."""
        with tempfile.NamedTemporaryFile(dir=self.folder) as named:
            kept = [(n, run.run) for n, run in enumerate(self._runs) if isinstance(run, _Kept)]
            with (
                pa.output_stream(named.name, compression=None, buffer_size=_BUFFER_BYTES) as sink,
                pa.ipc.new_file(sink, self.schema) as writer,
            ):
                for _, run in kept:
                    writer.write_table(pa.Table.from_batches([run]), _PIECE_ROWS)
            source = self._files.enter_context(pa.OSFile(named.name))
        file = self._files.enter_context(pa.ipc.open_file(source))
        first = 0
        for number, run in kept:
            self._runs[number] = _Filed(file, first)
            first += -(-len(run) // _PIECE_ROWS)
        self._kept = 0


class _Kept:
    """A run in memory, read from its begin to its end."""

    def __init__(self, run: pa.RecordBatch) -> None:
        self.run = run
        self.at = 0

    def following(self, count: int) -> Iterator[pa.RecordBatch]:
        """Yield the next so many rows."""
        if count:
            yield self.run[self.at : self.at + count]
            self.at += count


class _Filed:
    """A run in a file, by pieces, read from its begin to its end."""

    def __init__(self, file: pa.RecordBatchFileReader, first: int) -> None:
        self.file = file
        self.next = first
        self.piece: pa.RecordBatch = []  # of which nothing is left

    def following(self, count: int) -> Iterator[pa.RecordBatch]:
        """Yield the next so many rows."""
        while count:
            if not len(self.piece):
                self.piece = self.file.get_batch(self.next)
                self.next += 1
            yield self.piece[:count]
            self.piece, count = self.piece[count:], max(0, count - len(self.piece))
