"""Batches without padding: micro-batches of like length, or texts end to end."""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from pairsmith.training.end_to_end import row_places
from pairsmith.training.tokens.ids import IdRows

Features = dict[str, Tensor]
Rows = npt.NDArray[np.int64]

BOUNDS, SHORTEST, LONGEST = "cu_seq_lens", "min_length", "max_length"
"""Features of texts end to end: where each begins and the last ends; tokens of two of them."""
CALL_TOKENS = 12.0
"""Tokens that one more call of a model is taken to cost.

In time it costs 16 to 64 for 6 layers of 384 on a CPU, and more for smaller models, which mostly
read texts end to end; larger ones pay for padding. Of batches of 32 pairs, 12 leaves under 5 %.
"""


@dataclass(frozen=True)
class TokenCount:
    """How much of a batch is padding."""

    computed: int
    """Tokens that the model computes, padding included."""
    real: int
    """Tokens of texts, special tokens included."""

    @property
    def ratio(self) -> float:
        """Return computed ÷ real tokens: 1 without padding."""
        return self.computed / max(1, self.real)


def padded(texts: IdRows, pad: int = 0) -> Features:
    """Return what a tokenizer that pads on the right returns: each of shape (texts, longest), or 1.

    `input_ids` and `attention_mask`, int64.
    """
    longest = int(texts.lengths.max(initial=1))
    mask = np.arange(longest)[None, :] < texts.lengths[:, None]
    ids = np.full(mask.shape, pad, np.int64)
    ids[mask] = texts.ids
    return {
        "input_ids": torch.from_numpy(ids),
        "attention_mask": torch.from_numpy(mask.astype(np.int64)),
    }


def packed(texts: IdRows, first_position: int = 0) -> Features:
    """Return texts end to end: what `DataCollatorWithFlattening` returns, as tensors.

    `input_ids`, `position_ids`: int64, shape (1, total), positions counted from `first_position` in
    each text. `cu_seq_lens`: int32, shape (texts + 1,), where each text begins and the last ends.
    `min_length`, `max_length`: int64, shape (), which stay on the CPU.
    """
    ends = np.concatenate([[0], np.cumsum(texts.lengths)])
    positions = row_places(texts.lengths) + first_position
    return {
        "input_ids": torch.from_numpy(texts.ids)[None],
        "position_ids": torch.from_numpy(positions)[None],
        BOUNDS: torch.from_numpy(ends.astype(np.int32)),
        SHORTEST: torch.tensor(int(texts.lengths.min()) if len(texts.lengths) else 0),
        LONGEST: torch.tensor(int(texts.lengths.max(initial=0))),
    }


def by_length(features: Features) -> tuple[Features, Tensor]:
    """Return packed features with the shortest text first, and where each text went: (texts,).

    Texts of equal length stay in their order.
    """
    ends = features[BOUNDS].long()
    lengths, order = ends.diff().sort(stable=True)
    bounds = torch.cat([ends[:1], lengths.cumsum(0)])
    shift = (ends[:-1][order] - bounds[:-1]).repeat_interleave(lengths)
    places = torch.arange(len(shift), device=shift.device) + shift
    moved = {name: features[name][:, places] for name in ("input_ids", "position_ids")}
    ordered = {**features, **moved, BOUNDS: bounds.int()}
    return ordered, order.argsort()


def packed_states(model: Callable[..., Any], features: Features) -> Tensor:
    """Return the last layer's states of all tokens of packed features: shape (total, hidden).

    model: one of transformers that `use_packed_attention` prepared.
    """
    # PyTorch's jagged tensors want int64: once, not in each layer.
    ends, longest = features[BOUNDS].long(), int(features[LONGEST])
    states: Tensor = model(
        input_ids=features["input_ids"],
        position_ids=features["position_ids"],
        cu_seq_lens_q=ends,
        cu_seq_lens_k=ends,
        max_length_q=longest,
        max_length_k=longest,
        min_length_q=int(features[SHORTEST]),
    ).last_hidden_state
    return states[0]


def on_device(features: Features, device: torch.device) -> Features:
    """Return the features on `device`, but for single numbers, which are read on the CPU."""
    return {k: v.to(device, non_blocking=True) if v.ndim else v for k, v in features.items()}


def bagged(texts: IdRows) -> Features:
    """Return what an embedding bag takes: `input_ids` end to end, `offsets` where each begins."""
    return {
        "input_ids": torch.from_numpy(texts.ids),
        "offsets": torch.from_numpy(texts.starts),
    }


