"""Scores against values worked out by hand."""

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pairsmith.schemas import UserError
from pairsmith.training.evaluation.bitext import bitext
from pairsmith.training.evaluation.gold import intents
from pairsmith.training.evaluation.retrieval import retrieval, search
from pairsmith.training.evaluation.scores import Tasks, evaluate, intent, pair_classification, sts
from pairsmith.training.evaluation.vectors import Vectors


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


def test_a_quote_in_a_tsv_file_is_a_character_like_any_other(tmp_path: Path) -> None:
    file = tmp_path / "intents.tsv"
    texts = ['"Yes, he said', 'and "no"', '"a" "b"', '12" wide']
    file.write_text("\n".join(["text\tlabel", *(f"{text}\tone" for text in texts), "x\ttwo"]))
    assert intents(file)[0] == [*texts, "x"]
    file.write_text('text\tlabel\na\tone\nb\tone\n"two\tparts"\ttwo\n')
    with pytest.raises(UserError, match=r"cannot be read: .*Expected 2 columns, got 3"):
        intents(file)


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


def test_a_judgement_whose_relevance_is_null_does_not_count(tmp_path: Path) -> None:
    folder = retrieval_folder(tmp_path / "graded")
    scores = retrieval(angles, folder)
    file = folder / "some_qrels_en.parquet"
    rows = pq.read_table(file).to_pylist()
    more = [("q1", "d0"), ("q2", "d30"), ("unjudged", "d10")]
    rows += [{"query_id": query, "doc_id": doc, "relevance": None} for query, doc in more]
    parquet(file, rows)
    assert retrieval(angles, folder) == scores


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
    tasks.check_files()
    names = {f"retrieval/cisi/{m}" for m in ("ndcg@10", "recall@10", "recall@100", "mrr")}
    assert set(evaluate(angles, tasks)) == {"sts/mine/spearman", *names}
    same = [{"sentence1": "0", "sentence2": str(d), "label": int(d < 15)} for d in (10, 20)]
    asked = [{"text": str(d), "label": "low" if d < 50 else "high"} for d in (10, 20, 80, 90)]
    said = [{"de": str(d), "en": str(d + 1)} for d in (10, 50, 90)]
    every = replace(
        tasks,
        pairs=(parquet(tmp_path / "same.parquet", same),),
        intent=(parquet(tmp_path / "asked.parquet", asked),),
        bitext=(parquet(tmp_path / "said.parquet", said),),
    )
    assert every.score_names() == list(evaluate(angles, every))


def test_average_precision_and_auc_by_hand(tmp_path: Path) -> None:
    # By cosine: 10 (yes), 20 (no), 30 (yes), 40 (no). Precision at the two hits: 1/1, 2/3.
    # Of the four pairs of a yes and a no, all but (30, 20) are in order.
    rows = [
        {"sentence1": "0", "sentence2": str(degrees), "label": label, "split": split}
        for split, labels in (("dev", (1, 0, 1, 0)), ("test", (1, 1, 0, 0)))
        for degrees, label in zip((10, 20, 30, 40), labels, strict=True)
    ]
    file = parquet(tmp_path / "pairs.parquet", rows)
    found = pair_classification(angles, file)
    assert found == {"ap": pytest.approx((1 + 2 / 3) / 2), "auc": pytest.approx(3 / 4)}
    assert pair_classification(angles, file, "test") == {"ap": 1, "auc": 1}


def test_translations_by_hand(tmp_path: Path) -> None:
    # From de, 0 -> 10, 60 -> 50, 75 -> 75 and 50 is nearest to 45; from en, 45 finds 60 > 50? no:
    # |45 - 60| = 15 and |50 - 60| = 10, so en 45 (of 90) finds de 60.
    rows = [
        {"id": 1, "de": "0", "en": "10"},
        {"id": 2, "de": "60", "en": "50"},
        {"id": 3, "de": "90", "en": "45"},
        {"id": 4, "de": "180", "en": "170"},
        {"id": 5, "de": "20", "en": "21"},
        {"id": 6, "de": "20", "en": "22"},  # said twice: which one is right cannot be told
    ]
    found = bitext(angles, parquet(tmp_path / "words.parquet", rows))
    assert found["de-en"] == 3 / 4  # 90 finds 50
    assert found["en-de"] == 3 / 4  # 45 finds 60
    assert found["accuracy"] == 3 / 4
    assert 0 <= found["margin"] <= 1


