"""Words replaced by others of the same, or of the opposite meaning."""

import functools
import re
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Final, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pairsmith.augmenters.augmenter import Keys, Views
from pairsmith.augmenters.compose import uniform
from pairsmith.augmenters.wordnet.thesaurus import open_thesaurus, source_digest
from pairsmith.schemas import require, subkeys

_CJK: Final = re.compile("[\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]")
_WORD: Final = re.compile(r"([^\W\d_]+(?:['’-][^\W\d_]+)*)")
_STARTS: Final = re.compile(r"[.!?:]\W*\s\W*$")
"""What stands between a word and the first word of the next sentence."""
_VOWELS: Final = frozenset("aeiou")
_UNSURE: Final = re.compile(r"u|eu|h|one|on[ce]e")
"""English words that begin like this may take `a` or `an` against their first letter."""
_CODE: Final = frozenset("_<>/\\@#$=&|*~^`{}+0123456789")
"""What a word that touches it is no word of a sentence, but code, a path, a unit, …"""
_PLACE, _CHOICE = 0x5EED1, 0x5EED2
_GAMMA = np.uint64(0x9E3779B97F4A7C15)


class Others(NamedTuple):
    """Words that may stand for a word."""

    words: tuple[str, ...]
    capitals: bool
    """Whether they are those of the word in lower case, with a capital like the word."""


Lookup = tuple[Callable[[str], Others | None], bool]
"""What gives the words that may stand for a word, and whether they are English."""


class Slot(NamedTuple):
    """A word of a text that may be replaced."""

    at: int
    """Which of the parts of the text it is."""
    options: tuple[str, ...]


@dataclass(frozen=True)
class WordReplacement(ABC):
    """What augmenters that replace words by related ones share."""

    version: ClassVar[int] = 1

    source: str = ""
    """Where the words come from: "" for the WordNet that Debian's package wordnet-base installs, a
    folder of WordNet's database files (`index.noun`, `data.noun`, …), a wordnet in WN-LMF (`.xml`;
    needs pairsmith[wordnet]), or a list: `.json`, `{"word": ["other", …]}`, or lines of a word and
    others with tabs between. Lists and WN-LMF may be of any language."""

    @property
    @abstractmethod
    def name(self) -> str:
        """Return the relation of the words."""

    @property
    def languages(self) -> tuple[str, ...]:
        """Return English for a folder of WordNet; a file may be of any language."""
        return ("en",) if not self.source or Path(self.source).is_dir() else ()

    @property
    def needs(self) -> str:
        """Return what the source is, when it is not given, or what reads it."""
        if not self.source:
            return "Debian's wordnet-base, or a source"
        return "pairsmith[wordnet]" if self.source.endswith(".xml") else ""

    def settings(self) -> dict[str, Any]:
        """Return the settings, with the source by its content."""
        fields = {name: getattr(self, name) for name in self.__dataclass_fields__}
        return {**fields, "source": source_digest(self.source)}

    def setup(self) -> None:
        """Read the source. Raises UserError when there is none, or of another form."""
        open_thesaurus(self.source)
        require("rjieba", extra="build")

    def __call__(self, texts: pa.StringArray, keys: Keys) -> pa.StringArray:
        """Return a view of each text; null for null.

        keys: uint64, shape (len(texts),). Equal key and text give equal output on every machine.
        """
        return self.views(texts, keys).texts

    @abstractmethod
    def views(self, texts: pa.StringArray, keys: Keys) -> Views:
        """Return the views, with reasons and details."""

    @abstractmethod
    def _lookup(self) -> Lookup:
        """Return what gives the words that may stand for a word."""

    def _slots(self, parts: list[str]) -> list[Slot]:
        """Return the words that may be replaced in a text cut into gap, word, gap, …, gap."""
        lookup, english = self._lookup()
        slots = []
        for number, others in enumerate(map(lookup, parts[1::2])):
            if others:
                at = 2 * number + 1
                gap = parts[at - 1]
                if _in_code(gap, parts[at + 1], at + 2 < len(parts)):
                    continue
                if others.capitals and number and not _STARTS.search(gap):
                    continue  # a name
                options = others.words
                if english and number and gap.isspace() and parts[at - 2].lower() in ("a", "an"):
                    word = parts[at]
                    options = tuple(option for option in options if _sounds_alike(word, option))
                if options:
                    slots.append(Slot(at, options))
        return slots


