"""The one kernel: contrast of rows with columns whose similarities are never held whole.

Memory is linear in the batch. Similarities are computed in tiles and summed online. Where each
row's gradient follows from its own sum, it is taken while the row's tiles are at hand; where
columns are summed too, tiles are computed again in the backward pass (both as in FlashAttention,
Dao et al., arXiv 2205.14135). All in float32 (float64 for float64 vectors), under autocast too.
"""

import math
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable
from torch.nn import functional

from pairsmith.training.losses.candidates import Candidates
from pairsmith.training.losses.tiles import NOTHING, Levels, Problem, Scan, Slopes


class Seen(NamedTuple):
    """What telemetry shows of a pass; no gradient."""

    hardest: Tensor
    """(n,): highest product of a row with a negative at the last level; -inf: it has none."""
    masked: Tensor
    """int64 (n,): columns masked by identity."""
    nearest: Tensor
    """int64 (L, n): the column of the highest logit, where asked for."""


class Contrast(NamedTuple):
    """The sum over rows and sizes of weight x softplus(negatives - target)."""

    total: Tensor
    """Scalar. Differentiable."""
    losses: Tensor
    """(G, n): softplus(negatives - target) = -log softmax of the target. No gradient."""
    seen: Seen


class Sums(NamedTuple):
    """Log-sum-exp over negatives; -inf of none. Differentiable."""

    rows: Tensor
    """(L, n)."""
    columns: Tensor
    """(L, m), or empty."""
    seen: Seen


def contrast(
    rows: Tensor,
    columns: Tensor,
    targets: Tensor,
    weights: Tensor,
    candidates: Candidates,
    levels: Levels,
    *,
    hardness: bool = False,
) -> Contrast:
    """Return the weighted sum of -log(exp(target) / (exp(target) + sum over negatives)).

    rows: (n, D), columns: (m, D), targets: (G, n) logits of the positives, weights: (G, n).
    A size g has one level, whose log-sum-exp is its row's `negatives`; with `hardness`, two, and
    negatives = log(count) + log-sum-exp of the first - log-sum-exp of the second: the mean of exp
    over negatives drawn in proportion to exp(second), times their count (Robinson et al., arXiv
    2010.04592). Differentiable in rows, columns, targets and scales.
    """
    with torch.autocast(rows.device.type, enabled=False):
        plan = _Plan(candidates, levels, hardness)
        scales = levels.row_scale, levels.column_scale
        vectors = _widened(rows, columns)
        total, losses, *seen = _Contrast.apply(*vectors, targets, weights, *scales, plan)
        return Contrast(total, losses, Seen(*seen))


def log_sum_exp(
    rows: Tensor,
    columns: Tensor,
    candidates: Candidates,
    levels: Levels,
    *,
    across: bool = False,
    index: bool = False,
) -> Sums:
    """Return the log-sum-exp of each row's logits over its negatives.

    rows: (n, D), columns: (m, D). across: that of columns too. index: find the hardest negatives.
    Differentiable in rows, columns and scales.
    """
    with torch.autocast(rows.device.type, enabled=False):
        plan = _Plan(candidates, levels, across=across, index=index)
        scales = levels.row_scale, levels.column_scale
        up, down, *seen = _LogSumExp.apply(*_widened(rows, columns), *scales, plan)
        return Sums(up, down, Seen(*seen))


@dataclass(frozen=True)
class _Plan:
    candidates: Candidates
    levels: Levels
    hardness: bool = False
    across: bool = False
    index: bool = False


