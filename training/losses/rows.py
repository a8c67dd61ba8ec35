"""One rank's rows and everyone's columns: what all losses are computed from."""

import math
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from pairsmith.training.collate import Identities
from pairsmith.training.losses.candidates import Marks
from pairsmith.training.losses.gather import Ranks


@dataclass(frozen=True)
class Term:
    """One loss of the batch."""

    loss: Tensor
    """Scalar: this rank's part, times the number of ranks."""
    losses: Tensor
    """(b,): each row's; no gradient."""
    hardest: Tensor | None = None
    """(b,): highest cosine with a negative; -inf: the row has none."""
    masked: Tensor | None = None
    """(b,): share of candidates that were masked."""


@dataclass(frozen=True)
class Rows:
    """b own rows with n hard negatives, and all B rows with N hard negatives of all ranks."""

    ranks: Ranks
    dims: tuple[int, ...]
    """Matryoshka sizes, ascending; the last is D."""
    shares: tuple[float, ...]
    """Of the loss; they add up to 1."""
    anchors: Tensor
    """(b, D)."""
    positives: Tensor
    """(b, D)."""
    negatives: Tensor
    """(n, D)."""
    owner: Tensor
    """int64 (n,): the row of each."""
    weight: Tensor
    """(b,), in the vectors' dtype."""
    label: Tensor
    """int64 (b,)."""
    similarity: Tensor
    """(b,)."""
    counts: list[int]
    """Rows of each rank; they add up to B."""
    negative_counts: list[int]
    pairs: Marks
    """Of all B rows."""
    hard: Marks
    """Of all N hard negatives."""

    @property
    def own(self) -> slice:
        """Return which of all rows are this rank's."""
        start = sum(self.counts[: self.ranks.number])
        return slice(start, start + len(self.anchors))

    @property
    def own_columns(self) -> Tensor:
        """Return the numbers of this rank's rows among all."""
        return torch.arange(self.own.start, self.own.stop, device=self.anchors.device)

    @cached_property
    def all_anchors(self) -> Tensor:
        """Return the anchors of all ranks, (B, D). Differentiable."""
        return self.ranks.gather(self.anchors, self.counts)

    @cached_property
    def all_positives(self) -> Tensor:
        """Return the positives of all ranks, (B, D). Differentiable."""
        return self.ranks.gather(self.positives, self.counts)

    @cached_property
    def all_negatives(self) -> Tensor:
        """Return the hard negatives of all ranks, (N, D). Differentiable."""
        return self.ranks.gather(self.negatives, self.negative_counts)

    @cached_property
    def positive_cosines(self) -> Tensor:
        """Return the similarity of anchors and positives at each size, (L, b). Differentiable."""
        return cosines(self.anchors, self.positives, self.dims)

    def importance(self, weight: Tensor) -> Tensor:
        """Return `weight`, (b,), so that weighted sums average over ranks to the weighted mean."""
        total = self.ranks.total(weight.sum())
        return weight * self.ranks.count / torch.where(total > 0, total, 1.0)

    def term(self, losses: Tensor, weight: Tensor | None = None) -> Term:
        """Return the weighted mean of per-row losses: (L, b) at each size, or (b,)."""
        if losses.ndim > 1:
            losses = losses.new_tensor(self.shares) @ losses
        weight = self.importance(self.weight if weight is None else weight)
        return Term((losses * weight).sum(), losses.detach())


def gather_rows(
    ranks: Ranks,
    anchors: Tensor,
    positives: Tensor,
    negatives: Tensor,
    identities: Identities,
    weight: Tensor,
    label: Tensor,
    similarity: Tensor,
    sizes: tuple[tuple[int, ...], tuple[float, ...]],
) -> Rows:
    """Return the rows of this rank, with what tells those of all ranks apart."""
    counts, negative_counts = ranks.sizes(len(anchors)), ranks.sizes(len(negatives))
    start = sum(counts[: ranks.number])
    told = torch.stack([identities.group, identities.anchor, identities.positive, label], 1)
    group, first, second, labels = ranks.gather(told, counts).T.contiguous()
    pair = torch.arange(len(group), device=group.device)
    pairs = Marks(pair, group, first, second, labels, torch.zeros_like(pair, dtype=torch.bool))
    told = torch.stack(
        [identities.owner + start, identities.negative_group, identities.negative], 1
    )
    owner, group, text = ranks.gather(told, negative_counts).T.contiguous()
    hard = Marks(
        owner, group, text, text, torch.zeros_like(text), torch.ones_like(text, dtype=torch.bool)
    )
    dims, shares = sizes
    return Rows(
        ranks=ranks,
        dims=dims,
        shares=shares,
        anchors=anchors,
        positives=positives,
        negatives=negatives,
        owner=identities.owner,
        weight=weight.to(anchors.dtype),
        label=label,
        similarity=similarity.to(anchors.dtype),
        counts=counts,
        negative_counts=negative_counts,
        pairs=pairs,
        hard=hard,
    )


def join(*marks: Marks) -> Marks:
    """Return marks end to end."""
    return Marks(*(torch.cat(parts) for parts in zip(*marks, strict=True)))


def inverse_norms(vectors: Tensor, dims: tuple[int, ...]) -> Tensor:
    """Return 1 / length of the first numbers of each vector, (L, n). Differentiable.

    1 for all numbers: encoders give unit vectors. 1e12 where all are 0.
    """
    ones = vectors.new_ones(len(vectors))
    return torch.stack(
        [
            1 / vectors[:, :size].norm(dim=1).clamp(min=1e-12) if size < vectors.shape[1] else ones
            for size in dims
        ]
    )


def cosines(left: Tensor, right: Tensor, dims: tuple[int, ...]) -> Tensor:
    """Return the similarity of rows at each size, (L, n). Differentiable."""
    products = torch.stack([torch.linalg.vecdot(left[:, :d], right[:, :d]) for d in dims])
    if len(dims) == 1:
        return products
    return products * inverse_norms(left, dims) * inverse_norms(right, dims)


def truncated(vectors: Tensor, size: int) -> Tensor:
    """Return the first numbers of vectors, at unit length. Differentiable."""
    if size == vectors.shape[1]:
        return vectors
    return torch.nn.functional.normalize(vectors[:, :size], dim=1)


def no_rows(hardest: Tensor) -> Tensor:
    """Return which rows have no negative: bool."""
    return hardest == -math.inf
