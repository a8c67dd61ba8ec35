"""Rows of all ranks, with the gradients that ranks owe each other.

Each rank contrasts its own rows with everyone's columns. A column's gradient is then spread over
the ranks, and summed where the column came from.
"""

from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor
from torch.autograd import Function
from torch.distributed import ProcessGroup


class Ranks:
    """How the rows of a global batch are spread; ranks may have any number of them, also none.

    Every rank must call the same methods in the same order, in the backward pass too.
    """

    def __init__(self, group: ProcessGroup | None, device: torch.device):
        """group: None is one process alone."""
        self.group, self.device = group, device
        self.count = 1 if group is None else dist.get_world_size(group)
        self.number = 0 if group is None else dist.get_rank(group)

    def sizes(self, rows: int) -> list[int]:
        """Return every rank's number of rows."""
        if self.group is None:
            return [rows]
        mine = torch.tensor([rows], device=self.device)
        everyone = mine.new_empty(self.count)
        dist.all_gather_into_tensor(everyone, mine, group=self.group)
        return [int(size) for size in everyone.tolist()]

    def gather(self, rows: Tensor, sizes: list[int]) -> Tensor:
        """Return everyone's rows, (sum(sizes), …). Differentiable: sums what ranks owe."""
        if self.group is None:
            return rows
        gathered: Tensor = _Gather.apply(rows, sizes, self)
        return gathered

    def total(self, values: Tensor) -> Tensor:
        """Return the sum over ranks; no gradient."""
        total = values.detach().clone()
        if self.group is not None:
            dist.all_reduce(total, group=self.group)
        return total

    def averaged(self, parameter: Tensor) -> Tensor:
        """Return `parameter`, whose gradient becomes the mean over ranks, as DDP makes others'."""
        if self.group is None:
            return parameter
        same: Tensor = _Averaged.apply(parameter, self)
        return same

    def combined(self, sums: Tensor, sizes: list[int]) -> Tensor:
        """Return the log-sum-exp over ranks of `sums`, (L, sum(sizes)), at this rank's columns."""
        if self.group is None:
            return sums
        combined: Tensor = _Combined.apply(sums, sizes, self)
        return combined


def _padded(rows: Tensor, height: int) -> Tensor:
    padded = rows.new_zeros(height, *rows.shape[1:])
    padded[: len(rows)] = rows
    return padded


def _gathered(rows: Tensor, sizes: list[int], ranks: Ranks) -> Tensor:
    height = max(sizes)
    everyone = rows.new_empty(ranks.count * height, *rows.shape[1:])
    dist.all_gather_into_tensor(everyone, _padded(rows, height), group=ranks.group)
    return torch.cat([everyone[i * height :][:size] for i, size in enumerate(sizes)])


class _Gather(Function):
    @staticmethod
    def forward(ctx: Any, rows: Tensor, sizes: list[int], ranks: Ranks) -> Tensor:
        ctx.sizes, ctx.ranks = sizes, ranks
        return _gathered(rows, sizes, ranks)

    @staticmethod
    def backward(ctx: Any, upstream: Tensor) -> tuple[Tensor, None, None]:
        sizes, ranks = ctx.sizes, ctx.ranks
        height = max(sizes)
        owed = torch.cat([_padded(part, height) for part in upstream.split(sizes)])
        mine = owed.new_empty(height, *owed.shape[1:])
        dist.reduce_scatter_tensor(mine, owed, group=ranks.group)
        return mine[: sizes[ranks.number]], None, None


class _Averaged(Function):
    @staticmethod
    def forward(ctx: Any, parameter: Tensor, ranks: Ranks) -> Tensor:
        ctx.ranks = ranks
        return parameter.clone()

    @staticmethod
    def backward(ctx: Any, upstream: Tensor) -> tuple[Tensor, None]:
        total: Tensor = ctx.ranks.total(upstream)
        return total / ctx.ranks.count, None


class _Combined(Function):
    @staticmethod
    def forward(ctx: Any, sums: Tensor, sizes: list[int], ranks: Ranks) -> Tensor:
        parts = _gathered(sums[None].contiguous(), [1] * ranks.count, ranks)
        whole = parts.logsumexp(0)
        ctx.sizes, ctx.ranks = sizes, ranks
        ctx.save_for_backward(torch.where(whole.isfinite(), (sums - whole).exp(), 0.0))
        mine: Tensor = whole.split(sizes, 1)[ranks.number].contiguous()
        return mine

    @staticmethod
    def backward(ctx: Any, upstream: Tensor) -> tuple[Tensor, None, None]:
        (shares,) = ctx.saved_tensors
        everyone = _gathered(upstream.T.contiguous(), ctx.sizes, ctx.ranks)
        owed: Tensor = shares * everyone.T
        return owed, None, None
