"""Settings -> the encoder a run starts from."""

from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, normalizers
from torch import nn

from pairsmith.schemas import UserError
from pairsmith.training.encoders.adapt import adapt, adapter_base, merged, set_dropout
from pairsmith.training.encoders.config import EncoderConfig, Fresh, Pooling
from pairsmith.training.encoders.encoder import Encoder
from pairsmith.training.encoders.fresh import fresh_model
from pairsmith.training.encoders.sentence_folder import (
    SentenceFolder,
    find_file,
    no_model,
    read_dense,
    read_sentence_folder,
    read_static,
)
from pairsmith.training.encoders.start import fresh_weight
from pairsmith.training.encoders.static import StaticEncoder
from pairsmith.training.encoders.template import ends_with_eos, fresh_tokenizer, with_eos
from pairsmith.training.encoders.transformer import TransformerEncoder

CPU = torch.device("cpu")
MAX_LENGTH = 128


def open_encoder(
    config: EncoderConfig,
    seed: int = 17,
    tokenizer: Tokenizer | None = None,
    device: torch.device = CPU,
) -> Encoder:
    """Return the encoder a run starts from, on `device`; what is random is drawn after `seed`.

    tokenizer: the one trained from the data, where `config.trains_tokenizer`.
    Raises UserError when there is no such model or tokenizer, or it cannot do what is asked.
    """
    config.check()
    torch.manual_seed(seed % 2**64)
    fresh = config.fresh
    if fresh:
        encoder = _make(fresh, config, tokenizer or open_tokenizer(fresh.tokenizer))
    else:
        saved = read_sentence_folder(config.model)
        if saved and saved.first == "StaticEmbedding":
            encoder = _open_static(saved, config)
        else:
            encoder = _open_transformer(saved, config)
    adapt(encoder, config)
    encoder.to(device)
    if isinstance(encoder, TransformerEncoder):
        _pack(encoder, config)
    return encoder


def open_tokenizer(name: str) -> Tokenizer:
    """Return the fast tokenizer in a tokenizer.json, a folder, or of a hub name.

    Raises UserError when there is none.
    """
    from transformers import AutoTokenizer

    path = Path(name)
    try:
        if path.is_file():
            return Tokenizer.from_file(name)
        if (path / "tokenizer.json").is_file():
            return Tokenizer.from_file(str(path / "tokenizer.json"))
        return AutoTokenizer.from_pretrained(name, trust_remote_code=False).backend_tokenizer
    except Exception as error:  # tokenizers raises no narrower one
        raise UserError(no_model(name, error)) from error


def _make(fresh: Fresh, config: EncoderConfig, tokenizer: Tokenizer) -> Encoder:
    if fresh.family == "static":
        weight = fresh_weight(tokenizer.get_vocab(), fresh.width, letters=config.letters)
        dropout, weighed = config.dropout or 0.0, config.rarity > 0
        return StaticEncoder(tokenizer, weight, config.max_length, dropout, weighed=weighed)
    pieces = fresh_tokenizer(tokenizer, fresh)
    model = fresh_model(fresh, pieces, config)
    pooling: Pooling = "last" if fresh.family == "gpt2" else "mean"
    if config.pooling != "auto":
        pooling = config.pooling
    return TransformerEncoder(model, pieces, pooling, _longest(model, pieces, config, MAX_LENGTH))


def _open_static(saved: SentenceFolder, config: EncoderConfig) -> Encoder:
    file = find_file(saved.name, f"{saved.path}/tokenizer.json".lstrip("/"))
    if file is None:
        raise UserError(f"{saved.name} has no tokenizer.json beside its StaticEmbedding")
    tokenizer = Tokenizer.from_file(str(file))
    cut = tokenizer.truncation["max_length"] if tokenizer.truncation else 0
    encoder = StaticEncoder(
        tokenizer, read_static(saved), config.max_length or cut, config.dropout or 0.0
    )
    _take_over(encoder, saved)
    return encoder


def _open_transformer(saved: SentenceFolder | None, config: EncoderConfig) -> Encoder:
    from transformers import AutoTokenizer

    apart = config.lora and not config.lora_merge
    if apart and ((saved and saved.path) or adapter_base(config.model)):
        # The adapter would name what is in the root, or the first of a chain of adapters.
        raise UserError(
            f"--no-lora-merge: {config.model} is no whole model in the root of a folder or hub "
            "model, so that an adapter could not name it; leave it out"
        )
    where: dict[str, Any] = {"trust_remote_code": False}
    if saved and saved.path:
        where["subfolder"] = saved.path
    try:
        model = _load_model(config, where)
        pieces = AutoTokenizer.from_pretrained(config.model, **where)
    except (OSError, ValueError, ImportError) as error:
        raise UserError(no_model(config.model, error)) from error
    if not pieces.is_fast:
        raise UserError(f"{config.model} has no fast tokenizer; add a tokenizer.json to its folder")
    pooling = config.pooling
    if pooling == "auto":
        pooling = saved.pooling if saved else "last" if is_decoder(model.config) else "mean"
    if saved and saved.lower_case:
        _lower_case(pieces.backend_tokenizer)
    append = config.append_eos
    if append is None:
        append = not saved and pooling == "last" and is_decoder(model.config)
    if append and not ends_with_eos(pieces):
        pieces = with_eos(pieces, config.model)
    if pieces.pad_token_id is None:
        if pieces.eos_token_id is None:
            raise UserError(f"{config.model} has a tokenizer without a padding token; give it one")
        pieces.pad_token = pieces.eos_token
    longest = _longest(model, pieces, config, (saved.max_length if saved else 0) or MAX_LENGTH)
    encoder = TransformerEncoder(model, pieces, pooling, longest)
    if saved:
        _take_over(encoder, saved)
    return encoder


