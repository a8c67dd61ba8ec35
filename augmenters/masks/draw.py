"""Drawing tokens from what a model makes of them, each by its own uniform number."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from pairsmith.augmenters.augmenter import Keys
from pairsmith.schemas import require, subkeys

Ids = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Drawing:
    """How a token is drawn."""

    top_k: int
    """Among so many likeliest; 0 for all."""
    temperature: float
    """The logits are divided by this; 0 takes the likeliest."""

    def __post_init__(self) -> None:
        """Raise ValueError for a setting out of range."""
        if self.top_k < 0:
            raise ValueError(f"top_k must not be negative: {self.top_k}")
        if not 0 <= self.temperature < 1000:
            raise ValueError(f"temperature must be at least 0, not {self.temperature}")


def draw_tokens(logits: Any, uniform: npt.NDArray[np.float64], drawing: Drawing) -> Ids:
    """Return a token for each row, -1 where none is possible.

    logits: a torch tensor, shape (rows, vocabulary), -inf for what must not be. uniform: in [0, 1),
    shape (rows,); the draw inverts the cumulative distribution there. It runs in order of ids, so
    that tokens whose logits are equal but for rounding may change places without effect.
    """
    torch = require("torch", extra="masks")
    vocabulary = logits.shape[-1]
    count = min(drawing.top_k or vocabulary, vocabulary) if drawing.temperature else 1
    top = torch.topk(logits.float(), count)
    ids, order = torch.sort(top.indices)
    values = top.values.gather(-1, order).double().cpu().numpy()
    best = values.max(1, keepdims=True)
    possible = np.isfinite(best[:, 0])
    best = np.where(np.isfinite(best), best, 0.0)
    shares = np.exp((values - best) / (drawing.temperature or 1.0))
    ends = shares.cumsum(1)
    place = (ends <= (uniform * ends[:, -1])[:, None]).sum(1)
    last = count - 1 - (shares[:, ::-1] > 0).argmax(1)  # rounding must not reach behind it
    drawn = ids.cpu().numpy()[np.arange(len(place)), np.minimum(place, last)]
    return np.where(possible, drawn, -1).astype(np.int64)


def keys_of(keys: Keys, numbers: Ids) -> Keys:
    """Return the key of each key and number, as `subkeys` does for one number below 2 ** 32."""
    ahead = numbers.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    return subkeys(keys + ahead, 0)


def uniforms(keys: Keys) -> npt.NDArray[np.float64]:
    """Return a number in [0, 1) for each key."""
    return (keys >> np.uint64(11)).astype(np.float64) * 2.0**-53