def micro_batches(lengths: Rows, call_tokens: float = CALL_TOKENS) -> list[Rows]:
    """Return rows of texts in runs of like length that cost least, each padded to its longest.

    A run costs `count × longest + call_tokens`; the sum is the least that there is (a shortest
    path over the distinct lengths, which are few). Every row is in one run; longest runs come last.
    """
    order = np.argsort(lengths, kind="stable")
    distinct, counts = np.unique(lengths, return_counts=True)
    ends = np.concatenate([[0], np.cumsum(counts)])
    best, begin = np.zeros(len(ends)), np.zeros(len(ends), np.int64)
    for last, longest in enumerate(distinct):
        costs = best[: last + 1] + (ends[last + 1] - ends[: last + 1]) * max(1, longest)
        begin[last + 1] = costs.argmin()
        best[last + 1] = costs.min() + call_tokens
    cuts = [len(distinct)]
    while cuts[-1]:
        cuts.append(int(begin[cuts[-1]]))
    return np.split(order, ends[cuts[::-1]][1:-1]) if len(lengths) else []


def in_micro_batches(
    forward: Callable[[Features], Tensor], features: Features, call_tokens: float = CALL_TOKENS
) -> Tensor:
    """Return `forward(features)`, computed in runs of texts of like length, in the given order.

    forward: from padded features of n texts to a tensor of shape (n, …); it is called within the
    caller's autograd graph. Who is in the batch, and what comes out, does not change: only padding
    that no text needs is left out. Without an attention mask there is nothing to leave out.
    """
    mask = features.get("attention_mask")
    if mask is None:
        return forward(features)
    plan = micro_batches(mask.sum(1).cpu().numpy(), call_tokens)
    if len(plan) < 2:
        return forward(features)
    parts = []
    for rows in plan:
        chosen = torch.from_numpy(rows).to(mask.device)
        longest = max(1, int(mask[chosen].sum(1).max()))
        parts.append(forward({k: v[chosen][:, :longest] for k, v in features.items()}))
    places = torch.from_numpy(np.argsort(np.concatenate(plan))).to(mask.device)
    return torch.cat(parts)[places]


def in_chunks(features: Features, texts: int, count: int) -> list[Features]:
    """Return features of `texts` texts as `count` features of runs of texts, in their order.

    Of padded or packed texts, or those of an embedding bag. A chunk without texts of its own is the
    first text again, so that every chunk can be computed; its vectors come behind all others.
    """
    cuts = [texts * i // count for i in range(count + 1)]
    spans = [(a, b) for a, b in pairwise(cuts) if a < b]
    spans += [(0, 1)] * (count - len(spans))
    mask = features.get("attention_mask")
    if mask is not None:
        lengths = mask.sum(1).clamp(min=1).cpu()
        return [
            {name: value[a:b, : int(lengths[a:b].max())] for name, value in features.items()}
            for a, b in spans
        ]
    if BOUNDS in features:
        return [_packed_chunk(features, a, b) for a, b in spans]
    ids, offsets = features["input_ids"], features["offsets"]
    ends = [*offsets.tolist(), len(ids)]
    return [
        {"input_ids": ids[ends[a] : ends[b]], "offsets": offsets[a:b] - offsets[a]}
        for a, b in spans
    ]


def _packed_chunk(features: Features, first: int, end: int) -> Features:
    bounds = features[BOUNDS][first : end + 1]
    tokens = slice(int(bounds[0]), int(bounds[-1]))
    part = {name: features[name][:, tokens] for name in ("input_ids", "position_ids")}
    lengths = bounds.diff().cpu()
    least, most = lengths.aminmax()
    return {**part, BOUNDS: bounds - bounds[0], SHORTEST: least, LONGEST: most}


def token_count(features: Features, call_tokens: float | None = None) -> TokenCount:
    """Return how many tokens a model computes for features, and how many are of texts.

    call_tokens: of `in_micro_batches`; None where it is not used.
    """
    mask = features.get("attention_mask")
    if mask is None:
        tokens = features["input_ids"].numel()
        return TokenCount(tokens, tokens)
    lengths = mask.sum(1).cpu().numpy()
    if call_tokens is None:
        return TokenCount(mask.numel(), int(lengths.sum()))
    plan = micro_batches(lengths, call_tokens)
    computed = sum(len(rows) * max(1, int(lengths[rows].max())) for rows in plan)
    return TokenCount(computed, int(lengths.sum()))
