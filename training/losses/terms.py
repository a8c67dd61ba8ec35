"""Losses of single pairs, of their similarities, and of a row's view of the batch."""

from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable
from torch.nn import functional

from pairsmith.training.losses.candidates import Candidates
from pairsmith.training.losses.config import LossConfig
from pairsmith.training.losses.contrasts import with_negatives
from pairsmith.training.losses.rows import Rows, Term, cosines, truncated
from pairsmith.training.losses.tiles import EXCLUDED, parts


def cosine_regression(rows: Rows) -> Term:
    """Return (cosine - similarity)^2 of rows that have one (Sentence-BERT, arXiv 1908.10084)."""
    known = ~rows.similarity.isnan()
    errors = (rows.positive_cosines - rows.similarity.nan_to_num()) ** 2
    return rows.term(errors * known, rows.weight * known)


def cosent(rows: Rows, scale: Tensor) -> Term:
    """Return log(1 + sum over rows i more similar than j of exp((cosine_j - cosine_i) scale)).

    CoSENT (Su, https://kexue.fm/archives/8847): only the order of similarities counts. Each pair of
    rows weighs the product of their weights, which are scaled to a mean of 1. Sorted once, and
    summed along: O(B log B).
    """
    local = torch.cat([rows.positive_cosines, rows.similarity[None], rows.weight[None]]).T
    gathered = rows.ranks.gather(local, rows.counts)
    wanted, weight = gathered[:, -2].detach(), gathered[:, -1].detach()
    known = (~wanted.isnan() & (weight > 0)).nonzero()[:, 0]
    order = known[wanted[known].argsort(stable=True)]
    wanted, weight = wanted[order], weight[order]
    loss = gathered[:, :-2].sum() * 0
    if len(order):
        heavy = (weight / weight.mean()).log()
        logits = gathered[order, :-2].T * scale
        # Of the rows before the first one that is as similar as this: those less similar.
        below = torch.searchsorted(wanted, wanted) - 1
        before = torch.logcumsumexp(logits + heavy, 1)[:, below.clamp(min=0)]
        has = below >= 0
        if bool(has.any()):
            both = (before + heavy - logits)[:, has].logsumexp(1)
            loss = loss + loss.new_tensor(rows.shares) @ functional.softplus(both)
    return Term(loss, loss.detach().expand(len(rows.anchors)))


def bidirectional_margin(config: LossConfig, rows: Rows) -> Term:
    """Return relu(gap + least) + relu(-gap - most), the mean over a row's own hard negatives.

    gap: cosine with the hard negative - cosine with the positive. SNCSE, arXiv 2201.05979.
    """
    anchors, positive = rows.anchors[rows.owner], rows.positive_cosines[:, rows.owner]
    gaps = cosines(anchors, rows.negatives, rows.dims) - positive
    each = (gaps + config.least_gap).relu() + (-gaps - config.most_gap).relu()
    count = torch.bincount(rows.owner, minlength=len(rows.anchors)).clamp(min=1)
    sums = each.new_zeros(len(rows.dims), len(rows.anchors)).index_add(1, rows.owner, each)
    return rows.term(sums / count)


def consistency(config: LossConfig, rows: Rows, scale: Tensor) -> Term:
    """Return the mean of KL(p || q) and KL(q || p), the batch as anchor and positive see it.

    p and q: softmax of the row's anchor's and of its positive's similarities to the row's
    negatives. R-Drop, arXiv 2106.14448, on similarities, as in CO2, arXiv 2010.02217.
    """
    columns, marks, _ = with_negatives(config, rows, rows.all_positives, rows.pairs)
    candidates = Candidates(rows.pairs.at(rows.own), marks, rows.own_columns[None])
    weights = rows.importance(rows.weight)
    loss, losses = rows.anchors.new_zeros(()), torch.zeros_like(weights)
    for size, share in zip(rows.dims, rows.shares, strict=True):
        first, second = (truncated(v, size) * scale for v in (rows.anchors, rows.positives))
        found: tuple[Tensor, Tensor] = _Divergence.apply(
            first, second, truncated(columns, size), weights * share, candidates
        )
        loss, losses = loss + found[0], losses + share * found[1]
    return Term(loss, losses)


class _Divergence(Function):
    """Weighted sum over rows of sum_j (p_j - q_j)(s_j - t_j) / 2, in strips of rows.

    That is the mean of both Kullback-Leibler divergences of p = softmax(s) and q = softmax(t).
    """

    @staticmethod
    def forward(
        ctx: Any,
        first: Tensor,
        second: Tensor,
        columns: Tensor,
        weights: Tensor,
        candidates: Candidates,
    ) -> tuple[Tensor, Tensor]:
        losses = torch.zeros_like(weights)
        found = [torch.zeros_like(v) for v in (first, second, columns)]
        needed, everywhere = any(ctx.needs_input_grad), slice(0, len(columns))
        # Some strips of similarities take less than the columns' vectors.
        for r in parts(len(first), 1024 if first.is_cuda else 128):
            left, right = first[r] @ columns.T, second[r] @ columns.T
            for places in (candidates.masked(r, everywhere), candidates.mine(r, everywhere)):
                left[places] = right[places] = EXCLUDED
            some = (left.amax(1) > EXCLUDED)[:, None]
            p, q = left.softmax(1).mul_(some), right.softmax(1).mul_(some)
            apart = left.sub_(right)
            difference = p - q
            losses[r] = torch.linalg.vecdot(difference, apart) / 2
            if not needed:
                continue
            half = weights[r, None] / 2
            means = torch.linalg.vecdot(p, apart), torch.linalg.vecdot(q, apart)
            to_left = (p.mul_(apart - means[0][:, None]).add_(difference)).mul_(half)
            to_right = (q.mul_(apart - means[1][:, None]).add_(difference)).mul_(-half)
            found[0][r], found[1][r] = to_left @ columns, to_right @ columns
            found[2].addmm_(to_left.T, first[r]).addmm_(to_right.T, second[r])
        ctx.found = found
        ctx.mark_non_differentiable(losses)
        return (weights * losses).sum(), losses

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, upstream: Tensor, *_: Any) -> tuple[Tensor | None, ...]:
        found, ctx.found = ctx.found, None
        if found is None:
            raise RuntimeError(
                "the divergence's gradients were taken already: add losses up before"
            )
        return *(slope.mul_(upstream) for slope in found), None, None
