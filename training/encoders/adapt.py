"""What of an encoder is trained and how: dropout, frozen parts, LoRA, new layers, compilation."""

import json
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from torch import nn

from pairsmith.schemas import UserError, require
from pairsmith.training.encoders.config import EncoderConfig
from pairsmith.training.encoders.encoder import Dense, Encoder, projection_head
from pairsmith.training.encoders.sentence_folder import find_file
from pairsmith.training.encoders.transformer import TransformerEncoder, layers

_DROPOUT = re.compile(r"(?!classifier)(?!.*layer_?drop).*(dropout|pdrop).*")


def adapt(encoder: Encoder, config: EncoderConfig) -> None:
    """Do to `encoder` what the settings say, but for dropout.

    Raises UserError when the model has not what they speak of.
    """
    if config.dense:
        encoder.dense.append(Dense(encoder.dimension, config.dense))
        encoder.dimension = config.dense
    freeze(encoder, config)
    if isinstance(encoder, TransformerEncoder):
        if config.lora:
            encoder.model = with_lora(encoder.model, config)
            encoder.merge = config.lora_merge
        if config.gradient_checkpointing:
            _checkpoint(encoder, config)
        if config.compile:
            encoder.model.compile(dynamic=True)
    if config.projection:
        encoder.head = projection_head(encoder.dimension, config.projection)


def set_dropout(settings: Any, config: EncoderConfig) -> None:
    """Set every dropout rate in a transformers config.

    Raises UserError when the model has no dropout.
    """
    if config.dropout is None:
        return
    names = [name for name in settings.to_dict() if _DROPOUT.fullmatch(name)]
    if not names:
        raise UserError(f"--dropout: {config.model} has no dropout to set; leave it out")
    for name in names:
        setattr(settings, name, config.dropout)


def freeze(encoder: Encoder, config: EncoderConfig) -> None:
    """Stop the training of what `config.freeze` names.

    Raises UserError when nothing that is saved would be trained, or there are not so many blocks.
    """
    if config.freeze == "nothing":
        return
    blocks = encoder.blocks()
    count = config.freeze if isinstance(config.freeze, int) else 0
    if count > len(blocks):
        raise UserError(f"--freeze {count}: {config.model} has {len(blocks)} blocks")
    frozen = list(blocks[:count])
    if config.freeze == "model":
        frozen = [module for name, module in encoder.named_children() if name != "dense"]
    else:
        frozen += _embeddings(encoder)
    for module in frozen:
        module.requires_grad_(False)
    if not any(parameter.requires_grad for parameter in encoder.parameters()):
        raise UserError(
            f"--freeze {config.freeze} leaves nothing to train that is saved; add --dense "
            f"{encoder.dimension}, or freeze less"
        )


def with_lora(model: Any, config: EncoderConfig) -> Any:
    """Return the model with LoRA (arXiv 2106.09685) in its linear layers, all else frozen.

    Raises UserError when peft is missing or there are no layers of the names given.
    """
    peft = require("peft", "lora")
    from transformers.pytorch_utils import Conv1D

    kinds = (nn.Linear, Conv1D)
    linear = {
        name: module for name, module in layers(model).named_modules() if isinstance(module, kinds)
    }
    wanted = set(config.lora_targets)
    unknown = wanted - {name.rpartition(".")[2] for name in linear}
    if unknown:
        known = ", ".join(sorted({name.rpartition(".")[2] for name in linear}))
        raise UserError(
            f"--lora-targets {sorted(unknown)[0]}: {config.model} has no linear layer of that name "
            f"in its blocks; there are {known}"
        )
    chosen = [
        name
        for name, module in model.named_modules()
        if any(module is found for found in linear.values())
        and (not wanted or name.rpartition(".")[2] in wanted)
    ]
    settings = peft.LoraConfig(
        task_type="FEATURE_EXTRACTION",
        r=config.lora,
        lora_alpha=config.lora_alpha or 2 * config.lora,
        lora_dropout=config.lora_dropout,
        target_modules=chosen,
        fan_in_fan_out=any(isinstance(module, Conv1D) for module in linear.values()),
    )
    with _renamed():
        return peft.get_peft_model(model, settings)


def adapter_base(name: str) -> str | None:
    """Return the model that a folder or hub model is a LoRA adapter of; None: it is a whole model.

    Raises UserError when the adapter is not in safetensors.
    """
    file = find_file(name, "adapter_config.json")
    if file is None:
        return None
    if not find_file(name, "adapter_model.safetensors"):
        raise UserError(f"{name} has no adapter_model.safetensors, and no other format is opened")
    return str(json.loads(file.read_text("utf-8"))["base_model_name_or_path"])


def merged(model: Any, adapter: str) -> Any:
    """Return the model with the updates of an adapter added to its weights."""
    peft = require("peft", "lora")
    with _renamed():
        return peft.PeftModel.from_pretrained(model, adapter).merge_and_unload()


def _checkpoint(encoder: TransformerEncoder, config: EncoderConfig) -> None:
    if not encoder.model.supports_gradient_checkpointing:
        raise UserError(f"--gradient-checkpointing: {config.model} does not know how; leave it out")
    # Not re-entrant: the random state is replayed, frozen inputs and DDP do no harm. The method has
    # another name since transformers 5.
    renamed = getattr(encoder.model, "activation_checkpointing_enable", None)
    enable = renamed or encoder.model.gradient_checkpointing_enable
    enable({"use_reentrant": False})


@contextmanager
def _renamed() -> Iterator[None]:
    """Keep back that peft asks transformers for something by the name it had before."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*is_gradient_checkpointing", FutureWarning)
        yield


def _embeddings(encoder: Encoder) -> Iterator[nn.Module]:
    """Yield the tables of tokens, positions and types, and BERT's norm of their sum."""
    inner = {module for block in encoder.blocks() for module in block.modules()}
    for name, module in encoder.named_modules():
        if module in inner:
            continue
        if isinstance(module, nn.Embedding | nn.EmbeddingBag) or name.endswith(".embeddings"):
            yield module
