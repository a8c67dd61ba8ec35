"""Language models that fill masks: where they are, and how they are loaded."""

import functools
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from pairsmith.augmenters.hub import fetch, files_sha256, recorded
from pairsmith.augmenters.memory import first_line, fitted_in
from pairsmith.augmenters.translation.quiet import quiet
from pairsmith.schemas import UserError, require

Device = Literal["auto", "cpu", "cuda"]
_KINDS = {"AutoModelForMaskedLM": "masked", "AutoModelForSeq2SeqLM": "sequence-to-sequence"}
_FILES = ("*.json", "*.txt", "*.model")
_WEIGHTS = ("*.safetensors", "pytorch_model.bin")
_NO_LIMIT = 10**6
_LOADING = threading.Lock()


@dataclass(frozen=True)
class Loaded:
    """A model with its tokenizer, on its device, in float32."""

    model: Any
    tokenizer: Any
    positions: int
    """The longest input, special tokens counted."""


def check_device(device: str) -> None:
    """Raise ValueError for a device that is none."""
    if device not in get_args(Device):
        raise ValueError(f"device must be one of {get_args(Device)}, not {device!r}")


def load(name: str, auto_class: str, device: Device) -> Loaded:
    """Return the model: the same object whenever this process asks for it.

    name: a folder, or a name on the Hugging Face hub. auto_class: of transformers. No code of a
    model's own is run. Raises UserError when there is none, or a package or the device is missing.
    """
    with _LOADING:
        return _load(name, auto_class, device)


def content(name: str, auto_class: str) -> dict[str, str]:
    """Return what a recipe records of a model."""
    folder = _find(name, auto_class)
    return recorded(name, folder, files_sha256(_files(folder)))


@functools.cache
def _load(name: str, auto_class: str, device: Device) -> Loaded:
    folder = _find(name, auto_class)
    torch = require("torch", extra="masks")
    transformers = require("transformers", extra="masks")
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    elif device == "cuda" and not torch.cuda.is_available():
        raise UserError("device='cuda': torch sees no GPU here; use device='cpu' or 'auto'")
    kind = _KINDS[auto_class]
    try:
        with quiet():
            tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
            model, report = getattr(transformers, auto_class).from_pretrained(
                folder, dtype=torch.float32, output_loading_info=True
            )
    except (OSError, ValueError, RuntimeError, KeyError, ImportError) as error:
        raise UserError(
            f"transformers cannot load {folder} as a {kind} language model: {first_line(error)}"
        ) from error
    if lacking := sorted(report["missing_keys"]):
        raise UserError(
            f"{folder} is no {kind} language model: it lacks the weights {lacking[0]!r}"
            f"{' and others' if len(lacking) > 1 else ''}; choose a model with its head"
        )
    model = fitted_in(lambda: model.eval().to(device), folder)
    return Loaded(model, tokenizer, _positions(model.config, tokenizer))


def _find(name: str, auto_class: str) -> Path:
    """Return the folder of a model: `name` itself, else what the hub, or its cache here, has."""
    folder = Path(name).expanduser()
    if folder.is_dir():
        return folder
    return fetch(name, f"{_KINDS[auto_class]} language model", _FILES, _WEIGHTS, "masks")


def _positions(config: Any, tokenizer: Any) -> int:
    """Return how many tokens a model reads; 512 where neither it nor its tokenizer has a limit."""
    limit: int = tokenizer.model_max_length
    if (rows := getattr(config, "max_position_embeddings", None)) is not None:
        # RoBERTa and its kin count positions from behind the padding's id.
        shifted = any(kin in config.model_type for kin in ("roberta", "camembert"))
        limit = min(limit, rows - shifted * (config.pad_token_id + 1))
    return limit if limit < _NO_LIMIT else 512


def _files(folder: Path) -> list[Path]:
    """Return the files of a model, sorted."""
    files = {path for pattern in (*_FILES, _WEIGHTS[0]) for path in folder.glob(pattern)}
    if not any(path.suffix == ".safetensors" for path in files):
        files |= set(folder.glob(_WEIGHTS[1]))
    return sorted(files)
