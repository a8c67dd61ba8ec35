"""Token vectors -> one vector for each text."""

import torch
from torch import Tensor

from pairsmith.training.encoders.config import Pooling


def pool(states: Tensor, mask: Tensor, how: Pooling) -> Tensor:
    """Return one vector a text, shape (n, D); 0 for a text without tokens.

    states: token vectors, shape (n, T, D); mask: 1 where there is a token, shape (n, T), padding on
    either side. `weighted` weighs the first token 1, the second 2 and so on (SGPT, arXiv
    2202.08904).
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
    if how in ("cls", "last"):
        places = torch.arange(mask.shape[1], device=mask.device, dtype=torch.int32)
        here = mask.to(torch.int32)
        if how == "last":
            index = (here * places).amax(1)
        else:
            index = (here * (mask.shape[1] - places)).argmax(1)
        chosen = states[torch.arange(len(states), device=mask.device), index.long()]
        return chosen * present.amax(1, keepdim=True)
    raise AssertionError(how)


def pool_packed(states: Tensor, bounds: Tensor, longest: int, how: Pooling) -> Tensor:
    """Return the same for texts that stand end to end.

    states: shape (total tokens, D); bounds: where each text begins and the last one ends, shape
    (n + 1,); longest: tokens of the longest text.
    """
    lengths = (bounds[1:] - bounds[:-1]).long()
    index = torch.repeat_interleave(torch.arange(len(lengths), device=states.device), lengths)
    place = torch.arange(len(states), device=states.device) - bounds[:-1].long()[index]
    padded = states.new_zeros(len(lengths), longest, states.shape[1])
    padded[index, place] = states
    mask = torch.zeros(padded.shape[:2], device=states.device, dtype=torch.int32)
    mask[index, place] = 1
    return pool(padded, mask, how)
