"""Equal ids or equal texts are one document. Which copy stays depends on content alone.

Copies are found among keys, which are small; documents themselves are not shuffled for it. What
was found lies in one file for each input file, and whoever reads that file leaves the copies out.
"""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import BinaryIO, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pairsmith.pipelines.batches import joined
from pairsmith.pipelines.pairing.rejected import NOTHING_REJECTED, rejected_batch
from pairsmith.pipelines.storage.files import exists, open_file
from pairsmith.schemas import shard_numbers

Same = Literal["source_id", "text_id"]
KEYS = pa.schema(
    [
        pa.field("source_id", pa.string(), nullable=False),
        pa.field("text_id", pa.string(), nullable=False),
        pa.field("lang", pa.string()),
        pa.field("label", pa.string()),
        pa.field("file", pa.int32(), nullable=False),  # number of the input file
        pa.field("position", pa.int64(), nullable=False),  # of the row in it
    ]
)
COPIES = pa.schema(
    [
        pa.field("file", pa.int32(), nullable=False),
        pa.field("position", pa.int64(), nullable=False),
        pa.field("reason", pa.string(), nullable=False),
        pa.field("detail", pa.string(), nullable=False),
    ]
)
_ROWS_PER_GROUP = 65536


def keys_of(documents: pa.RecordBatch, file: int) -> pa.RecordBatch:
    """Return what tells the documents (DOCUMENTS) of an input file apart: KEYS."""
    numbers = pa.repeat(pa.scalar(file, pa.int32()), len(documents))
    columns = [numbers if name == "file" else documents[name] for name in KEYS.names]
    return pa.RecordBatch.from_arrays(columns, schema=KEYS)


def find_copies(keys: pa.RecordBatch, same: Same) -> tuple[pa.RecordBatch, pa.RecordBatch]:
    """Return the keys of one document for each value of the column `same`, and the COPIES.

    keys: KEYS, all that share a value among them. The least of (text id, source id, language,
    label) stays. Ids must be settled before texts: a copy of a text may only go when the document
    it is a copy of stays.
    """
    order = dict.fromkeys((same, "text_id", "source_id", "lang", "label", "file", "position"))
    keys = keys.sort_by([(column, "ascending") for column in order])
    values = keys[same]
    new = np.ones(len(keys), bool)
    new[1:] = pc.not_equal(values[1:], values[:-1]).to_numpy(zero_copy_only=False)
    stays = np.maximum.accumulate(np.where(new, np.arange(len(keys)), 0))
    copies, kept = keys.take(pa.array(np.flatnonzero(~new))), keys.take(pa.array(stays[~new]))
    same_text = pc.equal(copies["text_id"], kept["text_id"])
    detail = pc.if_else(
        same_text,
        pc.binary_join_element_wise("kept", kept["source_id"], " "),
        pc.binary_join_element_wise("kept the text with hash", kept["text_id"], " "),
    )
    reason = pc.if_else(same_text, "same text", "same id")
    columns = [copies["file"], copies["position"], reason, detail]
    found = pa.RecordBatch.from_arrays(columns, schema=COPIES)
    return keys.filter(pa.array(new)), found


def find_all_copies(keys: Sequence[pa.RecordBatch], bucket_rows: int = 1 << 20) -> pa.Table:
    """Return the COPIES among all documents of a corpus, given their keys (KEYS).

    bucket_rows: about how many keys are sorted at a time; does not change which copies are found.
    """
    found = []
    columns: tuple[Same, ...] = ("source_id", "text_id")
    for same in columns:
        kept = []
        for some in _buckets(keys, same, bucket_rows):
            stays, copies = find_copies(some, same)
            kept.append(stays)
            found.append(copies)
        keys = kept
    return pa.Table.from_batches(found, COPIES)


def _buckets(
    keys: Sequence[pa.RecordBatch], same: Same, bucket_rows: int
) -> Iterator[pa.RecordBatch]:
    """Yield the keys some at a time, all that share a value of `same` together."""
    table = pa.Table.from_batches(keys, KEYS)
    count = 1 + len(table) // bucket_rows
    values = table[same].chunks
    numbers = [shard_numbers(some, np.zeros(len(some), np.int32), count) for some in values]
    bucket = pa.chunked_array([pa.array(some) for some in numbers], pa.int64())
    for number in range(count):
        some = table if count == 1 else table.filter(pc.equal(bucket, number))
        if len(some):
            yield joined(some.to_batches(), KEYS)


def copies_file(copies: pa.Table) -> pa.Buffer:
    """Return the Parquet file of the COPIES in one input file."""
    sink = pa.BufferOutputStream()
    copies = copies.sort_by("position")
    pq.write_table(copies, sink, compression="zstd", row_group_size=_ROWS_PER_GROUP)
    return sink.getvalue()


def open_copies(path: str) -> AbstractContextManager[BinaryIO | None]:
    """Return the file of the COPIES in an input file, to be closed; None when it has none."""
    return open_file(path) if exists(path) else nullcontext()


def drop_copies(
    documents: pa.RecordBatch, copies: BinaryIO | None
) -> tuple[pa.RecordBatch, pa.RecordBatch]:
    """Return the documents of an input file that are no copies, and the others rejected.

    documents: DOCUMENTS, in order. copies: from `open_copies`.
    """
    if not len(documents) or copies is None:
        return documents, NOTHING_REJECTED
    positions = documents["position"].to_numpy()
    between = [("position", ">=", int(positions[0])), ("position", "<=", int(positions[-1]))]
    found = pq.read_table(copies, schema=COPIES, filters=between).combine_chunks()
    if not len(found):
        return documents, NOTHING_REJECTED
    at = np.searchsorted(found["position"].to_numpy(), positions)
    at = np.minimum(at, len(found) - 1)
    copied = found["position"].to_numpy()[at] == positions
    mask = pa.array(copied)
    told = found.take(pa.array(at[copied])).combine_chunks()
    rejected = rejected_batch(
        len(told),
        source_id=documents["source_id"].filter(mask),
        stage="duplicates",
        reason=pa.concat_arrays([*told["reason"].chunks, pa.array([], pa.string())]),
        detail=pa.concat_arrays([*told["detail"].chunks, pa.array([], pa.string())]),
    )
    return documents.filter(pc.invert(mask)), rejected
