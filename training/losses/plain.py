"""Every loss written out over whole matrices: what the fast paths are checked against."""

from dataclasses import dataclass

import torch
from torch import Tensor

from pairsmith.training.collate import Identities
from pairsmith.training.losses.config import LossConfig


@dataclass(frozen=True)
class Pairs:
    """A global batch of B pairs and N hard negatives."""

    anchors: Tensor
    """(B, D) unit vectors."""
    positives: Tensor
    """(B, D)."""
    negatives: Tensor
    """(N, D)."""
    identities: Identities
    weight: Tensor
    """float32 (B,)."""
    label: Tensor
    """int64 (B,); 0 is none."""
    similarity: Tensor
    """float32 (B,); nan is none."""


def false_negatives(batch: Identities) -> Tensor:
    """Return which candidates are no negatives of which rows: bool, shape (B, B + N).

    Candidates are the B positives, then the N hard negatives. A row's candidate is masked when it
    may say the same: a positive whose row is of the same group or shares a text with this row, a
    hard negative with the text of this row's anchor or positive, and another row's hard negative
    that comes from this row's group. A row's own hard negatives are there on purpose and may come
    from its own document. A row's own positive is never masked.
    """
    anchor, positive = batch.anchor[:, None], batch.positive[:, None]
    same = batch.group[:, None] == batch.group
    for mine in (anchor, positive):
        same |= (mine == batch.anchor) | (mine == batch.positive)
    same.fill_diagonal_(False)
    if not len(batch.negative):
        return same
    rows = torch.arange(len(batch.group), device=batch.group.device)[:, None]
    text = (anchor == batch.negative) | (positive == batch.negative)
    group = (batch.group[:, None] == batch.negative_group) & (rows != batch.owner)
    return torch.cat([same, text | group & (batch.negative_group != 0)], dim=1)


def plain_loss(config: LossConfig, pairs: Pairs, temperature: Tensor) -> Tensor:
    """Return the global batch's loss. Differentiable; in the dtype of the vectors."""
    sizes, shares = config.sizes(pairs.anchors.shape[1])
    total = pairs.anchors.new_zeros(())
    for size, share in zip(sizes, shares, strict=True):
        a, p, n = (_cut(v, size) for v in (pairs.anchors, pairs.positives, pairs.negatives))
        total = total + share * _at_one_size(config, pairs, a, p, n, temperature)
    return total


def _cut(vectors: Tensor, size: int) -> Tensor:
    if size == vectors.shape[1]:
        return vectors
    vectors = vectors[:, :size]
    lengths: Tensor = torch.linalg.vector_norm(vectors, dim=1, keepdim=True)
    return vectors / lengths.clamp(min=1e-12)


def _at_one_size(
    config: LossConfig, pairs: Pairs, a: Tensor, p: Tensor, n: Tensor, temperature: Tensor
) -> Tensor:
    if config.loss == "cosent":
        main = _cosent((a * p).sum(1), pairs, temperature)
    elif config.loss == "cosine":
        known = ~pairs.similarity.isnan()
        errors = ((a * p).sum(1) - pairs.similarity.nan_to_num()) ** 2
        main = _mean(errors, pairs.weight * known)
    else:
        main = _mean(_losses(config, pairs, a, p, n, temperature), pairs.weight)
    if config.bidirectional:
        main = main + config.bidirectional * _mean(
            _bidirectional(config, pairs, a, p, n), pairs.weight
        )
    if config.consistency:
        diverged = _divergence(config, pairs, a, p, n, temperature)
        main = main + config.consistency * _mean(diverged, pairs.weight)
    return main


