"""Scores against values worked out by hand."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pairsmith.schemas import UserError
from pairsmith.training.evaluation import Tasks, evaluate, intent, sts
from pairsmith.training.retrieval import retrieval
from pairsmith.training.vectors import Vectors


def angles(texts: list[str]) -> Vectors:
    """Encode a text that is a number of degrees as that direction in the plane."""
    radians = np.deg2rad(np.array([float(text) for text in texts]))
    return np.stack([np.cos(radians), np.sin(radians)], axis=1).astype(np.float32)


def parquet(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(rows), path)
    return path


def similarity(degrees: list[int], scores: list[float], **more: Any) -> list[dict[str, Any]]:
    return [
        {"sentence1": "0", "sentence2": str(d), "score": s, **more}
        for d, s in zip(degrees, scores, strict=True)
    ]


def test_spearman_of_four_pairs_by_hand(tmp_path: Path) -> None:
    # Cosines rank 10 > 20 > 50 > 80; scores rank 20 > 10 > 50 > 80: d = 1, 1, 0, 0.
    file = parquet(tmp_path / "sts.parquet", similarity([10, 20, 50, 80], [4, 5, 3, 1]))
    assert sts(angles, file) == pytest.approx(1 - 6 * 2 / (4 * 15))


def test_only_rows_of_the_split_are_compared(tmp_path: Path) -> None:
    rows = similarity([10, 20, 50], [5, 4, 3], split="dev")
    rows += similarity([10, 20, 50], [3, 4, 5], split="train")
    file = parquet(tmp_path / "sts.parquet", rows)
    assert sts(angles, file) == pytest.approx(1)
    assert sts(angles, file, "train") == pytest.approx(-1)
    with pytest.raises(UserError, match="no rows of split 'test'; give --split one of: dev, train"):
        sts(angles, file, "test")


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".jsonl"])
def test_text_files_are_read_as_well(tmp_path: Path, suffix: str) -> None:
    file = tmp_path / f"sts{suffix}"
    mark = "\t" if suffix == ".tsv" else ","
    rows = [["sentence1", "sentence2", "score"], ["0", "10", "2"], ["0", "20", "1"]]
    lines = [mark.join(row) for row in rows]
    if suffix == ".jsonl":
        line = '{{"sentence1": "{}", "sentence2": "{}", "score": {}}}'
        lines = [line.format(*row) for row in rows[1:]]
    file.write_text("\n".join(lines) + "\n")
    assert sts(angles, file) == pytest.approx(1)


def test_intents_by_hand(tmp_path: Path) -> None:
    # Labels of 12 texts have 10 drawn and 2 asked; the label of 2 has 1 drawn and 1 asked. All
    # texts of a label point the same way, but `odd` has one text among `left`: asked, it is wrong;
    # drawn, it draws no `left` away, which find nearer ones.
    rows = [{"text": str(10 + i / 100), "label": "left"} for i in range(12)]
    rows += [{"text": str(120 + i / 100), "label": "right"} for i in range(12)]
    rows += [{"text": "240", "label": "odd"}, {"text": "241", "label": "odd"}]
    assert intent(angles, parquet(tmp_path / "all.parquet", rows)) == 1
    rows[-1]["text"] = "10.055"  # an equal of `left`
    score = intent(angles, parquet(tmp_path / "odd.parquet", rows))
    assert score == intent(angles, tmp_path / "odd.parquet")
    assert 0.6 <= score <= 0.8  # the odd one of 5 is always wrong, a `left` now and then


def retrieval_folder(folder: Path, relevance: bool = True) -> Path:
    docs = [{"doc_id": f"d{d}", "text": str(d)} for d in (0, 10, 20, 30, 40)]
    queries = [{"query_id": "q1", "text": "1"}, {"query_id": "q2", "text": "39"}]
    queries.append({"query_id": "unjudged", "text": "5"})
    qrels: list[dict[str, Any]] = [
        {"query_id": "q1", "doc_id": "d10", "relevance": 2},
        {"query_id": "q1", "doc_id": "d40", "relevance": 1},
        {"query_id": "q2", "doc_id": "d40", "relevance": 1},
    ]
    if not relevance:
        for row in qrels:
            del row["relevance"]
    parquet(folder / "some_docs_en.parquet", docs)
    parquet(folder / "some_queries_en.parquet", queries)
    parquet(folder / "some_qrels_en.parquet", qrels)
    return folder


def test_retrieval_by_hand(tmp_path: Path) -> None:
    # q1 ranks d0 d10 d20 d30 d40: gains 0 2 0 0 1; q2 ranks d40 first.
    scores = retrieval(angles, retrieval_folder(tmp_path / "graded"))
    dcg = 2 / math.log2(3) + 1 / math.log2(6)
    ideal = 2 + 1 / math.log2(3)
    assert scores["ndcg@10"] == pytest.approx((dcg / ideal + 1) / 2)
    assert scores["mrr"] == pytest.approx((1 / 2 + 1) / 2)
    assert scores["recall@10"] == scores["recall@100"] == 1


def test_without_relevances_every_judged_document_counts_one(tmp_path: Path) -> None:
    scores = retrieval(angles, retrieval_folder(tmp_path / "plain", relevance=False))
    dcg = 1 / math.log2(3) + 1 / math.log2(6)
    assert scores["ndcg@10"] == pytest.approx((dcg / (1 + 1 / math.log2(3)) + 1) / 2)


def test_recall_at_ten_leaves_out_the_eleventh(tmp_path: Path) -> None:
    folder = tmp_path / "many"
    parquet(folder / "docs.parquet", [{"doc_id": str(d), "text": str(d)} for d in range(20)])
    parquet(folder / "more_docs.parquet", [{"doc_id": "x", "text": "1"}])  # docs.parquet is meant
    parquet(folder / "queries.parquet", [{"query_id": "q", "text": "0"}])
    parquet(folder / "qrels.parquet", [{"query_id": "q", "doc_id": d} for d in ("9", "10")])
    scores = retrieval(angles, folder)
    assert scores["recall@10"] == 0.5
    assert scores["recall@100"] == 1


def test_a_title_stands_before_the_text(tmp_path: Path) -> None:
    folder = retrieval_folder(tmp_path / "titled")
    docs = [{"doc_id": f"d{d}", "title": t, "text": str(d)} for d, t in ((10, None), (40, "4"))]
    parquet(folder / "some_docs_en.parquet", docs)
    seen: list[str] = []

    def encode(texts: list[str]) -> Vectors:
        seen.extend(texts)
        return angles([text.replace(" ", "") for text in texts])

    retrieval(encode, folder)
    assert "4 40" in seen
    assert "10" in seen


def test_scores_have_the_names_of_their_files(tmp_path: Path) -> None:
    file = parquet(tmp_path / "mine.parquet", similarity([10, 20, 30], [3, 2, 1]))
    folder = retrieval_folder(tmp_path / "cisi")
    tasks = Tasks(sts=(file,), retrieval=(folder,))
    tasks.check()
    names = {f"retrieval/cisi/{m}" for m in ("ndcg@10", "recall@10", "recall@100", "mrr")}
    assert set(evaluate(angles, tasks)) == {"sts/mine/spearman", *names}


def broken(folder: Path) -> list[tuple[Tasks, str]]:
    pair = {"sentence1": "1", "sentence2": "2"}
    lacking = parquet(folder / "lacking.parquet", [pair])
    empty = folder / "empty.parquet"
    fields = [("sentence1", pa.string()), ("sentence2", pa.string()), ("score", pa.float32())]
    pq.write_table(pa.schema(fields).empty_table(), empty)
    flat = parquet(folder / "flat.parquet", [pair | {"score": 1.0}] * 3)
    words = parquet(folder / "words.parquet", [pair | {"score": "high"}] * 3)
    noise = folder / "noise.parquet"
    noise.write_bytes(b"no parquet")
    other = folder / "sts.xlsx"
    other.write_bytes(b"")
    label = parquet(folder / "label.parquet", [{"text": "1", "label": "one"}] * 3)
    two = retrieval_folder(folder / "two")
    parquet(two / "other_docs.parquet", [{"doc_id": "d", "text": "1"}])
    strangers = retrieval_folder(folder / "strangers")
    parquet(strangers / "some_queries_en.parquet", [{"query_id": "q9", "text": "1"}])
    return [
        (Tasks(sts=(folder / "none.parquet",)), "no file"),
        (Tasks(sts=(lacking,)), "has no column 'score'; its columns are: sentence1, sentence2"),
        (Tasks(sts=(empty,)), "has no rows"),
        (Tasks(sts=(flat,)), "2 different scores"),
        (Tasks(sts=(words,)), "not numbers"),
        (Tasks(sts=(noise,)), "cannot be read"),
        (Tasks(sts=(other,)), "no known kind"),
        (Tasks(sts=(flat, folder / "deeper" / "flat.parquet")), "share a name"),
        (Tasks(intent=(flat,)), "has no column 'text'"),
        (Tasks(intent=(label,)), "2 labels"),
        (Tasks(retrieval=(folder / "none",)), "no folder"),
        (Tasks(retrieval=(two,)), r"has 2 files \*docs\*\.parquet"),
        (Tasks(retrieval=(strangers,)), "no query"),
    ]


def test_what_is_wrong_with_a_file_is_told_in_one_line_before_anything_runs(tmp_path: Path) -> None:
    for tasks, message in broken(tmp_path):
        with pytest.raises(UserError, match=message) as caught:
            tasks.check()
        assert "\n" not in str(caught.value)
