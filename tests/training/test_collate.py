"""Pairs become tensors: texts in order, negatives with their rows, identities as bits."""

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import torch

from pairsmith.schemas import group_ids, text_hashes
from pairsmith.training.collate import Batch, Features, collate
from pairsmith.training.streaming.loader import Cursor, Share
from tests.training.pair_folders import pairs

ROWS: list[dict[str, Any]] = [
    {"anchor": "a0", "positive": "p0", "source_id": "x", "weight": 0.5},
    {"anchor": "a1", "positive": "p1", "negatives": ["n10", "n11", "n12"]}
    | {"negative_sources": ["x", None, "y"]},
    {"anchor": "a2", "positive": "p2", "negatives": ["n20"], "group_id": 2**64 - 1},
]


def collated(rows: list[dict[str, Any]], negatives: int) -> tuple[Batch, list[str]]:
    """Return the batch and the texts that it had tokenised."""
    seen: list[str] = []

    def tokenise(texts: list[str]) -> Features:
        seen.extend(texts)
        return {"input_ids": torch.zeros(len(texts))}

    return collate(share(rows), tokenise, negatives), seen


def share(rows: list[dict[str, Any]]) -> Share:
    schema = pairs(ROWS).schema
    table = pairs(rows).combine_chunks().to_batches() or [pa.RecordBatch.from_pylist([], schema)]
    numbers = pa.array(np.zeros(len(rows), np.int32))
    return Share(
        pairs=table[0].append_column("dataset", numbers),
        global_rows=7,
        source=0,
        digest="d",
        cursor=Cursor(1, 2),
    )


def bits(values: Any) -> list[int]:
    return np.asarray(values, np.uint64).view(np.int64).tolist()


def test_texts_come_as_anchors_positives_and_the_first_negatives() -> None:
    batch, texts = collated(ROWS, 2)
    assert texts == ["a0", "a1", "a2", "p0", "p1", "p2", "n10", "n11", "n20"]
    assert batch.identities.owner.tolist() == [1, 1, 2]
    assert batch.rows == 3
    assert batch.weight.tolist() == [0.5, 1, 1]
    assert batch.cursor == Cursor(1, 2)


def test_negatives_can_be_left_out() -> None:
    batch, texts = collated(ROWS, 0)
    assert texts == ["a0", "a1", "a2", "p0", "p1", "p2"]
    assert batch.identities.negative.shape == batch.identities.owner.shape == (0,)


def test_identities_are_the_hashes_of_the_dataset() -> None:
    ids = collated(ROWS, 3)[0].identities
    groups = [*group_ids(pa.array(["x", "a1"])), 2**64 - 1]
    assert ids.group.tolist() == bits(groups)
    assert ids.anchor.tolist() == bits(text_hashes(pa.array(["a0", "a1", "a2"])))
    assert ids.positive.tolist() == bits(text_hashes(pa.array(["p0", "p1", "p2"])))
    assert ids.negative.tolist() == bits(text_hashes(pa.array(["n10", "n11", "n12", "n20"])))
    known = group_ids(pa.array(["x", "y"]))
    assert ids.negative_group.tolist() == bits([known[0], 0, known[1], 0])


def test_a_negative_that_is_a_positive_in_another_form_has_its_hash_with_64_bit_offsets() -> None:
    text = "Über  die，Brücke…"
    rows = [{"anchor": "a", "positive": text, "negatives": ["plain", text]}]
    whole = share(rows)
    kinds = {"negatives": pa.large_list(pa.large_string())}  # as row groups are read
    schema = pa.schema([(f.name, kinds.get(f.name, f.type)) for f in whole.pairs.schema])
    large = replace(whole, pairs=whole.pairs.cast(schema))
    ids = collate(large, lambda texts: {"input_ids": torch.zeros(len(texts))}, 2).identities
    assert ids.negative[1] == ids.positive[0]


def test_labels_and_similarities_come_where_a_row_has_them() -> None:
    rows = [{**ROWS[0], "label": "x", "similarity": 0.25}, ROWS[1], {**ROWS[2], "label": "X"}]
    batch, _ = collated(rows, 0)
    assert batch.label[1] == 0
    assert len({0, *batch.label.tolist()}) == 3
    again, _ = collated([{**ROWS[1], "label": "x"}], 0)
    assert again.label[0] == batch.label[0]
    assert batch.similarity.tolist() == pytest.approx([0.25, math.nan, math.nan], nan_ok=True)
    assert batch.similarity.dtype == torch.float32


def test_a_batch_tells_what_its_rows_are() -> None:
    batch, _ = collated(ROWS, 0)
    names = ["pair_id", "kind", "anchor_view", "positive_view", "lang", "dataset"]
    assert batch.about.schema.names == names
    assert batch.about["pair_id"].to_pylist() == pairs(ROWS)["pair_id"].to_pylist()
    assert (batch.global_rows, batch.source, batch.digest) == (7, 0, "d")


def test_a_share_without_rows_becomes_a_batch_without_rows() -> None:
    batch, _ = collated([], 2)
    assert batch.rows == 0
    assert {len(value) for value in vars(batch.identities).values()} == {0}
    assert len(batch.features["input_ids"]) == 1  # something to compute, which is of no row
    assert batch.about.num_rows == len(batch.label) == len(batch.similarity) == 0
