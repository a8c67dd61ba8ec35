"""The build of benchmarks/build.py row by row: python build_rows.py DOCUMENTS.parquet FOLDER.

What one writes in Beam with nlpaug when nothing is batched: an element is a document, then a
sentence, then a pair. The same three kinds, the same rules, duplicates, shuffle and sorted shards.
nlpaug has no spans to mask; words by themselves stand in for them.
"""

import hashlib
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import apache_beam as beam
import pyarrow as pa
import pyarrow.parquet as pq
from apache_beam.runners.portability.fn_api_runner import FnApiRunner

from pairsmith.pipelines.bases import Neighbours
from pairsmith.pipelines.segment import Sentences

SHARDS = 16
Row = dict[str, str]


class Augment(beam.DoFn):
    """A sentence -> its pairs."""

    def setup(self) -> None:
        """Load nlpaug."""
        import nlpaug.augmenter.word as naw

        self.kinds = {
            "dropout": naw.RandomWordAug(action="delete", aug_p=0.15),
            "word_mask": naw.RandomWordAug(
                action="substitute", aug_p=0.15, target_words=["<mask>"]
            ),
        }

    def process(self, row: Row) -> Iterator[Row]:
        """Yield a pair of each kind."""
        for kind, augmenter in self.kinds.items():
            for positive in augmenter.augment(row["anchor"]):
                yield {**row, "kind": kind, "positive": positive}
        if row["around"]:
            yield {**row, "kind": "context", "positive": row["around"]}


def sentences(document: dict[str, Any]) -> Iterator[Row]:
    """Yield the sentences of a document, each with those around it."""
    units = Sentences()(document["text"], None)
    around = Neighbours(3)(units, range(len(units)))
    for number, (anchor, context) in enumerate(zip(units, around, strict=True)):
        if len(anchor.split()) >= 4:
            yield {
                "source_id": document["doc_id"],
                "unit": str(number),
                "anchor": anchor,
                "around": context or "",
            }


def is_good(row: Row) -> bool:
    """Return whether the texts differ, and share few enough words."""
    first, second = set(row["anchor"].lower().split()), set(row["positive"].lower().split())
    union = len(first | second)
    return row["anchor"] != row["positive"] and len(first & second) <= 0.95 * union


def keyed(row: Row) -> tuple[int, Row]:
    """Return the row with its id, by shard."""
    name = "/".join((row["source_id"], row["unit"], row["kind"]))
    shard = int(
        hashlib.md5(f"{row['source_id']}/{int(row['unit']) // 256}".encode()).hexdigest(), 16
    )
    pair_id = hashlib.md5(name.encode()).hexdigest()
    return shard % SHARDS, {**row, "pair_id": pair_id}


def write(group: tuple[int, Iterable[Row]], folder: str) -> None:
    """Write a shard, sorted."""
    number, rows = group
    table = pa.Table.from_pylist(sorted(rows, key=lambda row: row["pair_id"]))
    pq.write_table(table, Path(folder) / f"{number:05d}.parquet", compression="zstd")


def main() -> None:
    """Write the pairs of the three kinds."""
    source, folder = sys.argv[1], sys.argv[2]
    Path(folder).mkdir()
    with beam.Pipeline(runner=FnApiRunner()) as pipeline:
        _ = (
            pipeline
            | beam.io.ReadFromParquet(source, columns=["doc_id", "text"])
            | "ByText" >> beam.Map(lambda row: (hashlib.md5(row["text"].encode()).hexdigest(), row))
            | "Same" >> beam.GroupByKey()
            | "First" >> beam.Map(lambda group: min(group[1], key=lambda row: row["doc_id"]))
            | beam.FlatMap(sentences)
            | beam.ParDo(Augment())
            | beam.Filter(is_good)
            | beam.Map(keyed)
            | "Shards" >> beam.GroupByKey()
            | beam.Map(write, folder)
        )


if __name__ == "__main__":
    main()
