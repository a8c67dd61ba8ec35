"""Names of people, places and organisations, swapped for others of the corpus."""

from collections import Counter
from dataclasses import dataclass, replace
from functools import cached_property
from importlib import import_module, util
from typing import ClassVar, NamedTuple, Self

import pyarrow as pa

from pairsmith.augmenters.perturb.edits import Change, Perturbation, is_chinese

PER_KIND = 500
"""How many phrases of a kind and language a fit keeps: the most frequent."""


class Phrase(NamedTuple):
    """A phrase of the corpus, and what it may stand for."""

    text: str
    kind: str


@dataclass(frozen=True)
class PhraseSwap(Perturbation):
    """Puts another name of the corpus in place of a name: of the same kind, as a place's.

    It needs `fit`, which a build calls, or phrases of your own.
    """

    name: ClassVar[str] = "phrase_swap"

    phrases: tuple[Phrase, ...] = ()
    """What may be put in; their kinds are those that the rules of each language tell."""

    def fit(self, texts: pa.StringArray) -> Self:
        """Return the augmenter with the names that the texts mention, the most frequent ones."""
        counts: Counter[Phrase] = Counter()
        for text in texts.to_pylist():
            if text is None:
                continue
            module = _rules(text)
            mentions = module.mentions(text) if module else ()
            counts.update(Phrase(text[start:stop], kind) for start, stop, kind in mentions)
        ranked = sorted(counts, key=lambda phrase: (-counts[phrase], phrase))
        kept: list[Phrase] = []
        per_kind: Counter[tuple[bool, str]] = Counter()
        for phrase in ranked:
            slot = (is_chinese(phrase.text), phrase.kind)
            per_kind[slot] += 1
            if per_kind[slot] <= PER_KIND:
                kept.append(phrase)
        return replace(self, phrases=tuple(sorted(kept)))

    def changes(self, text: str) -> list[Change]:
        """Return every change, by the rules of the text's language."""
        module = _rules(text)
        return module.candidates(text, self._by_kind[is_chinese(text)]) if module else []

    @cached_property
    def _by_kind(self) -> dict[bool, dict[str, tuple[str, ...]]]:
        """Return the phrases of each kind, Chinese ones apart from the others."""
        kinds: dict[bool, dict[str, tuple[str, ...]]] = {False: {}, True: {}}
        for phrase in self.phrases:
            of = kinds[is_chinese(phrase.text)]
            of[phrase.kind] = (*of.get(phrase.kind, ()), phrase.text)
        return kinds


def _rules(text: str):  # type: ignore[no-untyped-def]
    language = "chinese" if is_chinese(text) else "english"
    module = f"pairsmith.augmenters.perturb.{language}_phrases"
    return import_module(module) if util.find_spec(module) else None  # until they are written
