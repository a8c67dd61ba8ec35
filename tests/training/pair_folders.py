"""Small valid dataset folders for tests, made of the rows that a test names."""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pairsmith.schemas import PAIRS, Manifest, ShardFile, group_ids, pair_ids, text_hashes
from pairsmith.schemas.dataset import sha256_file

Row = Mapping[str, Any]


def write_dataset(
    folder: Path, rows: Iterable[Row], *, shards: int = 1, row_group_rows: int = 8192
) -> Path:
    """Write `rows` (at least anchor and positive) as a finished dataset; returns the folder."""
    rows = list(rows)
    (folder / "shards").mkdir(parents=True)
    files = []
    for number in range(shards):
        name = f"shards/part-{number:05d}.parquet"
        table = pairs(rows[number::shards])
        pq.write_table(table, folder / name, compression="zstd", row_group_size=row_group_rows)
        path = folder / name
        size = path.stat().st_size
        files.append(ShardFile(name, table.num_rows, size, sha256_file(path)))
    manifest = Manifest(
        recipe={"name": "test"},
        recipe_digest="0" * 64,
        inputs=(),
        shards=tuple(files),
        dropped=(),
        failed=(),
        counts={"pairs": {"written": len(rows)}},
        versions={},
    )
    (folder / "manifest.json").write_text(manifest.to_json(), "utf-8")
    return folder


def pairs(rows: Sequence[Row]) -> pa.Table:
    """Return rows as a table of the pair schema; what a row does not say is made up sensibly."""
    anchors = pa.array([row["anchor"] for row in rows], pa.string())
    positives = pa.array([row["positive"] for row in rows], pa.string())
    sources = pa.array([row.get("source_id", row["anchor"]) for row in rows], pa.string())
    units = np.array([row.get("unit", 0) for row in rows], np.int32)
    default = group_ids(sources)
    groups = [row.get("group_id", group) for row, group in zip(rows, default, strict=True)]
    negatives = [list(row.get("negatives", ())) for row in rows]
    unknown = [[None] * len(listed) for listed in negatives]
    owners = [r.get("negative_sources", u) for r, u in zip(rows, unknown, strict=True)]
    tests = [["test"] * len(listed) for listed in negatives]
    kinds = [r.get("negative_kinds", t) for r, t in zip(rows, tests, strict=True)]
    infos = [
        [{"kind": k, "source_id": s, "rank": i} for i, (k, s) in enumerate(zip(*both, strict=True))]
        for both in zip(kinds, owners, strict=True)
    ]
    columns: dict[str, Any] = {
        "pair_id": pair_ids(sources, units, "test", 0),
        "anchor": anchors,
        "positive": positives,
        "negatives": negatives,
        "negative_info": infos,
        "source_id": sources,
        "unit": units,
        "group_id": np.array(groups, np.uint64),
        "anchor_hash": text_hashes(anchors),
        "positive_hash": text_hashes(positives),
        "kind": [row.get("kind", "test") for row in rows],
        "anchor_view": [row.get("anchor_view", "view") for row in rows],
        "positive_view": [row.get("positive_view", "view") for row in rows],
        "lang": [row.get("lang") for row in rows],
        "label": [row.get("label") for row in rows],
        "similarity": [row.get("similarity") for row in rows],
        "draw": [0] * len(rows),
        "weight": [row.get("weight", 1.0) for row in rows],
    }
    empty = [None] * len(rows)
    arrays = [pa.array(columns.get(f.name, empty), f.type) for f in PAIRS]
    return pa.Table.from_arrays(arrays, schema=PAIRS)


def with_two_subwords_exchanged(tokenizer: Path) -> str:
    """Return a tokenizer.json with the ids of two of its subwords exchanged."""
    data = json.loads(tokenizer.read_text("utf-8"))
    vocabulary = data["model"]["vocab"]
    *_, one, other = vocabulary
    vocabulary[one], vocabulary[other] = vocabulary[other], vocabulary[one]
    return json.dumps(data)


_SUBJECTS = ("the cat", "a dog", "my aunt", "the committee", "every sailor", "the old king")
_VERBS = ("sees", "follows", "paints", "forgets", "buys", "remembers", "sells")
_OBJECTS = ("a red house", "the river", "two apples", "the interest rate", "a ship", "the moon")
_ENDS = ("in spring", "at night", "without a word", "for a week", "again", "by train", "alone")


def sentences(count: int, seed: int = 0) -> list[str]:
    """Return `count` simple sentences, drawn with `seed`; a few may be equal."""
    rng = np.random.default_rng(seed)
    parts = (_SUBJECTS, _VERBS, _OBJECTS, _ENDS)
    return [" ".join(str(rng.choice(part)) for part in parts) for _ in range(count)]


def paired_sentences(count: int, seed: int = 0) -> list[dict[str, Any]]:
    """Return `count` pairs: a sentence and the same with its last words first."""
    rows = []
    for number, text in enumerate(sentences(count, seed)):
        words = text.split()
        swapped = " ".join([*words[-2:], *words[:-2]])
        rows.append({"anchor": text, "positive": swapped, "source_id": f"doc{number}"})
    return rows
