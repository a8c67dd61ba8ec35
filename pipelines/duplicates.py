"""Equal ids or equal texts are one document. Which copy stays depends on content alone."""

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from pairsmith.pipelines.rejected import rejected_batch


def drop_same_texts(documents: pa.RecordBatch) -> tuple[pa.RecordBatch, pa.RecordBatch]:
    """Return the documents without second copies of a text, and those copies as rejected rows.

    documents: DOCUMENTS, all that share a text among them. The copy with the least id stays.
    """
    order = ("text_id", "source_id", "lang", "label")
    documents = documents.sort_by([(column, "ascending") for column in order])
    kept = _first_of_each(documents, ("text_id",))
    copies = _others(kept)
    rejected = rejected_batch(
        len(copies),
        source_id=documents["source_id"].take(copies),
        stage="duplicates",
        reason="same text",
        detail=_kept_as(documents["source_id"].take(pa.array(kept).take(copies))),
    )
    return documents.take(_firsts(kept)), rejected


def drop_same_ids(blocks: pa.RecordBatch) -> tuple[pa.RecordBatch, pa.RecordBatch]:
    """Return the blocks of one document for each source id, and the other documents as rejected.

    blocks: BLOCKS, all of a source's blocks of one number among them. The document with the most
    blocks stays, so every block of a source comes from the same document; the least text id
    decides between equals. A rejected document is listed with its first block.
    """
    order = [("source_id", "ascending"), ("block", "ascending"), ("blocks", "descending")]
    order += [(c, "ascending") for c in ("text_id", "lang", "label")]
    blocks = blocks.sort_by(order)
    kept = _first_of_each(blocks, ("source_id", "block"))
    copies = _others(kept).filter(pc.equal(blocks["block"].take(_others(kept)), 0))
    winners = pa.array(kept).take(copies)
    same_text = pc.equal(blocks["text_id"].take(copies), blocks["text_id"].take(winners))
    rejected = rejected_batch(
        len(copies),
        source_id=blocks["source_id"].take(copies),
        stage="duplicates",
        reason=pc.if_else(same_text, "same text", "same id"),
        detail=_kept_as(blocks["text_id"].take(winners)),
    )
    return blocks.take(_firsts(kept)), rejected


def _first_of_each(batch: pa.RecordBatch, columns: tuple[str, ...]) -> npt.NDArray[np.int64]:
    """Return for each row of a sorted batch the first row that is equal to it in `columns`."""
    new = np.arange(len(batch)) == 0
    for name in columns:
        values = batch[name]
        new[1:] |= pc.not_equal(values[1:], values[:-1]).to_numpy(zero_copy_only=False)
    return np.maximum.accumulate(np.where(new, np.arange(len(batch)), 0))


def _firsts(kept: npt.NDArray[np.int64]) -> pa.Array:
    return pa.array(np.flatnonzero(kept == np.arange(len(kept))))


def _others(kept: npt.NDArray[np.int64]) -> pa.Array:
    return pa.array(np.flatnonzero(kept != np.arange(len(kept))))


def _kept_as(names: pa.StringArray) -> pa.StringArray:
    return pc.binary_join_element_wise("kept", names, " ")
