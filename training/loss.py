"""InfoNCE with identity masks (van den Oord et al., arXiv 1807.03748; SimCSE, arXiv 2104.08821)."""

import torch
from torch import Tensor
from torch.nn import functional

from pairsmith.training.collate import Identities


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


def info_nce(
    anchors: Tensor, candidates: Tensor, masked: Tensor, weight: Tensor, temperature: float
) -> Tensor:
    """Return the weighted mean of -log softmax(anchor . candidate / temperature)[own positive].

    anchors: (B, D), candidates: (B + N, D), unit vectors; candidate i < B is row i's positive.
    masked: bool (B, B + N), candidates left out of the row's softmax. weight: (B,).
    Logits are float32 whatever the inputs are. All weights 0 give 0.
    """
    with torch.autocast(anchors.device.type, enabled=False):
        logits = anchors.float() @ candidates.float().T / temperature
        logits = logits.masked_fill(masked, float("-inf"))
        own = torch.arange(len(anchors), device=anchors.device)
        losses = functional.cross_entropy(logits, own, reduction="none")
        total = weight.sum()
        return (losses * weight).sum() / torch.where(total > 0, total, 1.0)
