"""Equal ids or equal texts are one document, whichever order they come in."""

import random

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from pairsmith.pipelines.blocks import segment_documents
from pairsmith.pipelines.duplicates import drop_same_ids, drop_same_texts
from pairsmith.pipelines.read import DOCUMENTS
from pairsmith.pipelines.segment import Lines
from pairsmith.schemas import text_ids

small = st.sampled_from("abcd")


def batch(rows: list[tuple[str, str]]) -> pa.RecordBatch:
    ids = pa.array([row[0] for row in rows], pa.string())
    texts = pa.array([row[1] for row in rows], pa.string())
    none = pa.nulls(len(rows), pa.string())
    return pa.RecordBatch.from_arrays([ids, texts, text_ids(texts), none, none], schema=DOCUMENTS)


def deduplicated(rows: list[tuple[str, str]]) -> tuple[list[tuple[str, str]], int]:
    kept, copies = drop_same_texts(batch(rows))
    blocks = segment_documents(kept, Lines(), (0, 0)).blocks
    left, same_ids = drop_same_ids(blocks)
    documents = [
        (block["source_id"], "\n".join(block["units"]))
        for block in left.to_pylist()
        if block["block"] == 0
    ]
    return documents, len(copies) + len(same_ids)


@given(st.lists(st.tuples(small, small)), st.randoms(use_true_random=False))
def test_no_id_and_no_text_is_left_twice_and_order_does_not_matter(
    rows: list[tuple[str, str]], shuffler: random.Random
) -> None:
    kept, dropped = deduplicated(rows)
    assert len(kept) + dropped == len(rows)
    assert len({i for i, _ in kept}) == len({t for _, t in kept}) == len(kept)
    assert set(kept) <= set(rows)
    shuffled = list(rows)
    shuffler.shuffle(shuffled)
    assert sorted(deduplicated(shuffled)[0]) == sorted(kept)


def test_a_source_never_mixes_blocks_of_two_documents_with_its_id() -> None:
    short = "\n".join(f"short {n}" for n in range(10))
    long = "\n".join(f"long {n}" for n in range(600))
    kept, copies = drop_same_texts(batch([("a", short), ("a", long), ("b", "other")]))
    left, same_ids = drop_same_ids(segment_documents(kept, Lines(), (1, 1)).blocks)
    texts = [unit for block in left.to_pylist() for unit in block["units"]]
    assert len(copies) == 0
    assert [row["reason"] for row in same_ids.to_pylist()] == ["same id"]
    assert not [text for text in texts if text.startswith("short")]
    assert {"long 0", "long 599", "other"} <= set(texts)


def test_the_dropped_copy_names_the_one_that_stays() -> None:
    _, copies = drop_same_texts(batch([("z", "one"), ("a", "one"), ("m", "two")]))
    (row,) = copies.to_pylist()
    assert (row["source_id"], row["reason"], row["detail"]) == ("z", "same text", "kept a")
