"""Cutting documents into units."""

import re
from dataclasses import dataclass
from typing import ClassVar, Literal, Protocol

from pairsmith.schemas import require

_HAN = re.compile("[\u4e00-\u9fff]")

# White space that is neither one plain space nor a line break.
_UNEVEN = ("  ", *"\t\x1f\xa0\u1680\u202f\u205f\u3000", *map(chr, range(0x2000, 0x200B)))


class Segmenter(Protocol):
    """Cuts one text into units."""

    version: ClassVar[int]

    def __call__(self, text: str, lang: str | None) -> list[str]:
        """Return the units of a text, trimmed, none of them empty."""
        ...


@dataclass(frozen=True)
class Sentences:
    """Sentences, by the rules of the sentencex library for the text's language.

    Where no language is given, text with Chinese characters is cut as Chinese, other as English.
    """

    line_breaks: Literal["end", "wrap"] = "end"
    """Whether a line break ends a sentence (`end`), or is only where a line was full (`wrap`)."""
    version: ClassVar[int] = 1

    def __call__(self, text: str, lang: str | None) -> list[str]:
        """Return the sentences of a text."""
        if lang is None:
            lang = "zh" if not text.isascii() and _HAN.search(text) else "en"
        segment = require("sentencex", "build").segment
        lines = text.splitlines() if self.line_breaks == "end" else [text]
        sentences = [sentence for line in lines for sentence in segment(lang, line)]
        if self.line_breaks == "end" and not any(space in text for space in _UNEVEN):
            return [trimmed for sentence in sentences if (trimmed := sentence.strip())]
        return [trimmed for sentence in sentences if (trimmed := " ".join(sentence.split()))]


@dataclass(frozen=True)
class Lines:
    """One unit a line."""

    version: ClassVar[int] = 1

    def __call__(self, text: str, lang: str | None) -> list[str]:
        """Return the lines of a text."""
        return [trimmed for line in text.splitlines() if (trimmed := line.strip())]


@dataclass(frozen=True)
class Whole:
    """The whole text as a single unit."""

    version: ClassVar[int] = 1

    def __call__(self, text: str, lang: str | None) -> list[str]:
        """Return the text."""
        return [trimmed] if (trimmed := text.strip()) else []
