"""A gate that asks a text encoder how alike the two texts of a pair are."""

import functools
import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pairsmith.augmenters import Augmenter
from pairsmith.augmenters.augmenter import Keys
from pairsmith.augmenters.hub import asking_hub, folder_sha256
from pairsmith.augmenters.memory import fitted_in, out_of_memory, refuse_failed_gpu
from pairsmith.pipelines.recipe.rules import Mask, Measured, Values, outside
from pairsmith.schemas import UserError, require

_BETWEEN = "\x1f"
_BATCH_TEXTS = 32
_ENCODING = threading.Lock()


@dataclass(frozen=True)
class Similarity:
    """Refuses pairs whose cosine by an encoder lies outside the bounds; fills in `similarity`.

    Stands behind the cheaper gates: it looks at what those let through. Its figures are rounded to
    four places and kept in the build's cache, since an encoder's last digits depend on the batch.
    """

    model: str
    """Folder of a sentence-transformers model, as `pairsmith train` saves, or a hub name."""
    min: float = 0.3
    """Below it, the texts hardly mean the same."""
    max: float = 1.0
    """Above it, there is little to learn."""
    scorer: Augmenter | None = field(default=None, repr=False)
    """What is asked instead of the model itself: a build puts a cache and a process around it."""
    version: ClassVar[int] = 1
    needs: ClassVar[str] = "pairsmith[train] and an encoder"

    def __post_init__(self) -> None:
        if not -1 <= self.min <= self.max <= 1:
            raise ValueError("Similarity needs -1 <= min <= max <= 1")

    @property
    def reason(self) -> str:
        """Return the reason as it is counted."""
        return f"similarity not in [{self.min:g}, {self.max:g}]"

    def settings(self) -> dict[str, Any]:
        """Return the bounds, and the model by its content."""
        return {"model": _identity(self.model), "min": self.min, "max": self.max}

    def changed(self, change: Callable[[Augmenter], Augmenter]) -> "Similarity":
        """Return the gate with what it asks changed."""
        return replace(self, scorer=change(self.asked))

    @property
    def asked(self) -> Augmenter:
        """Return what says how alike two texts are."""
        return self.scorer or Cosine(self.model)

    def setup(self) -> None:
        """Find the model. Raises UserError when the package or the model is missing."""
        require("sentence_transformers", extra="train")
        _folder(self.model)

    def measure(
        self, anchors: pa.StringArray, positives: pa.StringArray
    ) -> npt.NDArray[np.float32]:
        """Return the cosine of each pair: float32, shape (len(anchors),), four decimal places.

        Raises UserError when the package or the model is missing.
        """
        pairs = zip(anchors.to_pylist(), positives.to_pylist(), strict=True)
        joined = pa.array([f"{len(a)}{_BETWEEN}{a}{p}" for a, p in pairs], pa.string())
        said = self.asked(joined, np.zeros(len(joined), np.uint64))
        return np.array(said.to_pylist(), np.float32)

    def refused_pairs(self, pairs: Measured) -> tuple[Mask, Values]:
        """Return which pairs lie outside the bounds, and their similarity."""
        if pairs.similarity is None:
            raise ValueError("similarity was not measured")
        refused = outside(pairs.similarity, self.min, self.max)
        return refused, pairs.similarity.astype(np.float64)


@dataclass(frozen=True)
class Cosine:
    """Says of two texts, joined behind the first one's length, how alike an encoder finds them.

    Shaped as an augmenter so that the cache of views keeps its figures, too.
    """

    model: str
    name: ClassVar[str] = "cosine"
    version: ClassVar[int] = 1
    languages: ClassVar[tuple[str, ...]] = ()
    keeps_meaning: ClassVar[bool] = True
    needs: ClassVar[str] = "pairsmith[train] and an encoder"
    cache_by: ClassVar[Literal["text", "record"]] = "text"

    def settings(self) -> dict[str, Any]:
        """Return the model by its content."""
        return {"model": _identity(self.model)}

    def setup(self) -> None:
        """Load the encoder. Raises UserError when the package or the model is missing."""
        with _ENCODING:
            _encoder(self.model)

    def __call__(self, texts: pa.StringArray, keys: Keys) -> pa.StringArray:
        """Return the cosine of the two parts of each text, as text with four decimal places.

        Raises UserError when a text does not fit into the memory.
        """
        parts = [_parts(text) for text in texts.to_pylist()]
        if not parts:
            return pa.array([], pa.string())
        both = [first for first, _ in parts] + [second for _, second in parts]
        with _ENCODING:  # so that the memory holds one batch at a time
            vectors = _encoded(self.model, both)
        a, b = np.split(vectors.astype(np.float64), 2)
        cosines = np.clip((a * b).sum(axis=1), -1, 1)
        return pa.array([f"{cosine:.4f}" for cosine in cosines.tolist()], pa.string())


def _parts(joined: str) -> tuple[str, str]:
    length, both = joined.split(_BETWEEN, 1)
    return both[: int(length)], both[int(length) :]


def _encoded(model: str, texts: list[str]) -> npt.NDArray[np.float32]:
    """Return the vectors, of length 1, in batches that halve until the memory holds them."""
    size = _BATCH_TEXTS
    while True:
        try:
            return _encoder(model).encode(  # type: ignore[no-any-return]
                texts, batch_size=size, normalize_embeddings=True, show_progress_bar=False
            )
        except (RuntimeError, MemoryError) as error:
            if not out_of_memory(error):
                refuse_failed_gpu(error)
                raise
            if size == 1:
                raise UserError(
                    f"a text of {max(map(len, texts)):,} characters does not fit into the memory "
                    "beside the encoder; free some, or choose another encoder"
                ) from error
        size //= 2


@functools.cache
def _encoder(model: str) -> Any:
    library = require("sentence_transformers", extra="train")
    folder = _folder(model)
    return fitted_in(lambda: library.SentenceTransformer(str(folder)), f"the encoder {model}")


@functools.cache
def _identity(model: str) -> dict[str, str]:
    """Return the model's name and the sha256 of its files."""
    name = Path(model).name if Path(model).is_dir() else model
    return {"name": name, "sha256": folder_sha256(_folder(model))}


@functools.cache
def _folder(model: str) -> Path:
    """Return the folder of a model, fetched from the hub when it is no folder here."""
    if Path(model).is_dir():
        return Path(model)
    with asking_hub(f"no encoder {model!r}", extra="train") as hub:
        return Path(hub.snapshot_download(model))
