"""Augmenters made of augmenters: one after the other, one of several, now and then, how much."""

import json
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, fields
from functools import cached_property
from typing import ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pairsmith.augmenters.augmenter import Augmenter, Costly, Explains, Fits, Keys, Views, views_of
from pairsmith.augmenters.delegating import Delegating
from pairsmith.augmenters.languages import primary
from pairsmith.augmenters.operations import CHOOSING
from pairsmith.augmenters.unfinished import UnfinishedUserError
from pairsmith.augmenters.words import WordChoice
from pairsmith.schemas import UserError, subkeys


@dataclass(frozen=True)
class Composition(ABC):
    """What all compositions share: their parts, and what follows from those."""

    steps: tuple[Augmenter, ...]
    version: ClassVar[int] = 1

    def __post_init__(self) -> None:
        """Raise TypeError for a step that is no augmenter.

        Raises ValueError for no step, and for steps that are made for no language in common.
        """
        if wrong := [step for step in self.steps if not isinstance(step, Augmenter)]:
            raise TypeError(f"{wrong[0]!r} is no augmenter; see augmenters.from_function")
        if not self.steps:
            raise ValueError(f"{type(self).__name__} needs at least one augmenter")
        made_for = [step for step in self.steps if step.languages]
        if made_for and not self.languages:
            each = ", ".join(f"{step.name} for {' or '.join(step.languages)}" for step in made_for)
            raise ValueError(
                f"{type(self).__name__} has steps that no text suits all of: {each}; "
                "write a pair kind for each language"
            )

    @property
    @abstractmethod
    def name(self) -> str:
        """Return the names of the parts, joined."""

    @property
    def languages(self) -> tuple[str, ...]:
        """Return the primary codes that every part is made for; empty when all are for any.

        A part does not see in which language a text is: what one is not made for, none is given.
        """
        parts = [set(map(primary, step.languages)) for step in self.steps if step.languages]
        return tuple(sorted(set.intersection(*parts))) if parts else ()

    @property
    def keeps_meaning(self) -> bool:
        """Return whether all parts keep it."""
        return all(step.keeps_meaning for step in self.steps)

    @property
    def needs(self) -> str:
        """Return what the parts need."""
        return ", ".join(dict.fromkeys(step.needs for step in self.steps if step.needs))

    def setup(self) -> None:
        """Set up the parts."""
        for step in self.steps:
            step.setup()

    def __call__(self, texts: pa.StringArray, keys: Keys) -> pa.StringArray:
        """Return a view of each text; null for null, and where a part makes none."""
        return self.views(texts, keys).texts

    @abstractmethod
    def views(self, texts: pa.StringArray, keys: Keys) -> Views:
        """Return the views, with what the parts say of them under their names."""


@dataclass(frozen=True)
class Sequence(Composition):
    """Apply the augmenters one after the other."""

    def __init__(self, *steps: Augmenter) -> None:
        """Take the augmenters in order."""
        object.__setattr__(self, "steps", steps)
        self.__post_init__()

    @property
    def name(self) -> str:
        """Return the names of the steps, joined by `+`."""
        return "+".join(step.name for step in self.steps)

    def views(self, texts: pa.StringArray, keys: Keys) -> Views:
        """Return the texts after every step in turn."""
        views = _start(texts)
        for number, (step, label) in enumerate(zip(self.steps, labels(self.steps), strict=True)):
            made = _views_of_part(step, views.texts, subkeys(keys, number))
            views = follow(views, label, made)
        return views


