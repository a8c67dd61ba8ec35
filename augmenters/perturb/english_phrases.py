"""English names of people, places and organisations, by lists and by the words around them.

A name is a run of capitalised words; only runs of a known kind are names here, as a known first
name with or without another, what follows a title, a country, a city, `the … Department`. What
follows another capitalised word, or is followed by one, belongs to something unknown.
"""

import functools
from collections.abc import Mapping, Sequence
from itertools import groupby

from xxhash import xxh3_64_intdigest

from pairsmith.augmenters.perturb.edits import Change, Edit, Mention
from pairsmith.augmenters.perturb.english_antonyms import starts_with_vowel
from pairsmith.augmenters.perturb.english_words import (
    AUXILIARIES,
    CONJUNCTIONS,
    DATA,
    DETERMINERS,
    OBJECTS,
    PREPOSITIONS,
    SUBJECTS,
    Token,
    sentences,
    words,
)

OPTIONS = 8
"""How many other names are offered for one."""
_TITLES = words(
    "mr mrs ms miss dr sir lady lord madame monsieur captain colonel general major lieutenant "
    "sergeant professor president chairman governor senator secretary king queen prince princess "
    "duke uncle aunt father brother sister judge admiral doctor representative congressman saint st"
)
_WITH_SURNAME = words("mr mrs ms dr captain colonel professor senator congressman judge doctor")
_WITH_OTHERS = words("miss sir lady lord president chairman governor secretary uncle aunt king")
"""Titles whose names only swap among themselves."""
_HEADS = words(
    "department committee commission bank board agency institute association corporation company "
    "university college church council club society bureau service court office institution fund"
)
_NOT_NAMES = words("one two three four five six seven eight nine ten tall everyone somebody both")
_SPEECH = words(
    "said asked replied answered cried exclaimed whispered thought laughed smiled nodded murmured "
    "muttered shouted observed remarked inquired added continued began returned repeated sighed"
)
_FUNCTION = (
    SUBJECTS
    | OBJECTS
    | DETERMINERS
    | PREPOSITIONS
    | CONJUNCTIONS
    | AUXILIARIES
    | words(
        "not yes no well oh ah there here now then only even also perhaps poor dear old young "
        "today yesterday tomorrow said cried asked let please thank thanks hello hi"
    )
)
_CLOSED = PREPOSITIONS | CONJUNCTIONS | AUXILIARIES | words("that which who not also")


def mentions(text: str) -> list[Mention]:
    """Return the names of known kind in the text, in order."""
    found: list[Mention] = []
    for sentence in sentences(text):
        at = 0
        while at < len(sentence):
            run = _run(text, sentence, at)
            if run == at:
                at += 1
                continue
            mention = _mention(text, sentence, at, run)
            if mention:
                found.append(mention)
            at = run
    return found


def candidates(text: str, phrases: Mapping[str, Sequence[str]]) -> list[Change]:
    """Return edits that put other names of its kind in place of a name, wherever it stands."""
    found: list[Change] = []
    named = sorted(mentions(text), key=lambda m: (text[m.start : m.stop], m.kind, m.start))
    for (name, kind), group in groupby(named, lambda m: (text[m.start : m.stop], m.kind)):
        places = sorted(group)
        for new in _options(text, places, name, phrases.get(kind, ())):
            edits = tuple(Edit(place.start, place.stop, new) for place in places)
            found.append(edits if len(edits) > 1 else edits[0])
    return found


