"""Make a document of the captions of each picture, one a line.

python examples/learning/captions.py CAPTIONS.parquet EVALUATION.parquet DOCUMENTS.parquet

Captions that are also texts of the evaluation set are left out, by the hashes that pairs carry.
"""

import sys

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pairsmith.schemas import text_hashes


def main(captions: str, evaluation: str, documents: str) -> None:
    """Read columns caption1, caption2, … and sentence1, sentence2; write doc_id and text."""
    pictures = pq.read_table(captions)
    columns = [name for name in pictures.schema.names if name.startswith("caption")]
    lines = pa.concat_arrays([pictures[name].combine_chunks().cast("string") for name in columns])
    picture = np.tile(np.arange(len(pictures)), len(columns))
    known = np.concatenate(
        [
            text_hashes(pc.cast(column.combine_chunks(), "string"))
            for column in pq.read_table(evaluation, columns=["sentence1", "sentence2"]).columns
        ]
    )
    kept = pa.table({"picture": picture, "text": lines}).filter(
        pa.array(~np.isin(text_hashes(lines), known))
    )
    found = kept.group_by("picture", use_threads=False).aggregate([("text", "list")])
    table = pa.table(
        {
            "doc_id": pc.cast(found["picture"], "string"),
            "text": pc.binary_join(found["text_list"], "\n"),
        }
    )
    pq.write_table(table, documents)
    print(f"{len(lines) - len(kept):,} of {len(lines):,} captions are in {evaluation}: left out")


if __name__ == "__main__":
    main(*sys.argv[1:])
