"""Pairs become tensors: texts in order, negatives with their rows, identities as bits."""

from typing import Any

import numpy as np
import pyarrow as pa
import torch

from pairsmith.schemas import group_ids, text_hashes
from pairsmith.training.collate import Batch, Features, collate
from pairsmith.training.loader import Cursor
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

    table = pairs(rows).combine_chunks().to_batches()[0]
    return collate(table, Cursor(1, 2), tokenise, negatives), seen


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


def test_equal_batches_have_equal_digests_and_others_not() -> None:
    digest = collated(ROWS, 1)[0].digest
    assert collated(ROWS, 1)[0].digest == digest
    assert collated(ROWS[::-1], 1)[0].digest != digest
    assert collated(ROWS, 2)[0].digest != digest
