"""Texts end to end in one row, through transformers' own models, each attending to itself alone."""

from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention
from transformers import AttentionInterface, AttentionMaskInterface, PreTrainedModel
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

from pairsmith.schemas import UserError
from pairsmith.training.packing import Features, padded
from pairsmith.training.token_ids import TokenIds

PACKED = "pairsmith_packed"
"""Name of the attention below among those of transformers."""
_NEAR = {torch.float32: 1e-4, torch.bfloat16: 5e-2, torch.float16: 1e-2}


def packed(texts: TokenIds, first_position: int = 0) -> Features:
    """Return texts end to end: what `DataCollatorWithFlattening` returns, as tensors.

    `input_ids`, `position_ids`: int64, shape (1, total), positions counted from `first_position` in
    each text. `cu_seq_lens`: int32, shape (texts + 1,), where each text begins and the last ends.
    `max_length`: int64, shape (), on the CPU.
    """
    ends = np.concatenate([[0], np.cumsum(texts.lengths)])
    positions = np.arange(len(texts.ids)) - np.repeat(ends[:-1], texts.lengths) + first_position
    return {
        "input_ids": torch.from_numpy(texts.ids)[None],
        "position_ids": torch.from_numpy(positions)[None],
        "cu_seq_lens": torch.from_numpy(ends.astype(np.int32)),
        "max_length": torch.tensor(int(texts.lengths.max(initial=0))),
    }


def use_packed_attention(model: PreTrainedModel) -> int:
    """Make `model` take packed features as well as padded ones; return its texts' first position.

    Three short texts are computed both ways, since not every model can do this.
    Raises UserError when they differ; the model is then as it was.
    """
    AttentionInterface.register(PACKED, packed_attention)
    AttentionMaskInterface.register(PACKED, _mask)
    before, training = model.config._attn_implementation, model.training
    pad = model.config.pad_token_id or 0
    ids = np.setdiff1d(np.arange(12), [pad])[:9] % model.config.vocab_size
    texts = TokenIds(ids, np.array([3, 1, 5]))
    features = {k: v.to(model.device) for k, v in padded(texts, pad).items()}
    model.train(False)
    try:
        with torch.no_grad():
            states = model(**features).last_hidden_state
            expected = states[features["attention_mask"].bool()].float()
            model.set_attn_implementation(PACKED)
            for first in (0, pad + 1):  # RoBERTa and its kin count from behind the padding's id
                features = {k: v.to(model.device) for k, v in packed(texts, first).items()}
                off = (packed_states(model, features).float() - expected).abs().max()
                if off < _NEAR[model.dtype] * expected.abs().max():
                    return first
        reason = "its vectors would differ"
    except (TypeError, ValueError, UserError) as error:
        reason = str(error)
    finally:
        model.train(training)
    model.set_attn_implementation(before)
    raise UserError(
        f"{type(model).__name__} cannot read texts end to end ({reason}); train with --no-packed"
    )


def packed_states(model: PreTrainedModel, features: Features) -> Tensor:
    """Return the last layer's states of all tokens: shape (total, hidden).

    model: one that `use_packed_attention` or `attn_implementation="flash_attention_2"` prepared.
    """
    ends, longest = features["cu_seq_lens"], int(features["max_length"])
    states: Tensor = model(
        input_ids=features["input_ids"],
        position_ids=features["position_ids"],
        cu_seq_lens_q=ends,
        cu_seq_lens_k=ends,
        max_length_q=longest,
        max_length_k=longest,
    ).last_hidden_state
    return states[0]


def pooled(states: Tensor, ends: Tensor, pooling: str) -> Tensor:
    """Return one vector for each text: the mean, first (`cls`) or last of its states.

    states: shape (total, hidden). ends: `cu_seq_lens`. Returns float32, shape (texts, hidden).
    """
    states, ends = states.float(), ends.long()
    if pooling == "cls":
        return states[ends[:-1]]
    if pooling == "last":
        return states[ends[1:] - 1]
    # Sums in a fixed order on every device, which adding by index does not give.
    return torch.segment_reduce(states, "mean", lengths=ends.diff(), axis=0)


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
    inside = _each_text if query.device.type == "cpu" else jagged
    given = {"dropout_p": dropout, "scale": scaling, "is_causal": causal}
    if (shared := query.shape[1] // key.shape[1]) > 1:  # queries that share a head of keys
        key, value = (states.repeat_interleave(shared, 1) for states in (key, value))
    return inside(query, key, value, cu_seq_lens_q, max_length_q, given), None


def jagged(
    query: Tensor, key: Tensor, value: Tensor, ends: Tensor, longest: int | None, given: Any
) -> Tensor:
    """Return attention through PyTorch's jagged tensors: one fused kernel on a GPU."""

    def lines(states: Tensor) -> Tensor:
        rows = states[0].transpose(0, 1).contiguous()  # which it mostly is: no kernel takes others
        return torch.nested.nested_tensor_from_jagged(
            rows, ends.long(), max_seqlen=longest
        ).transpose(1, 2)

    attended = scaled_dot_product_attention(lines(query), lines(key), lines(value), **given)
    return attended.transpose(1, 2).values()[None]


def _each_text(
    query: Tensor, key: Tensor, value: Tensor, ends: Tensor, longest: int | None, given: Any
) -> Tensor:
    """Return attention text by text, which a CPU does faster than in jagged tensors."""
    sizes = ends.diff().tolist()
    texts = zip(*(states.split(sizes, 2) for states in (query, key, value)), strict=True)
    parts = [scaled_dot_product_attention(*text, **given) for text in texts]
    return torch.cat(parts, 2).transpose(1, 2).contiguous()


def _mask(**given: Any) -> Tensor | None:
    # Packed texts have no mask: a square of all tokens of a batch is what they are to avoid.
    return None if given.get("attention_mask") is None else sdpa_mask(**given)
