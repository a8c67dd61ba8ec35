"""Evaluation files are read as they are meant, or refused in one line."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pairsmith.schemas import UserError
from pairsmith.training.evaluation.gold import judgements, similarities, translations


def parquet(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(rows), path)
    return path


def test_splits_may_be_numbers(tmp_path: Path) -> None:
    rows = [
        {"sentence1": "a", "sentence2": "b", "score": score, "split": split}
        for score, split in ((1.0, 1), (2.0, 1), (3.0, 2), (4.0, 2))
    ]
    file = parquet(tmp_path / "sts.parquet", rows)
    assert similarities(file, "2")[2].tolist() == [3, 4]
    with pytest.raises(UserError, match="no rows of split 'dev'; give --split one of: 1, 2"):
        similarities(file, "dev")


def folder_of(folder: Path, docs: list[str], **judged: Any) -> Path:
    """Return a folder of these documents and one query, judged by d1 and this, else d10."""
    rows = [{"doc_id": doc, "text": doc} for doc in docs]
    schema = pa.schema([("doc_id", pa.string()), ("text", pa.string())])
    parquet(folder / "queries.parquet", [{"query_id": "q", "text": "?"}])
    pq.write_table(pa.Table.from_pylist(rows, schema), folder / "docs.parquet")
    qrels = [{"query_id": "q", "doc_id": doc, "relevance": 1} for doc in ("d1", "d10")]
    parquet(folder / "qrels.parquet", [qrels[0], judged or qrels[1]])
    return folder


def test_judgements_name_documents_that_are_there(tmp_path: Path) -> None:
    queries, qrels = judgements(folder_of(tmp_path / "whole", ["d1", "d10", "d2"]))
    assert (queries, qrels) == ({"q": "?"}, {"q": {"d1": 1, "d10": 1}})
    missing = "1 of the 2 relevant documents of .* are not among its docs, such as '{}'; compare"
    stranger = {"query_id": "q", "doc_id": "x-d10", "relevance": 1}
    with pytest.raises(UserError, match=missing.format("x-d10")):
        judgements(folder_of(tmp_path / "other", ["d1", "d10"], **stranger))
    with pytest.raises(UserError, match=missing.format("d10")):
        judgements(folder_of(tmp_path / "short", ["d1"]))
    with pytest.raises(UserError, match=r"docs\.parquet has no rows"):
        judgements(folder_of(tmp_path / "bare", []))
    # Who is judged not to answer need not be there, nor who answers what is not asked.
    for number, more in enumerate(({"relevance": 0}, {"query_id": "never asked"})):
        assert judgements(folder_of(tmp_path / str(number), ["d1"], **stranger | more))[0]


@pytest.mark.parametrize("relevance", [0.5, float("nan"), "high"])
def test_relevances_are_whole_numbers(tmp_path: Path, relevance: float | str) -> None:
    folder = folder_of(tmp_path, ["d1"])
    judged = [{"query_id": "q", "doc_id": "d1", "relevance": relevance}]
    parquet(folder / "qrels.parquet", judged)
    message = r"qrels.parquet: the column relevance is not whole numbers \("
    with pytest.raises(UserError, match=message) as caught:
        judgements(folder)
    assert "\n" not in str(caught.value)


def test_columns_about_a_row_are_no_languages_where_there_are_two_others(tmp_path: Path) -> None:
    row = {"id": "a", "url": "u", "src": "web", "score": "1"}
    rows = [row | {"de": f"{i} eins", "en": f"{i} one"} for i in range(3)]
    assert translations(parquet(tmp_path / "about.parquet", rows))[0] == ("de", "en")
    rows = [{"id": f"{i} satu", "en": f"{i} one"} for i in range(3)]
    assert translations(parquet(tmp_path / "indonesian.parquet", rows))[0] == ("id", "en")
    three = [{"id": "a", "de": "eins", "en": "one", "zh": "1"}] * 3
    with pytest.raises(UserError, match=r"two columns named by languages, .* named so: id, de, en"):
        translations(parquet(tmp_path / "three.parquet", three))
