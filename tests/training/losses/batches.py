"""Made batches whose identities collide, and how the loss of one is checked."""

from collections.abc import Iterable, Iterator
from dataclasses import replace

import torch
from torch import Tensor
from torch.nn import functional

from pairsmith.schemas import UserError
from pairsmith.training.collate import Identities
from pairsmith.training.losses.config import LossConfig
from pairsmith.training.losses.objective import Objective, Outcome
from pairsmith.training.losses.plain import Pairs, plain_loss

LOSSES = ("infonce", "ntxent", "symmetric", "supcon", "triplet", "cosine", "cosent")
BESIDES: tuple[dict[str, float | bool], ...] = (
    {},
    {"negative_weight": 0.3},
    {"negative_weight": 0.0},
    {"hardness": 0.5},
    {"bidirectional": 0.7, "consistency": 0.6},
    {"learn_temperature": True},
)


def settings() -> Iterator[LossConfig]:
    """Yield every loss with everything that goes with it."""
    for loss in LOSSES:
        for sizes in ((), (4, 12)):
            for besides in BESIDES:
                config = LossConfig(
                    loss=loss,  # type: ignore[arg-type]
                    matryoshka=sizes,
                    matryoshka_weights=(0.5, 2.0) if sizes else (),
                    **besides,  # type: ignore[arg-type]
                )
                try:
                    config.check()
                except UserError:
                    continue
                yield config


def made(rows: int = 40, dimension: int = 24, seed: int = 0, most_negatives: int = 2) -> Pairs:
    """Return pairs with few groups, texts and labels, so that many are equal."""
    generator = torch.Generator().manual_seed(seed)

    def unit(count: int) -> Tensor:
        return functional.normalize(torch.randn(count, dimension, generator=generator), dim=1)

    def drawn(below: int, count: int) -> Tensor:
        return torch.randint(0, below, (count,), generator=generator)

    owner = torch.arange(rows).repeat_interleave(drawn(most_negatives + 1, rows))
    anchors, count = unit(rows), len(owner)
    similarity = torch.rand(rows, generator=generator)
    similarity[::3], similarity[1::5] = torch.nan, 0.5
    weight = torch.rand(rows, generator=generator)
    weight[5::11] = 0
    texts, few = 4 * rows, 2 * rows
    return Pairs(
        anchors=anchors,
        positives=functional.normalize(anchors + 0.3 * unit(rows), dim=1),
        negatives=unit(count),
        identities=Identities(
            drawn(few, rows),
            drawn(texts, rows),
            drawn(texts, rows),
            drawn(texts, count),
            drawn(few, count),
            owner,
        ),
        weight=weight,
        label=drawn(5, rows),
        similarity=similarity,
    )


def vectors(pairs: Pairs) -> tuple[Tensor, Tensor, Tensor]:
    """Return leaves of anchors, positives and hard negatives."""
    parts = pairs.anchors, pairs.positives, pairs.negatives
    anchors, positives, negatives = (v.detach().clone().requires_grad_() for v in parts)
    return anchors, positives, negatives


def plainly(config: LossConfig, pairs: Pairs) -> tuple[Tensor, list[Tensor], Tensor]:
    """Return loss, gradients of vectors and of log(1 / temperature), in float64."""
    leaves = [v.detach().double().requires_grad_() for v in vectors(pairs)]
    scale = -torch.tensor([config.temperature], dtype=torch.float64).log()
    scale.requires_grad_()
    double = replace(pairs, anchors=leaves[0], positives=leaves[1], negatives=leaves[2])
    loss = plain_loss(config, double, (-scale).exp()).sum()
    loss.backward()
    return loss.detach(), [slope(leaf) for leaf in leaves], slope(scale)


def fast(config: LossConfig, pairs: Pairs) -> tuple[Outcome, list[Tensor], Objective]:
    """Return the objective's outcome, gradients of vectors, and itself."""
    leaves, objective = vectors(pairs), Objective(config)
    outcome = objective(*leaves, pairs.identities, pairs.weight, pairs.label, pairs.similarity)
    outcome.loss.backward()
    return outcome, [slope(leaf) for leaf in leaves], objective


def slope(leaf: Tensor) -> Tensor:
    """Return the gradient; 0 where there is none."""
    return torch.zeros_like(leaf) if leaf.grad is None else leaf.grad


def error(found: Iterable[Tensor], wanted: Iterable[Tensor]) -> float:
    """Return the norm of the difference, relative to what is wanted, or absolute if that is 0."""
    left = torch.cat([v.detach().double().flatten() for v in found])
    right = torch.cat([v.detach().double().flatten() for v in wanted])
    size = right.norm()
    return float((left - right).norm() / (size if size > 0 else 1))
