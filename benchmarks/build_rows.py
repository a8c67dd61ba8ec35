"""The build of benchmarks/build.py row by row: python build_rows.py DOCUMENTS.parquet FOLDER.

What one writes in Beam with nlpaug when nothing is batched: an element is a document, then a
sentence, then a pair. The same job: copies by id and text, three kinds that can be replayed,
screens, gates, rejected rows, shuffle, sorted shards with all columns and their sha256. nlpaug has
no spans to mask; words by themselves stand in for them.
"""

import hashlib
import random
import re
import sys
import unicodedata
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import apache_beam as beam
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from apache_beam.pvalue import TaggedOutput
from apache_beam.runners.portability.fn_api_runner import FnApiRunner
from xxhash import xxh3_64_intdigest, xxh3_128_hexdigest

from pairsmith.pipelines.recipe import Neighbours, Sentences
from pairsmith.pipelines.recipe.bases import Around
from pairsmith.schemas import PAIRS, ROW_GROUP_ROWS

SHARDS = 16
REJECTED = pa.schema([(name, pa.string()) for name in ("source_id", "kind", "reason", "text")])
Row = dict[str, Any]


class Pairs(beam.DoFn):
    """A sentence -> its pairs, those that are refused apart."""

    def setup(self) -> None:
        """Load nlpaug."""
        import nlpaug.augmenter.word as naw

        words = {"action": "substitute", "target_words": ["<mask>"]}
        self.kinds = {
            "dropout": naw.RandomWordAug(action="delete", aug_p=0.15),
            "word_mask": naw.RandomWordAug(aug_p=0.15, **words),
        }

    def process(self, row: Row) -> Iterator[Any]:
        """Yield a pair of each kind."""
        anchor = row["anchor"]
        if len(anchor.split()) < 4:
            yield TaggedOutput("dropped", refused(row, "", "fewer than 4 words"))
            return
        views = {"context": row["around"]}
        for kind, augmenter in self.kinds.items():
            key = hash64(f"{row['source_id']}/{row['unit']}/{kind}", seed=17)
            random.seed(key)
            np.random.seed(key % 2**32)
            (views[kind],) = augmenter.augment(anchor) or [None]
        for kind, positive in views.items():
            reason, overlap = "", 0.0
            if positive is None:
                reason = "no view"
            elif positive == anchor:
                reason = "unchanged"
            else:
                first, second = words_of(anchor), words_of(positive)
                overlap = len(first & second) / max(1, len(first | second))
                if overlap > 0.95:
                    reason = "overlap"
            if reason:
                yield TaggedOutput("dropped", refused(row, kind, reason))
            else:
                yield pair(row, kind, positive, overlap)


def pair(row: Row, kind: str, positive: str, overlap: float) -> Row:
    """Return all columns of a pair."""
    return {
        "pair_id": hash128(f"{row['source_id']}/{row['unit']}/{kind}/0"),
        "anchor": row["anchor"],
        "positive": positive,
        "negatives": [],
        "negative_info": [],
        "source_id": row["source_id"],
        "unit": row["unit"],
        "group_id": hash64(row["source_id"]),
        "anchor_hash": text_hash(row["anchor"]),
        "positive_hash": text_hash(positive),
        "kind": kind,
        "anchor_view": "text",
        "positive_view": kind,
        "draw": 0,
        "overlap": overlap,
        "weight": 1.0,
    }


def refused(row: Row, kind: str, reason: str) -> Row:
    """Return what is kept of a pair that is refused."""
    return {
        "source_id": row["source_id"],
        "unit": row["unit"],
        "kind": kind,
        "reason": reason,
        "text": row["anchor"],
    }


def hash64(text: str, seed: int = 0) -> int:
    """Return a hash as a number."""
    return xxh3_64_intdigest(text.encode(), seed=seed)


def hash128(text: str) -> str:
    """Return a hash in hex."""
    return xxh3_128_hexdigest(text.encode())


def text_hash(text: str) -> int:
    """Return the hash of the normalised text."""
    return hash64(" ".join(unicodedata.normalize("NFKD", text).lower().split()))


def words_of(text: str) -> set[str]:
    """Return the different words of a text."""
    return set(re.findall(r"\w+", text.lower()))


def sentences(document: Row) -> Iterator[Row]:
    """Yield the sentences of a document, each with those around it."""
    units = Sentences()(document["text"], None)
    places, ends = np.arange(len(units)), np.full(len(units), len(units))
    around = Neighbours(3)(Around(pa.array(units, pa.string())), places, ends * 0, ends).to_pylist()
    for number, (anchor, context) in enumerate(zip(units, around, strict=True)):
        name = document["doc_id"]
        yield {"source_id": name, "unit": number, "anchor": anchor, "around": context}


def by_shard(row: Row) -> tuple[int, Row]:
    """Return the row with the number of its shard."""
    return hash64(f"{row['source_id']}/{row['unit'] // 256}") % SHARDS, row


def write(
    group: tuple[int, Iterable[Row]], folder: str, schema: pa.Schema, order: str
) -> tuple[str, str]:
    """Write a shard, sorted, and return its path and sha256."""
    number, rows = group
    path = Path(folder) / f"{number:05d}.parquet"
    table = pa.Table.from_pylist(sorted(rows, key=lambda row: str(row[order])), schema)
    pq.write_table(table, path, compression="zstd", row_group_size=ROW_GROUP_ROWS)
    return str(path), hashlib.sha256(path.read_bytes()).hexdigest()


def first(group: tuple[str, Iterable[Row]]) -> Row:
    """Return one of several that are the same."""
    return min(group[1], key=lambda row: (row["doc_id"], row["text"]))


def main() -> None:
    """Write the pairs of the three kinds."""
    source, folder = sys.argv[1], Path(sys.argv[2])
    for name in ("shards", "dropped"):
        (folder / name).mkdir(parents=True)
    with beam.Pipeline(runner=FnApiRunner()) as pipeline:
        documents = pipeline | beam.io.ReadFromParquet(source, columns=["doc_id", "text"])
        for column in ("doc_id", "text"):
            documents = (
                documents
                | f"By {column}" >> beam.Map(lambda row, c=column: (hash128(row[c]), row))
                | f"Same {column}" >> beam.GroupByKey()
                | f"First {column}" >> beam.Map(first)
            )
        made = (
            documents
            | beam.FlatMap(sentences)
            | beam.ParDo(Pairs()).with_outputs("dropped", main="shards")
        )
        for name, schema, order in (
            ("shards", PAIRS, "pair_id"),
            ("dropped", REJECTED, "source_id"),
        ):
            _ = (
                made[name]
                | f"Shard of {name}" >> beam.Map(by_shard)
                | f"Group {name}" >> beam.GroupByKey()
                | f"Write {name}" >> beam.Map(write, str(folder / name), schema, order)
            )


if __name__ == "__main__":
    main()
