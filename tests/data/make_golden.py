"""Writes a golden dataset from explicit rows: `python tests/data/make_golden.py FOLDER`.

`golden/` was written by this script for schema version 1 and is never written again: later versions
must open those very bytes. A new schema version gets a new folder beside it.
"""

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pairsmith.schemas import (
    PAIRS,
    REJECTED,
    ROW_GROUP_ROWS,
    Manifest,
    ShardFile,
    group_ids,
    pair_ids,
    shard_numbers,
    text_hashes,
)
from pairsmith.schemas.dataset import sha256_file
from pairsmith.schemas.manifest import InputFile, digest

SHARDS = 2
RECIPE = {"name": "golden", "seed": 17, "pairs": ["dropout", "context", "translation"]}


def _pair(source_id: str, unit: int, kind: str, anchor: str, positive: str, **more: Any) -> Any:
    views = {
        "dropout": ("identity", "word_dropout"),
        "context": ("identity", "neighbours"),
        "translation": ("identity", "back_translate"),
    }[kind]
    row = {"negatives": [], "negative_info": [], "weight": 1.0, "draw": 0, **more}
    row |= {"source_id": source_id, "unit": unit, "kind": kind}
    row |= {"anchor": anchor, "positive": positive}
    return row | {"anchor_view": views[0], "positive_view": views[1]}


def _random(*source_ids: str) -> list[dict[str, Any]]:
    return [{"kind": "random", "source_id": s} for s in source_ids]


ROWS = [
    _pair(
        "fed/1996",
        0,
        "dropout",
        "Other new systems may allow payments over networks such as the Internet.",
        "Other new systems allow payments over networks such as Internet.",
        negatives=["The ship sailed at dawn.", "你好，世界。"],
        negative_info=_random("novel/emma", "zh/help"),
        lang="en",
        overlap=0.75,
    ),
    _pair(
        "fed/1996",
        0,
        "dropout",
        "Other new systems may allow payments over networks such as the Internet.",
        "new systems may allow payments over networks such the Internet.",
        draw=1,
        lang="en",
        overlap=0.8125,
    ),
    _pair(
        "fed/1996",
        1,
        "context",
        "Prices rose by 3 % in May.",
        "Other new systems may allow payments over networks such as the Internet.",
        lang="en",
        overlap=0.0,
        similarity=0.25,
        label="economy",
    ),
    _pair(
        "novel/emma",
        300,
        "context",
        "“Quite impossible!” cried Emma; and she meant it.",
        "Mr. Knightley said\tnothing.",
        negatives=["Prices rose by 3 % in May."],
        negative_info=[
            {
                "kind": "lexical",
                "source_id": "fed/1996",
                "rank": 12,
                "score": 0.5,
                "teacher": "bm25",
            }
        ],
        lang="en",
    ),
    _pair("novel/emma", 301, "translation", "The café was naïve.", "The coffee shop was simple."),
    _pair("no language", 0, "dropout", "0123456789", "01234 56789", weight=0.5),
    _pair(
        "zh/help",
        0,
        "dropout",
        "如果单元格为空，则返回错误值。",
        "如果单元格空，返回错误值。",
        negatives=["打开文件。", "The ship sailed at dawn."],
        negative_info=_random("zh/help-2", "novel/emma"),
        lang="zh",
        overlap=0.875,
    ),
    _pair(
        "zh/help",
        1,
        "context",
        "在菜单中选择“插入”。",
        "如果单元格为空，则返回错误值。",
        lang="zh",
        overlap=0.125,
        label="帮助",
    ),
    _pair("zh/help-2", 0, "translation", "打开文件。", "開啟檔案。", lang="zh", similarity=0.9375),
    _pair("émoji 🙂", 2, "dropout", "Rain 🌧️ again\nand again", "Rain again\nand", draw=2),
]
DROPPED = [
    {
        "source_id": "novel/emma",
        "unit": 302,
        "kind": "dropout",
        "draw": 0,
        "stage": "gate",
        "reason": "overlap",
        "detail": "0.95",
        "text": "Yes.",
    },
    {
        "source_id": "fed/1997",
        "stage": "duplicates",
        "reason": "same text",
        "text": "Prices rose by 3 % in May.",
    },
]
FAILED = [
    {"stage": "read", "reason": "not JSON", "text": "{", "path": "novels.jsonl", "position": 4096}
]


def write(folder: Path) -> Manifest:
    """Write the dataset into `folder`, which must not exist, and return its manifest."""
    folder.mkdir(parents=True)
    table = pa.Table.from_pylist([_keyed(row) for row in ROWS], schema=PAIRS)
    numbers = shard_numbers(_ids(table), table["unit"].to_numpy(), SHARDS)
    shards = []
    for number in range(SHARDS):
        rows = table.filter(pa.array(numbers == number)).sort_by("pair_id")
        shards.append(_file(folder, f"shards/{number:05d}-of-{SHARDS:05d}.parquet", rows))
    rejected = {
        name: (_file(folder, f"{name}/00000-of-00001.parquet", rows),)
        for name, rows in [
            ("dropped", pa.Table.from_pylist(DROPPED, schema=REJECTED)),
            ("failed", pa.Table.from_pylist(FAILED, schema=REJECTED)),
        ]
    }
    manifest = Manifest(
        recipe=RECIPE,
        recipe_digest=digest(RECIPE),
        inputs=(InputFile("fed.parquet", 1000), InputFile("novels.jsonl", 5000)),
        shards=tuple(shards),
        counts={"pairs": {"made": 11, "written": 10, "dropped": 1, "failed": 0}},
        versions={"pairsmith": "0.1.0", "pyarrow": pa.__version__},
        created="2026-11-24T12:00:00Z",
        **rejected,
    )
    (folder / "manifest.json").write_text(manifest.to_json(), "utf-8")
    return manifest


def _keyed(row: dict[str, Any]) -> dict[str, Any]:
    source, unit = pa.array([row["source_id"]]), np.array([row["unit"]], np.int32)
    return row | {
        "pair_id": pair_ids(source, unit, row["kind"], row["draw"])[0].as_py(),
        "group_id": int(group_ids(source)[0]),
        "anchor_hash": int(text_hashes(pa.array([row["anchor"]]))[0]),
        "positive_hash": int(text_hashes(pa.array([row["positive"]]))[0]),
    }


def _ids(table: pa.Table) -> pa.StringArray:
    return table["source_id"].combine_chunks()


def _file(folder: Path, name: str, rows: pa.Table) -> ShardFile:
    path = folder / name
    path.parent.mkdir(exist_ok=True)
    pq.write_table(rows, path, compression="zstd", row_group_size=ROW_GROUP_ROWS)
    return ShardFile(name, rows.num_rows, path.stat().st_size, sha256_file(path))


if __name__ == "__main__":
    print(write(Path(sys.argv[1])).digest)
