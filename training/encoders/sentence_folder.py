"""Folders of the sentence-transformers library: which modules one has, and how one is written.

What is written names its modules `sentence_transformers.models.*`. Versions 3.4, 5.1 and 6.2 of
that library open them, of every family, with equal vectors; its own `save` writes names that only
version 6 knows.
"""

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from safetensors.torch import load_file, save_file
from torch import Tensor

from pairsmith.schemas import UserError
from pairsmith.training.encoders.config import Pooling
from pairsmith.training.encoders.encoder import Dense, Encoder

_LEGACY: dict[str, Pooling] = {
    "pooling_mode_cls_token": "cls",
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_max_tokens": "max",
    "pooling_mode_lasttoken": "last",
    "pooling_mode_weightedmean_tokens": "weighted",
}
_MODES: dict[str, Pooling] = {
    "cls": "cls",
    "mean": "mean",
    "max": "max",
    "lasttoken": "last",
    "weightedmean": "weighted",
}
_TEXT_SETTINGS = tuple(
    f"sentence_{kind}_config.json"
    for kind in ("bert", "roberta", "distilbert", "camembert", "albert", "xlm-roberta", "xlnet")
)
"""What the settings of a Transformer have been called; that library takes the first there is."""
_ACTIVATIONS = ("Identity", "Tanh", "ReLU", "GELU", "SiLU", "Sigmoid")


@dataclass(frozen=True)
class SentenceFolder:
    """What a sentence-transformers folder consists of."""

    name: str
    """The folder or hub name."""
    first: str
    """Transformer or StaticEmbedding."""
    path: str
    """Where the first module stands in the folder; empty: in its root."""
    pooling: Pooling
    max_length: int
    """Tokens of a text; 0: not said."""
    lower_case: bool
    """Whether texts are lower-cased whatever the tokenizer does."""
    dense: tuple[str, ...]
    """Where the layers behind the pooling stand, in their order."""
    prompts: dict[str, str]
    """What may be asked for by name to stand before texts; none does unless asked for."""
    pools_prompt: bool
    """Whether the tokens of a prompt count in the pooling."""


def read_sentence_folder(name: str) -> SentenceFolder | None:
    """Return what the folder or hub model `name` consists of; None: not of sentence-transformers.

    Raises UserError when it has something in it that pairsmith cannot train as it is.
    """
    modules = _read(name, "modules.json")
    if modules is None:
        return None
    kinds = [(_kind(module), str(module["path"])) for module in modules]
    (first, path), *rest = kinds
    if first not in ("Transformer", "StaticEmbedding"):
        raise _cannot(name, f"begins with a module {first}")
    settings = _read(name, "config_sentence_transformers.json") or {}
    if (settings.get("prompts") or {}).get(settings.get("default_prompt_name")):
        raise _cannot(name, "puts a prompt before every text (default_prompt_name)")
    pooling: Pooling = "mean"
    pools_prompt = True
    if first == "Transformer":
        if not rest or rest[0][0] != "Pooling":
            raise _cannot(name, "has no Pooling after its Transformer")
        pooled = _read(name, f"{rest.pop(0)[1]}/config.json") or {}
        pooling, pools_prompt = _pooling(name, pooled), bool(pooled.get("include_prompt", True))
    if rest and rest[-1][0] == "Normalize":
        rest.pop()
    odd = [kind for kind, _ in rest if kind != "Dense"]
    if odd:
        raise _cannot(name, f"has a module {odd[0]} where only Dense may be")
    said = (_read(name, f"{path}/{file}".lstrip("/")) for file in _TEXT_SETTINGS)
    text: dict[str, Any] = next(filter(None, said), {})
    tokens = _read(name, f"{path}/tokenizer_config.json".lstrip("/")) or {}
    longest = text.get("max_seq_length") or tokens.get("model_max_length") or 0
    return SentenceFolder(
        name=name,
        first=first,
        path=path,
        pooling=pooling,
        max_length=0 if longest > 1_000_000 else int(longest),
        lower_case=bool(text.get("do_lower_case")),
        dense=tuple(path for _, path in rest),
        prompts=settings.get("prompts") or {},
        pools_prompt=pools_prompt,
    )


def first_module(name: str) -> str:
    """Return what the folder or hub model `name` begins with: StaticEmbedding, Transformer or such.

    Empty: it is none of sentence-transformers.
    """
    modules = _read(name, "modules.json")
    return _kind(modules[0]) if modules else ""


def read_dense(folder: SentenceFolder) -> list[Dense]:
    """Return the layers behind the pooling, with their weights.

    Raises UserError for an activation that pairsmith does not know.
    """
    result = []
    for path in folder.dense:
        config = _read(folder.name, f"{path}/config.json") or {}
        activation = str(config.get("activation_function", "Tanh")).rpartition(".")[2]
        if activation not in _ACTIVATIONS or config.get("use_residual"):
            raise _cannot(folder.name, f"has a Dense with {activation} or a residual")
        layer = Dense(
            config["in_features"],
            config["out_features"],
            bias=config.get("bias", True),
            activation=activation,
        )
        layer.load_state_dict(read_weights(folder.name, path))
        result.append(layer.float())
    return result


