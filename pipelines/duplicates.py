"""Equal ids or equal texts are one document. Which copy stays depends on content alone."""

from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pairsmith.pipelines.rejected import rejected_batch

Same = Literal["source_id", "text_id"]


def drop_copies(documents: pa.RecordBatch, same: Same) -> tuple[pa.RecordBatch, pa.RecordBatch]:
    """Return one document for each value of the column `same`, and the others as rejected rows.

    documents: DOCUMENTS, all that share a value among them. The least of (text id, source id,
    language, label) stays. Ids must be settled before texts: a copy of a text may only go when the
    document it is a copy of stays.
    """
    order = dict.fromkeys((same, "text_id", "source_id", "lang", "label"))
    documents = documents.sort_by([(column, "ascending") for column in order])
    values = documents[same]
    new = np.ones(len(documents), bool)
    new[1:] = pc.not_equal(values[1:], values[:-1]).to_numpy(zero_copy_only=False)
    stays = np.maximum.accumulate(np.where(new, np.arange(len(documents)), 0))
    copies, originals = pa.array(np.flatnonzero(~new)), pa.array(stays[~new])
    ids, kept_ids = documents["source_id"].take(copies), documents["source_id"].take(originals)
    texts, kept_texts = documents["text_id"].take(copies), documents["text_id"].take(originals)
    same_text = pc.equal(texts, kept_texts)
    rejected = rejected_batch(
        len(copies),
        source_id=ids,
        stage="duplicates",
        reason=pc.if_else(same_text, "same text", "same id"),
        detail=pc.if_else(
            same_text,
            pc.binary_join_element_wise("kept", kept_ids, " "),
            pc.binary_join_element_wise("kept the text with hash", kept_texts, " "),
        ),
    )
    return documents.filter(pa.array(new)), rejected
