"""Reading splits: rows become documents, or are rejected with the reason and the place."""

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pairsmith.pipelines.pairing.rejected import NOTHING_REJECTED, rejected_batch
from pairsmith.pipelines.reading.lines import Row, Unreadable, csv_rows, json_rows, text_rows
from pairsmith.pipelines.reading.splits import Split, name_of, open_input
from pairsmith.pipelines.recipe.recipe import Documents
from pairsmith.schemas import UserError, text_ids

DOCUMENTS = pa.schema(
    [
        pa.field("source_id", pa.string(), nullable=False),
        pa.field("text", pa.string(), nullable=False),
        pa.field("text_id", pa.string(), nullable=False),  # equal for equal texts
        pa.field("lang", pa.string()),
        pa.field("label", pa.string()),
        pa.field("position", pa.int64(), nullable=False),  # of the row in its file, ascending
    ]
)
_BATCH_BYTES = 8 << 20


class Read(NamedTuple):
    """What became of a run of rows; `rows` is counted before any of them is looked at."""

    rows: int
    documents: pa.RecordBatch
    dropped: pa.RecordBatch
    failed: pa.RecordBatch


def read_split(split: Split, source: Documents, batch_rows: int) -> Iterator[Read]:
    """Yield the rows of a split, at most `batch_rows` and some 8 MiB at a time.

    Raises UserError when the file turns out to be cut or damaged.
    """
    name = name_of(split.path)
    try:
        if split.format == "parquet":
            for columns, positions in _parquet_columns(split, source, batch_rows):
                yield _from_columns(columns, positions, name)
            return
        rows = {"jsonl": json_rows, "csv": csv_rows, "text": text_rows}[split.format]
        with open_input(split.path) as stream:
            for chunk in _batched(rows(stream, split, source), batch_rows):
                yield _from_rows(chunk, name)
    except (pa.ArrowException, OSError) as error:
        raise UserError(f"{split.path} is cut or damaged; fetch it again ({error})") from error


def _parquet_columns(
    split: Split, source: Documents, batch_rows: int
) -> Iterator[tuple[list[pa.StringArray], pa.Array]]:
    with open_input(split.path) as stream, pq.ParquetFile(stream) as file:
        group = file.metadata.row_group(split.start)
        rows_of_8_mib = max(1, _BATCH_BYTES * group.num_rows // max(1, group.total_byte_size))
        position = sum(file.metadata.row_group(g).num_rows for g in range(split.start))
        batches = file.iter_batches(
            min(batch_rows, rows_of_8_mib),
            row_groups=range(split.start, split.stop),
            columns=[c for c in source.columns if c in file.schema_arrow.names],
        )
        for batch in batches:
            none = pa.nulls(len(batch), pa.string())
            names = batch.schema.names
            columns = [batch[c].cast(pa.string()) if c in names else none for c in source.columns]
            yield columns, pa.array(np.arange(position, position + len(batch)))
            position += len(batch)


def _from_rows(rows: Sequence[Row | Unreadable], name: str) -> Read:
    good = [row for row in rows if isinstance(row, Row)]
    bad = [row for row in rows if isinstance(row, Unreadable)]
    columns = [pa.array([row[i] for row in good], pa.string()) for i in range(4)]
    read = _from_columns(columns, pa.array([row.position for row in good], pa.int64()), name)
    if not bad:
        return read
    reason, detail, shown, position = (list(field) for field in zip(*bad, strict=True))
    failed = rejected_batch(
        len(bad),
        stage="read",
        reason=pa.array(reason, pa.string()),
        detail=pa.array(detail, pa.string()),
        text=pa.array(shown, pa.string()),
        path=name,
        position=pa.array(position, pa.int64()),
    )
    return read._replace(rows=len(rows), failed=failed)


def _from_columns(columns: Sequence[pa.StringArray], positions: pa.Array, name: str) -> Read:
    rows = len(positions)
    failed = dropped = NOTHING_REJECTED
    valid = np.logical_and.reduce([_valid_utf8(column) for column in columns])
    if not valid.all():
        bad = positions.filter(pa.array(~valid))
        failed = rejected_batch(len(bad), stage="read", reason="not UTF-8", path=name, position=bad)
        columns = [column.filter(pa.array(valid)) for column in columns]
        positions = positions.filter(pa.array(valid))
    blank = pc.equal(pc.utf8_length(pc.utf8_trim_whitespace(columns[0])), 0).fill_null(True)
    if pc.any(blank).as_py():
        text, ids = columns[0].filter(blank), columns[1].filter(blank)
        dropped = rejected_batch(
            len(text),
            source_id=ids,
            stage="read",
            reason=pc.if_else(pc.is_null(text), "null text", "blank text"),
            path=name,
            position=positions.filter(blank),
        )
        columns = [column.filter(pc.invert(blank)) for column in columns]
        positions = positions.filter(pc.invert(blank))
    text = columns[0]
    ids, lang, label = map(_empty_as_null, columns[1:])
    text_id = text_ids(text)
    documents = pa.RecordBatch.from_arrays(
        [pc.coalesce(ids, text_id), text, text_id, lang, label, positions], schema=DOCUMENTS
    )
    return Read(rows, documents, dropped, failed)


def _empty_as_null(column: pa.StringArray) -> pa.StringArray:
    """Return the values, null for the empty text that CSV and others have where there is none."""
    return pc.if_else(pc.equal(column, ""), pa.scalar(None, pa.string()), column)


def _valid_utf8(column: pa.StringArray) -> np.ndarray:
    """Return which values are UTF-8, which readers of Parquet do not check."""
    try:
        column.validate(full=True)
    except pa.ArrowInvalid:
        return np.array([v is None or _decodes(v) for v in column.cast(pa.binary()).to_pylist()])
    return np.ones(len(column), bool)


def _decodes(value: bytes) -> bool:
    try:
        value.decode()
    except UnicodeDecodeError:
        return False
    return True


def _batched(rows: Iterable[Row | Unreadable], batch_rows: int) -> Iterator[list[Row | Unreadable]]:
    chunk: list[Row | Unreadable] = []
    size = 0
    for row in rows:
        chunk.append(row)
        size += len(row.text or "") if isinstance(row, Row) else 0
        if len(chunk) >= batch_rows or size >= _BATCH_BYTES:
            yield chunk
            chunk, size = [], 0
    if chunk:
        yield chunk