@dataclass(frozen=True)
class OneOf(Composition):
    """Apply one of the augmenters to each text, chosen by its key."""

    weights: tuple[float, ...] = ()
    """How often each is chosen, in proportion; empty for equally often."""

    def __init__(self, *steps: Augmenter, weights: tuple[float, ...] = ()) -> None:
        """Take the augmenters, and a weight for each or none.

        Raises ValueError for weights that are not as many, negative, or all zero.
        """
        object.__setattr__(self, "steps", steps)
        object.__setattr__(self, "weights", weights)
        self.__post_init__()
        if weights and (len(weights) != len(steps) or min(weights) < 0 or not sum(weights) > 0):
            raise ValueError("weights must be one number >= 0 for each augmenter, not all 0")

    @property
    def name(self) -> str:
        """Return the names of the alternatives, joined by `|`."""
        return "|".join(step.name for step in self.steps)

    def setup(self) -> None:
        """Set up the parts."""
        super().setup()
        if self._choice is not None:
            self._choice.setup()

    def views(self, texts: pa.StringArray, keys: Keys) -> Views:
        """Return for each text the view of the augmenter that its key chose."""
        if self._choice is not None:
            nothing = pa.nulls(len(texts), pa.string())
            return Views(self._choice(texts, keys), nothing, nothing)
        drawn = uniform(keys)
        chosen = np.zeros(len(drawn), np.int64)
        for end in self._ends():
            chosen += drawn >= end
        return _by_choice(self.steps, chosen, texts, keys)

    def _ends(self) -> tuple[float, ...]:
        """Return where the shares of [0, 1) end that choose each but the last."""
        weights = np.array(self.weights or [1.0] * len(self.steps))
        return tuple((np.cumsum(weights) / weights.sum())[:-1].tolist())

    @cached_property
    def _choice(self) -> WordChoice | None:
        return WordChoice.among(self.steps, self._ends())


@dataclass(frozen=True)
class Sometimes(Composition):
    """Apply the augmenter to each text with probability `p`; the others stay as they are."""

    p: float = 0.5
    """0 < p <= 1."""

    def __init__(self, step: Augmenter, p: float = 0.5) -> None:
        """Take one augmenter. Raises ValueError for a probability out of range."""
        object.__setattr__(self, "steps", (step,))
        object.__setattr__(self, "p", p)
        self.__post_init__()
        if not 0 < p <= 1:
            raise ValueError(f"p must be above 0 and at most 1, not {p}")

    @property
    def name(self) -> str:
        """Return the name of the augmenter with a `?`."""
        return f"{self.steps[0].name}?"

    def views(self, texts: pa.StringArray, keys: Keys) -> Views:
        """Return a view where the key says so, else the text itself."""
        chosen = np.where(uniform(keys) < self.p, 0, 1)
        return _by_choice(self.steps, chosen, texts, keys)


def intensities(
    make: Callable[[float], Augmenter], low: float, high: float, levels: int = 4
) -> OneOf:
    """Return one augmenter of `levels` strengths from low to high, one of them for each text.

    make: the augmenter of a strength, as `WordDropout`. A corpus then holds easy and hard positives
    alike: `View(intensities(WordDropout, 0.05, 0.4))`. Raises ValueError for fewer than two levels.
    """
    if levels < 2:
        raise ValueError(f"levels must be at least 2, not {levels}")
    return OneOf(*(make(float(strength)) for strength in np.linspace(low, high, levels)))


def uniform(keys: Keys) -> np.ndarray:
    """Return a number in [0, 1) for each key: float64, of the key's subkey for choices."""
    return (subkeys(keys, CHOOSING) >> np.uint64(11)).astype(np.float64) * 2.0**-53


def explains(augmenter: Augmenter) -> bool:
    """Return whether an augmenter, or a part of it, has something to say beside its views."""
    if isinstance(augmenter, Composition):
        return any(map(explains, augmenter.steps))
    if isinstance(augmenter, Delegating):
        return explains(augmenter.augmenter)
    return isinstance(augmenter, Explains)


def leaves(augmenter: Augmenter) -> tuple[Augmenter, ...]:
    """Return the augmenters that a composition is made of; of another, itself."""
    if isinstance(augmenter, Composition):
        return tuple(leaf for step in augmenter.steps for leaf in leaves(step))
    return (augmenter,)