def test_the_margin_takes_from_texts_that_are_near_to_everything(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    meanings = rng.normal(size=(60, 8)).astype(np.float32)
    hub = np.ones(8, np.float32)
    places = rng.uniform(0, 3, size=(60, 1)).astype(np.float32)
    other = meanings + places * hub + 0.8 * rng.normal(size=(60, 8)).astype(np.float32)
    table = dict(zip([f"a{i}" for i in range(60)], meanings, strict=True))
    table |= dict(zip([f"b{i}" for i in range(60)], other, strict=True))
    rows = [{"de": f"a{i}", "en": f"b{i}"} for i in range(60)]
    file = parquet(tmp_path / "hubs.parquet", rows)
    found = bitext(lambda texts: np.stack([table[text] for text in texts]), file)
    assert found["margin"] == _margin(meanings, other)
    assert found["margin"] > found["accuracy"]


def _margin(left: Vectors, right: Vectors) -> float:
    """Return the accuracy by the ratio margin as its paper writes it, in loops."""
    cosine = [[float(a @ b / np.linalg.norm(a) / np.linalg.norm(b)) for b in right] for a in left]
    rows = [sum(sorted(row)[-4:]) / 8 for row in cosine]
    columns = [sum(sorted(column)[-4:]) / 8 for column in zip(*cosine, strict=True)]
    score = [[c / (rows[i] + columns[j]) for j, c in enumerate(r)] for i, r in enumerate(cosine)]
    there = [max(range(len(r)), key=r.__getitem__) == i for i, r in enumerate(score)]
    turned = list(zip(*score, strict=True))
    back = [max(range(len(r)), key=r.__getitem__) == i for i, r in enumerate(turned)]
    return (sum(there) / len(there) + sum(back) / len(back)) / 2


def test_documents_are_encoded_a_few_thousand_at_a_time_and_ranked_as_if_at_once(
    tmp_path: Path,
) -> None:
    rng = np.random.default_rng(5)
    vectors = rng.normal(size=(9009, 12)) / 10
    folder = tmp_path / "large"
    docs = [{"doc_id": f"d{i}", "text": str(i)} for i in range(9000)]
    queries = [{"query_id": f"q{i}", "text": str(i)} for i in range(9000, 9009)]
    parquet(folder / "docs.parquet", docs)
    parquet(folder / "queries.parquet", queries)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    ranked = np.argsort(-(vectors[9000:] @ vectors[:9000].T), axis=1)
    # The right one stands at place 3 of the first query's ranking, at 4 of the second's, and so on.
    qrels = [{"query_id": f"q{9000 + i}", "doc_id": f"d{ranked[i, i + 2]}"} for i in range(9)]
    parquet(folder / "qrels.parquet", qrels)
    most = 0

    def encode(texts: list[str]) -> Vectors:
        nonlocal most
        most = max(most, len(texts))
        return vectors[[int(text) for text in texts]].astype(np.float32)

    scores = retrieval(encode, folder)
    assert most <= 4096
    assert scores["mrr"] == pytest.approx(np.mean([1 / (i + 3) for i in range(9)]))
    assert scores["recall@10"] == pytest.approx(8 / 9)


@pytest.mark.parametrize("sizes", [[7], [3, 4], [1] * 7, [5, 2]])
def test_search_in_chunks_is_a_full_sort(sizes: list[int]) -> None:
    rng = np.random.default_rng(len(sizes))
    queries, vectors = rng.normal(size=(600, 4)), rng.normal(size=(7, 4))
    chunks = np.split(vectors.astype(np.float32), np.cumsum(sizes)[:-1])
    scores, places = search(queries.astype(np.float32), chunks, 5)
    full = queries.astype(np.float32) @ vectors.astype(np.float32).T
    assert np.array_equal(places, np.argsort(-full, axis=1)[:, :5])
    assert scores == pytest.approx(np.sort(full, axis=1)[:, ::-1][:, :5], abs=1e-6)


@pytest.mark.parametrize(
    ("name", "tasks"),
    [
        ("csts_b_zh", lambda path: Tasks(sts=(path,))),
        ("pawsx_zh", lambda path: Tasks(pairs=(path,))),
        ("lcqmc_dev_zh", lambda path: Tasks(pairs=(path,))),
        ("simclue_zh", lambda path: Tasks(pairs=(path,))),
    ],
)
def test_real_chinese_sets_are_read(
    shared_data: Path, name: str, tasks: Callable[[Path], Tasks]
) -> None:
    file = shared_data / "eval" / f"{name}.parquet"
    scores = evaluate(_characters, tasks(file))
    assert {key.split("/")[1] for key in scores} == {name}
    assert all(math.isfinite(value) for value in scores.values())


def test_shared_characters_find_some_real_translations(shared_data: Path) -> None:
    scores = bitext(_characters, shared_data / "parallel" / "tatoeba_en_zh.parquet")
    assert set(scores) == {"accuracy", "en-zh", "zh-en", "margin"}
    assert 0.001 <= scores["accuracy"] < 0.2  # names and numbers are all that they share


def _characters(texts: list[str]) -> Vectors:
    """Encode texts as hashed counts of their characters."""
    vectors = np.zeros((len(texts), 256), np.float32)
    for row, text in enumerate(texts):
        np.add.at(vectors[row], [ord(character) % 256 for character in text], 1)
    return vectors


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
    one = parquet(folder / "one.parquet", [pair | {"label": 1}] * 3)
    three = parquet(folder / "three.parquet", [pair | {"de": "3"}] * 3)
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
        (Tasks(pairs=(label,)), "has no column 'sentence1'"),
        (Tasks(pairs=(one,)), "needs labels 0 and 1"),
        (Tasks(bitext=(label,)), "needs at least 2 texts that occur once"),
        (Tasks(bitext=(three,)), "needs two columns named by languages"),
        (Tasks(retrieval=(folder / "none",)), "no folder"),
        (Tasks(retrieval=(two,)), r"has 2 files \*docs\*\.parquet"),
        (Tasks(retrieval=(strangers,)), "no query"),
    ]


