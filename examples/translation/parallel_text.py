"""Parallel text in a Parquet file with a column for each language, and what is kept for scoring."""

from pathlib import Path

import pyarrow.parquet as pq
from xxhash import xxh3_64_intdigest

Pair = tuple[str, str]


def read_pairs(parquet: Path, source: str, target: str) -> list[Pair]:
    """Return the rows of two columns, those with an empty or missing side left out."""
    table = pq.read_table(parquet, columns=[source, target])
    rows = zip(table[source].to_pylist(), table[target].to_pylist(), strict=True)
    return [(ours, theirs) for ours, theirs in rows if ours and theirs]


def held_out(pairs: list[Pair], sentences: int) -> dict[str, list[str]]:
    """Return so many source sentences with all their translations: those of the smallest hashes.

    Which they are depends on the sentences alone: training and scoring agree without a list.
    """
    sources = {ours for ours, _ in pairs}
    chosen = set(sorted(sources, key=lambda text: xxh3_64_intdigest(text.encode()))[:sentences])
    references: dict[str, list[str]] = {}
    for ours, theirs in pairs:
        if ours in chosen:
            references.setdefault(ours, []).append(theirs)
    return references
