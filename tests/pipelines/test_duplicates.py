"""Equal ids or equal texts are one document, whichever order they come in."""

import random

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from pairsmith.pipelines.duplicates import drop_copies
from pairsmith.pipelines.read import DOCUMENTS
from pairsmith.schemas import text_ids

small = st.sampled_from("abcd")
Row = tuple[str, str]


def batch(rows: list[Row]) -> pa.RecordBatch:
    ids = pa.array([row[0] for row in rows], pa.string())
    texts = pa.array([row[1] for row in rows], pa.string())
    none = pa.nulls(len(rows), pa.string())
    return pa.RecordBatch.from_arrays([ids, texts, text_ids(texts), none, none], schema=DOCUMENTS)


def deduplicated(rows: list[Row]) -> tuple[list[Row], list[dict[str, str]]]:
    kept, same_ids = drop_copies(batch(rows), "source_id")
    kept, same_texts = drop_copies(kept, "text_id")
    documents = [(row["source_id"], row["text"]) for row in kept.to_pylist()]
    return documents, same_ids.to_pylist() + same_texts.to_pylist()


@given(st.lists(st.tuples(small, small)), st.randoms(use_true_random=False))
def test_no_id_and_no_text_is_left_twice_and_order_does_not_matter(
    rows: list[Row], shuffler: random.Random
) -> None:
    kept, dropped = deduplicated(rows)
    assert len(kept) + len(dropped) == len(rows)
    assert len({i for i, _ in kept}) == len({t for _, t in kept}) == len(kept)
    assert set(kept) <= set(rows)
    shuffled = list(rows)
    shuffler.shuffle(shuffled)
    assert sorted(deduplicated(shuffled)[0]) == sorted(kept)


@given(st.lists(st.tuples(small, small)))
def test_every_id_is_kept_or_its_text_is_under_the_id_that_was_named(rows: list[Row]) -> None:
    kept, dropped = deduplicated(rows)
    ids, _ = zip(*kept, strict=True) if kept else ((), ())
    for row in dropped:
        if row["reason"] == "same text" and row["detail"] != f"kept {row['source_id']}":
            assert row["detail"].removeprefix("kept ") in ids


def test_a_text_is_not_lost_because_another_document_took_its_id() -> None:
    kept, _ = deduplicated([("1", "A"), ("2", "A"), ("1", "B")])
    assert "A" in {text for _, text in kept}


def test_the_dropped_copy_names_the_one_that_stays() -> None:
    _, (row,) = deduplicated([("z", "one"), ("a", "one"), ("m", "two")])
    assert (row["source_id"], row["reason"], row["detail"]) == ("z", "same text", "kept a")
    _, (row,) = deduplicated([("a", "one"), ("a", "two")])
    assert (row["source_id"], row["reason"]) == ("a", "same id")
