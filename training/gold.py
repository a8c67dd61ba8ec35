"""Evaluation files: similarity scores, labels, relevance judgements, read and checked."""

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.json
import pyarrow.parquet as pq

from pairsmith.schemas import UserError


def similarities(path: Path, split: str) -> tuple[list[str], list[str], npt.NDArray[np.float64]]:
    """Return sentence1, sentence2 and score of the rows of `split`; all rows without that column.

    Raises UserError unless there are at least 2 different scores.
    """
    table = read_table(path, ("sentence1", "sentence2", "score"), optional=("split",))
    if "split" in table.column_names:
        known = ", ".join(sorted(map(str, table["split"].unique().to_pylist())))
        table = table.filter(pc.equal(table["split"], split))
        if not table.num_rows:
            raise UserError(f"{path} has no rows of split {split!r}; give --split one of: {known}")
    try:
        gold = table["score"].cast(pa.float64()).to_numpy()
    except pa.ArrowException as error:
        raise UserError(f"{path}: the column score is not numbers ({error})") from error
    if np.unique(gold).size < 2:
        raise UserError(f"{path} needs at least 2 different scores")
    return _strings(table["sentence1"]), _strings(table["sentence2"]), gold


def intents(path: Path) -> tuple[list[str], npt.NDArray[np.int64]]:
    """Return texts and their labels as numbers from 0.

    Raises UserError unless there are at least 2 labels, and 2 texts of one of them.
    """
    table = read_table(path, ("text", "label"))
    names = np.array(_strings(table["label"]))
    labels = np.unique(names, return_inverse=True)[1]
    counts = np.bincount(labels)
    if len(counts) < 2 or counts.max() < 2:
        raise UserError(f"{path} needs at least 2 labels, and 2 texts of one of them")
    return _strings(table["text"]), labels


def judgements(folder: Path) -> tuple[dict[str, str], dict[str, str], dict[str, dict[str, int]]]:
    """Return documents and judged queries by id, and relevances by query and document."""
    docs = read_table(_part(folder, "docs"), ("doc_id", "text"), optional=("title",))
    asked = read_table(_part(folder, "queries"), ("query_id", "text"))
    judged = read_table(_part(folder, "qrels"), ("query_id", "doc_id"), optional=("relevance",))
    documents = {
        str(row["doc_id"]): " ".join(str(p) for p in (row.get("title"), row["text"]) if p)
        for row in docs.to_pylist()
    }
    qrels: dict[str, dict[str, int]] = {}
    for row in judged.to_pylist():
        relevance = int(row.get("relevance", 1))
        qrels.setdefault(str(row["query_id"]), {})[str(row["doc_id"])] = relevance
    relevant = {query for query, found in qrels.items() if any(v > 0 for v in found.values())}
    queries = {str(r["query_id"]): str(r["text"]) for r in asked.to_pylist()}
    queries = {query: text for query, text in queries.items() if query in relevant}
    if not queries:
        raise UserError(f"no query in {folder} has a relevant document; compare the ids")
    return documents, queries, qrels


def read_table(path: Path, columns: Sequence[str], optional: Sequence[str] = ()) -> pa.Table:
    """Return columns of a .parquet, .csv, .tsv or .jsonl file, without nulls in `columns`.

    Raises UserError when it is missing, unreadable, lacks a column or is empty.
    """
    if not path.is_file():
        raise UserError(f"no file {path}; name a .parquet, .csv, .tsv or .jsonl file")
    try:
        table = _parse(path)
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path} cannot be read: {str(error).splitlines()[0]}") from error
    missing = [name for name in columns if name not in table.column_names]
    if missing:
        have = ", ".join(table.column_names)
        raise UserError(f"{path} has no column {missing[0]!r}; its columns are: {have}")
    table = table.select([*columns, *(c for c in optional if c in table.column_names)])
    table = table.filter(_all(pc.is_valid(table[name]) for name in columns))
    if not table.num_rows:
        raise UserError(f"{path} has no rows")
    return table


def _parse(path: Path) -> pa.Table:
    if path.suffix == ".parquet":
        return pq.read_table(path)
    if path.suffix in (".csv", ".tsv"):
        options = pa.csv.ParseOptions(
            delimiter="," if path.suffix == ".csv" else "\t", newlines_in_values=True
        )
        return pa.csv.read_csv(path, parse_options=options)
    if path.suffix in (".jsonl", ".json"):
        return pa.json.read_json(path)
    raise UserError(f"{path} is of no known kind; give .parquet, .csv, .tsv or .jsonl")


def _all(masks: Iterable[pa.ChunkedArray]) -> pa.ChunkedArray:
    first, *rest = masks
    for mask in rest:
        first = pc.and_(first, mask)
    return first


def _part(folder: Path, word: str) -> Path:
    if not folder.is_dir():
        raise UserError(f"no folder {folder}; give one with docs, queries and qrels Parquet files")
    exact = folder / f"{word}.parquet"
    found = [exact] if exact.is_file() else sorted(folder.glob(f"*{word}*.parquet"))
    if len(found) != 1:
        raise UserError(
            f"{folder} has {len(found)} files *{word}*.parquet, one is needed; "
            f"name the right one {exact.name}"
        )
    return found[0]


def _strings(column: pa.ChunkedArray) -> list[str]:
    return column.cast(pa.string()).to_pylist()  # type: ignore[no-any-return]
