"""Small corpora that tests write in every format, and ways to run the command on them."""

import csv
import gzip
import hashlib
import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

_SUBJECTS = ("The committee", "A lighthouse keeper", "My neighbour", "The old engine", "Nobody")
_VERBS = ("examined", "painted", "ignored", "repaired", "remembered", "described")
_OBJECTS = ("the broken gate", "an unusual letter", "every clock", "the northern bridge")
_ENDS = ("before the rain came.", "without a word!", "in the spring of 1921.", "as agreed?")
_CHINESE = ("委员会审查了报告", "灯塔看守人修理了旧钟", "邻居在雨前关上了大门", "没有人记得那封信")


def documents(count: int = 60, sentences: int = 9) -> list[dict[str, str]]:
    """Return English documents and, every third, a Chinese one; no sentence stands twice in one."""
    made = []
    for d in range(count):
        units = []
        for s in range(sentences):
            n = d * 31 + s * 7
            if d % 3 == 2:
                units.append(f"{_CHINESE[n % 4]},第{n}次,{_CHINESE[(n // 4) % 4]}。")
            else:
                parts = (_SUBJECTS[n % 5], _VERBS[n % 6], _OBJECTS[n % 4], _ENDS[(n // 3) % 4])
                units.append(f"Item {n}: " + " ".join(parts))
        joint = "" if d % 3 == 2 else " "
        made.append({"doc_id": f"doc/{d:03d}", "text": joint.join(units)})
    return made


def write_parquet(path: Path, rows: Sequence[dict[str, Any]], row_group: int = 1000) -> Path:
    pq.write_table(pa.Table.from_pylist(list(rows)), path, row_group_size=row_group)
    return path


def write_jsonl(path: Path, rows: Sequence[dict[str, Any]]) -> Path:
    data = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode()
    if path.suffix.lower() == ".gz":
        data = gzip.compress(data, mtime=0)
    elif path.suffix.lower() == ".zst":
        data = pa.compress(data, "zstd", asbytes=True)
    path.write_bytes(data)
    return path


def write_csv(path: Path, rows: Sequence[dict[str, Any]]) -> Path:
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path


def pairsmith(*arguments: object, **options: object) -> subprocess.CompletedProcess[str]:
    """Run the installed command as a user would."""
    return subprocess.run(  # type: ignore[call-overload, no-any-return]
        [str(Path(sys.executable).with_name("pairsmith")), *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=300,
        stdin=subprocess.DEVNULL,
        **options,
    )


def sums(dataset: Path) -> dict[str, str]:
    """Return the sha256 of every shard, by name."""
    return {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted((dataset / "shards").iterdir())
    }


def everything(dataset: Path) -> dict[str, bytes]:
    """Return all files of a dataset but the time stamp in its manifest."""
    files = {
        str(path.relative_to(dataset)): path.read_bytes()
        for path in dataset.rglob("*")
        if path.is_file()
    }
    manifest = json.loads(files.pop("manifest.json"))
    files["digest"] = manifest["digest"].encode()
    del files["increments.json"]  # says what was used again
    return files
