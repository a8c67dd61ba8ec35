"""Names of people, places and organisations, swapped for others of the corpus."""

from collections import Counter
from dataclasses import dataclass, replace
from functools import cached_property
from typing import ClassVar, NamedTuple, Self

import pyarrow as pa

from pairsmith.augmenters.perturb.edits import Change, Perturbation, has_han

PER_KIND = 500
"""How many phrases of a kind and language a fit keeps: the most frequent."""


class Phrase(NamedTuple):
    """A name, and what it may stand for."""

    text: str
    kind: str
    """English: `man`, `woman`, `man full` (with a surname), `woman full`, `person`, `surname`,
    `city`, `country`, `state`, `continent`, `the country`, `nationality`, `people`, `organisation`,
    `the organisation`, `after lady` and the like. Chinese: see `chinese_phrases`."""


@dataclass(frozen=True)
class PhraseSwap(Perturbation):
    """Puts another name of the corpus in place of a name: of the same kind, as a place's.

    It needs `fit`, which a build calls, or phrases of your own.
    """

    name: ClassVar[str] = "phrase_swap"
    rules: ClassVar[str] = "phrases"

    phrases: tuple[Phrase, ...] = ()
    """What may be put in, each for names of its kind."""

    def fit(self, texts: pa.StringArray) -> Self:
        """Return the augmenter with the names that the texts mention, the most frequent ones."""
        counts: Counter[Phrase] = Counter()
        for text in texts.to_pylist():
            if text is None:
                continue
            mentions = self.rules_for(text).mentions(text)
            counts.update(Phrase(text[start:stop], kind) for start, stop, kind in mentions)
        ranked = sorted(counts, key=lambda phrase: (-counts[phrase], phrase))
        kept: list[Phrase] = []
        per_kind: Counter[tuple[bool, str]] = Counter()
        for phrase in ranked:
            slot = (has_han(phrase.text), phrase.kind)
            per_kind[slot] += 1
            if per_kind[slot] <= PER_KIND:
                kept.append(phrase)
        return replace(self, phrases=tuple(sorted(kept)))

    def changes(self, text: str) -> list[Change]:
        """Return every change, by the rules of the text's language."""
        phrases = self._by_kind[has_han(text)]
        found: list[Change] = self.rules_for(text).candidates(text, phrases)
        return found

    @cached_property
    def _by_kind(self) -> dict[bool, dict[str, tuple[str, ...]]]:
        """Return the phrases of each kind, Chinese ones apart from the others."""
        kinds: dict[bool, dict[str, tuple[str, ...]]] = {False: {}, True: {}}
        for text, kind in self.phrases:
            of = kinds[has_han(text)]
            of[kind] = (*of.get(kind, ()), text)
        return kinds
