"""Texts end to end in one row, through transformers' own models, each attending to itself alone."""

from collections.abc import Callable, Iterator
from itertools import groupby
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import dropout, scaled_dot_product_attention
from transformers import AttentionInterface, AttentionMaskInterface, PreTrainedModel
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

from pairsmith.schemas import UserError
from pairsmith.training.encoders.packing import (
    Features,
    Rows,
    on_device,
    packed,
    packed_states,
    padded,
)
from pairsmith.training.end_to_end import row_places
from pairsmith.training.tokens.ids import IdRows

PACKED = "pairsmith_packed"
"""Name of the attention below among those of transformers."""
Limits = tuple[int | None, int | None]
"""Tokens of the shortest text and of the longest, where they are known."""
ALIKE = 8
"""Texts whose lengths are equal when rounded up to a multiple of this attend together on a CPU."""
_NEAR = {torch.float32: 1e-4, torch.bfloat16: 5e-2, torch.float16: 1e-2}


def use_packed_attention(model: PreTrainedModel) -> int:
    """Make `model` take packed features as well as padded ones; return its texts' first position.

    Three short texts are computed both ways where the model is, since not every model and device
    can do this: in float32, and on a GPU in bfloat16, too.
    Raises UserError when they differ; the model is then as it was.
    """
    AttentionInterface.register(PACKED, packed_attention)
    AttentionMaskInterface.register(PACKED, _mask)
    before, training = model.config._attn_implementation, model.training
    pad = model.config.pad_token_id or 0
    ids = np.setdiff1d(np.arange(12), [pad])[:9] % model.config.vocab_size
    texts = IdRows(ids, np.array([3, 1, 5]))
    rows = on_device(padded(texts, pad), model.device)
    kinds = [model.dtype] if model.device.type == "cpu" else [model.dtype, torch.bfloat16]
    model.train(False)
    try:
        expected = [_computed(_padded_states, model, rows, kind) for kind in kinds]
        model.set_attn_implementation(PACKED)
        for first in (0, pad + 1):  # RoBERTa and its kin count from behind the padding's id
            ends = on_device(packed(texts, first), model.device)
            found = (_computed(packed_states, model, ends, kind) for kind in kinds)
            if all(map(_near, found, expected, kinds)):
                return first
        reason = "its vectors would differ"
    except (TypeError, ValueError, RuntimeError, UserError) as error:  # of its code, or of kernels
        reason = str(error).partition("\n")[0]
    finally:
        model.train(training)
    model.set_attn_implementation(before)
    raise UserError(
        f"{type(model).__name__} cannot read texts end to end ({reason}); train with --packed False"
    )


def _padded_states(model: PreTrainedModel, features: Features) -> Tensor:
    states: Tensor = model(**features).last_hidden_state
    return states[features["attention_mask"].bool()]


def _computed(
    states: Callable[[PreTrainedModel, Features], Tensor],
    model: PreTrainedModel,
    features: Features,
    kind: torch.dtype,
) -> Tensor:
    with torch.no_grad(), torch.autocast(model.device.type, kind, enabled=kind != model.dtype):
        return states(model, features).float()


def _near(found: Tensor, expected: Tensor, kind: torch.dtype) -> bool:
    return bool((found - expected).abs().max() < _NEAR[kind] * expected.abs().max())


