"""Translators by their settings; a process holds one copy of each model's weights."""

import functools
import threading
from dataclasses import dataclass
from typing import Literal, get_args

from pairsmith.augmenters.hub import recorded
from pairsmith.augmenters.translation.batches import BatchedTranslator
from pairsmith.augmenters.translation.models import content_sha256, find_model, kind_of
from pairsmith.augmenters.translation.translator import Translator
from pairsmith.schemas import UserError

EngineName = Literal["ctranslate2", "transformers"]
Device = Literal["auto", "cpu", "cuda"]
_LOADING = threading.Lock()


@dataclass(frozen=True)
class Model:
    """A translation model and what runs it."""

    name: str
    """A folder, or a name on the Hugging Face hub."""
    engine: EngineName = "ctranslate2"
    device: Device = "auto"
    """"auto" takes a GPU if there is one."""
    compute_type: str = "auto"
    """"auto" is int8 on a CPU, float16 on a GPU; transformers has float32 only."""
    threads: int = 0
    """0 for all cores that this process may use."""

    def __post_init__(self) -> None:
        """Raise ValueError for a setting out of range."""
        if self.engine not in get_args(EngineName):
            raise ValueError(f"engine must be one of {get_args(EngineName)}, not {self.engine!r}")
        if self.device not in get_args(Device):
            raise ValueError(f"device must be one of {get_args(Device)}, not {self.device!r}")
        if self.threads < 0:
            raise ValueError(f"threads must not be negative: {self.threads}")
        allowed = ("auto", "float32") if self.engine == "transformers" else _compute_types()
        if self.compute_type not in allowed:
            raise ValueError(
                f"compute_type must be one of {allowed} for {self.engine}, "
                f"not {self.compute_type!r}"
            )

    def translator(self) -> Translator:
        """Return the loaded model: the same object whenever this process asks for it.

        Raises UserError when there is no such model, or a package or the device is missing.
        """
        with _LOADING:
            return _load(self)

    def content(self) -> dict[str, str]:
        """Return what is recorded of it: its name without its place, its files' sha256."""
        folder = find_model(self.name)
        return recorded(self.name, folder, content_sha256(folder))

    def computes_in(self) -> str:
        """Return the compute type, what "auto" stands for here; a named one may be of elsewhere."""
        if self.engine == "transformers":
            return "float32"
        if self.compute_type != "auto":
            return self.compute_type
        from pairsmith.augmenters.translation.engine_ctranslate2 import resolve

        return resolve(self.device, self.compute_type)[1]


@functools.cache
def _load(model: Model) -> Translator:
    folder = find_model(model.name)
    kind = kind_of(folder)
    if model.engine == "transformers":
        if kind != "marian":
            raise UserError(
                f"{folder} is converted for CTranslate2: engine='transformers' needs the checkpoint"
            )
        from pairsmith.augmenters.translation.engine_transformers import TransformersEngine

        return BatchedTranslator(TransformersEngine(folder, model.device, model.threads))
    from pairsmith.augmenters.translation.engine_ctranslate2 import CTranslate2Engine, resolve

    device, compute_type = resolve(model.device, model.compute_type)
    if kind == "marian":
        from pairsmith.augmenters.translation.convert import converted

        folder = converted(folder, compute_type)
    return BatchedTranslator(CTranslate2Engine(folder, device, compute_type, model.threads))


def _compute_types() -> tuple[str, ...]:
    from pairsmith.augmenters.translation.engine_ctranslate2 import COMPUTE_TYPES

    return ("auto", *COMPUTE_TYPES)
