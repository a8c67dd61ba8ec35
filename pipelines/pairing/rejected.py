"""Building batches of rejected rows.

On their way to the shards they have plain strings where REJECTED has dictionaries: a dictionary's
order would depend on how rows were batched.
"""

from typing import Any

import pyarrow as pa

from pairsmith.schemas import REJECTED


def plain(schema: pa.Schema) -> pa.Schema:
    """Return the schema with dictionary columns as strings, and no metadata."""
    return pa.schema(
        [
            field.with_type(field.type.value_type) if pa.types.is_dictionary(field.type) else field
            for field in schema
        ]
    )


PLAIN_REJECTED = plain(REJECTED)
NOTHING_REJECTED = pa.RecordBatch.from_pylist([], PLAIN_REJECTED)


def rejected_batch(rows: int, **columns: Any) -> pa.RecordBatch:
    """Return a batch of PLAIN_REJECTED from the columns given: arrays, or one value for all `rows`.

    Columns that are not given are null.
    """
    arrays = []
    for field in PLAIN_REJECTED:
        value = columns.pop(field.name, None)
        if not isinstance(value, pa.Array):
            value = pa.repeat(pa.scalar(value, field.type), rows)
        arrays.append(value.cast(field.type))
    if columns:
        raise TypeError(f"not columns of REJECTED: {', '.join(columns)}")
    return pa.RecordBatch.from_arrays(arrays, schema=PLAIN_REJECTED)