def packed_attention(
    module: torch.nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    *,
    dropout: float = 0.0,
    scaling: float | None = None,
    is_causal: bool | None = None,
    cu_seq_lens_q: Tensor | None = None,
    max_length_q: int | None = None,
    min_length_q: int | None = None,
    **others: Any,
) -> tuple[Tensor, None]:
    """Return attention within each text: an attention function of transformers.

    query: shape (1, heads, total, width); returns (1, total, heads, width). Without
    `cu_seq_lens_q`, texts are padded, and transformers' own function attends.
    Raises UserError for attention with a bias or a window, which padded batches do.
    """
    causal = getattr(module, "is_causal", True) if is_causal is None else is_causal
    if cu_seq_lens_q is None:
        others |= {"dropout": dropout, "scaling": scaling, "is_causal": causal}
        return sdpa_attention_forward(module, query, key, value, attention_mask, **others)
    for name in ("position_bias", "softcap", "sliding_window"):
        if others.get(name) is not None:
            raise UserError(f"its attention has a {name}")
    inside = in_runs if query.device.type == "cpu" else jagged
    given = {"dropout_p": dropout, "scale": scaling, "is_causal": causal}
    if (shared := query.shape[1] // key.shape[1]) > 1:  # queries that share a head of keys
        key, value = (states.repeat_interleave(shared, 1) for states in (key, value))
    return inside(query, key, value, cu_seq_lens_q, (min_length_q, max_length_q), given), None


def jagged(
    query: Tensor, key: Tensor, value: Tensor, ends: Tensor, limits: Limits, given: Any
) -> Tensor:
    """Return attention through PyTorch's jagged tensors: one fused kernel on a GPU.

    ends: int64; no text is empty. Without `limits`, the GPU is waited for to tell them.
    """
    least, most = limits

    def lines(states: Tensor) -> Tensor:
        rows = states[0].transpose(0, 1).contiguous()  # which it mostly is: no kernel takes others
        return torch.nested.nested_tensor_from_jagged(
            rows, ends, min_seqlen=least, max_seqlen=most
        ).transpose(1, 2)

    attended = scaled_dot_product_attention(lines(query), lines(key), lines(value), **given)
    return attended.transpose(1, 2).values()[None]


def in_runs(
    query: Tensor, key: Tensor, value: Tensor, ends: Tensor, limits: Limits, given: Any
) -> Tensor:
    """Return attention in one call for neighbours of like length: on a CPU, faster than jagged."""
    heads, lengths = query.shape[1], ends.diff().numpy()
    runs = [np.array(list(run)) for _, run in groupby(lengths, lambda n: -(-n // ALIKE))]
    padded = np.concatenate([np.full(len(run), run.max()) for run in runs])
    places = torch.from_numpy(_places(lengths, padded, heads))
    sizes = [heads * len(run) * int(run.max()) for run in runs]

    def laid_out(states: Tensor) -> Iterator[Tensor]:
        """Yield each run's states as (texts, heads, tokens, width), padded with zeros."""
        by_token = states[0].transpose(0, 1).flatten(0, 1)
        room = by_token.new_zeros(sum(sizes), by_token.shape[1])
        for run, part in zip(runs, room.index_copy_(0, places, by_token).split(sizes), strict=True):
            yield part.view(len(run), heads, int(run.max()), part.shape[1])

    parts = zip(runs, laid_out(query), laid_out(key), laid_out(value), strict=True)
    attended = [
        _attended(q, k, v, _allowed(run, given["is_causal"]), given).flatten(0, 2)
        for run, q, k, v in parts
        if run.any()
    ]
    by_token: Tensor = torch.cat(attended).index_select(0, places).unflatten(0, (-1, heads))
    return by_token[None]


def _attended(
    query: Tensor, key: Tensor, value: Tensor, allowed: Tensor | None, given: Any
) -> Tensor:
    """Return attention of padded texts: shape (texts, heads, tokens, width)."""
    if not given["dropout_p"]:
        return scaled_dot_product_attention(query, key, value, allowed, scale=given["scale"])
    # With dropout that has no kernel on a CPU, and what it does instead takes three times as many.
    scale = query.shape[-1] ** -0.5 if given["scale"] is None else given["scale"]
    scores = torch.matmul(query * scale, key.transpose(2, 3))
    if allowed is not None:
        scores = scores.masked_fill(~allowed, -torch.inf)
    return torch.matmul(dropout(scores.softmax(-1), given["dropout_p"]), value)


def _allowed(lengths: Rows, causal: bool) -> Tensor | None:
    """Return who may attend to whom, shape (texts, 1, 1 or tokens, tokens); None: all to all."""
    tokens = np.arange(lengths.max())
    allowed = tokens < lengths[:, None, None, None]
    if causal:
        allowed = allowed & (tokens <= tokens[:, None])
    return None if allowed.all() else torch.from_numpy(allowed)


def _places(lengths: Rows, padded: Rows, heads: int) -> Rows:
    """Return where (token, head) of texts end to end lie as (text, head, token), padded."""
    text = np.repeat(np.cumsum(padded) - padded, lengths)
    head = np.repeat(padded, lengths)[:, None] * np.arange(heads)
    places: Rows = (heads * text[:, None] + head + row_places(lengths)[:, None]).ravel()
    return places


def _mask(**given: Any) -> Tensor | None:
    # Packed texts have no mask: a square of all tokens of a batch is what they are to avoid.
    return None if given.get("attention_mask") is None else sdpa_mask(**given)
