"""Evaluation files: scores, labels, translations, relevance judgements, read and checked."""

import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.json
import pyarrow.parquet as pq

from pairsmith.schemas import UserError

DOCUMENTS_AT_A_TIME = 4096
_LANGUAGE = re.compile("[a-z]{2,3}([-_][A-Za-z]+)?")
_ABOUT = {"id", "url", "src", "tag"}
"""Columns that are about a row, where there are two others: else `id` is Indonesian."""


def similarities(path: Path, split: str) -> tuple[list[str], list[str], npt.NDArray[np.float64]]:
    """Return sentence1, sentence2 and score of the rows of `split`; all rows without that column.

    Raises UserError unless there are at least 2 different scores.
    """
    left, right, gold = _scored(path, split, "score")
    if np.unique(gold).size < 2:
        raise UserError(f"{path} needs at least 2 different scores")
    return left, right, gold


def labelled_pairs(path: Path, split: str) -> tuple[list[str], list[str], npt.NDArray[np.bool_]]:
    """Return sentence1, sentence2 and label of the rows of `split`; all rows without that column.

    Raises UserError unless the labels are 0 and 1, and both occur.
    """
    left, right, gold = _scored(path, split, "label")
    if np.unique(gold).tolist() != [0, 1]:
        raise UserError(f"{path} needs labels 0 and 1, 1 for a paraphrase, and rows of both")
    return left, right, gold.astype(bool)


def _scored(
    path: Path, split: str, column: str
) -> tuple[list[str], list[str], npt.NDArray[np.float64]]:
    table = read_table(path, ("sentence1", "sentence2", column), optional=("split",))
    if "split" in table.column_names:
        splits = table["split"].cast(pa.string())  # which may be numbers
        known = ", ".join(sorted(map(str, splits.unique().to_pylist())))
        table = table.filter(pc.equal(splits, split))
        if not table.num_rows:
            raise UserError(f"{path} has no rows of split {split!r}; give --split one of: {known}")
    try:
        gold = table[column].cast(pa.float64()).to_numpy()
    except pa.ArrowException as error:
        raise UserError(f"{path}: the column {column} is not numbers ({error})") from error
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


def translations(
    path: Path, most: int = 0, seed: int = 0
) -> tuple[tuple[str, str], list[str], list[str]]:
    """Return the names of the two languages, and as many different texts of each, row for row.

    The columns are the two of texts named as languages are (en, zh, pt-BR), id, url, src and tag
    apart if there are more, else the only two.
    Texts that occur again, in whatever row, are left out, so that every text has one right match.
    most: rows drawn by `seed` where there are more; 0: all.
    Raises UserError unless there are two such columns and two such rows.
    """
    table = read_table(path, ())
    texts = [f.name for f in table.schema if _is_text(f.type)]
    named = [name for name in texts if _LANGUAGE.fullmatch(name)]
    clear = [name for name in named if name not in _ABOUT]
    names = next((some for some in (named, clear, texts) if len(some) == 2), None)
    if names is None:
        have, these = ", ".join(table.column_names), ", ".join(named) or "none"
        raise UserError(
            f"{path} needs two columns named by languages, as en, zh; it has: {have}; named so: "
            f"{these}"
        )
    table = read_table(path, names)
    once = [_only_once(table[name]) for name in names]
    rows = np.flatnonzero(once[0] & once[1])
    if len(rows) < 2:
        raise UserError(f"{path} needs at least 2 texts that occur once in each language")
    if most and len(rows) > most:
        rows = np.sort(np.random.default_rng(seed).choice(rows, most, replace=False))
    table = table.take(rows)
    return (names[0], names[1]), _strings(table[names[0]]), _strings(table[names[1]])


def judgements(folder: Path) -> tuple[dict[str, str], dict[str, dict[str, int]]]:
    """Return judged queries by id, and relevances by query and document.

    Raises UserError when a file is missing or lacks a column, no query has a relevant document, or
    one of these is not there.
    """
    asked = read_table(_part(folder, "queries"), ("query_id", "text"))
    path = _part(folder, "qrels")
    judged = read_table(path, ("query_id", "doc_id"), optional=("relevance",))
    qrels: dict[str, dict[str, int]] = {}
    for row in _with_whole_relevances(path, judged).to_pylist():
        relevance = row.get("relevance", 1)
        if relevance is not None:
            qrels.setdefault(str(row["query_id"]), {})[str(row["doc_id"])] = relevance
    relevant = {query for query, found in qrels.items() if any(v > 0 for v in found.values())}
    queries = {str(r["query_id"]): str(r["text"]) for r in asked.to_pylist()}
    queries = {query: text for query, text in queries.items() if query in relevant}
    if not queries:
        raise UserError(f"no query in {folder} has a relevant document; compare the ids")
    _look_for(folder, {d for q in queries for d, value in qrels[q].items() if value > 0})
    return queries, qrels


