"""What an augmenter is, and how a plain Python function becomes one."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt
import pyarrow as pa


@runtime_checkable
class Augmenter(Protocol):
    """Makes a view of each text. Implementations are frozen dataclasses that hold settings."""

    @property
    def name(self) -> str:
        """Return the name that stands in recipes and reports."""

    @property
    def version(self) -> int:
        """Return a number that is part of the recipe digest: raise it when the output changes."""

    def setup(self) -> None:
        """Import and load what the augmenter needs; called once per worker."""

    def __call__(self, texts: pa.StringArray, keys: npt.NDArray[np.uint64]) -> pa.StringArray:
        """Return one view per text; null where there is none, and where the text is null.

        keys: uint64, shape (len(texts),). A view depends on its text and its key, on nothing else.
        """


@dataclass(frozen=True)
class FunctionAugmenter:
    """Applies a Python function text by text: see `from_function`."""

    function: Callable[[str, np.random.Generator], str | None]
    name: str
    version: int = 1

    def setup(self) -> None:
        """Do nothing: the function loads what it needs."""

    def __call__(self, texts: pa.StringArray, keys: npt.NDArray[np.uint64]) -> pa.StringArray:
        """Return what the function makes of each text; null in, null out.

        Raises TypeError when the function returns neither a string nor None.
        """
        views: list[str | None] = []
        for text, key in zip(texts.to_pylist(), keys.tolist(), strict=True):
            view = None
            if text is not None:
                view = self.function(text, np.random.Generator(np.random.Philox(key=key)))
            if not isinstance(view, str | None):
                raise TypeError(f"{self.name} returned {type(view).__name__}, not str or None")
            views.append(view)
        return pa.array(views, pa.string())


def from_function(
    function: Callable[[str, np.random.Generator], str | None], *, name: str = "", version: int = 1
) -> FunctionAugmenter:
    """Return an augmenter that calls `function(text, rng)`, which returns a view or None for none.

    rng: a numpy Generator over Philox with the record's key, so draw from it and from nothing else.
    name: by default the function's. version: raise it when the function's output changes.
    """
    return FunctionAugmenter(function, name or function.__name__, version)
