"""What an augmenter is, what it may say beside its views, and how a function becomes one."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, NamedTuple, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt
import pyarrow as pa

Keys = npt.NDArray[np.uint64]


@runtime_checkable
class Augmenter(Protocol):
    """Makes a view of each text. Implementations are frozen dataclasses that hold settings.

    Some do more, and say so by having what `Explains`, `Costly`, `Fits` or `Describes` ask for.
    """

    @property
    def name(self) -> str:
        """Return the name that stands in recipes and reports."""

    @property
    def version(self) -> int:
        """Return a number that is part of the recipe digest: raise it when the output changes."""

    @property
    def languages(self) -> tuple[str, ...]:
        """Return the languages it is made for; empty for any.

        As BCP 47 codes, of which the primary one counts: what is for `zh-Hans` gets `zh-Hant`, too.
        """

    @property
    def keeps_meaning(self) -> bool:
        """Return whether a view is a positive of its text; else it is a hard negative."""

    @property
    def needs(self) -> str:
        """Return what must be there beside pairsmith[build], in a few words; empty for nothing."""

    def setup(self) -> None:
        """Import and load what the augmenter needs; called once per worker."""

    def __call__(self, texts: pa.StringArray, keys: Keys) -> pa.StringArray:
        """Return one view per text; null where there is none, and where the text is null.

        keys: uint64, shape (len(texts),). A view depends on its text and its key, on nothing else.
        """


class Views(NamedTuple):
    """Views of texts, and what there is to say about them: arrays of one length."""

    texts: pa.StringArray
    """Null where there is no view."""
    reasons: pa.StringArray
    """Why there is none, in one or two words of few distinct values; null where nothing is said."""
    details: pa.StringArray
    """A JSON object of what was measured or changed; null where there is nothing to say."""


@runtime_checkable
class Explains(Protocol):
    """An augmenter that says why it made no view, or what it changed."""

    def views(self, texts: pa.StringArray, keys: Keys) -> Views:
        """Return what `__call__` returns, with reasons and details."""


@runtime_checkable
class Costly(Protocol):
    """An augmenter that asks a model or a service: its views are worth keeping (`Cached`)."""

    @property
    def cache_by(self) -> Literal["text", "record"]:
        """Return what a view depends on: the text alone, or its key too."""


@runtime_checkable
class Fits(Protocol):
    """An augmenter that takes words or phrases from the corpus around a text."""

    def fit(self, texts: pa.StringArray) -> Augmenter:
        """Return an augmenter that holds what it needs of `texts`, whatever their order.

        A build calls it with all units of a shard; views then depend on these, too.
        """


@runtime_checkable
class Describes(Protocol):
    """An augmenter some of whose settings are files, or do not change what it makes."""

    def settings(self) -> dict[str, Any]:
        """Return as JSON data what decides the views: files by their content, not their place."""


def views_of(augmenter: Augmenter, texts: pa.StringArray, keys: Keys) -> Views:
    """Return the views that an augmenter makes, with nulls for what it does not say."""
    if isinstance(augmenter, Explains):
        return augmenter.views(texts, keys)
    nothing = pa.nulls(len(texts), pa.string())
    return Views(augmenter(texts, keys), nothing, nothing)


@dataclass(frozen=True)
class FunctionAugmenter:
    """Applies a Python function text by text: see `from_function`."""

    function: Callable[[str, np.random.Generator], str | None]
    name: str
    version: int = 1
    languages: tuple[str, ...] = ()
    keeps_meaning: bool = True
    needs: ClassVar[str] = ""

    def setup(self) -> None:
        """Do nothing: the function loads what it needs."""

    def __call__(self, texts: pa.StringArray, keys: Keys) -> pa.StringArray:
        """Return what the function makes of each text; null in, null out.

        Raises TypeError when the function returns neither a string nor None.
        """
        views: list[str | None] = []
        for text, key in zip(texts.to_pylist(), keys.tolist(), strict=True):
            view = None if text is None else self.function(text, generator(key))
            if not isinstance(view, str | None):
                raise TypeError(f"{self.name} returned {type(view).__name__}, not str or None")
            views.append(view)
        return pa.array(views, pa.string())


def from_function(
    function: Callable[[str, np.random.Generator], str | None],
    *,
    name: str = "",
    version: int = 1,
    languages: tuple[str, ...] = (),
    keeps_meaning: bool = True,
) -> FunctionAugmenter:
    """Return an augmenter that calls `function(text, rng)`, which returns a view or None for none.

    function: defined in a module, since recipes record it by name; a closure or partial is refused.
    rng: a numpy Generator over Philox with the record's key, so draw from it and from nothing else.
    name: by default the function's. version: raise it when the function's output changes.
    """
    name = name or function.__name__
    return FunctionAugmenter(function, name, version, languages, keeps_meaning)


def generator(key: int) -> np.random.Generator:
    """Return the generator of random numbers of the record with this key."""
    return np.random.Generator(np.random.Philox(key=key))