@dataclass(frozen=True)
class Synonyms(WordReplacement):
    """Replaces words by words that mean the same.

    Of a WordNet, only words whose meaning is clear without their context are replaced, by words
    that are common with that meaning, in the same form (`began` by `started`): see `thesaurus`.
    """

    name: ClassVar[str] = "synonyms"
    keeps_meaning: ClassVar[bool] = True

    p: float = 0.5
    """The probability that a word that has synonyms is replaced: 0 < p <= 1."""
    clear: float = 0.8
    """The share of a word's uses, by tagged text, that a synonym must fit: 0.5 to 1. With less,
    more words are replaced, and the text reads worse. A list of words has no such thing."""
    least: int = 1
    """So many are replaced at least, where as many have synonyms."""

    def __post_init__(self) -> None:
        """Raise ValueError for a setting out of range."""
        if not 0 < self.p <= 1:
            raise ValueError(f"p must be above 0 and at most 1, not {self.p}")
        if not 0.5 <= self.clear <= 1:
            raise ValueError(f"clear must be from 0.5 to 1, not {self.clear}")
        if self.least < 0:
            raise ValueError(f"least must be at least 0, not {self.least}")

    def views(self, texts: pa.StringArray, keys: Keys) -> Views:
        """Return the views; the details are `{"changed": [[old, new], …]}`.

        A text none of whose words has a synonym stays as it is.
        """
        lists = [[] if text is None else _cut(text) for text in texts.to_pylist()]
        slots = [self._slots(parts) for parts in lists]
        counts = np.array([len(some) for some in slots], np.int64)
        places, choices = _draws(keys, counts, _PLACE), _draws(keys, counts, _CHOICE)
        views: list[str | None] = []
        details: list[bytes | None] = []
        encode = require("orjson", extra="build").dumps
        at = 0
        for parts, some in zip(lists, slots, strict=True):
            place, choice = places[at : at + len(some)], choices[at : at + len(some)]
            at += len(some)
            chosen = [number for number, draw in enumerate(place) if draw < self.p]
            if len(chosen) < self.least:
                order = sorted(range(len(some)), key=place.__getitem__)
                chosen = sorted(order[: self.least])
            changed = []
            for number in chosen:
                word, options = some[number]
                new = options[int(choice[number] * len(options))]
                changed.append((parts[word], new))
                parts[word] = new
            views.append("".join(parts) if parts else None)
            details.append(encode({"changed": changed}) if changed else None)
        nothing = pa.nulls(len(texts), pa.string())
        return Views(pa.array(views, pa.string()), nothing, pa.array(details, pa.string()))

    def _lookup(self) -> Lookup:
        return _synonyms(self.source, self.clear)


@dataclass(frozen=True)
class Antonyms(WordReplacement):
    """Replaces one word by its opposite: a hard negative by the smallest edit."""

    name: ClassVar[str] = "antonyms"
    keeps_meaning: ClassVar[bool] = False

    def views(self, texts: pa.StringArray, keys: Keys) -> Views:
        """Return the views; the details are `{"edit": [old, new], "at": offset of old}`.

        A text none of whose words has an opposite gets no view, with the reason "no antonym".
        """
        views: list[str | None] = []
        reasons: list[str | None] = []
        details: list[bytes | None] = []
        encode = require("orjson", extra="build").dumps
        for text, draw in zip(texts.to_pylist(), uniform(keys).tolist(), strict=True):
            parts = [] if text is None else _cut(text)
            slots = self._slots(parts)
            if not slots:
                views.append(None)
                reasons.append(None if text is None else "no antonym")
                details.append(None)
                continue
            at, options = slots[int(draw * len(slots))]
            new = options[int(draw * len(slots) % 1 * len(options))]
            details.append(encode({"edit": [parts[at], new], "at": sum(map(len, parts[:at]))}))
            parts[at] = new
            views.append("".join(parts))
            reasons.append(None)
        return Views(*(pa.array(column, pa.string()) for column in (views, reasons, details)))

    def _lookup(self) -> Lookup:
        return _antonyms(self.source)


@functools.cache
def _synonyms(source: str, clear: float) -> Lookup:
    thesaurus = open_thesaurus(source)
    return _with_capitals(lambda word: thesaurus.synonyms(word, clear)), thesaurus.english


@functools.cache
def _antonyms(source: str) -> Lookup:
    thesaurus = open_thesaurus(source)
    return _with_capitals(thesaurus.antonyms), thesaurus.english


def _with_capitals(find: Callable[[str], tuple[str, ...]]) -> Callable[[str], Others | None]:
    """Return what looks words up, once each; one with a capital, if need be, without."""

    @functools.lru_cache(2**18)
    def lookup(word: str) -> Others | None:
        if found := find(word):
            return Others(found, False)
        if word[:1].isupper() and word[1:].islower() and (found := find(word.lower())):
            return Others(tuple(other[0].upper() + other[1:] for other in found), True)
        return None

    return lookup


def _cut(text: str) -> list[str]:
    """Return a text as gap, word, gap, …, word, gap; a Chinese one as rjieba cuts it."""
    if not _CJK.search(text):
        return _WORD.split(text)
    words = require("rjieba", extra="build").cut(text)
    parts = [""] * (2 * len(words) + 1)
    parts[1::2] = words
    return parts


def _in_code(before: str, after: str, goes_on: bool) -> bool:
    """Return whether what stands around a word says that it is no word of a sentence."""
    if before[-1:] in _CODE or after[:1] in _CODE:
        return True
    return before in (".", ":") or (goes_on and after in (".", ":"))  # as in a name of a file


def _sounds_alike(word: str, other: str) -> bool:
    """Return whether two words surely take the same article."""
    word, other = word.lower(), other.lower()
    if _UNSURE.match(word) or _UNSURE.match(other):
        return False
    return (word[0] in _VOWELS) == (other[0] in _VOWELS)


def _draws(keys: Keys, counts: npt.NDArray[np.int64], stream: int) -> list[float]:
    """Return so many numbers in [0, 1) for each key, one after the other."""
    rows = np.repeat(np.arange(len(counts)), counts)
    number = np.arange(len(rows)) - np.repeat(np.cumsum(counts, dtype=np.int64) - counts, counts)
    draws: list[float] = uniform(
        subkeys(keys, stream)[rows] + number.astype(np.uint64) * _GAMMA
    ).tolist()
    return draws
