"""English numbers, dates and times, and other values for them in the same format.

Numbers that name a thing are left alone: `No. 5`, `Chapter 3`, `A320`, versions, telephone numbers,
addresses. Ends of a range keep their order: `between 3 and 5` never becomes `between 6 and 5`,
and a part stays smaller than its whole: `4 out of 5` never becomes `9 out of 5`.
"""

import re
from collections.abc import Iterator
from itertools import pairwise

from pairsmith.augmenters.perturb.edits import Change, Edit
from pairsmith.augmenters.perturb.english_dates import MONTHS, dates
from pairsmith.augmenters.perturb.english_numerals import Place, cardinals, figures, ordinals

_NAMES = re.compile(
    # (?<!\S): tried once for a run of characters, not at each of them, of which there may be many
    r"https?://\S+|www\.\S+|(?<!\S)\S+(?:@\S+|\.(?:com|org|net|gov|edu|html?|pdf)\b\S*)"
    # telephone numbers, but not 2021-03-04
    r"|(?<!\w)(?![12]\d{3}-\d\d-\d\d(?!\d))\+?\(?\d[\d()]*(?:[ \-.]\(?\d{2,}\)?){2,}(?![\w%])"
    r"|\b\d+(?:\.\d+){2,}"  # versions
    r"|\b(?:call|dial|text)(?:s|ed|ing)?(?: \w+ to)? \d{3,}(?:[ \-.]\d+)*\b"
    r"|\b(?:cards?|account|iban|phone|number)(?: that)? (?:ending|ends)(?: in| with)? \d+"
    r"|\[[\d, ]+\]|(?<=\w)\(\d+\)|\((?:\d{1,3}|[12]\d{3}[a-z]?)\)"  # notes and years of citations
    r"|^\s*\(?\d+[.)](?=\s|[A-Z])"  # items of a list
    r"|\b\d+[- ]\d+/\d+|(?<![/\d])\d+/\d+(?![/\d])"  # fractions
    r"|(?:\b(?:no|nos|vol|fig|pp?|art|sec|ch|eq|number|chapter|section|table|figure|"
    r"page|volume|article|title|part|appendix|note|footnote|regulation|paragraph|line|"
    r"step|version|windows|room|route|highway|flight|psalm|war|rule|resolution|phase|tier|"
    r"schedule|item|exhibit|box|suite|apt|unit|gate|track|pier|terminal|platform|channel|zone|"
    r"district|ward|chart|book|act|scene|type|class|amendment|panel|equation|slide|scenario|option|"
    r"super bowl|proposition|case|hwy|interstate|form|column|code|id|zip|model)s?\.? |[#§]\s?)"
    r"\(?[\divxlc]+\b(?:(?:, | and | to | or |[-–])\d+)*"
    r"|\b\d+[A-Za-z]?(?: [A-Z][\w.]*)+ (?:Street|St|Avenue|Ave|Road|Rd|Boulevard|Blvd|Drive|Dr|"
    r"Lane|Ln|Way|Plaza|Court|Ct|Parkway|Pkwy|Place|Square|Highway|Hwy|Terrace|Circle)\b",
    re.IGNORECASE,
)
_TITLE = re.compile(r"(?:^|[^\s.!?\"“'‘(])[ ]+([A-Z][\w’']+) $")
_BETWEEN = re.compile(
    r"[\s,.:]*(?:percentage points?|%|percent|per cent|[ap]\.?m\.?|o['’]clock|hundred|thousand|"
    r"million|billion|trillion|dollars|euros|pounds|cents|feet|yards|miles|met(?:re|er)s|"
    r"kilomet(?:re|er)s|km|tons|acres|degrees|minutes|hours|days|weeks|months|years|times)?[\s,]*"
    r"(?:to|or|and|through|by|versus|but|out of|of|in|in every|[-–—]+)\s*"
    r"(?:the |about |roughly |to |in )?[$£€:.]?\s*",
    re.IGNORECASE,
)
_PARTS = ("year", "month", "day", "hour", "minute")
"""Scales that may stand between the ends of a range: `from May 2019 to June 2020`."""
_VOWEL = re.compile(r"8|11(?!\d)|18(?!\d)|[aeiou]", re.IGNORECASE)


def candidates(text: str) -> list[Change]:
    """Return every edit that gives a number, date or time of the text another value."""
    places = _places(text)
    found: list[Change] = []
    for at, place in enumerate(places):
        others = list(place.others)
        for step in (-1, 1):
            others = _in_order(text, places, at, step, others)
        found += [
            Edit(place.start, place.stop, new) for _, new in _after_article(text, place, others)
        ]
    return found


def _places(text: str) -> list[Place]:
    """Return the numbers, dates and times that may change, in the order of the text."""
    taken = [m.span() for m in _NAMES.finditer(text)]
    places: list[Place] = []
    for place in _all(text):
        if all(place.stop <= start or stop <= place.start for start, stop in taken):
            taken.append((place.start, place.stop))
            if not _names_a_thing(text, place):
                places.append(place)
    return sorted(places)


def _all(text: str) -> Iterator[Place]:
    yield from dates(text)
    yield from figures(text)
    yield from cardinals(text)
    yield from ordinals(text)


def _names_a_thing(text: str, place: Place) -> bool:
    """Return whether a capitalised word in the midst of a sentence is or stands before it."""
    if place.scale not in ("number", "year"):
        return False
    if (
        place.start
        and text[place.start].isupper()
        and text[place.start - 2 : place.start - 1].isalpha()
    ):
        return True  # the Group of Thirty
    title = _TITLE.search(text[max(0, place.start - 30) : place.start])
    if title is None or title[1] in MONTHS:
        return False
    return place.scale == "number" or title[1] == "Year"


def _in_order(
    text: str, places: list[Place], at: int, step: int, others: list[tuple[float, str]]
) -> list[tuple[float, str]]:
    """Return the values that stand to the next of that scale as the present one, if it matters."""
    place, end = places[at], at + step
    while 0 <= end < len(places) and places[end].scale != place.scale:
        if places[end].scale not in _PARTS:
            return others
        end += step
    if not 0 <= end < len(places):
        return others
    beside = places[end]
    parts = pairwise(places[min(at, end) : max(at, end) + 1])
    between = "".join(text[a.stop : b.start] for a, b in parts)
    near = len(between) < 60  # so that a long run of spaces takes no quadratic time
    if place.scale != "year" and not (near and _BETWEEN.fullmatch(between)):
        return others
    if (place.value, place.start) < (beside.value, beside.start):
        return [(value, new) for value, new in others if value < beside.value]
    return [(value, new) for value, new in others if value > beside.value]


def _after_article(
    text: str, place: Place, others: list[tuple[float, str]]
) -> list[tuple[float, str]]:
    """Return the values that the article before goes with: `an 8 percent`, `a 9 percent`."""
    before = text[max(0, place.start - 4) : place.start].lower().lstrip()
    if before.rstrip("$£€") in ("a ", "an "):
        vowel = before.startswith("an")
        return [(value, new) for value, new in others if bool(_VOWEL.match(new)) == vowel]
    return others
