"""Documents become blocks: up to 256 units of one source, with the units around them.

A block is what a shard is filled with, so that one long document spreads over many shards and
still every unit sees its neighbours.
"""

from typing import NamedTuple

import pyarrow as pa

from pairsmith.pipelines.pairing.rejected import NOTHING_REJECTED, rejected_batch
from pairsmith.pipelines.recipe.segment import Segmenter
from pairsmith.schemas import UserError
from pairsmith.schemas.keys import UNITS_PER_BLOCK
from pairsmith.schemas.private import without_places

BLOCKS = pa.schema(
    [
        pa.field("source_id", pa.string(), nullable=False),
        pa.field("lang", pa.string()),
        pa.field("label", pa.string()),
        pa.field("block", pa.int32(), nullable=False),
        pa.field("blocks", pa.int32(), nullable=False),  # how many the source has
        pa.field("before", pa.int32(), nullable=False),  # units that belong to the block before
        pa.field("own", pa.int32(), nullable=False),  # units that pairs are made of
        pa.field("units", pa.list_(pa.string()), nullable=False),  # before, own, after
    ]
)


class Segmented(NamedTuple):
    """The blocks of a batch of documents, and the documents that have none."""

    blocks: pa.RecordBatch
    dropped: pa.RecordBatch
    failed: pa.RecordBatch


def segment_documents(
    documents: pa.RecordBatch, segmenter: Segmenter, margins: tuple[int, int]
) -> Segmented:
    """Return the blocks of documents (DOCUMENTS); a document that cannot be cut has failed.

    margins: how many units before and after its own a block needs. Raises a segmenter's UserError.
    """
    blocks: list[dict[str, object]] = []
    unitless: list[str] = []
    errors: list[tuple[str, str, str]] = []
    for document in documents.to_pylist():
        try:
            units = segmenter(document.pop("text"), document["lang"])
        except UserError:
            raise
        except Exception as error:  # noqa: BLE001 - one bad text must not take its batch with it
            errors.append((document["source_id"], type(error).__name__, without_places(str(error))))
            continue
        if not units:
            unitless.append(document["source_id"])
        blocks.extend({**document, **block} for block in _cut(units, margins))
    dropped = failed = NOTHING_REJECTED
    if unitless:
        ids = pa.array(unitless, pa.string())
        dropped = rejected_batch(len(ids), source_id=ids, stage="segment", reason="no units")
    if errors:
        ids, reasons, details = (
            pa.array(column, pa.string()) for column in zip(*errors, strict=True)
        )
        failed = rejected_batch(
            len(ids), source_id=ids, stage="segment", reason=reasons, detail=details
        )
    return Segmented(pa.RecordBatch.from_pylist(blocks, BLOCKS), dropped, failed)


def _cut(units: list[str], margins: tuple[int, int]) -> list[dict[str, object]]:
    before, after = margins
    starts = range(0, len(units), UNITS_PER_BLOCK)
    return [
        {
            "block": start // UNITS_PER_BLOCK,
            "blocks": len(starts),
            "before": start - max(0, start - before),
            "own": len(units[start : start + UNITS_PER_BLOCK]),
            "units": units[max(0, start - before) : start + UNITS_PER_BLOCK + after],
        }
        for start in starts
    ]