class _Contrast(Function):
    @staticmethod
    def forward(
        ctx: Any,
        rows: Tensor,
        columns: Tensor,
        targets: Tensor,
        weights: Tensor,
        row_scale: Tensor | None,
        column_scale: Tensor | None,
        plan: _Plan,
    ) -> tuple[Tensor, ...]:
        problem = Problem(rows, columns, plan.candidates, plan.levels)
        scan, slopes = Scan(problem), Slopes(problem) if any(ctx.needs_input_grad) else None
        losses, d_targets = torch.zeros_like(targets), torch.zeros_like(targets)
        bias = plan.levels.bias
        weight = rows.new_tensor(len(columns)) if bias is None else bias.exp().sum()
        for r in problem.strips():
            strip = [(c, scan.tile(r, c, keep=slopes is not None)) for c in problem.tiles()]
            sums = scan.row_sums(r)
            negatives, signs = sums, sums.new_ones(1)
            if plan.hardness:
                count = weight - scan.removed[r]
                negatives = count.log() + sums[0::2] - sums[1::2]
                negatives = negatives.masked_fill(sums[0::2] == -math.inf, -math.inf)
                signs = sums.new_tensor([1.0, -1.0])
            apart = negatives - targets[:, r]
            losses[:, r] = functional.softplus(apart)
            slope = weights[:, r] * apart.sigmoid()
            d_targets[:, r] = -slope
            if slopes is not None:
                each = (slope[:, None] * signs[:, None]).flatten(0, 1)
                for c, kept in strip:
                    slopes.tile(r, c, kept, (_finite(sums), each))
        if slopes is not None:
            found = [slopes.rows, slopes.columns, d_targets, slopes.row_scale, slopes.column_scale]
            ctx.found = found
        seen = _seen(scan)
        ctx.mark_non_differentiable(losses, *seen)
        return (weights * losses).sum(), losses, *seen

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, upstream: Tensor, *_: Any) -> tuple[Tensor | None, ...]:
        found, ctx.found = ctx.found, None
        if found is None:
            raise RuntimeError("the contrast's gradients were taken already: add losses up before")
        # In place, to hold them once.
        found = [None if slope is None else slope.mul_(upstream) for slope in found]
        return *found[:3], None, *found[3:], None


class _LogSumExp(Function):
    @staticmethod
    def forward(
        ctx: Any,
        rows: Tensor,
        columns: Tensor,
        row_scale: Tensor | None,
        column_scale: Tensor | None,
        plan: _Plan,
    ) -> tuple[Tensor, ...]:
        problem = Problem(rows, columns, plan.candidates, plan.levels)
        scan = Scan(problem, across=plan.across, index=plan.index)
        for r in problem.strips():
            for c in problem.tiles():
                scan.tile(r, c)
        up, down, seen = scan.row_sums(), scan.columns(), _seen(scan)
        ctx.save_for_backward(rows, columns, row_scale, column_scale, up, down)
        ctx.plan = plan
        ctx.mark_non_differentiable(*seen)
        return up, down, *seen

    @staticmethod
    @once_differentiable
    def backward(
        ctx: Any, to_rows: Tensor, to_columns: Tensor, *_: Any
    ) -> tuple[Tensor | None, ...]:
        rows, columns, row_scale, column_scale, up, down = ctx.saved_tensors
        up, down = _finite(up), _finite(down)
        with torch.autocast(rows.device.type, enabled=False):
            levels = replace(ctx.plan.levels, row_scale=row_scale, column_scale=column_scale)
            problem = Problem(rows, columns, ctx.plan.candidates, levels)
            slopes = Slopes(problem)
            for r in problem.strips():
                for c in problem.tiles():
                    aside = (down[:, c], to_columns[:, c]) if ctx.plan.across else None
                    kept = problem.again(r, c)
                    slopes.tile(r, c, kept, (up[:, r], to_rows[:, r]), aside)
        return slopes.rows, slopes.columns, slopes.row_scale, slopes.column_scale, None


def _widened(*vectors: Tensor) -> tuple[Tensor, ...]:
    return tuple(v.to(torch.promote_types(v.dtype, torch.float32)) for v in vectors)


def _finite(sums: Tensor) -> Tensor:
    """Return 0 for -inf: nothing comes from a row without negatives."""
    return sums.masked_fill(sums == -math.inf, 0.0)


def _seen(scan: Scan) -> Seen:
    hardest = scan.hardest.masked_fill(scan.hardest <= NOTHING, -math.inf)
    return Seen(hardest, scan.masked, scan.where)
