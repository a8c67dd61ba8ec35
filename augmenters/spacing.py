"""Words that an augmenter left alone get back the spacing that they had.

A token is a run of letters, digits and underscores, or one other character that is no white space:
what nlpaug cuts a text into. Joined again by single spaces, `don't` becomes `don ' t`.
"""

import re
from difflib import SequenceMatcher
from typing import NamedTuple

import pyarrow as pa

_TOKEN = re.compile(r"(\w+|[^\w\s])")
_OPENING = frozenset("([{<")
_FIRST_CJK = "\u2e80"
Edits = list[tuple[str, str]]


class Joined(NamedTuple):
    """A text made of new tokens, and how they differ from the old ones."""

    text: str
    edits: Edits
    """(old, new) for each token, or run of tokens, that changed; one of them may be empty."""


def cut(text: str) -> list[str]:
    """Return the tokens of a text with what stands around them: gap, token, gap, …, token, gap."""
    return _TOKEN.split(text)


def put_back(text: str, view: str) -> str:
    """Return the view with the spacing of `text` around and between the words that both have."""
    return compare(text, view).text


def respaced_share(texts: pa.StringArray, views: pa.StringArray) -> float:
    """Return the share of views in which two neighbours of the text stand otherwise spaced.

    Neighbours are tokens that no other stands between, in the text and in the view. 0.0 when there
    is no view at all.
    """
    pairs = zip(texts.to_pylist(), views.to_pylist(), strict=True)
    known = [respaced(text, view) for text, view in pairs if text is not None and view is not None]
    return sum(known) / max(1, len(known))


def respaced(text: str, view: str) -> bool:
    """Return whether two tokens that are neighbours in both are spaced otherwise in the view."""
    parts, new_parts = cut(text), cut(view)
    for i, j, size in _matcher(parts[1::2], new_parts[1::2]).get_matching_blocks():
        if parts[2 * i + 2 : 2 * (i + size) : 2] != new_parts[2 * j + 2 : 2 * (j + size) : 2]:
            return True
    return False


def join(parts: list[str], new: list[str]) -> Joined | None:
    """Return new tokens joined as their text was cut; None when that is not plain to see.

    parts: `cut(text)`. It is plain when tokens were replaced one by one, or some were deleted, or
    some inserted or cut in two: what nlpaug's augmenters do. `compare` takes any two texts.
    """
    old = parts[1::2]
    if len(new) == len(old):
        made = parts.copy()
        made[1::2] = new
        edits = [(a, b) for a, b in zip(old, new, strict=True) if a != b]
        if any(b[0].isalnum() and not a[0].isalnum() for a, b in edits):
            for at in range(2, len(made) - 1, 2):  # a word where punctuation was
                made[at] = _apart(made[at - 1], made[at], made[at + 1])
        return Joined("".join(made), edits)
    return (_fewer if len(new) < len(old) else _more)(parts, old, new)


def _fewer(parts: list[str], old: list[str], new: list[str]) -> Joined | None:
    """Join where tokens were deleted."""
    made = parts.copy()
    edits: Edits = []
    at = 0
    rest = len(old)
    for token in new:
        if at == rest:
            return None
        if old[at] != token:
            found = _find(old, token, at)
            if found < 0:
                return None
            if found > at:
                first, gap = parts[2 * at], parts[2 * found]
                if first != gap or not gap or not at:
                    gap = _bridge(made[2 * at - 1] if at else "", first, gap, token)
                for gone in range(at, found):
                    edits.append((old[gone], ""))
                    made[2 * gone] = made[2 * gone + 1] = ""
                made[2 * found] = gap
                at = found
            if token != old[at]:
                made[2 * at + 1] = token
                edits.append((old[at], token))
        at += 1
    made[2 * at : -1] = []
    edits += [(gone, "") for gone in old[at:]]
    return Joined("".join(made), edits)


