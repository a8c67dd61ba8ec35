"""Sampling whose draws belong to a sentence, not to its batch."""

from typing import Any

import numpy as np

from pairsmith.augmenters.translation.translator import Decoding
from pairsmith.schemas import require, subkeys


class Sampler:
    """Leaves one token of each row possible, drawn from what the model gives it.

    The draw inverts the cumulative distribution at one uniform number for each seed and step.
    """

    def __init__(self, decoding: Decoding, seeds: list[int]) -> None:
        """Keep what to draw from, and a seed for each row."""
        self._decoding = decoding
        self._keys = np.array(seeds, np.uint64)

    def __call__(self, input_ids: Any, scores: Any) -> Any:
        """Return scores of 0 for the drawn token of each row, and of minus infinity elsewhere."""
        torch = require("torch", extra="translate")
        order = torch.sort(
            scores.float() / self._decoding.temperature, descending=True, stable=True
        )
        shares = torch.softmax(order.values, -1)
        if self._decoding.top_k:
            shares[:, self._decoding.top_k :] = 0
        # The likeliest always stays: what comes before it has no share yet.
        shares[shares.cumsum(-1) - shares >= self._decoding.top_p * shares.sum(-1, True)] = 0
        step = subkeys(self._keys, input_ids.shape[1])
        uniform = torch.tensor((step >> np.uint64(11)) * 2.0**-53, device=scores.device)
        reached = shares.double().cumsum(-1)
        last = (shares > 0).sum(-1) - 1
        place = (reached <= (uniform * reached[:, -1])[:, None]).sum(-1).minimum(last)
        drawn = order.indices.gather(-1, place[:, None])
        return torch.full_like(scores, -torch.inf).scatter_(-1, drawn, 0.0)
