"""What words mean: which words say the same, and which the opposite."""

from abc import ABC, abstractmethod
from collections import defaultdict
from functools import cached_property
from typing import Literal, NamedTuple

PartOfSpeech = Literal["n", "v", "a", "r"]
"""Noun, verb, adjective, adverb."""
PARTS: tuple[PartOfSpeech, ...] = ("n", "v", "a", "r")


class Meaning(NamedTuple):
    """One of the meanings of a word."""

    seen: int
    """How often the word was seen with this meaning in tagged text."""
    synonyms: tuple[tuple[str, int], ...]
    """The other words of this meaning, and how often each was seen with it."""
    antonyms: tuple[tuple[str, int], ...]
    """The words of the opposite meaning, and how often each was seen with that."""


class Words(ABC):
    """A lexicon of base forms."""

    language: str
    """BCP 47: only English has endings here."""
    counted: bool
    """Whether it is known how often meanings are seen."""
    irregular: dict[PartOfSpeech, dict[str, tuple[str, ...]]]
    """Base forms of each form that the rules do not give."""

    @abstractmethod
    def counts(self, word: str, part: PartOfSpeech) -> list[int]:
        """Return how often each meaning of a base form is seen; nothing when it is not there."""

    @abstractmethod
    def meanings(self, word: str, part: PartOfSpeech) -> tuple[Meaning, ...]:
        """Return what a base form means, the most frequent first; nothing when it is not there."""

    @cached_property
    def irregular_forms(self) -> dict[PartOfSpeech, dict[str, list[str]]]:
        """Return the irregular forms of each base form."""
        found: dict[PartOfSpeech, dict[str, list[str]]] = {}
        for part, bases in self.irregular.items():
            found[part] = defaultdict(list)
            for form in bases:
                for base in bases[form]:
                    found[part][base].append(form)
        return found
