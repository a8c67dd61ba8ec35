"""InfoNCE and its masks, against the plain formula in float64 written out row by row."""

import math
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pairsmith.training.collate import Identities
from pairsmith.training.loss import false_negatives, info_nce

few = st.integers(1, 4)  # few values, so that many collide


@st.composite
def identities(draw: st.DrawFn) -> Identities:
    rows, negatives = draw(st.integers(2, 7)), draw(st.integers(0, 5))

    def column(values: st.SearchStrategy[int], count: int) -> torch.Tensor:
        drawn = draw(st.lists(values, min_size=count, max_size=count))
        return torch.tensor(drawn, dtype=torch.int64)

    return Identities(
        group=column(few, rows),
        anchor=column(few.map(lambda v: v * 10), rows),
        positive=column(few.map(lambda v: v * 10), rows),
        negative=column(few.map(lambda v: v * 10), negatives),
        negative_group=column(st.integers(0, 4), negatives),
        owner=column(st.integers(0, rows - 1), negatives),
    )


def plainly_masked(ids: Identities, row: int, candidate: int) -> bool:
    rows = len(ids.group)
    mine = {int(ids.anchor[row]), int(ids.positive[row])}
    if candidate < rows:
        theirs = {int(ids.anchor[candidate]), int(ids.positive[candidate])}
        same_group = bool(ids.group[row] == ids.group[candidate])
        return candidate != row and (same_group or bool(mine & theirs))
    number = candidate - rows
    if int(ids.negative[number]) in mine:
        return True
    foreign = int(ids.owner[number]) != row
    return foreign and int(ids.negative_group[number]) == int(ids.group[row])


@settings(max_examples=200, deadline=None)
@given(ids=identities())
def test_what_may_say_the_same_is_masked_and_nothing_else(ids: Identities) -> None:
    masked = false_negatives(ids)
    rows, candidates = len(ids.group), len(ids.group) + len(ids.negative)
    expected = [[plainly_masked(ids, i, j) for j in range(candidates)] for i in range(rows)]
    assert masked.tolist() == expected
    assert not masked.diagonal().any()


def plain_loss(
    anchors: Any, candidates: Any, masked: Any, weight: Any, temperature: float
) -> float:
    total = 0.0
    for i, anchor in enumerate(anchors):
        scores = [float(np.dot(anchor, c)) / temperature for c in candidates]
        kept = [math.exp(s) for j, s in enumerate(scores) if not masked[i][j]]
        total += weight[i] * -math.log(math.exp(scores[i]) / sum(kept))
    return total / sum(weight)


def unit_rows(rng: np.random.Generator, count: int) -> Any:
    rows = rng.normal(size=(count, 12))
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


@settings(max_examples=100, deadline=None)
@given(
    ids=identities(),
    seed=st.integers(0, 10**6),
    temperature=st.sampled_from([0.02, 0.05, 1.0]),
)
def test_the_loss_is_that_of_the_plain_formula_in_float64(
    ids: Identities, seed: int, temperature: float
) -> None:
    rng = np.random.default_rng(seed)
    rows = len(ids.group)
    anchors, candidates = unit_rows(rng, rows), unit_rows(rng, rows + len(ids.negative))
    weight = rng.uniform(0.1, 2, rows)
    masked = false_negatives(ids)
    loss = info_nce(
        *map(torch.tensor, (anchors, candidates)), masked, torch.tensor(weight), temperature
    )
    expected = plain_loss(anchors, candidates, masked.tolist(), weight, temperature)
    assert loss.item() == pytest.approx(expected, rel=1e-4, abs=1e-5)


def test_gradients_are_those_of_numeric_differences() -> None:
    rng = np.random.default_rng(3)
    masked = torch.zeros(4, 6, dtype=torch.bool)
    masked[0, 2] = masked[3, 5] = True
    anchors = torch.tensor(unit_rows(rng, 4), dtype=torch.float32, requires_grad=True)
    candidates = torch.tensor(unit_rows(rng, 6), dtype=torch.float32)
    weights = [1.0, 0.5, 2.0, 1.0]
    info_nce(anchors, candidates, masked, torch.tensor(weights), 0.1).backward()
    assert anchors.grad is not None
    plain = anchors.detach().double().numpy()
    for place in ((0, 0), (2, 5), (3, 11)):
        moved = []
        for step in (1e-5, -1e-5):
            shifted = plain.copy()
            shifted[place] += step
            moved.append(
                plain_loss(shifted, candidates.double().numpy(), masked.tolist(), weights, 0.1)
            )
        assert anchors.grad[place].item() == pytest.approx((moved[0] - moved[1]) / 2e-5, abs=1e-3)


def test_a_masked_candidate_gets_no_gradient() -> None:
    anchors = torch.eye(3)
    candidates = torch.eye(3).requires_grad_()
    masked = torch.zeros(3, 3, dtype=torch.bool)
    masked[:2, 2] = True
    weight = torch.tensor([1.0, 1.0, 0.0])
    info_nce(anchors, candidates, masked, weight, 0.1).backward()
    assert candidates.grad is not None
    assert candidates.grad[2].abs().max() == 0
    assert candidates.grad[1].abs().max() > 0


def test_rows_without_weight_count_for_nothing() -> None:
    none = torch.zeros(2, 2, dtype=torch.bool)
    loss = info_nce(torch.eye(2), torch.eye(2), none, torch.zeros(2), 0.1)
    assert loss.item() == 0


def test_logits_are_float32_even_under_autocast() -> None:
    rng = np.random.default_rng(1)
    anchors = torch.tensor(unit_rows(rng, 8), dtype=torch.float32)
    none = torch.zeros(8, 8, dtype=torch.bool)
    exact = info_nce(anchors, anchors, none, torch.ones(8), 0.05)
    with torch.autocast("cpu", torch.bfloat16):
        cast = info_nce(anchors, anchors, none, torch.ones(8), 0.05)
    assert cast.dtype == torch.float32
    assert cast.item() == exact.item()
