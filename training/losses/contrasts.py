"""Losses that contrast each row with the whole batch; all go through the tiled kernel."""

import math

import torch
from torch import Tensor
from torch.nn import functional

from pairsmith.training.losses.candidates import Candidates, Marks
from pairsmith.training.losses.config import LossConfig
from pairsmith.training.losses.kernel import Contrast, Seen, contrast, log_sum_exp
from pairsmith.training.losses.rows import (
    Rows,
    Term,
    cosines,
    inverse_norms,
    join,
    no_rows,
    truncated,
)
from pairsmith.training.losses.tiles import Levels


def info_nce(config: LossConfig, rows: Rows, scale: Tensor) -> Term:
    """Return -log softmax of the positive among all positives and hard negatives, per anchor.

    van den Oord et al., arXiv 1807.03748; SimCSE, arXiv 2104.08821.
    """
    columns, marks, bias = with_negatives(config, rows, rows.all_positives, rows.pairs)
    candidates = Candidates(rows.pairs.at(rows.own), marks, rows.own_columns[None])
    found = _contrast(
        config, rows, rows.anchors, columns, rows.positive_cosines * scale, candidates, bias, scale
    )
    hardest = _hardest(config, rows, found.seen, scale)
    share = found.seen.masked / max(1, len(columns) - 1)
    return Term(found.total, _over_sizes(rows, found.losses), hardest, share)


def both_views(config: LossConfig, rows: Rows, scale: Tensor) -> Term:
    """Return the mean of both sides' loss among all anchors, positives and hard negatives.

    NT-Xent (SimCLR, arXiv 2002.05709): -log softmax of the row's other side. SupCon (Khosla et al.,
    arXiv 2004.11362, L_out): the mean of that over all texts of the row's label, which are no
    negatives; a row without a label has its other side only.
    """
    count, everyone = len(rows.anchors), sum(rows.counts)
    sides = torch.cat([rows.anchors, rows.positives])
    texts = torch.cat([rows.all_anchors, rows.all_positives])
    columns, marks, bias = with_negatives(config, rows, texts, join(rows.pairs, rows.pairs))
    own, mine = rows.own_columns, rows.pairs.at(rows.own)
    places = torch.stack([own, own + everyone]).repeat(1, 2)
    supervised = config.loss == "supcon"
    candidates = Candidates(join(mine, mine), marks, places, supervised=supervised)
    targets = (rows.positive_cosines * scale).repeat(1, 2)
    found = _contrast(config, rows, sides, columns, targets, candidates, bias, scale)
    loss, losses = found.total, found.losses
    if supervised:
        # Among all of them, the loss is log-sum-exp - mean positive: what is found, plus the
        # distance of the own positive from the mean positive.
        own_column = torch.cat([own, own + everyone])
        apart = targets - _mean_positives(rows, sides, texts, own_column, targets, scale)
        loss = loss + (_weights(rows, 2) * apart).sum()
        losses = losses + apart.detach()
    hardest = _hardest(config, rows, found.seen, scale)
    halves = found.seen.masked.view(2, count).to(loss.dtype).mean(0)
    per_row = _over_sizes(rows, losses).view(2, count).mean(0)
    share = halves / max(1, len(columns) - 2)
    return Term(loss, per_row, hardest.view(2, count).amax(0), share)


def symmetric(config: LossConfig, rows: Rows, scale: Tensor) -> Term:
    """Return the mean of finding the positive of an anchor, and the anchor of a positive.

    CLIP, arXiv 2103.00020. Hard negatives stand among the anchor's candidates.
    """
    columns, marks, bias = with_negatives(config, rows, rows.all_positives, rows.pairs)
    candidates = Candidates(rows.pairs.at(rows.own), marks, rows.own_columns[None])
    vectors, levels = _scaled(config, rows, rows.anchors, columns, bias, scale)
    sums = log_sum_exp(vectors, columns, candidates, levels, across=True)
    down = rows.ranks.combined(sums.columns[:, : sum(rows.counts)], rows.counts)
    targets = rows.positive_cosines * scale
    losses = functional.softplus(sums.rows - targets) + functional.softplus(down - targets)
    term = rows.term(losses / 2)
    hardest = _hardest(config, rows, sums.seen, scale)
    share = sums.seen.masked / max(1, len(columns) - 1)
    return Term(term.loss, term.losses, hardest, share)


