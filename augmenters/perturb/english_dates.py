"""English dates and times, and others in the same format."""

import re
from calendar import isleap
from collections.abc import Iterator

from pairsmith.augmenters.perturb.english_numerals import SMALL, Place
from pairsmith.augmenters.perturb.english_words import capital_like

MONTHS = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
]
_SHORT = [month[:3] for month in MONTHS]
DAYS = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"]
_LENGTHS = (31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
_MONTH = rf"(?P<month>(?:{'|'.join(MONTHS)})\b|(?:{'|'.join(_SHORT)}|Sept)\b\.?)"
_WHEN = (
    r"in|since|by|until|till|last|next|this|early|late|mid|of|from|to|through|throughout|during|"
    r"between|before|after|and|early-|late-|mid-|around|for|on|at|through|as of|or"
)

_FULL = re.compile(
    rf"\b{_MONTH}(?:,? (?P<day>\d{{1,2}})(?P<th>st|nd|rd|th)?\b(?![:/%.]\d))?"
    r"(?:,? (?P<year>[12]\d{3})\b(?![-–/]))?"
)
_DAY_FIRST = re.compile(
    rf"\b(?:the )?(?P<day>\d{{1,2}})(?P<th>st|nd|rd|th)?(?: of)? {_MONTH}"
    r"(?:,? (?P<year>[12]\d{3})\b)?"
)
_BARE = re.compile(rf"(?:{_WHEN})[ -]$", re.IGNORECASE)
_ISO = re.compile(r"(?<![\w\-])(?P<year>[12]\d{3})-(?P<month>\d\d)-(?P<day>\d\d)(?![\w\-])")
_SLASHED = re.compile(r"(?<![\w/])\d{1,2}/\d{1,2}/(?P<year>\d{4})(?![\w/])")
_YEAR = re.compile(
    r"(?:\b(?:in|since|by|until|till|from|to|of|during|through|throughout|before|after|around|"
    r"early|late|mid|spring|summer|fall|autumn|winter|year|years|fiscal|between|and|early-|late-|"
    r"mid-|for|until|over|end-|the|vs\.?|than|half of|end of|beginning of|quarter of|midyear)[ -])"
    r"(?P<year>1[5-9]\d\d|20[0-4]\d)(?![\w%]|[-–/]\d|,\d|\.\d)(?! (?:percent|dollars|people|men|"
    r"words|tons|feet|miles|pounds|yards|workers|jobs|times)\b)",
    re.IGNORECASE,
)
_DECADE = re.compile(r"\b(?P<decade>1[6-9]\d0|20[0-2]0)s\b")
_CLOCK = re.compile(
    r"(?<![\w:.\-/$])(?P<hour>\d{1,2})(?P<rest>[:.][0-5]\d)?(?P<half>\s?(?:[ap]\.?m\b\.?|o['’]clock))",
    re.IGNORECASE,
)
_CLOCK_24 = re.compile(r"(?<![\w:.\-/])(?P<hour>[01]?\d|2[0-3]):(?P<minute>[0-5]\d)(?![\w:]|\.\d)")
_OCLOCK = re.compile(rf"\b(?P<hour>{'|'.join(SMALL[1:13])})(?= o['’]clock\b)", re.IGNORECASE)
_DAY = re.compile(
    r"\b(?:on|last|next|this|every|by|until|since|from|to|through|before|after|of|and|for|or) "
    rf"(?P<day>{'|'.join(DAYS)})(?![\w\-’'])"
    r"(?! (?:school|schools|dinner|suit|clothes|best|Times|dress|closing|law|laws))"
)


def dates(text: str) -> Iterator[Place]:
    """Yield months, days, years, weekdays and times of day."""
    for m in _DAY_FIRST.finditer(text):
        yield from _parts(m, m["month"])
    yield from _months(text)  # after the above: the first place counts, and knows the day
    for m in _ISO.finditer(text):
        yield _year(m.start("year"), m["year"], leap=m[0].endswith("-02-29"))
        if 1 <= int(m["month"]) <= 12:
            others = [(n, f"{n:02}") for n in range(1, 13) if int(m["day"]) <= _LENGTHS[n - 1]]
            yield _place(m, "month", "month", int(m["month"]), others)
    for m in _SLASHED.finditer(text):
        leap = {int(part) for part in m[0].split("/")[:2]} == {2, 29}
        yield _year(m.start("year"), m["year"], leap)
    for m in _YEAR.finditer(text):
        yield _year(m.start("year"), m["year"])
    for m in _DECADE.finditer(text):
        decade = int(m["decade"])
        others = [(n, str(n)) for n in (decade - 20, decade - 10, decade + 10, decade + 20)]
        yield _place(m, "decade", "decade", decade, [(n, t) for n, t in others if n <= 2020])
    yield from _times(text)
    for m in _DAY.finditer(text):
        day = DAYS.index(m["day"])
        yield _place(m, "day", "weekday", day, list(enumerate(DAYS)))


def _months(text: str) -> Iterator[Place]:
    for m in _FULL.finditer(text):
        lead = text[max(0, m.start() - 12) : m.start()]
        if m["day"] or m["year"] or (m["month"] in MONTHS and _BARE.search(lead)):
            if (
                m["month"] in ("May", "March", "August")
                and lead.endswith(("to ", "and ", "or "))
                and not m["year"]
                and not m["day"]
            ):
                continue
            yield from _parts(m, m["month"])


def _parts(m: re.Match[str], month: str) -> Iterator[Place]:
    """Yield the month, day and year that a date has."""
    number = _SHORT.index(month[:3])
    day = int(m["day"]) if m["day"] else 0
    dot = "." if month.endswith(".") else ""
    names = MONTHS if month in MONTHS else [short + dot for short in _SHORT]
    others = [(n, t) for n, t in enumerate(names) if day <= _LENGTHS[n] and t != "May."]
    yield _place(m, "month", "month", number, others)
    if 1 <= day <= 31:
        days = [(n, _day(n, m["th"])) for n in range(2, 29, 3)]
        stop = m.end("th") if m["th"] else m.end("day")
        yield Place(m.start("day"), stop, "day", day, tuple((n, t) for n, t in days if n != day))
    if m["year"]:
        yield _year(m.start("year"), m["year"], leap=(number, day) == (1, 29))


def _day(n: int, th: str | None) -> str:
    if not th:
        return str(n)
    return f"{n}" + ("th" if 10 <= n <= 20 else {1: "st", 2: "nd", 3: "rd"}.get(n % 10, "th"))


def _year(start: int, year: str, leap: bool = False) -> Place:
    """Return a year, and years near it: where the date is 29 February, only those that have it."""
    value = int(year)
    near = [value + step for step in (-9, -5, -3, -2, 2, 3, 5, 8)]
    if leap:
        near = [n for n in (value - 8, value - 4, value + 4, value + 8) if isleap(n)]
    latest = 2025 if value <= 2025 else value + 10
    others = tuple((n, str(n)) for n in near if n <= latest)
    return Place(start, start + len(year), "year", value, others)


def _times(text: str) -> Iterator[Place]:
    for m in _CLOCK.finditer(text):
        if 1 <= int(m["hour"]) <= 12:
            width = len(m["hour"]) if m["hour"].startswith("0") else 1
            others = [(n, f"{n:0{width}}") for n in range(1, 13)]
            yield _place(m, "hour", "hour", int(m["hour"]), others)
    for m in _CLOCK_24.finditer(text):
        hour = int(m["hour"])
        width = len(m["hour"]) if m["hour"].startswith("0") else 1
        hours = range(1, 13) if 1 <= hour <= 12 else range(13, 24)
        yield _place(m, "hour", "hour", hour, [(n, f"{n:0{width}}") for n in hours])
        minutes = [(n, f"{n:02}") for n in (0, 10, 15, 20, 30, 40, 45, 50)]
        yield _place(m, "minute", "minute", int(m["minute"]), minutes)
    for m in _OCLOCK.finditer(text):
        hour = SMALL.index(m["hour"].lower())
        others = [(n, capital_like(m["hour"], SMALL[n])) for n in range(1, 13)]
        yield _place(m, "hour", "hour", hour, others)


def _place(
    m: re.Match[str], group: str, scale: str, value: int, others: list[tuple[int, str]]
) -> Place:
    return Place(
        m.start(group), m.end(group), scale, value, tuple((n, t) for n, t in others if n != value)
    )