def _load_model(config: EncoderConfig, where: dict[str, Any]) -> Any:
    """Return the model in float32, whatever was saved: AdamW's small steps vanish in bfloat16."""
    from transformers import AutoConfig, AutoModel, AutoModelForTextEncoding
    from transformers.models.auto.modeling_auto import MODEL_FOR_TEXT_ENCODING_MAPPING

    name, adapter = config.model, adapter_base(config.model)
    if adapter:
        name = adapter
    settings = AutoConfig.from_pretrained(name, **where)
    set_dropout(settings, config)
    settings.use_cache = False
    alone: Any = MODEL_FOR_TEXT_ENCODING_MAPPING.get(type(settings), None)
    halved = alone is not None and alone.__name__.endswith("EncoderModel")
    if settings.is_encoder_decoder and not halved:
        raise UserError(
            f"{config.model} is an encoder-decoder of type {settings.model_type}, whose encoder "
            "pairsmith cannot take out; use a T5 or an encoder"
        )
    kind: Any = AutoModelForTextEncoding if halved else AutoModel
    attention = {} if config.attention == "auto" else {"attn_implementation": config.attention}
    model = kind.from_pretrained(
        name, config=settings, use_safetensors=True, **attention, **where
    ).float()
    return merged(model, config.model) if adapter else model


def is_decoder(settings: Any) -> bool:
    """Tell whether a transformers config is of a GPT-type model: each token sees those before it.

    Some of that type were made to look both ways, and say so in their config.
    """
    from transformers.models.auto.modeling_auto import (
        MODEL_FOR_CAUSAL_LM_MAPPING,
        MODEL_FOR_MASKED_LM_MAPPING,
    )

    both_ways = getattr(settings, "use_bidirectional_attention", False) or (
        getattr(settings, "is_causal", True) is False
    )
    causal = type(settings) in MODEL_FOR_CAUSAL_LM_MAPPING
    return causal and type(settings) not in MODEL_FOR_MASKED_LM_MAPPING and not both_ways


def _pack(encoder: TransformerEncoder, config: EncoderConfig) -> None:
    """Have texts computed end to end, where that is asked for, or open and possible."""
    if not (config.packs if config.packed is None else config.packed):
        return
    from pairsmith.training.encoders.packed_attention import use_packed_attention

    try:
        encoder.first_position = use_packed_attention(encoder.model)
    except UserError:
        if config.packed:
            raise


def _longest(model: Any, pieces: Any, config: EncoderConfig, usual: int) -> int:
    """Return how many tokens are read of a text: as asked, else as usual, if the model can.

    What the tokenizer says is what the folder was trained with, no limit of the model's.
    """
    most = _positions(model)
    if config.max_length > most:
        raise UserError(
            f"--max-length {config.max_length} is more than {config.model} has positions for; give "
            f"at most {most}"
        )
    return config.max_length or min(usual, most, pieces.model_max_length)


def _positions(model: Any) -> int:
    most = getattr(model.config, "max_position_embeddings", None) or 0
    if most <= 0 or model.config.model_type in ("t5", "mt5", "umt5", "longt5"):
        return 2**31  # relative positions
    # RoBERTa and its kin number positions from padding_idx + 1.
    for module in model.modules():
        table = getattr(module, "position_embeddings", None)
        if isinstance(table, nn.Embedding) and table.padding_idx is not None:
            return int(most) - table.padding_idx - 1
    return int(most)


def _lower_case(tokenizer: Tokenizer) -> None:
    """Lower-case texts first of all, as sentence-transformers does where a folder says so."""
    parts = [normalizers.Lowercase(), tokenizer.normalizer]
    tokenizer.normalizer = normalizers.Sequence([part for part in parts if part is not None])


def _take_over(encoder: Encoder, saved: SentenceFolder) -> None:
    """Give the encoder what a folder has beside its first module and pooling."""
    encoder.prompts, encoder.pools_prompt = saved.prompts, saved.pools_prompt
    for layer in read_dense(saved):
        encoder.dense.append(layer)
        encoder.dimension = layer.linear.out_features
