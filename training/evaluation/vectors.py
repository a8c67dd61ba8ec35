"""What evaluations take: a function from texts to vectors."""

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

Vectors = npt.NDArray[np.float32]
Encode = Callable[[list[str]], Vectors]


def unit(vectors: npt.NDArray[Any]) -> Vectors:
    """Return rows at length 1, float32; zero rows stay zero."""
    rows: Vectors = np.asarray(vectors, np.float32)
    lengths = np.linalg.norm(rows, axis=1, keepdims=True).astype(np.float32)
    result: Vectors = rows / np.maximum(lengths, np.float32(1e-12))
    return result
