"""The fast paths against the plain formula, on a run's own settings, encoder and data."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed import ProcessGroup

from pairsmith.schemas import UserError
from pairsmith.training.collate import Identities
from pairsmith.training.losses.cache import cached_step
from pairsmith.training.losses.config import LossConfig
from pairsmith.training.losses.gather import Ranks
from pairsmith.training.losses.objective import Objective, Outcome
from pairsmith.training.losses.plain import Pairs, plain_loss

Chunk = TypeVar("Chunk")
LARGEST = 1e-5
"""Relative error that is taken for rounding, where no temperature makes that larger."""


@dataclass(frozen=True)
class Found:
    """How far one path is from the plain formula."""

    path: str
    error: float
    """Norm of the difference, divided by the norm of what it should be."""

    def __str__(self) -> str:
        return f"{self.path:<44} relative error {self.error:.1e}  ok"


def largest_error(config: LossConfig) -> float:
    """Return the relative error up to which a path is right.

    Logits are cosines / temperature in float32, of which the last digit is worth
    eps / temperature: so much, times (1 + hardness), a softmax of them is off in any order of
    computing. Eight of that leave room for how such errors add up.
    """
    if not config.uses_temperature:
        return LARGEST
    rounding = torch.finfo(torch.float32).eps * (1 + config.hardness) / config.temperature
    return max(LARGEST, 8 * rounding)


def verify(
    config: LossConfig,
    encode: Callable[[Chunk], Tensor],
    chunks: Sequence[Chunk],
    parameters: Iterable[nn.Parameter],
    identities: Identities,
    weight: Tensor,
    label: Tensor | None = None,
    similarity: Tensor | None = None,
    group: ProcessGroup | None = None,
) -> list[str]:
    """Check loss and gradients of one batch against float64 autograd; return a line a path.

    encode: features -> (rows, D) in float32, without autocast and DDP; dropout may be on. chunks:
    of the batch's texts, anchors, positives, hard negatives, and of what others wait for besides,
    whose vectors come behind and count for nothing. The rest: as for `Objective`. Memory
    is quadratic in the batch: some thousand rows at most, on all ranks. Generators and gradients
    are left as they were.
    Raises UserError when a path is off by more than `largest_error` on any rank.
    """
    parameters = [p for p in parameters if p.requires_grad]
    kept = [p.grad for p in parameters]
    ranks = Ranks(group, weight.device)
    label = torch.zeros_like(identities.group) if label is None else label
    similarity = torch.full_like(weight, torch.nan) if similarity is None else similarity
    targets = (identities, weight, label, similarity)
    state = torch.get_rng_state()
    on_gpu = torch.cuda.get_rng_state() if weight.is_cuda else None

    def rewind() -> None:
        torch.set_rng_state(state)
        if on_gpu is not None:
            torch.cuda.set_rng_state(on_gpu)
        for parameter in parameters:
            parameter.grad = None

    try:
        rewind()
        texts = 2 * len(weight) + len(identities.owner)
        graph = torch.cat([encode(chunk) for chunk in chunks])[:texts]
        plain, slopes, to_temperature = _plainly(config, ranks, graph.detach(), targets)
        found = []
        for name, vectors in (("", graph.detach()), (", bf16 vectors", graph.detach().bfloat16())):
            if name:
                plain, slopes, to_temperature = _plainly(config, ranks, vectors, targets)
            objective, leaf = Objective(config).to(weight.device), vectors.float().requires_grad_()
            outcome = _loss(objective, leaf.to(vectors.dtype), targets, group)
            outcome.loss.backward()
            value = ranks.total(outcome.loss) / ranks.count
            found.append(Found("loss" + name, _error(ranks, [value], [plain])))
            if not name:
                pairs = [_slope(leaf)], [slopes]
                found.append(Found("gradient of vectors", _error(ranks, *pairs)))
            if objective.log_scale is not None:
                pairs = [_slope(objective.log_scale)], [to_temperature]
                found.append(Found("gradient of temperature" + name, _error(ranks, *pairs)))
        _, slopes, _ = _plainly(config, ranks, graph.detach(), targets)
        graph.backward(slopes.to(graph))
        wanted = [_slope(p) for p in parameters]
        rewind()
        objective = Objective(config).to(weight.device)
        cached_step(encode, chunks, lambda vectors: _loss(objective, vectors, targets, group))
        error = _error(ranks, [_slope(p) for p in parameters], wanted)
        found.append(Found("gradient of the encoder, through the cache", error))
    finally:
        rewind()
        for parameter, gradient in zip(parameters, kept, strict=True):
            parameter.grad = gradient
    most = largest_error(config)
    for one in found:
        if not one.error <= most:
            raise UserError(
                f"--verify: {one.path} is off by {one.error:.1e} of the plain formula's, which is "
                f"more than {most:.0e}: train without what --loss {config.loss} has besides, "
                "and report the settings"
            )
    return [str(one) for one in found]


def _loss(
    objective: Objective,
    vectors: Tensor,
    targets: tuple[Identities, Tensor, Tensor, Tensor],
    group: ProcessGroup | None,
) -> Outcome:
    rows, texts = len(targets[1]), 2 * len(targets[1]) + len(targets[0].owner)
    parts = vectors[:rows], vectors[rows : 2 * rows], vectors[2 * rows : texts]
    outcome: Outcome = objective(*parts, *targets, group)
    return outcome


def _plainly(
    config: LossConfig,
    ranks: Ranks,
    vectors: Tensor,
    targets: tuple[Identities, Tensor, Tensor, Tensor],
) -> tuple[Tensor, Tensor, Tensor]:
    """Return loss, gradient of this rank's vectors times ranks, and of log(1 / temperature)."""
    identities, weight, *_ = targets
    rows, negatives = len(weight), len(identities.owner)
    sizes, hard = ranks.sizes(rows), ranks.sizes(negatives)
    start, hard_start = sum(sizes[: ranks.number]), sum(hard[: ranks.number])
    with torch.no_grad():
        parts = vectors.split([rows, rows, negatives])
        anchors, positives, others = (
            ranks.gather(part, counts).cpu().double()
            for part, counts in zip(parts, (sizes, sizes, hard), strict=True)
        )
        everyone = Identities(
            group=ranks.gather(identities.group, sizes).cpu(),
            anchor=ranks.gather(identities.anchor, sizes).cpu(),
            positive=ranks.gather(identities.positive, sizes).cpu(),
            negative=ranks.gather(identities.negative, hard).cpu(),
            negative_group=ranks.gather(identities.negative_group, hard).cpu(),
            owner=ranks.gather(identities.owner + start, hard).cpu(),
        )
        weight, label, similarity = (ranks.gather(part, sizes).cpu() for part in targets[1:])
    leaves = [part.requires_grad_() for part in (anchors, positives, others)]
    scale = -torch.tensor([config.temperature], dtype=torch.float64).log()
    scale.requires_grad_()
    pairs = Pairs(anchors, positives, others, everyone, weight, label, similarity)
    loss = plain_loss(config, pairs, (-scale).exp())
    loss.sum().backward()
    mine = [
        _slope(leaves[0])[start : start + rows],
        _slope(leaves[1])[start : start + rows],
        _slope(leaves[2])[hard_start : hard_start + negatives],
    ]
    return loss.detach().sum(), torch.cat(mine) * ranks.count, _slope(scale)


def _slope(leaf: Tensor) -> Tensor:
    return torch.zeros_like(leaf) if leaf.grad is None else leaf.grad


def _error(ranks: Ranks, found: list[Tensor], wanted: list[Tensor]) -> float:
    """Return the largest relative error of any rank; absolute where all should be 0."""
    pairs = [
        (f.detach().cpu().double(), w.detach().cpu().double())
        for f, w in zip(found, wanted, strict=True)
    ]
    apart = sum(float((f - w).square().sum()) for f, w in pairs)
    size = sum(float(w.square().sum()) for _, w in pairs)
    error = torch.tensor((apart / size if size else apart) ** 0.5, device=ranks.device)
    if ranks.group is not None:
        # Nan, too, is to be seen: max would hide it.
        error = error.nan_to_num(nan=torch.inf)
        dist.all_reduce(error, op=dist.ReduceOp.MAX, group=ranks.group)
    return float(error)