def _more(parts: list[str], old: list[str], new: list[str]) -> Joined | None:
    """Join where tokens were inserted, or cut in two."""
    made = parts.copy()
    edits: Edits = []
    at = 0
    last = len(new) - 1
    for number, token in enumerate(old):
        if at > last:
            return None
        if new[at] != token:
            if at < last and new[at] + new[at + 1] == token:
                made[2 * number + 1] = both = f"{new[at]} {new[at + 1]}"
                edits.append((token, both))
                at += 1
            else:
                found = _find(new, token, at)
                if found < 0:
                    return None
                gap = parts[2 * number]
                before = made[2 * number - 1] if number else None
                lead = ""
                for added in new[at:found]:
                    lead += gap if gap or before is None or before in _OPENING else " "
                    lead += added
                    edits.append(("", added))
                    gap = gap or " " * token[0].isalnum()
                    before = added
                made[2 * number] = lead + gap
                if token != new[found]:
                    made[2 * number + 1] = new[found]
                    edits.append((token, new[found]))
                at = found
        at += 1
    rest = new[at:]
    edits += [("", added) for added in rest]
    made[-1:] = [*(f" {added}" for added in rest), parts[-1]]
    return Joined("".join(made), edits)


def _find(tokens: list[str], token: str, start: int) -> int:
    """Return where a token stands from `start` on, whatever its case; -1 for nowhere."""
    try:
        return tokens.index(token, start)
    except ValueError:
        low = token.lower()
        rest = enumerate(tokens[start:], start)
        return next((number for number, other in rest if other.lower() == low), -1)


def _bridge(before: str, first: str, last: str, token: str) -> str:
    """Return what stands between two tokens when all between them are gone.

    first, last: what stood after the one and before the other.
    """
    if not before:
        return first
    if not last and not token[0].isalnum():
        return ""
    return _apart(before, max(first, last, key=len), token)


def _apart(before: str, gap: str, token: str) -> str:
    """Return the gap, or a space where two words would merge without; Chinese ones may."""
    ends = before[-1:], token[0]
    merges = not gap and ends[0].isalnum() and ends[1].isalnum() and min(ends) < _FIRST_CJK
    return " " if merges else gap


def compare(text: str, view: str) -> Joined:
    """Return the view with the text's spacing where it has the text's words, and what differs.

    Where tokens were replaced by as many, they stand as those stood; other new ones as in the view.
    """
    parts, new_parts = cut(text), cut(view)
    old, new, gaps, new_gaps = parts[1::2], new_parts[1::2], parts[::2], new_parts[::2]
    made: list[str] = []
    edits: Edits = []
    gone = 0  # tokens that were deleted just before
    fresh = False  # whether the token before has no counterpart
    for what, i1, i2, j1, j2 in _matcher(old, new).get_opcodes():
        if what == "delete":
            gone = i2 - i1
        elif what == "insert" or (what == "replace" and i2 - i1 != j2 - j1):
            for j in range(j1, j2):
                gap = new_gaps[j] if j > j1 or what == "insert" else gaps[i1]
                made += _apart(made[-1] if made else "", gap, new[j]), new[j]
            fresh = what == "insert"
        else:
            for i, j in zip(range(i1, i2), range(j1, j2), strict=True):
                gap = gaps[i]
                if i == i1 and fresh:
                    gap = new_gaps[j]
                elif i == i1 and gone:
                    gap = _bridge(made[-1] if made else "", gaps[i - gone], gap, new[j])
                made += _apart(made[-1] if made else "", gap, new[j]), new[j]
            gone, fresh = 0, False
        edits += _edits(what, old[i1:i2], new[j1:j2])
    inner = "".join(made).strip()
    return Joined(f"{gaps[0]}{inner}{gaps[-1] if old else ''}", edits)


def _matcher(old: list[str], new: list[str]) -> SequenceMatcher[str]:
    """Return what aligns tokens, whatever their case."""
    return SequenceMatcher(None, [t.lower() for t in old], [t.lower() for t in new], False)


def _edits(what: str, old: list[str], new: list[str]) -> Edits:
    if len(old) == len(new):
        return [(a, b) for a, b in zip(old, new, strict=True) if a != b]
    return [(" ".join(old), " ".join(new))]
