"""The plain formulas against sums written out number by number, and against other libraries."""

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from pairsmith.training.losses.config import LossConfig
from pairsmith.training.losses.plain import Pairs, false_negatives, plain_loss
from tests.training.losses.batches import made

HEAT = 0.1


def value(pairs: Pairs, **changes: Any) -> float:
    double = replace(
        pairs,
        anchors=pairs.anchors.double(),
        positives=pairs.positives.double(),
        negatives=pairs.negatives.double(),
    )
    config = LossConfig(temperature=HEAT, **changes)
    return float(plain_loss(config, double, torch.tensor(HEAT, dtype=torch.float64)))


def numbers(pairs: Pairs) -> tuple[Any, Any, Any, Any]:
    parts = pairs.anchors, pairs.positives, pairs.negatives, pairs.weight
    return tuple(part.double().numpy() for part in parts)  # type: ignore[return-value]


def test_infonce_is_cross_entropy_over_what_is_not_masked() -> None:
    pairs = made()
    a, p, n, weight = numbers(pairs)
    candidates, masked = np.concatenate([p, n]), false_negatives(pairs.identities)
    total = 0.0
    for i, anchor in enumerate(a):
        exps = [math.exp(float(anchor @ c) / HEAT) for c in candidates]
        kept = [e for j, e in enumerate(exps) if not masked[i, j]]
        total += weight[i] * -math.log(exps[i] / sum(kept))
    assert value(pairs) == pytest.approx(total / weight.sum(), rel=1e-9)


def test_supcon_is_the_mean_over_positives_of_cross_entropy() -> None:
    pairs = made(12)
    a, p, n, weight = numbers(pairs)
    masked, label = false_negatives(pairs.identities), pairs.label.tolist()
    texts = np.concatenate([a, p, n])
    total = 0.0
    for row in range(24):
        pair = row % 12
        logits = texts @ texts[row] / HEAT
        positives, kept = [], []
        for column in range(len(texts)):
            other = column % 12 if column < 24 else None
            same = other == pair or (
                other is not None and label[pair] != 0 and label[other] == label[pair]
            )
            hidden = masked[pair, other if other is not None else column - 12]
            if column != row and same:
                positives.append(logits[column])
            if column != row and (same or not hidden):
                kept.append(math.exp(logits[column]))
        total += weight[pair] / 2 * (math.log(sum(kept)) - float(np.mean(positives)))
    assert value(pairs, loss="supcon") == pytest.approx(total / weight.sum(), rel=1e-9)


def test_without_labels_supcon_is_ntxent() -> None:
    pairs = made()
    unlabelled = replace(pairs, label=torch.zeros_like(pairs.label))
    assert value(unlabelled, loss="supcon") == pytest.approx(value(pairs, loss="ntxent"), rel=1e-9)


def test_ntxent_of_distinct_pairs_is_cross_entropy_among_both_views() -> None:
    pairs = distinct(16)
    texts = torch.cat([pairs.anchors, pairs.positives]).double()
    logits = (texts @ texts.T / HEAT).fill_diagonal_(-math.inf)
    target = torch.arange(32).roll(16)
    wanted = torch.nn.functional.cross_entropy(logits, target).item()
    assert value(pairs, loss="ntxent") == pytest.approx(wanted, rel=1e-9)


def test_the_symmetric_loss_is_clip_s() -> None:
    pairs = distinct(16)
    logits = pairs.anchors.double() @ pairs.positives.double().T / HEAT
    entropy, target = torch.nn.functional.cross_entropy, torch.arange(16)
    wanted = (entropy(logits, target) + entropy(logits.T, target)).item() / 2
    assert value(pairs, loss="symmetric") == pytest.approx(wanted, rel=1e-9)


def test_cosent_is_the_published_formula() -> None:
    pairs = replace(distinct(20), similarity=torch.arange(20.0).div(4).floor())
    cosines = (pairs.anchors.double() * pairs.positives.double()).sum(1).tolist()
    wanted = pairs.similarity.tolist()
    total = sum(
        math.exp((cosines[j] - cosines[i]) / HEAT)
        for i in range(20)
        for j in range(20)
        if wanted[i] > wanted[j]
    )
    assert value(pairs, loss="cosent") == pytest.approx(math.log1p(total), rel=1e-9)


def test_the_bidirectional_margin_is_sncse_s() -> None:
    pairs = made()
    a, p, n, weight = numbers(pairs)
    each: dict[int, list[float]] = {}
    for row, negative in zip(pairs.identities.owner.tolist(), n, strict=True):
        gap = float(a[row] @ negative - a[row] @ p[row])
        each.setdefault(row, []).append(max(0.0, gap + 0.1) + max(0.0, -gap - 0.3))
    wanted = sum(weight[row] * np.mean(parts) for row, parts in each.items()) / weight.sum()
    found = value(pairs, bidirectional=1.0) - value(pairs)
    assert found == pytest.approx(float(wanted), rel=1e-9)


def test_consistency_is_the_mean_of_both_divergences() -> None:
    pairs = made()
    a, p, n, weight = numbers(pairs)
    masked = false_negatives(pairs.identities).numpy() | np.eye(40, 40 + len(n), dtype=bool)
    columns, total = np.concatenate([p, n]), 0.0
    for i in range(40):
        kept = columns[~masked[i]]
        first, second = (np.exp(kept @ v[i] / HEAT) for v in (a, p))
        first, second = first / first.sum(), second / second.sum()
        both = (first * np.log(first / second)).sum() + (second * np.log(second / first)).sum()
        total += weight[i] * both / 2
    found = value(pairs, consistency=1.0) - value(pairs)
    assert found == pytest.approx(total / weight.sum(), rel=1e-7)


def distinct(rows: int) -> Pairs:
    """Return pairs that share nothing, of equal weight, without hard negatives."""
    pairs = made(rows, most_negatives=0)
    number = torch.arange(rows)
    identities = replace(pairs.identities, group=number, anchor=number, positive=number + rows)
    return replace(pairs, identities=identities, weight=torch.ones(rows))
