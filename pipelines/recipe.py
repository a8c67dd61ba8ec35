"""A recipe: what to read, which pairs to make of it, what to refuse. Frozen data, no behaviour."""

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from pairsmith.augmenters import Augmenter
from pairsmith.pipelines.bases import Base, Unit
from pairsmith.pipelines.negatives import RandomNegatives
from pairsmith.pipelines.rules import PairRule, TextRule
from pairsmith.pipelines.segment import Segmenter, Sentences
from pairsmith.schemas import UserError, manifest


@dataclass(frozen=True)
class Documents:
    """Which columns of the input hold what, and how a text is cut into units."""

    text: str = "text"
    """Must be there. A null or blank text is dropped, not failed."""
    id: str = "doc_id"
    """Used where there is one; otherwise the source id is the hash of the text."""
    lang: str = "lang"
    """Used where there is one: a BCP 47 code such as `en` or `zh`."""
    label: str = "label"
    """Used where there is one."""
    segment: Segmenter = dataclasses.field(default_factory=Sentences)

    @property
    def columns(self) -> tuple[str, ...]:
        """Return the columns to read, the text first."""
        return (self.text, self.id, self.lang, self.label)


@dataclass(frozen=True, init=False)
class View:
    """One way to see a unit: a base text, then a chain of augmenters."""

    base: Base
    steps: tuple[Augmenter, ...]
    name: str
    """Stands in the rows; by default the names of the parts, joined by `+`."""

    def __init__(self, *steps: Augmenter, base: Base | None = None, name: str = "") -> None:
        if wrong := [step for step in steps if not isinstance(step, Augmenter)]:
            raise TypeError(f"{wrong[0]!r} is no augmenter; see augmenters.from_function")
        base = Unit() if base is None else base
        parts = [base.name, *(step.name for step in steps)]
        object.__setattr__(self, "base", base)
        object.__setattr__(self, "steps", steps)
        object.__setattr__(self, "name", name or "+".join(parts))


@dataclass(frozen=True)
class Pair:
    """A pair kind: two views of every unit."""

    kind: str
    anchor: View
    positive: View
    draws: int = 1
    """Pairs made of each unit; every draw has keys of its own."""
    every: int = 1
    """Only units whose number is a multiple of this."""
    gates: tuple[PairRule, ...] | None = None
    """Instead of the recipe's gates; `()` for none."""

    def __post_init__(self) -> None:
        if not self.kind or not self.kind.isprintable() or self.draws < 1 or self.every < 1:
            raise ValueError("a pair needs a printable kind, and draws and every of at least 1")


@dataclass(frozen=True)
class Recipe:
    """Everything that decides the bytes of a dataset, but the input."""

    pairs: tuple[Pair, ...]
    seed: int = 17
    source: Documents = dataclasses.field(default_factory=Documents)
    screens: tuple[TextRule, ...] = ()
    """Units that no pair is made of; they still serve as context of others."""
    gates: tuple[PairRule, ...] = ()
    """Pairs that are not written."""
    negatives: RandomNegatives | None = None
    shards: int = 16
    """Number of output files. Aim at 50 to 500 MB each."""

    def __post_init__(self) -> None:
        for name, kind in (("seed", int), ("shards", int), ("source", Documents)):
            if not isinstance(value := getattr(self, name), kind):
                raise TypeError(f"{name} must be {kind.__name__}, not {value!r}")
        if wrong := [pair for pair in self.pairs if not isinstance(pair, Pair)]:
            raise TypeError(f"pairs must hold Pair, not {wrong[0]!r}")
        kinds = [pair.kind for pair in self.pairs]
        if not kinds or len(set(kinds)) < len(kinds):
            raise ValueError("a recipe needs at least one pair, and every kind once")
        if self.shards < 1:
            raise ValueError("shards must be at least 1")

    @property
    def views(self) -> Iterator[View]:
        """Yield every view of every pair."""
        for pair in self.pairs:
            yield pair.anchor
            yield pair.positive

    @property
    def margins(self) -> tuple[int, int]:
        """Return how many units before and after its own a view may look at."""
        bases = [view.base for view in self.views]
        return max(b.before for b in bases), max(b.after for b in bases)

    def gates_of(self, pair: Pair) -> tuple[PairRule, ...]:
        """Return the gates that hold for a pair kind."""
        return self.gates if pair.gates is None else pair.gates

    def setup(self) -> None:
        """Load what the augmenters need; raises UserError when an extra is missing."""
        for view in self.views:
            for step in view.steps:
                step.setup()

    def as_data(self) -> dict[str, Any]:
        """Return the recipe as JSON data: the settings and versions of every part."""
        return _data(self)  # type: ignore[no-any-return]

    @property
    def digest(self) -> str:
        """Return the sha256 of the recipe as data."""
        return manifest.digest(self.as_data())


def _data(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        # An augmenter with files among its settings tells of their content itself.
        if settings := getattr(value, "settings", None):
            fields = settings()
        else:
            fields = {f.name: _data(getattr(value, f.name)) for f in dataclasses.fields(value)}
        if (version := getattr(value, "version", None)) is not None:
            fields["version"] = version
        return {"type": type(value).__name__, **fields}
    if isinstance(value, tuple | list):
        return [_data(item) for item in value]
    if value is None or isinstance(value, str | int | float | bool):
        return value
    if callable(value):
        return f"{value.__module__}:{value.__qualname__}"
    raise UserError(f"a recipe may hold dataclasses, tuples, text and numbers, not {value!r}")