def test_what_is_wrong_with_a_file_is_told_in_one_line_before_anything_runs(tmp_path: Path) -> None:
    for tasks, message in broken(tmp_path):
        with pytest.raises(UserError, match=message) as caught:
            tasks.check_files()
        assert "\n" not in str(caught.value)


def test_what_would_share_the_name_of_its_scores_is_refused_and_nothing_else(
    tmp_path: Path,
) -> None:
    rows = similarity([10, 20, 50, 80], [4, 5, 3, 1])
    one, two = (parquet(tmp_path / f"{name}.parquet", rows) for name in ("one", "two"))
    links = [tmp_path / folder / "dev.parquet" for folder in "ab"]
    for link, target in zip(links, (one, two), strict=True):
        link.parent.mkdir()
        link.symlink_to(target)
    with pytest.raises(UserError, match=r"share a name, so would their scores: .*'dev', 'dev'"):
        Tasks(sts=tuple(links)).check_files()
    again = tmp_path / "again.parquet"
    again.symlink_to(one)
    folders = tuple(retrieval_folder(tmp_path / name) for name in ("v1.0", "v1.1"))
    tasks = Tasks(sts=(one, again), retrieval=folders)
    tasks.check_files()
    names = {name.rpartition("/")[0] for name in evaluate(angles, tasks)}
    assert names == {"sts/one", "sts/again", "retrieval/v1.0", "retrieval/v1.1"}
