"""How a counterfactual edit is described, chosen by a record's key, applied and recorded.

The rules of a language list every smallest edit that makes a text say something else; they are
plain functions `candidates(text) -> list[Change]`. For phrases they are `mentions(text) ->
list[Mention]`, which a fit collects, and `candidates(text, phrases)`, where `phrases` maps each
kind of mention to what may be put in: strings, sorted, perhaps hundreds, so they list only some.
"""

import json
import re
from abc import ABC, abstractmethod
from dataclasses import dataclass
from importlib import import_module
from types import ModuleType
from typing import ClassVar, NamedTuple, TypeAlias

import pyarrow as pa

from pairsmith.augmenters.augmenter import Keys, Views
from pairsmith.augmenters.compose import uniform

_HAN = re.compile("[\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]")


class Edit(NamedTuple):
    """Replaces `text[start:stop]` by `new`."""

    start: int
    """Offset in characters (code points), as `str` counts them."""
    stop: int
    new: str


Change: TypeAlias = Edit | tuple[Edit, ...]
"""One edit, or several that only make sense together: in the order of the text, disjoint."""


class Mention(NamedTuple):
    """Where a text names something: `text[start:stop]`."""

    start: int
    stop: int
    kind: str
    """What it may be swapped with, as `place`: any word that the rules of a language agree on."""


def apply(text: str, change: Change) -> str:
    """Return the text with the edits made."""
    parts, at = [], 0
    for start, stop, new in edits_of(change):
        parts += [text[at:start], new]
        at = stop
    return "".join([*parts, text[at:]])


def covering(text: str, change: Change) -> Edit:
    """Return the one edit, from the first to the last place of a change, that does the same."""
    edits = edits_of(change)
    start, stop = edits[0].start, edits[-1].stop
    moved = (Edit(first - start, last - start, new) for first, last, new in edits)
    return Edit(start, stop, apply(text[start:stop], tuple(moved)))


def edits_of(change: Change) -> tuple[Edit, ...]:
    """Return the edits that a change is made of."""
    return (change,) if isinstance(change, Edit) else change


def has_han(text: str) -> bool:
    """Return whether the text has Chinese characters, so that the Chinese rules apply."""
    return _HAN.search(text) is not None


@dataclass(frozen=True)
class Perturbation(ABC):
    """What all perturbations share: a hard negative by one small edit, chosen by the key."""

    version: ClassVar[int] = 1
    languages: ClassVar[tuple[str, ...]] = ("en", "zh")
    keeps_meaning: ClassVar[bool] = False
    needs: ClassVar[str] = ""
    rules: ClassVar[str]
    """Those for English are in the module `english_<rules>`, the others in `chinese_<rules>`."""

    @property
    @abstractmethod
    def name(self) -> str:
        """Return the kind of edit."""

    def changes(self, text: str) -> list[Change]:
        """Return every change that the rules of the text's language allow, most often none."""
        found: list[Change] = self.rules_for(text).candidates(text)
        return found

    def rules_for(self, text: str) -> ModuleType:
        """Return the module of the text's language; imported late, for it reads word lists."""
        language = "chinese" if has_han(text) else "english"
        return import_module(f"{__package__}.{language}_{self.rules}")

    def setup(self) -> None:
        """Load word lists."""
        self.changes("He is old.")
        self.changes("他老了。")

    def __call__(self, texts: pa.StringArray, keys: Keys) -> pa.StringArray:
        """Return a changed copy of each text; null where no rule applies, and for null."""
        return self.views(texts, keys).texts

    def views(self, texts: pa.StringArray, keys: Keys) -> Views:
        """Return the views; the details are `{"edit": [old, new], "at": offset of old}`."""
        views: list[str | None] = []
        reasons: list[str | None] = []
        details: list[str | None] = []
        for text, draw in zip(texts.to_pylist(), uniform(keys).tolist(), strict=True):
            changes = [] if text is None else self.changes(text)
            if changes:
                start, stop, new = covering(text, changes[int(draw * len(changes))])
                edit = {"edit": [text[start:stop], new], "at": start}
                views.append(text[:start] + new + text[stop:])
                reasons.append(None)
                details.append(json.dumps(edit, ensure_ascii=False, separators=(",", ":")))
            else:
                views.append(None)
                reasons.append(None if text is None else "nothing to change")
                details.append(None)
        return Views(*(pa.array(column, pa.string()) for column in (views, reasons, details)))
