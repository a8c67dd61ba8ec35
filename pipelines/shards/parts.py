"""Parts: what goes to a shard, `(shard, (tag, batch serialised without its schema))`."""

from collections.abc import Iterator
from typing import Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from pairsmith.pipelines.pairing.rejected import PLAIN_REJECTED
from pairsmith.pipelines.reading.blocks import BLOCKS
from pairsmith.schemas import shard_numbers
from pairsmith.schemas.keys import UNITS_PER_BLOCK

Tag = Literal["blocks", "dropped", "failed"]
SCHEMAS: dict[Tag, pa.Schema] = {
    "blocks": BLOCKS,
    "dropped": PLAIN_REJECTED,
    "failed": PLAIN_REJECTED,
}
Keyed = tuple[int, bytes]
Part = tuple[int, tuple[Tag, bytes]]


def block_parts(blocks: pa.RecordBatch, shards: int) -> Iterator[Part]:
    """Yield blocks (BLOCKS) as parts, by source id and number."""
    first_units = blocks["block"].to_numpy() * UNITS_PER_BLOCK
    yield from _parts("blocks", blocks, shard_numbers(blocks["source_id"], first_units, shards))


def rejected_parts(tag: Tag, batch: pa.RecordBatch, shards: int) -> Iterator[Part]:
    """Yield rejected rows as parts: with their source's first unit, or spread by place."""
    if not len(batch):
        return
    places = [batch["path"], pc.cast(batch["position"], pa.string())]
    place = pc.binary_join_element_wise(*places, ":", null_handling="replace")
    owners = pc.coalesce(batch["source_id"], place)
    yield from _parts(tag, batch, shard_numbers(owners, np.zeros(len(batch), np.int32), shards))


def _parts(tag: Tag, batch: pa.RecordBatch, numbers: npt.NDArray[np.int64]) -> Iterator[Part]:
    for number, data in scatter(batch, numbers):
        yield number, (tag, data)


def scatter(batch: pa.RecordBatch, numbers: npt.NDArray[np.int64]) -> Iterator[Keyed]:
    """Yield the rows of each number, serialised without their schema."""
    if not len(batch):
        return
    order = np.argsort(numbers, kind="stable")
    ordered = batch.take(pa.array(order))
    found, starts = np.unique(numbers[order], return_index=True)
    for number, start, stop in zip(found, starts, [*starts[1:], len(batch)], strict=True):
        yield int(number), ordered[start:stop].serialize().to_pybytes()


def read_batch(data: bytes, schema: pa.Schema) -> pa.RecordBatch:
    """Return a batch that was serialised without its schema."""
    return pa.ipc.read_record_batch(pa.py_buffer(data), schema)