def _losses(
    config: LossConfig, pairs: Pairs, a: Tensor, p: Tensor, n: Tensor, temperature: Tensor
) -> Tensor:
    count = len(a)
    own = torch.eye(count, dtype=torch.bool)
    masked = false_negatives(pairs.identities)
    if config.negative_weight == 0:
        n, masked = n[:0], masked[:, :count]
    heavy = torch.ones(count + len(n), dtype=a.dtype)
    heavy[count:] = config.negative_weight
    none = torch.zeros_like(masked[:, count:])
    if config.loss == "triplet":
        cosines = a @ torch.cat([p, n]).T
        negative = cosines.masked_fill(masked | torch.cat([own, none], 1), -torch.inf)
        hinge = (config.margin + negative.amax(1) - cosines.diagonal()).relu()
        return torch.where(negative.amax(1) == -torch.inf, 0.0, hinge)
    if config.loss in ("infonce", "symmetric"):
        logits = a @ torch.cat([p, n]).T / temperature
        negative = ~masked & ~torch.cat([own, none], 1)
        forth = _contrast(logits, logits.diagonal(), negative, heavy, config.hardness)
        if config.loss == "infonce":
            return forth
        turned, ones = logits[:, :count].T, heavy[:count]
        back = _contrast(turned, logits.diagonal(), negative[:, :count].T, ones, 0.0)
        return (forth + back) / 2
    # Both views: rows are all anchors and positives, columns the same and the hard negatives.
    rows, columns = torch.cat([a, p]), torch.cat([a, p, n])
    logits = rows @ columns.T / temperature
    pair, hard = masked[:, :count], masked[:, count:]
    masked = torch.cat([torch.cat([pair, pair, hard], 1)] * 2)
    mine = torch.cat([torch.cat([own, own, none], 1)] * 2)
    itself = torch.zeros_like(mine)
    itself[:, : 2 * count] = torch.eye(2 * count, dtype=torch.bool)
    heavy = torch.cat([heavy[:count], heavy])
    target = torch.cat([logits[:count, count : 2 * count].diagonal()] * 2)
    if config.loss == "ntxent":
        losses = _contrast(logits, target, ~masked & ~mine, heavy, config.hardness)
    else:
        label = torch.cat([pairs.label, pairs.label])
        alike = torch.zeros_like(mine)
        alike[:, : 2 * count] = (label[:, None] == label) & (label != 0)[:, None]
        positive = (mine | alike) & ~itself
        weights = torch.where((~masked | positive) & ~itself, heavy, 0.0)
        highest = logits.detach().amax(1, keepdim=True)
        total = ((logits - highest).exp() * weights).sum(1).log() + highest[:, 0]
        losses = total - (logits * positive).sum(1) / positive.sum(1)
    return (losses[:count] + losses[count:]) / 2


def _contrast(
    logits: Tensor, target: Tensor, negative: Tensor, heavy: Tensor, hardness: float
) -> Tensor:
    """Return -log(e^target / (e^target + sum of negatives)), with weighted negatives."""
    weights = torch.where(negative, heavy, 0.0)
    if hardness:
        drawn = (logits * hardness - logits.detach().amax() * hardness).exp() * weights
        drawn = drawn / drawn.sum(1, keepdim=True).clamp(min=1e-300)
        weights = drawn * weights.sum(1, keepdim=True)
    apart = (logits - target[:, None]).clamp(max=600).exp() * weights
    return apart.sum(1).log1p()


def _divergence(
    config: LossConfig, pairs: Pairs, a: Tensor, p: Tensor, n: Tensor, temperature: Tensor
) -> Tensor:
    masked = false_negatives(pairs.identities)
    if config.negative_weight == 0:
        n, masked = n[:0], masked[:, : len(a)]
    columns = torch.cat([p, n])
    masked = masked | torch.eye(*masked.shape, dtype=torch.bool)
    first, second = (
        torch.log_softmax((x @ columns.T / temperature).masked_fill(masked, -1e9), 1)
        for x in (a, p)
    )
    both = (first.exp() * (first - second)).sum(1) + (second.exp() * (second - first)).sum(1)
    return torch.where(masked.all(1), 0.0, both / 2)


def _bidirectional(config: LossConfig, pairs: Pairs, a: Tensor, p: Tensor, n: Tensor) -> Tensor:
    losses = []
    for row in range(len(a)):
        mine = n[pairs.identities.owner == row]
        gaps = mine @ a[row] - p[row] @ a[row]
        each = (gaps + config.least_gap).relu() + (-gaps - config.most_gap).relu()
        losses.append(each.sum() / max(1, len(mine)))
    return torch.stack(losses)


def _cosent(cosines: Tensor, pairs: Pairs, temperature: Tensor) -> Tensor:
    known = ~pairs.similarity.isnan() & (pairs.weight > 0)
    cosines, wanted = cosines[known], pairs.similarity[known]
    weight = pairs.weight[known].to(cosines.dtype)
    weight = weight / weight.mean()
    apart = (cosines[None, :] - cosines[:, None]) / temperature
    apart = apart.exp() * weight * weight[:, None] * (wanted[:, None] > wanted)
    return apart.sum().log1p()


def _mean(losses: Tensor, weight: Tensor) -> Tensor:
    weight = weight.to(losses.dtype)
    total = weight.sum()
    return (losses * weight).sum() / torch.where(total > 0, total, 1.0)