def _options(text: str, places: list[Mention], name: str, names: Sequence[str]) -> list[str]:
    """Return some of the names, spread over all of them, that may stand in these places."""
    if not names:
        return []
    step = max(1, len(names) // OPTIONS)
    first = xxh3_64_intdigest(text.encode()) % len(names)
    spread = dict.fromkeys(names[(first + n * step) % len(names)] for n in range(OPTIONS))
    articles = {text[max(0, place.start - 3) : place.start].lower() for place in places}
    other = [new for new in spread if new not in text and name not in new]
    if articles & {" a ", "a ", "an "}:
        vowel = starts_with_vowel(name)
        return [new for new in other if starts_with_vowel(new) == vowel]
    return other


def _run(text: str, sentence: list[Token], at: int) -> int:
    """Return where the run of capitalised words that begins at sentence[at] ends."""
    if not _capital(sentence[at]) or (at == 0 and sentence[0].low in _FUNCTION):
        return at
    end = at + 1
    while end < len(sentence):
        token = sentence[end]
        gap = text[sentence[end - 1].stop : token.start]
        dot = token.text == "." and (
            len(sentence[end - 1].text) == 1 or sentence[end - 1].low in _TITLES
        )
        name = _capital(token) and (gap == " " or sentence[end - 1].text == ".")
        if not name and not (dot and not gap and end + 1 < len(sentence)):
            break
        end += 1
    while end > at and sentence[end - 1].text == ".":
        end -= 1
    return end


def _capital(token: Token) -> bool:
    return token.text[0].isupper() and token.low not in (
        "i",
        "i'm",
        "i'll",
        "i've",
        "i'd",
        "o",
        "oh",
    )


def _mention(text: str, sentence: list[Token], at: int, end: int) -> Mention | None:
    """Return what the run sentence[at:end] names, if that is known."""
    before = sentence[at - 1] if at else None
    after = sentence[end] if end < len(sentence) else None
    last = sentence[end - 1]
    owner = last.low.endswith("'s")
    stop = last.stop - 2 if owner else last.stop
    if sentence[at].low in _TITLES:
        first = at + 2 if at + 1 < end and sentence[at + 1].text == "." else at + 1
        return _titled(sentence, at, first, end) if not _is_of(after) else None
    if before is not None and (
        before.text in ".-–—&/" or before.low in _TITLES or before.text[0].isdigit()
    ):
        return None
    name = text[sentence[at].start : stop]
    kind = names().get(name) or _kind_of_run(sentence, at, end, name)
    if kind is None:
        return None
    the = before is not None and before.low == "the"
    if kind in ("country", "state", "city", "continent") and (
        the
        or _follows(after, sentence, end)
        or (before is not None and _is_of(before) and at > 1 and _capital(sentence[at - 2]))
    ):
        return None
    if kind == "nationality" and (
        owner or after is None or not after.is_word or _capital(after) or after.low in _CLOSED
    ):
        return None
    if kind.startswith("the ") != the and (the or kind.startswith("the ")):
        return None
    if kind == "the country" and _is_of(after) and after is not None and after.low != "and":
        return None
    if kind.endswith("organisation") and after is not None and (_is_of(after) or after.low == "on"):
        return None
    if kind in ("man", "woman"):
        more = after is not None and after.low != "and" and (after.low == "the" or _is_of(after))
        if the or more:
            return None
    return Mention(sentence[at].start, stop, kind)


def _titled(sentence: list[Token], title: int, first: int, end: int) -> Mention | None:
    """Return the name sentence[first:end] behind a title."""
    if end - first != 1:
        return None
    token, low = sentence[first], sentence[title].low
    name = token.text.removesuffix("'s").removesuffix("’s")
    if not (name.isalpha() and len(name) > 2 and not name.isupper()) or names().get(
        name, "man"
    ) not in ("man", "woman"):
        return None
    if low in _WITH_SURNAME:
        return Mention(token.start, token.start + len(name), "surname")
    if low in _WITH_OTHERS:
        return Mention(token.start, token.start + len(name), f"after {low}")
    return None


def _is_of(token: Token | None) -> bool:
    return token is not None and token.low in ("of", "de", "von", "du", "van", "la", "le", "and")


def _follows(after: Token | None, sentence: list[Token], end: int) -> bool:
    """Return whether `, California` or `, D.C.` or the like follows a place."""
    if after is None or after.text not in (",", "-", "–"):
        return False
    return end + 1 < len(sentence) and _capital(sentence[end + 1])


def _kind_of_run(sentence: list[Token], at: int, end: int, name: str) -> str | None:
    """Return the kind of a name that no list has, by its words and those beside."""
    kinds = names()
    first, last = sentence[at], sentence[end - 1]
    count = end - at
    if any(
        not t.text.isalpha() or (t.text.isupper() and len(t.text) > 1)
        for t in sentence[at + 1 : end - 1]
        if t.text != "."
    ):
        return None
    given = kinds.get(first.text)
    if given in ("man", "woman") and count in (2, 3) and last.low not in _HEADS | _TITLES:
        rest = sentence[at + 1 : end]
        if (
            all(len(t.text) == 1 or t.text == "." or t is rest[-1] for t in rest)
            and len(last.text) > 2
        ):
            return None if kinds.get(last.text, given) != given else f"{given} full"
    if (
        1 < count <= 5
        and last.low in _HEADS
        and first.low not in _FUNCTION
        and name.replace(" ", "").isalpha()
        and not name.isupper()
    ):
        if at and sentence[at - 1].low == "the":
            return "the organisation"
        return "organisation" if last.low in ("university", "college") else None
    if (
        count == 1
        and at
        and len(name) > 2
        and last.text.isalpha()
        and name[1:].islower()
        and last.low not in _NOT_NAMES | _FUNCTION
    ):
        after = sentence[end].low if end < len(sentence) else ""
        if after in _SPEECH or (sentence[at - 1].low in _SPEECH and after in (",", ".", ";")):
            return "person"
    return None


@functools.cache
def names() -> dict[str, str]:
    """Return the kind of each name in `data/names_en.tsv`."""
    lines = (DATA / "names_en.tsv").read_text("utf-8").splitlines()
    pairs = (line.split("\t") for line in lines if not line.startswith("#"))
    return {name: kind for kind, name in pairs}
