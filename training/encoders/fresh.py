"""Transformers with random weights, of the size that `--model bert::2x128` says."""

from typing import Any

from pairsmith.training.encoders.adapt import set_dropout
from pairsmith.training.encoders.config import EncoderConfig, Fresh

POSITIONS = 512


def fresh_model(fresh: Fresh, pieces: Any, config: EncoderConfig) -> Any:
    """Return a BERT, GPT-2 or T5 encoder: heads of about 64 numbers, inner layers 4 times as wide.

    pieces: its tokenizer. Dropout is 0.1 unless the config says otherwise.
    """
    import transformers

    heads = max(1, fresh.width // 64)
    while fresh.width % heads:
        heads -= 1
    ids = {"vocab_size": len(pieces), "pad_token_id": pieces.pad_token_id}
    inner = 4 * fresh.width
    settings: Any
    if fresh.family == "bert":
        settings = transformers.BertConfig(
            hidden_size=fresh.width,
            num_hidden_layers=fresh.layers,
            num_attention_heads=heads,
            intermediate_size=inner,
            max_position_embeddings=POSITIONS,
            **ids,
        )
    elif fresh.family == "gpt2":
        settings = transformers.GPT2Config(
            n_embd=fresh.width,
            n_layer=fresh.layers,
            n_head=heads,
            n_inner=inner,
            n_positions=POSITIONS,
            bos_token_id=pieces.eos_token_id,
            eos_token_id=pieces.eos_token_id,
            **ids,
        )
    else:
        settings = transformers.T5Config(
            d_model=fresh.width,
            num_layers=fresh.layers,
            num_heads=heads,
            d_kv=fresh.width // heads,
            d_ff=inner,
            eos_token_id=pieces.eos_token_id,
            **ids,
        )
    settings.use_cache = False
    set_dropout(settings, config)
    if config.attention != "auto":
        settings._attn_implementation = config.attention
    kinds = {
        "bert": transformers.BertModel,
        "gpt2": transformers.GPT2Model,
        "t5": transformers.T5EncoderModel,
    }
    return kinds[fresh.family](settings)