def _with_whole_relevances(path: Path, judged: pa.Table) -> pa.Table:
    place = judged.schema.get_field_index("relevance")
    if place < 0:
        return judged
    try:
        return judged.set_column(place, "relevance", judged["relevance"].cast(pa.int64()))
    except pa.ArrowException as error:
        raise UserError(f"{path}: the column relevance is not whole numbers ({error})") from error


def _look_for(folder: Path, relevant: set[str]) -> None:
    """Raise UserError unless all relevant documents are there: else none could find them."""
    missing = set(relevant)
    with _open_documents(folder) as file:
        if not file.metadata.num_rows:
            raise UserError(f"{_part(folder, 'docs')} has no rows")
        for batch in file.iter_batches(DOCUMENTS_AT_A_TIME, columns=["doc_id"]):
            missing.difference_update(map(str, batch["doc_id"].to_pylist()))
    if missing:
        raise UserError(
            f"{len(missing):,} of the {len(relevant):,} relevant documents of {folder} are not "
            f"among its docs, such as {min(missing)!r}; compare the ids, or leave these out of "
            f"{_part(folder, 'qrels').name}"
        )


def retrieval_files(folder: Path) -> list[Path]:
    """Return the files of documents, queries and judgements; raises UserError for one missing."""
    return [_part(folder, word) for word in ("docs", "queries", "qrels")]


def documents(folder: Path) -> Iterator[list[str]]:
    """Yield the documents' texts, each behind its title if it has one, 4,096 at a time."""
    with _open_documents(folder) as file:
        columns = [name for name in ("title", "text") if name in file.schema_arrow.names]
        for batch in file.iter_batches(DOCUMENTS_AT_A_TIME, columns=columns):
            yield [
                " ".join(str(part) for part in (row.get("title"), row["text"]) if part)
                for row in batch.to_pylist()
            ]


def document_ids(folder: Path, places: npt.NDArray[np.int64]) -> dict[int, str]:
    """Return the ids of the documents at these places, counted from 0; `places` is sorted."""
    ids: dict[int, str] = {}
    before = 0
    with _open_documents(folder) as file:
        for batch in file.iter_batches(DOCUMENTS_AT_A_TIME, columns=["doc_id"]):
            first, last = np.searchsorted(places, (before, before + batch.num_rows))
            here = places[first:last]
            found = batch["doc_id"].take(pa.array(here - before)).to_pylist()
            ids.update(zip(here.tolist(), map(str, found), strict=True))
            before += batch.num_rows
    return ids


def _open_documents(folder: Path) -> pq.ParquetFile:
    path = _part(folder, "docs")
    try:
        file = pq.ParquetFile(path)
    except (pa.ArrowException, OSError) as error:
        raise UserError(f"{path} cannot be read: {str(error).splitlines()[0]}") from error
    _demand(path, ("doc_id", "text"), file.schema_arrow.names)
    return file


def read_table(path: Path, columns: Sequence[str], optional: Sequence[str] = ()) -> pa.Table:
    """Return columns of a .parquet, .csv, .tsv or .jsonl file, without nulls in `columns`.

    No `columns`: all there are.

    Raises UserError when it is missing, unreadable, lacks a column or is empty.
    """
    if not path.is_file():
        raise UserError(f"no file {path}; name a .parquet, .csv, .tsv or .jsonl file")
    try:
        table = _parse(path)
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path} cannot be read: {str(error).splitlines()[0]}") from error
    _demand(path, columns, table.column_names)
    if columns:
        table = table.select([*columns, *(c for c in optional if c in table.column_names)])
        table = table.filter(_all(pc.is_valid(table[name]) for name in columns))
    if not table.num_rows:
        raise UserError(f"{path} has no rows")
    return table


def _parse(path: Path) -> pa.Table:
    if path.suffix == ".parquet":
        return pq.read_table(path)
    if path.suffix == ".csv":
        quoted = pa.csv.ParseOptions(newlines_in_values=True)
        return pa.csv.read_csv(path, parse_options=quoted)
    if path.suffix == ".tsv":
        # Files of this kind quote nothing: a text may begin with a mark that is never closed, and
        # the rows up to the next one would be part of it.
        plain = pa.csv.ParseOptions(delimiter="\t", quote_char=False)
        return pa.csv.read_csv(path, parse_options=plain)
    if path.suffix in (".jsonl", ".json"):
        return pa.json.read_json(path)
    raise UserError(f"{path} is of no known kind; give .parquet, .csv, .tsv or .jsonl")


def _demand(path: Path, columns: Sequence[str], there: Sequence[str]) -> None:
    missing = [name for name in columns if name not in there]
    if missing:
        raise UserError(f"{path} has no column {missing[0]!r}; its columns are: {', '.join(there)}")


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _only_once(column: pa.ChunkedArray) -> npt.NDArray[np.bool_]:
    """Tell for each text whether no other row has it."""
    codes = pc.dictionary_encode(column.combine_chunks()).indices.to_numpy()
    once: npt.NDArray[np.bool_] = np.bincount(codes)[codes] == 1
    return once


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