def read_static(folder: SentenceFolder) -> Tensor:
    """Return a StaticEmbedding's table, float32: also that of model2vec, with its weights."""
    weights = read_weights(folder.name, folder.path)
    if "embedding.weight" in weights:
        return weights["embedding.weight"].float()
    table = weights["embeddings"].float()
    if "mapping" in weights:
        table = table[weights["mapping"].long()]
    if "weights" in weights:
        table = table * weights["weights"].float()[:, None]
    return table.contiguous()


def read_weights(name: str, path: str) -> dict[str, Tensor]:
    """Return the tensors of a module's model.safetensors.

    Raises UserError when there is none: what holds pickles is not opened.
    """
    file = find_file(name, f"{path}/model.safetensors".lstrip("/"))
    if file is None:
        raise UserError(f"{name} has no {path}/model.safetensors, and no other format is opened")
    return load_file(file)


def find_file(name: str, path: str) -> Path | None:
    """Return a file of a folder here or of a hub model, if it has it.

    Raises UserError when there is no such model, or the hub cannot be asked.
    """
    if Path(name).is_dir():
        return found if (found := Path(name) / path).is_file() else None
    return _of_hub(name, path)


@cache  # several settings follow from what a model is, and each question goes over the network
def _of_hub(name: str, path: str) -> Path | None:
    from transformers.utils.hub import cached_file

    try:
        result = cached_file(name, path, _raise_exceptions_for_missing_entries=False)
    except OSError as error:
        raise UserError(no_model(name, error)) from error
    return Path(result) if result else None


def no_model(name: str, error: Exception) -> str:
    """Return the line that says why a model cannot be opened."""
    reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
    return f"cannot open {name} as a model, be it a folder here or a hub name: {reason}"


def write_modules(folder: Path, first: list[tuple[str, str]], encoder: Encoder) -> None:
    """Write modules.json: the modules named, with their folders; Dense, if any; Normalize."""
    kinds = list(first)
    for layer in encoder.dense:
        assert isinstance(layer, Dense)  # noqa: S101
        path = f"{len(kinds)}_Dense"
        kinds.append(("Dense", path))
        (folder / path).mkdir()
        linear, activation = layer.linear, type(layer.activation)
        config = {
            "in_features": linear.in_features,
            "out_features": linear.out_features,
            "bias": linear.bias is not None,
            "activation_function": f"{activation.__module__}.{activation.__name__}",
        }
        _write(folder / path / "config.json", config)
        weights = {
            name: value.float().cpu().contiguous() for name, value in layer.state_dict().items()
        }
        save_file(weights, folder / path / "model.safetensors")
    kinds.append(("Normalize", f"{len(kinds)}_Normalize"))
    listed = []
    for number, (kind, path) in enumerate(kinds):
        (folder / path).mkdir(exist_ok=True)
        kind = f"sentence_transformers.models.{kind}"
        listed.append({"idx": number, "name": str(number), "path": path, "type": kind})
    _write(folder / "modules.json", listed)
    settings = {"similarity_fn_name": "cosine", "prompts": encoder.prompts}
    _write(folder / "config_sentence_transformers.json", settings)


def write_pooling(
    folder: Path, max_length: int, pooling: Pooling, width: int, *, pools_prompt: bool
) -> None:
    """Write the settings of a Transformer in the root of `folder`, and its Pooling."""
    config = {"max_seq_length": max_length, "do_lower_case": False}
    _write(folder / "sentence_bert_config.json", config)
    (folder / "1_Pooling").mkdir()
    modes = {key: mode == pooling for key, mode in _LEGACY.items()}
    about = {"word_embedding_dimension": width, "include_prompt": pools_prompt}
    _write(folder / "1_Pooling" / "config.json", {**about, **modes})


def plain_tokenizer(folder: Path) -> None:
    """Make the tokenizer in `folder` one that transformers 4 opens as 5 does.

    Version 4 does not know the class TokenizersBackend, and makes token types, which T5 refuses and
    GPT-2 takes for words. BERT has all of them 0 where there are none.
    """
    file = folder / "tokenizer_config.json"
    config = json.loads(file.read_text("utf-8"))
    if config.get("tokenizer_class") == "TokenizersBackend":
        config["tokenizer_class"] = "PreTrainedTokenizerFast"
    _write(file, {**config, "model_input_names": ["input_ids", "attention_mask"]})


def _kind(module: dict[str, Any]) -> str:
    """Return the class that modules.json names, without where it stands: that has changed."""
    return str(module["type"]).rpartition(".")[2]


def _pooling(name: str, config: dict[str, Any]) -> Pooling:
    mode = config.get("pooling_mode")
    if mode is None:
        on = [key for key, value in config.items() if key.startswith("pooling_mode_") and value]
        if len(on) != 1 or on[0] not in _LEGACY:
            raise _cannot(name, f"pools by {' and '.join(on) or 'nothing'}")
        return _LEGACY[on[0]]
    if str(mode) not in _MODES:
        raise _cannot(name, f"pools by {mode}")
    return _MODES[str(mode)]


def _cannot(name: str, why: str) -> UserError:
    return UserError(
        f"{name} {why}, which pairsmith cannot train as it is; choose another --model, or take "
        "only its Transformer by removing modules.json from a copy of the folder"
    )


def _read(name: str, path: str) -> Any:
    file = find_file(name, path)
    return json.loads(file.read_text("utf-8")) if file else None


def _write(path: Path, data: Any) -> None:
    path.write_text(json.dumps(data, indent=2) + "\n", "utf-8")
