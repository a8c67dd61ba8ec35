"""Encoders that somebody saved, opened by the sentence-transformers library itself."""

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from pairsmith.schemas import UserError
from pairsmith.training.vectors import Encode

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer


def open_saved(name: str, device: str) -> "SentenceTransformer":
    """Return a sentence-transformers folder or hub model.

    Raises UserError when there is no such model or device. Code from a hub is never run.
    """
    from sentence_transformers import SentenceTransformer

    try:
        return SentenceTransformer(name, device=None if device == "auto" else device)
    except (OSError, ValueError, RuntimeError, AssertionError) as error:
        reason = str(error).strip().splitlines()[0]
        raise UserError(f"cannot open {name} as a model on device {device}: {reason}") from error


def encode_with(model: "SentenceTransformer", batch_size: int) -> Encode:
    """Return the function that encodes texts with `model`."""

    def encode(texts: list[str]) -> npt.NDArray[np.float32]:
        return model.encode(texts, batch_size=batch_size, show_progress_bar=False)

    return encode
