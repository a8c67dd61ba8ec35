"""Many batches as one, which holds at most 2 GiB of texts in a column: Arrow counts in int32."""

from collections.abc import Sequence

import pyarrow as pa

from pairsmith.schemas import UserError

COLUMN_BYTES = (1 << 31) - 1


def column_bytes(batches: Sequence[pa.RecordBatch]) -> int:
    """Return the bytes that the largest column of batches takes in all of them together."""
    columns = zip(*(batch.columns for batch in batches), strict=True)
    return max((sum(array.nbytes for array in arrays) for arrays in columns), default=0)


def joined(batches: Sequence[pa.RecordBatch], schema: pa.Schema) -> pa.RecordBatch:
    """Return the rows of batches as one batch.

    Raises UserError where that cannot hold them: the rows of further batches would be lost.
    """
    if column_bytes(batches) > COLUMN_BYTES:
        raise UserError(
            f"more than 2 GiB in one column of {', '.join(schema.names)} that one process must "
            "see together; cut the input in several, and build each by itself"
        )
    table = pa.Table.from_batches(batches, schema).combine_chunks()
    (batch,) = table.to_batches() or [pa.RecordBatch.from_pylist([], schema)]
    return batch
