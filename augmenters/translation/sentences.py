"""Texts as sentences and what stands between them, and sentences that are too long in parts."""

import re
from collections.abc import Callable
from typing import NamedTuple

from pairsmith.schemas import require

_LINE_BREAKS = re.compile(r"([\r\n\v\f\x1c-\x1e\x85\u2028\u2029]+)")
_CLAUSE = re.compile(r"(?<=[;:,.!?…—])\s+|(?<=[、，；：。！？])\s*")
_SPACE = re.compile(r"\s+")


class Part(NamedTuple):
    """A sentence, or a part of one, and what stands around it."""

    before: str
    """White space, or text without letters."""
    text: str
    """Trimmed; empty when the text has no letters at all."""
    after: str


def split_sentences(text: str, language: str) -> list[Part]:
    """Return the sentences of a text; `before + text + after` of all of them, joined, is the text.

    A line break ends a sentence. A sentence without any letter has nothing to translate: it goes
    with what stands before the next one, or after the last.
    """
    segment = require("sentencex", extra="build").segment
    parts: list[Part] = []
    before = ""
    for number, line in enumerate(_LINE_BREAKS.split(text)):
        # Every second one is the line break itself.
        for sentence in [line] if number % 2 else segment(language, line):
            if not any(map(str.isalpha, sentence)):
                before += sentence
                continue
            start = len(sentence) - len(sentence.lstrip())
            end = len(sentence.rstrip())
            parts.append(Part(before + sentence[:start], sentence[start:end], sentence[end:]))
            before = ""
    if parts and before:
        parts[-1] = parts[-1]._replace(after=parts[-1].after + before)
    return parts or [Part(text, "", "")]


def split_long(
    texts: list[list[Part]],
    most: int,
    count: Callable[[list[str]], list[int]],
    prefix: str = "",
    between: str | None = None,
) -> list[list[Part]]:
    """Return texts, given as their parts, in parts that have at most `most` tokens by `count`.

    Cut in two, and again, where a clause ends nearest to the middle, else where a word ends, else
    in the middle. `before + text + after` of all of them, joined, stays what it was. prefix: stands
    before each of them when they are counted. between: stands between two halves, instead of the
    white space that did, or did not.
    """
    split = list(texts)
    waiting = list(range(len(texts)))
    while waiting:
        counts = iter(count([prefix + part.text for row in waiting for part in split[row]]))
        again = []
        for row in waiting:
            cut: list[Part] = []
            for part in split[row]:
                if next(counts) > most and len(part.text) > 1:
                    cut += _halves(part, between)
                else:
                    cut.append(part)
            if len(cut) > len(split[row]):
                again.append(row)
            split[row] = cut
        waiting = again
    return split


def _halves(part: Part, between: str | None) -> tuple[Part, Part]:
    text, middle = part.text, len(part.text) / 2
    for pattern in (_CLAUSE, _SPACE):
        cuts = [m.span() for m in pattern.finditer(text) if m.start() and m.end() < len(text)]
        start, end = min(cuts, key=lambda cut: abs(cut[0] - middle), default=(0, 0))
        # A clause's end that leaves almost all on one side is worse than a word's end.
        if end and min(start, len(text) - end) >= len(text) // 8:
            break
    else:
        start = end = len(text) // 2
    return (
        Part(part.before, text[:start], text[start:end] if between is None else between),
        Part("", text[end:], part.after),
    )
