"""The plain process of benchmarks/build.py: python build_plain.py DOCUMENTS.parquet FOLDER."""

import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pairsmith.augmenters import SpanMask, WordDropout, count_words, word_overlap
from pairsmith.pipelines.recipe import Neighbours, Sentences
from pairsmith.pipelines.recipe.bases import Around
from pairsmith.schemas import record_keys


def main() -> None:
    """Write the pairs of the three kinds to one file, in the order in which they are made."""
    source, folder = Path(sys.argv[1]), Path(sys.argv[2])
    folder.mkdir()
    segment, neighbours = Sentences(), Neighbours(3)
    kinds = {"dropout": WordDropout(p=0.15), "span_mask": SpanMask(density=0.15), "context": None}
    for augmenter in kinds.values():
        if augmenter:
            augmenter.setup()
    text = pa.string()
    schema = pa.schema([(name, text) for name in ("source_id", "anchor", "positive", "kind")])
    with pq.ParquetWriter(folder / "pairs.parquet", schema, compression="zstd") as writer:
        for batch in pq.ParquetFile(source).iter_batches(500):
            ids: list[str] = []
            units: list[int] = []
            anchors: list[str] = []
            counts: list[int] = []
            for document in batch.to_pylist():
                sentences = segment(document["text"], None)
                ids += [document["doc_id"]] * len(sentences)
                units += range(len(sentences))
                anchors += sentences
                counts.append(len(sentences))
            anchor, source_id = pa.array(anchors, text), pa.array(ids, text)
            numbers = np.array(units, np.int32)
            ends = np.cumsum(counts)
            first, end = np.repeat(ends - counts, counts), np.repeat(ends, counts)
            long_enough = pa.array(count_words(anchor) >= 4)
            for kind, augmenter in kinds.items():
                if augmenter:
                    keys = record_keys(17, source_id, numbers, kind, 0)
                    positive = augmenter(anchor, keys)
                else:
                    positive = neighbours(Around(anchor), np.arange(len(anchor)), first, end)
                kept = pc.and_(long_enough, pc.not_equal(anchor, positive))
                kept = pc.and_(kept, pa.array(word_overlap(anchor, positive) <= 0.95))
                table = pa.table([source_id, anchor, positive, [kind] * len(anchor)], schema)
                writer.write_table(table.filter(kept))


if __name__ == "__main__":
    main()
