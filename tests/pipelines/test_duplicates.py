"""Equal ids or equal texts are one document, whichever order they come in."""

import random
import tempfile
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pairsmith.pipelines import batches
from pairsmith.pipelines.reading.duplicates import (
    copies_file,
    drop_copies,
    find_all_copies,
    keys_of,
    open_copies,
)
from pairsmith.pipelines.reading.read import DOCUMENTS
from pairsmith.schemas import UserError, text_ids

small = st.sampled_from("abcd")
Row = tuple[str, str]


def batch(rows: list[Row]) -> pa.RecordBatch:
    ids = pa.array([row[0] for row in rows], pa.string())
    texts = pa.array([row[1] for row in rows], pa.string())
    none = pa.nulls(len(rows), pa.string())
    positions = pa.array(range(0, 3 * len(rows), 3), pa.int64())
    columns = [ids, texts, text_ids(texts), none, none, positions]
    return pa.RecordBatch.from_arrays(columns, schema=DOCUMENTS)


def deduplicated(rows: list[Row], files: int = 2) -> tuple[list[Row], list[dict[str, str]]]:
    """Return what is left and what is dropped of rows that lie in some files in turn."""
    batches = [batch(rows[file::files]) for file in range(files)]
    keys = [keys_of(documents, file) for file, documents in enumerate(batches)]
    copies = find_all_copies(keys, bucket_rows=5)
    documents, dropped = [], []
    with tempfile.TemporaryDirectory() as folder:
        for file, whole in enumerate(batches):
            path = Path(folder) / f"{file}"
            if len(own := copies.filter(pc.equal(copies["file"], file))):
                path.write_bytes(copies_file(own))
            with open_copies(str(path)) as known:
                for half in (whole[: len(whole) // 2], whole[len(whole) // 2 :]):
                    left, rejected = drop_copies(half, known)
                    documents += [(row["source_id"], row["text"]) for row in left.to_pylist()]
                    dropped += rejected.to_pylist()
    return documents, dropped


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


def test_keys_that_no_batch_holds_are_refused_and_not_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    keys = [keys_of(batch([(f"{n}", "same text")]), n) for n in range(100)]
    assert len(find_all_copies(keys)) == 99
    monkeypatch.setattr(batches, "COLUMN_BYTES", 2000)
    with pytest.raises(UserError, match=r"more than 2 GiB in one column .*; cut the input"):
        find_all_copies(keys)
