"""A stand-in for sentence_transformers in every process: tells its loads, and has little memory.

A vector is made of a text's length and letters; a batch of more than `FITS` texts is too much.
"""

import os
import shutil
import sys
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

FITS = 4
_HERE = Path(__file__)


def install(folder: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Have this process and those it starts import the stand-in; return the folder of a model."""
    (folder / "model").mkdir(parents=True)
    shutil.copy(_HERE, folder / "sentence_transformers.py")
    monkeypatch.setitem(sys.modules, "sentence_transformers", None)  # it is put back at the end
    del sys.modules["sentence_transformers"]
    monkeypatch.syspath_prepend(folder)
    path = os.pathsep.join(part for part in sys.path if part)
    monkeypatch.setenv("PYTHONPATH", path)
    return str(folder / "model")


class SentenceTransformer:
    """A text's length and how often it has some letters, as its vector."""

    def __init__(self, folder: str) -> None:
        self._say("loads", str(os.getpid()))

    def encode(
        self, texts: list[str], *, batch_size: int, normalize_embeddings: bool, **_: object
    ) -> npt.NDArray[np.float32]:
        """Return the vectors: float32, shape (len(texts), 4)."""
        self._say("batches", str(batch_size))
        if batch_size > FITS and len(texts) > FITS:
            raise RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB")
        counts = [[len(text), *map(text.count, "eta")] for text in texts]
        vectors = np.array(counts, np.float32)
        assert normalize_embeddings
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        return vectors

    def _say(self, name: str, what: str) -> None:
        with _HERE.with_name(name).open("a") as file:
            file.write(f"{what}\n")
