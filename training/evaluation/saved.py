"""Encoders that somebody saved, opened by the sentence-transformers library itself."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from pairsmith.schemas import UserError
from pairsmith.training.evaluation.vectors import Encode

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer


def open_saved(name: str, device: str) -> "SentenceTransformer":
    """Return a sentence-transformers folder or hub model.

    Raises UserError when there is no such model or device, or it needs code of its own, which is
    never run.
    """
    from sentence_transformers import SentenceTransformer

    try:
        _refuse_code(Path(name) / "modules.json")
        return SentenceTransformer(name, device=None if device == "auto" else device)
    except (OSError, ValueError, RuntimeError, AssertionError) as error:
        reason = str(error).strip().splitlines()[0]
        raise UserError(f"cannot open {name} as a model on device {device}: {reason}") from error


def _refuse_code(modules: Path) -> None:
    # Before its version 6, the library trusts whatever lies in a folder here.
    for module in json.loads(modules.read_text("utf-8")) if modules.is_file() else ():
        if not str(module["type"]).startswith("sentence_transformers."):
            raise UserError(
                f"{modules} names {module['type']}, code of its own, which pairsmith does not run; "
                "choose a model made of sentence-transformers' own modules"
            )


def encode_with(model: "SentenceTransformer", batch_size: int) -> Encode:
    """Return the function that encodes texts with `model`."""

    def encode(texts: list[str]) -> npt.NDArray[np.float32]:
        return model.encode(texts, batch_size=batch_size, show_progress_bar=False)

    return encode