def triplet(config: LossConfig, rows: Rows) -> Term:
    """Return max(0, margin + cosine with the hardest negative - cosine with the positive).

    FaceNet, arXiv 1503.03832, with the batch's hardest (Hermans et al., arXiv 1703.07737).
    """
    columns, marks, _ = with_negatives(config, rows, rows.all_positives, rows.pairs)
    candidates = Candidates(rows.pairs.at(rows.own), marks, rows.own_columns[None])
    with torch.no_grad():
        vectors, levels = _scaled(
            config, rows, rows.anchors, columns, None, rows.weight.new_ones(1)
        )
        seen = log_sum_exp(vectors, columns, candidates, levels, index=True).seen
    negative = torch.stack(
        [
            cosines(truncated(rows.anchors, d), truncated(columns, d)[index], (d,))[0]
            for d, index in zip(rows.dims, seen.nearest, strict=True)
        ]
    )
    losses = (config.margin + negative - rows.positive_cosines).relu()
    term = rows.term(losses.masked_fill(no_rows(seen.hardest), 0.0))
    share = seen.masked / max(1, len(columns) - 1)
    return Term(term.loss, term.losses, seen.hardest, share)


def with_negatives(
    config: LossConfig, rows: Rows, columns: Tensor, marks: Marks
) -> tuple[Tensor, Marks, Tensor | None]:
    """Return columns and marks with the hard negatives added, and logs of weights: None for 1."""
    if config.negative_weight == 0 or not sum(rows.negative_counts):
        return columns, marks, None
    hard = rows.all_negatives
    bias = None
    if config.negative_weight != 1:
        bias = columns.new_zeros(len(columns) + len(hard))
        bias[len(columns) :] = math.log(config.negative_weight)
    return torch.cat([columns, hard]), join(marks, rows.hard), bias


def _contrast(
    config: LossConfig,
    rows: Rows,
    vectors: Tensor,
    columns: Tensor,
    targets: Tensor,
    candidates: Candidates,
    bias: Tensor | None,
    scale: Tensor,
) -> Contrast:
    vectors, levels = _scaled(config, rows, vectors, columns, bias, scale)
    weights = _weights(rows, len(vectors) // max(1, len(rows.anchors)))
    hard = config.hardness > 0
    return contrast(vectors, columns, targets, weights, candidates, levels, hardness=hard)


def _weights(rows: Rows, sides: int) -> Tensor:
    """Return what each row counts at each size, (G, sides * b)."""
    each = rows.importance(rows.weight).repeat(sides) / max(1, sides)
    return each.new_tensor(rows.shares)[:, None] * each


def _folded(config: LossConfig, rows: Rows) -> bool:
    """Tell whether vectors are scaled before they are multiplied, which is fastest."""
    return len(rows.dims) == 1 and not config.hardness


def _hardest(config: LossConfig, rows: Rows, seen: Seen, scale: Tensor) -> Tensor:
    """Return each row's highest cosine with a negative."""
    return seen.hardest / scale.detach() if _folded(config, rows) else seen.hardest


def _scaled(
    config: LossConfig,
    rows: Rows,
    vectors: Tensor,
    columns: Tensor,
    bias: Tensor | None,
    scale: Tensor,
) -> tuple[Tensor, Levels]:
    """Return vectors and levels whose logits are the cosines at each size x scale."""
    if _folded(config, rows):
        return vectors * scale, Levels(rows.dims, bias=bias)
    dims, up = rows.dims, inverse_norms(vectors, rows.dims) * scale
    across = None if len(dims) == 1 else inverse_norms(columns, dims)
    if config.hardness:
        dims = tuple(size for size in dims for _ in range(2))
        up = torch.stack([up * (1 + config.hardness), up * config.hardness], 1).flatten(0, 1)
        across = None if across is None else across.repeat_interleave(2, 0)
    return vectors, Levels(dims, up, across, bias)


def _over_sizes(rows: Rows, losses: Tensor) -> Tensor:
    return losses.new_tensor(rows.shares) @ losses


def _mean_positives(
    rows: Rows, sides: Tensor, texts: Tensor, own: Tensor, targets: Tensor, scale: Tensor
) -> Tensor:
    """Return each row's mean logit of texts of its label but itself, (L, 2b); target: no label.

    From sums of vectors by label: no row is compared with every column.
    """
    label = torch.cat([rows.pairs.label, rows.pairs.label])
    classes, number = label.unique(return_inverse=True)
    mine = number[own]
    size = torch.bincount(number, minlength=len(classes))[mine] - 1
    means = []
    for d in rows.dims:
        vectors, columns = truncated(sides, d), truncated(texts, d)
        sums = columns.new_zeros(len(classes), d).index_add(0, number, columns)
        others = sums[mine] - columns[own]
        means.append(torch.linalg.vecdot(vectors, others) / size.clamp(min=1) * scale)
    return torch.where((label[own] == 0)[None], targets, torch.stack(means))
