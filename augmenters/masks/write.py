"""Texts with their masked words and spans filled."""

import json
import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import pyarrow as pa

from pairsmith.augmenters.augmenter import Views

_I = re.compile(r"I(?!\w)")
_OPENING = ".!?…。\uff01\uff1f\r\n\"'“‘„«「『(["
"""What stands before the first word of a sentence."""


class Fill(NamedTuple):
    """What stands in the place of some bytes of a text."""

    row: int
    start: int
    end: int
    text: str


def filled_views(texts: pa.StringArray, fills: Sequence[Fill], reasons: Mapping[int, str]) -> Views:
    """Return the texts with the fills in them, and what they replaced as details.

    reasons: why rows have no view.
    """
    by_row: dict[int, list[Fill]] = {}
    for fill in sorted(fills):
        by_row.setdefault(fill.row, []).append(fill)
    views: list[str | None] = []
    details: list[str | None] = []
    for row, text in enumerate(texts.to_pylist()):
        views.append(None if row in reasons else text)
        details.append(None)
        if row in by_row:
            views[-1], replaced = _filled(text.encode(), by_row[row])
            if replaced:
                details[-1] = json.dumps(
                    {"replaced": replaced}, ensure_ascii=False, separators=(",", ":")
                )
    why = [reasons.get(row) for row in range(len(texts))]
    return Views(*(pa.array(column, pa.string()) for column in (views, why, details)))


def in_case(fill: str, was: str, opens: bool) -> str:
    """Return a fill in small letters as what it replaces was: capitalised or in capitals.

    opens: whether it opens a sentence; elsewhere the capital of "I" says nothing of other words.
    """
    if fill != fill.lower() or was[0] == was[0].lower():
        return fill
    if not opens and _I.match(was) and not _I.match(fill.upper()):
        return fill
    if len(was) > 1 and was == was.upper():
        return fill.upper()
    return fill[0].upper() + fill[1:]


def opens_sentence(text: bytes, start: int) -> bool:
    """Return whether what begins at a byte of a text opens it, a sentence or a quotation."""
    before = text[max(0, start - 40) : start].decode(errors="ignore").rstrip(" \t")
    return not before or before[-1] in _OPENING


def _filled(text: bytes, fills: Sequence[Fill]) -> tuple[str, list[tuple[str, str]]]:
    parts, done, replaced = [], 0, []
    for fill in fills:
        was = text[fill.start : fill.end].decode()
        parts += [text[done : fill.start], fill.text.encode()]
        done = fill.end
        if fill.text != was:
            replaced.append((was, fill.text))
    return b"".join([*parts, text[done:]]).decode(), replaced
