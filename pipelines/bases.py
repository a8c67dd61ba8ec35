"""What a view starts from: a unit, the units around it, or a passage that begins with it.

A base sees the units of a document as a list of texts and returns one text for each of a run of
them, or None where there is nothing to see.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Protocol


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

    def __call__(self, units: Sequence[str], own: range) -> list[str | None]:
        """Return the text for each unit of `own`, an index range into `units`."""
        ...


@dataclass(frozen=True)
class Unit:
    """The unit itself."""

    name: ClassVar[str] = "unit"
    before: ClassVar[int] = 0
    after: ClassVar[int] = 0

    def __call__(self, units: Sequence[str], own: range) -> list[str | None]:
        """Return the units."""
        return list(units[own.start : own.stop])


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

    def __call__(self, units: Sequence[str], own: range) -> list[str | None]:
        """Return the joined neighbours of each unit."""
        glued = [unit + _gap_after(unit) for unit in units]
        seen: list[str | None] = []
        for i in own:
            around = glued[max(0, i - self.each_side) : i] + glued[i + 1 : i + 1 + self.each_side]
            joined = "".join([text for text in around if text != glued[i]])
            seen.append(joined.rstrip(" ") or None)
        return seen


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

    def __call__(self, units: Sequence[str], own: range) -> list[str | None]:
        """Return the joined passage that begins with each unit."""
        glued = [unit + _gap_after(unit) for unit in units]
        return ["".join(glued[i : i + self.units]).rstrip(" ") for i in own]


def _gap_after(text: str) -> str:
    """Return what stands between a text and the next: nothing after Chinese or Japanese."""
    last = text.rstrip("”’\"')")[-1:]
    unspaced = (
        "\u2e80" <= last <= "\ua4cf"  # radicals to Yi; Hangul, further on, is written with spaces
        or "\uf900" <= last <= "\ufaff"
        or "\uff00" <= last <= "\uffef"  # full-width punctuation
        or "\U00020000" <= last <= "\U0003ffff"
    )
    return "" if unspaced else " "
