"""Share of texts whose nearest other text has their label: leave-one-out 1-NN by cosine.

python examples/learning/nearest.py LABELLED.parquet MODEL...
"""

import sys

import numpy as np
import pyarrow.parquet as pq

from pairsmith.training.evaluation.saved import encode_with, open_saved


def main(parquet: str, *models: str) -> None:
    """Print a line for each model."""
    table = pq.read_table(parquet, columns=["text", "label"])
    labels = table["label"].combine_chunks().dictionary_encode().indices.to_numpy()
    for model in models:
        vectors = encode_with(open_saved(model, "auto"), 256)(table["text"].to_pylist())
        similarity = vectors @ vectors.T
        np.fill_diagonal(similarity, -np.inf)
        right = labels[similarity.argmax(axis=1)] == labels
        print(f"{model}: {right.mean():.4f} of {len(right):,}")


if __name__ == "__main__":
    main(*sys.argv[1:])
