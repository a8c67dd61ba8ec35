"""A recipe: what to read, which pairs to make of it, what to refuse. Frozen data, no behaviour."""

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import pyarrow as pa

from pairsmith.augmenters import Augmenter
from pairsmith.augmenters.cache import with_cache
from pairsmith.augmenters.compose import costly, explains, fits, fitted
from pairsmith.augmenters.settings import as_data
from pairsmith.pipelines.recipe.bases import Base, Unit
from pairsmith.pipelines.recipe.negatives import Negatives, Perturbed
from pairsmith.pipelines.recipe.rules import PairRule, TextRule
from pairsmith.pipelines.recipe.segment import Segmenter, Sentences
from pairsmith.pipelines.recipe.similarity import Similarity
from pairsmith.pipelines.recipe.token_ids import TokenIds
from pairsmith.schemas import manifest, with_columns


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

    def changed(self, change: Callable[[Augmenter], Augmenter]) -> "View":
        """Return the view, under its name, with every augmenter changed."""
        return View(*map(change, self.steps), base=self.base, name=self.name)


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
        if self.gates is not None:
            _check_rules("gates", self.gates, PairRule, "rules for pairs")


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
    negatives: tuple[Negatives, ...] = ()
    """Hard negatives of each row: `Perturbed(…)`, and behind those `RandomNegatives(…)`."""
    shards: int = 16
    """Number of output files. Aim at 50 to 500 MB each."""
    ids: TokenIds | None = None
    """Columns of token ids, if any."""

    def __post_init__(self) -> None:
        for name, kind in (("seed", int), ("shards", int), ("source", Documents)):
            if not isinstance(value := getattr(self, name), kind):
                raise TypeError(f"{name} must be {kind.__name__}, not {value!r}")
        if not isinstance(self.ids, TokenIds | None):
            raise TypeError(f"ids must be TokenIds, not {self.ids!r}")
        if wrong := [pair for pair in self.pairs if not isinstance(pair, Pair)]:
            raise TypeError(f"pairs must hold Pair, not {wrong[0]!r}")
        _check_rules("screens", self.screens, TextRule, "rules for texts")
        _check_rules("gates", self.gates, PairRule, "rules for pairs")
        _check_rules("negatives", self.negatives, Negatives, "rules")
        kinds = [pair.kind for pair in self.pairs]
        if not kinds or len(set(kinds)) < len(kinds):
            raise ValueError("a recipe needs at least one pair, and every kind once")
        if self.shards < 1:
            raise ValueError("shards must be at least 1")

    @property
    def views(self) -> tuple[View, ...]:
        """Return every view of every pair."""
        return tuple(view for pair in self.pairs for view in (pair.anchor, pair.positive))

    @cached_property
    def steps(self) -> tuple[Augmenter, ...]:
        """Return every augmenter of every view and of the negatives."""
        perturbed = [rule.steps for rule in self.negatives if isinstance(rule, Perturbed)]
        return tuple(
            step for steps in [*(v.steps for v in self.views), *perturbed] for step in steps
        )

    @property
    def scorers(self) -> tuple[Augmenter, ...]:
        """Return what the gates ask how alike two texts are."""
        gates = (gate for pair in self.pairs for gate in self.gates_of(pair))
        return tuple(gate.asked for gate in gates if isinstance(gate, Similarity))

    @property
    def margins(self) -> tuple[int, int]:
        """Return how many units before and after its own a view may look at."""
        bases = [view.base for view in self.views]
        return max(b.before for b in bases), max(b.after for b in bases)

    @cached_property
    def schema(self) -> pa.Schema:
        """Return the schema of the shards: PAIRS, with `details` and ids where there are some."""
        names = ["details"] * any(map(explains, self.steps))
        if self.ids is None:
            return with_columns(*names)
        return with_columns(*names, "anchor_ids", "positive_ids", model=self.ids.sha256)

    @property
    def costly(self) -> bool:
        """Return whether a step or a gate asks a model or a service, so that a cache pays."""
        return any(map(costly, (*self.steps, *self.scorers)))

    @cached_property
    def fits(self) -> bool:
        """Return whether a step takes words from the corpus."""
        return any(map(fits, self.steps))

    def cached(self, folder: str) -> "Recipe":
        """Return the recipe with a cache around what asks a model or a service."""
        return self.changed(lambda step: with_cache(step, folder))

    def fitted(self, texts: pa.StringArray) -> "Recipe":
        """Return the recipe with every step that takes words from the corpus fitted to it."""
        return self.changed(lambda step: fitted(step, texts))

    def changed(self, change: Callable[[Augmenter], Augmenter]) -> "Recipe":
        """Return the recipe with every augmenter of its views, gates and negatives changed."""

        def changed(gates: tuple[PairRule, ...]) -> tuple[PairRule, ...]:
            return tuple(
                gate.changed(change) if isinstance(gate, Similarity) else gate for gate in gates
            )

        pairs = (
            dataclasses.replace(
                pair,
                anchor=pair.anchor.changed(change),
                positive=pair.positive.changed(change),
                gates=None if pair.gates is None else changed(pair.gates),
            )
            for pair in self.pairs
        )
        negatives = (
            rule.changed(change) if isinstance(rule, Perturbed) else rule for rule in self.negatives
        )
        return dataclasses.replace(
            self, pairs=tuple(pairs), gates=changed(self.gates), negatives=tuple(negatives)
        )

    def gates_of(self, pair: Pair) -> tuple[PairRule, ...]:
        """Return the gates that hold for a pair kind."""
        return self.gates if pair.gates is None else pair.gates

    def setup(self, models: bool = True) -> None:
        """Load what the augmenters need; raises UserError when an extra is missing.

        models: whether also steps that ask a model or a service, which may run elsewhere only.
        """
        for step in self.steps:
            if models or not costly(step):
                step.setup()
        if self.ids is not None:
            self.ids.setup()
        if not models:
            return
        for gate in (gate for pair in self.pairs for gate in self.gates_of(pair)):
            if isinstance(gate, Similarity):
                gate.setup()

    def as_data(self) -> dict[str, Any]:
        """Return the recipe as JSON data: the settings and versions of every part."""
        return as_data(self)  # type: ignore[no-any-return]

    @property
    def digest(self) -> str:
        """Return the sha256 of the recipe as data."""
        return manifest.digest(self.as_data())


def _check_rules(name: str, rules: object, kind: Any, what: str) -> None:
    """Raise TypeError when a setting of a recipe is no tuple of rules of that kind."""
    if not isinstance(rules, tuple) or not all(isinstance(rule, kind) for rule in rules):
        raise TypeError(f"{name} must be a tuple of {what}, not {rules!r}")
