"""Token vectors -> one vector for each text."""

import torch
from torch import Tensor

from pairsmith.training.encoders.config import Pooling


def pool(states: Tensor, mask: Tensor, how: Pooling) -> Tensor:
    """Return one vector a text, shape (n, D); 0 for a text without tokens.

    states: token vectors, shape (n, T, D); mask: 1 where there is a token, shape (n, T), padding on
    the right. `weighted` weighs the first token 1, the second 2 and so on (SGPT, arXiv 2202.08904).
    """
    present = mask.to(states.dtype)
    if how == "mean":
        return (states * present[..., None]).sum(1) / present.sum(1, keepdim=True).clamp(min=1)
    if how == "weighted":
        weights = present.cumsum(1) * present
        return (states * weights[..., None]).sum(1) / weights.sum(1, keepdim=True).clamp(min=1)
    if how == "max":
        highest = states.masked_fill(present[..., None] == 0, -torch.inf).amax(1)
        return torch.where(present.sum(1, keepdim=True) > 0, highest, 0.0)
    if how == "cls":
        return states[:, 0] * present[:, :1]
    if how == "last":
        index = (mask.sum(1) - 1).clamp(min=0).long()
        chosen = states[torch.arange(len(states), device=mask.device), index]
        return chosen * present[:, :1]
    raise AssertionError(how)


def pool_packed(states: Tensor, bounds: Tensor, how: Pooling) -> Tensor:
    """Return the same for texts that stand end to end.

    states: shape (total tokens, D), at least one; bounds: where each text begins and the last one
    ends, shape (n + 1,).
    """
    bounds = bounds.long()
    lengths = bounds.diff()
    if how in ("cls", "last"):
        places = bounds[:-1] if how == "cls" else bounds[1:] - 1
        chosen = states[places.clamp(0, len(states) - 1)]
        return chosen * (lengths > 0).to(states.dtype)[:, None]
    # Sums in a fixed order on every device, which adding by index does not give.
    if how == "mean":
        return torch.segment_reduce(states, "mean", lengths=lengths, axis=0, initial=0)
    if how == "weighted":
        places = torch.arange(len(states), device=states.device)
        weights = places - bounds[:-1].repeat_interleave(lengths) + 1
        total = torch.segment_reduce(states * weights[:, None], "sum", lengths=lengths, axis=0)
        return total / (lengths * (lengths + 1) / 2).clamp(min=1)[:, None]
    if how == "max":
        highest = torch.segment_reduce(states, "max", lengths=lengths, axis=0)
        return torch.where(lengths[:, None] > 0, highest, 0.0)
    raise AssertionError(how)
