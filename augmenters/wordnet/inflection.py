"""English endings: which base forms a word may have, and a base form with the same ending.

The regular rules, and WordNet's lists of irregular forms; where these leave it open which form is
meant (`began` or `begun`), there is no answer.
"""

from collections.abc import Iterator
from typing import Final, NamedTuple

from pairsmith.augmenters.endings import VOWELS, Ending, with_ending
from pairsmith.augmenters.wordnet.words import PARTS, PartOfSpeech, Words


class Form(NamedTuple):
    """What a word may be."""

    base: str
    part: PartOfSpeech
    ending: Ending
    """"" for the base form; `ed` stands for the past and for the participle."""


_RULES: Final[tuple[tuple[PartOfSpeech, Ending, str, str], ...]] = (
    *((part, "s", "s", "") for part in ("n", "v")),
    *(
        (part, "s", f"{hiss}es", hiss)
        for part in ("n", "v")
        for hiss in ("s", "x", "z", "ch", "sh")
    ),
    *((part, "s", "ies", "y") for part in ("n", "v")),
    *((part, "s", "oes", "o") for part in ("n", "v")),
    *(("v", "ed", end, base) for end, base in (("ed", ""), ("ed", "e"), ("ied", "y"))),
    *(("v", "ing", "ing", base) for base in ("", "e")),
    *(("a", "er", end, base) for end, base in (("er", ""), ("er", "e"), ("ier", "y"))),
    *(("a", "est", end, base) for end, base in (("est", ""), ("est", "e"), ("iest", "y"))),
)
"""(part of speech, ending, what a form ends with, what the base form has instead)."""
_UNCHANGED: Final = frozenset(
    {
        *("bet", "broadcast", "burst", "cast", "cost", "cut", "fit", "forecast", "hit", "hurt"),
        *("let", "offset", "put", "quit", "read", "reset", "rid", "set", "shed", "shut", "slit"),
        *("split", "spread", "thrust", "upset", "wed", "wet"),
    }
)
"""Verbs whose past is, or may be, the base form: WordNet does not list them."""


def forms(word: str, words: Words, english: bool = True) -> Iterator[Form]:
    """Give what a word in lower case may be, as far as the base form is known."""
    for part in PARTS:
        if words.counts(word, part) and not (english and part == "v" and word in _UNCHANGED):
            yield Form(word, part, "")
    if not english:
        return
    seen = set()
    for part in PARTS:
        for base in words.irregular[part].get(word, ()):
            if base != word and words.counts(base, part):
                seen.add(part)
                yield Form(base, part, _irregular_ending(word, part))
    for part, ending, end, instead in _RULES:
        base = word.removesuffix(end) + instead
        if part in seen or not word.endswith(end) or len(base) < 2 or not words.counts(base, part):
            continue
        if with_ending(base, ending, verb=part == "v") == word:
            yield Form(base, part, ending)


def inflected(base: str, part: PartOfSpeech, ending: Ending, words: Words) -> str | None:
    """Return a base form with an ending; None when there is none, or more than one."""
    if not ending:
        return base
    if ending == "ed" and base in _UNCHANGED:
        return None
    listed = words.irregular_forms[part].get(base, [])
    own = {form for form in listed if form != base and _irregular_ending(form, part) == ending}
    if own:
        return own.pop() if len(own) == 1 else None
    if part == "a" and not _compares(base):
        return None
    if part == "n" and base.endswith(("s", "ing")) and not base.endswith("ss"):
        plural = base.endswith("s") and words.counts(base[:-1], "n")  # as `receipts`
        return base if plural else None
    return with_ending(base, ending, verb=part == "v")


def _compares(base: str) -> bool:
    """Return whether an adjective takes -er and -est: one syllable, or two that end in y."""
    sounds = "".join("v" if letter in f"{VOWELS}y" else " " for letter in base.removesuffix("e"))
    return len(sounds.split()) + base.endswith("le") < 2 + base.endswith("y")


def _irregular_ending(form: str, part: PartOfSpeech) -> Ending:
    if part == "n":
        return "s"
    if part == "v":
        if form.endswith("ing"):
            return "ing"
        return "s" if form.endswith("s") else "ed"
    return "est" if form.endswith("st") else "er"