def map_leaves(augmenter: Augmenter, change: Callable[[Augmenter], Augmenter]) -> Augmenter:
    """Return the composition with every part changed; of another augmenter, it changed."""
    if not isinstance(augmenter, Composition):
        return change(augmenter)
    changed = object.__new__(type(augmenter))
    for field in fields(augmenter):
        object.__setattr__(changed, field.name, getattr(augmenter, field.name))
    steps = tuple(map_leaves(step, change) for step in augmenter.steps)
    object.__setattr__(changed, "steps", steps)
    return changed


def fits(augmenter: Augmenter) -> bool:
    """Return whether an augmenter, or a part of it, takes words from the corpus."""
    return any(isinstance(leaf, Fits) for leaf in leaves(augmenter))


def fitted(augmenter: Augmenter, texts: pa.StringArray) -> Augmenter:
    """Return the augmenter with every part fitted that fits."""
    return map_leaves(augmenter, lambda leaf: leaf.fit(texts) if isinstance(leaf, Fits) else leaf)


def costly(augmenter: Augmenter) -> bool:
    """Return whether an augmenter, or a part of it, asks a model or a service."""
    return any(isinstance(leaf, Costly) for leaf in leaves(augmenter))


def labels(steps: Iterable[Augmenter]) -> list[str]:
    """Return under what the details of each step stand: its name; the second of a name `name:2`."""
    seen: Counter[str] = Counter()
    told = []
    for step in steps:
        seen[step.name] += 1
        told.append(step.name if seen[step.name] == 1 else f"{step.name}:{seen[step.name]}")
    return told


def follow(before: Views, name: str, after: Views) -> Views:
    """Return the views of a step, its details under its name behind those of the steps before."""
    reasons = pc.coalesce(after.reasons, before.reasons)
    return Views(after.texts, reasons, join_details(before.details, {name: after.details}))


def join_details(before: pa.StringArray | None, named: dict[str, pa.StringArray]) -> pa.StringArray:
    """Return JSON objects with one more member for each name whose details are not null."""
    told = {name: d.to_pylist() for name, d in named.items() if d.null_count < len(d)}
    if not told and before is not None:
        return before
    rows = len(next(iter(named.values())))
    joined: list[str | None] = [None] * rows if before is None else before.to_pylist()
    for name, details in told.items():
        label = json.dumps(name, ensure_ascii=False)
        for row, detail in enumerate(details):
            if detail is not None:
                head = joined[row]
                joined[row] = (f"{head[:-1]}," if head else "{") + f"{label}:{detail}}}"
    return pa.array(joined, pa.string())


def _start(texts: pa.StringArray) -> Views:
    nothing = pa.nulls(len(texts), pa.string())
    return Views(texts.cast(pa.string()), nothing, nothing)


def _views_of_part(step: Augmenter, texts: pa.StringArray, keys: Keys) -> Views:
    """Return the views of a part. Raises UserError where it stops half-way.

    What it has done until then are views of other rows, or without the steps around it.
    """
    try:
        return views_of(step, texts, keys)
    except UnfinishedUserError as error:
        raise UserError(str(error)) from error


def _by_choice(
    steps: tuple[Augmenter, ...], chosen: np.ndarray, texts: pa.StringArray, keys: Keys
) -> Views:
    """Return the view of step chosen[i] for row i; the text where there is no such step."""
    rows, parts = [], []
    for number in range(len(steps) + 1):
        at = np.flatnonzero(chosen == number)
        some = texts.take(pa.array(at))
        views = _start(some)
        if len(at) and number < len(steps):
            step = steps[number]
            made = _views_of_part(step, some, subkeys(keys[at], number))
            views = follow(views, step.name, made)
        rows.append(at)
        parts.append(views)
    back = np.empty(len(texts), np.int64)
    back[np.concatenate(rows)] = np.arange(len(texts))
    columns = (pa.concat_arrays(arrays) for arrays in zip(*parts, strict=True))
    return Views(*(c if c.null_count == len(c) else c.take(pa.array(back)) for c in columns))
