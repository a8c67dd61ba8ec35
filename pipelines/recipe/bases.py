"""What a view starts from: a unit, the units around it, or a passage that begins with it.

A base sees the units of documents end to end, and where the document of each begins and ends. It
returns a text for each unit that is asked for, or null where there is nothing to see.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar, Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

Places = npt.NDArray[np.int64]
# Radicals to Yi (Hangul, further on, is written with spaces), ideographs, full-width punctuation;
# after them also …… and ——, which end sentences of any script, and what closes quotes.
_UNSPACED = r"[\x{2e80}-\x{a4cf}\x{f900}-\x{faff}\x{ff00}-\x{ffef}\x{20000}-\x{3ffff}][…—”’\"')]*$"


class Around:
    """The texts of units, documents end to end, and what bases ask of each, found once."""

    def __init__(self, texts: pa.StringArray) -> None:
        self.texts = texts

    @cached_property
    def numbers(self) -> Places:
        """Return a number for each, equal for equal texts."""
        return self.texts.dictionary_encode().indices.to_numpy()  # type: ignore[no-any-return]

    @cached_property
    def spaced(self) -> pa.StringArray:
        """Return each with a space behind it, but none behind Chinese or Japanese."""
        spaced = pc.binary_join_element_wise(self.texts, "", " ")
        return pc.if_else(pc.match_substring_regex(self.texts, _UNSPACED), self.texts, spaced)


class Base(Protocol):
    """Chooses the text of unit `i` from the units of its document."""

    @property
    def name(self) -> str:
        """Return the name that stands in the rows."""
        ...

    @property
    def before(self) -> int:
        """Return how many units before its own it may look at."""
        ...

    @property
    def after(self) -> int:
        """Return how many units after its own it may look at."""
        ...

    def __call__(self, units: Around, own: Places, first: Places, end: Places) -> pa.StringArray:
        """Return the text for each unit at the places `own` of `units`, which may be any of them.

        first, end: where the units of its document begin and end; arrays as long as `own`.
        """
        ...


@dataclass(frozen=True)
class Unit:
    """The unit itself."""

    name: ClassVar[str] = "unit"
    before: ClassVar[int] = 0
    after: ClassVar[int] = 0

    def __call__(self, units: Around, own: Places, first: Places, end: Places) -> pa.StringArray:
        """Return the units."""
        return units.texts.take(pa.array(own))


@dataclass(frozen=True)
class Neighbours:
    """The units around a unit, without it and without copies of it; none in a lone unit.

    Text that stands together tends to mean related things (skip-thought, arXiv 1506.06726).
    """

    each_side: int = 3
    name: ClassVar[str] = "neighbours"

    def __post_init__(self) -> None:
        if self.each_side < 1:
            raise ValueError("each_side must be at least 1")

    @property
    def before(self) -> int:
        """Return how many units before its own it may look at."""
        return self.each_side

    @property
    def after(self) -> int:
        """Return how many units after its own it may look at."""
        return self.each_side

    def __call__(self, units: Around, own: Places, first: Places, end: Places) -> pa.StringArray:
        """Return the joined neighbours of each unit."""
        places, inside = _around(own, -self.each_side, self.each_side, first, end)
        others = units.numbers[places] != units.numbers[own][:, np.newaxis]
        return _joined(units, places, inside & others)


@dataclass(frozen=True)
class Passage:
    """A unit and the units after it, `units` in all or as many as there are."""

    units: int = 8
    name: ClassVar[str] = "passage"
    before: ClassVar[int] = 0

    def __post_init__(self) -> None:
        if self.units < 1:
            raise ValueError("units must be at least 1")

    @property
    def after(self) -> int:
        """Return how many units after its own it may look at."""
        return self.units - 1

    def __call__(self, units: Around, own: Places, first: Places, end: Places) -> pa.StringArray:
        """Return the joined passage that begins with each unit."""
        return _joined(units, *_around(own, 0, self.units - 1, first, end))


def _around(
    own: Places, low: int, high: int, first: Places, end: Places
) -> tuple[Places, npt.NDArray[np.bool_]]:
    """Return the places from own + low to own + high, and which of them are in the document.

    Shape (len(own), high - low + 1). Those outside are given as the unit's own.
    """
    here = own[:, np.newaxis]
    places = here + np.arange(low, high + 1)
    inside = (places >= np.reshape(first, (-1, 1))) & (places < np.reshape(end, (-1, 1)))
    return np.where(inside, places, here), inside


def _joined(units: Around, places: Places, seen: npt.NDArray[np.bool_]) -> pa.StringArray:
    """Return the units at the places of each row that are seen, joined; null where none is."""
    ends = np.cumsum(np.r_[0, seen.sum(1)]).astype(np.int32)
    rows = pa.ListArray.from_arrays(pa.array(ends), units.spaced.take(pa.array(places[seen])))
    joined = pc.ascii_rtrim(pc.binary_join(rows, ""), " ")
    return pc.if_else(pa.array(seen.any(1)), joined, None)
