"""English amounts, in figures and in words, and other amounts in the same format."""

import re
from collections.abc import Iterator
from typing import NamedTuple

from pairsmith.augmenters.perturb.english_words import capital_like


class Place(NamedTuple):
    """Where a text has a number, and what else could stand there."""

    start: int
    stop: int
    scale: str
    """Numbers of one scale, as `year`, have an order; neighbours in the text keep theirs."""
    value: float
    others: tuple[tuple[float, str], ...]
    """Other values, and how they are written."""


SMALL = [
    "zero",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
    "thirteen",
    "fourteen",
    "fifteen",
    "sixteen",
    "seventeen",
    "eighteen",
    "nineteen",
]
TENS = ["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"]
_ORDINALS = [
    "first",
    "second",
    "third",
    "fourth",
    "fifth",
    "sixth",
    "seventh",
    "eighth",
    "ninth",
    "tenth",
]
_CENTURIES = dict(
    zip(
        ["fifteenth", "sixteenth", "seventeenth", "eighteenth", "nineteenth", "twentieth"],
        range(15, 21),
        strict=True,
    )
)
_FACTORS = (0.4, 0.6, 0.8, 1.3, 1.7, 2.2)

_FIGURE = re.compile(
    r"(?<![\w.,:/$£€\-‑–^(\[])(?P<sign>[$£€])?"
    r"(?P<digits>\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?)"
    r"(?P<ordinal>st|nd|rd|th)?(?![\w/:^]|\.\d|,\d|[-–]\d|\()(?P<percent>\s?%|\s?per ?cent)?"
)
_CARDINAL = re.compile(
    rf"(?<![\w\-‑])(?:(?P<tens>{'|'.join(TENS)})(?:-(?P<unit>{'|'.join(SMALL[1:10])}))?"
    rf"|(?P<small>{'|'.join(SMALL[1:])}))"
    r"(?P<power>[ -](?:hundred|thousand|million|billion|trillion)\b)?(?!\w)"
    r"(?!-?(?:first|second|third|fourth|fifth)|[ -](?:thirds?|quarters?|halves|half|fifths?|"
    r"sixths?|eighths?|tenths?|twenty|score)\b|fold|-odd|-and-|-factor|-way|['’-](?:em|d)\b| or "
    r"| and a half| to one| of (?:us|them|you)\b)",
    re.IGNORECASE,
)
_HUNDRED = re.compile(
    r"\b(?<=a )(?P<power>hundred|thousand|million|billion)(?= (?:pounds|dollars|men|miles|years|"
    r"yards|feet|people|francs|horses|acres|guineas|soldiers|workers|jobs|tons|barrels)\b)"
)
_UNIT = re.compile(
    r" (?:people|men|women|children|soldiers|workers|jobs|feet|miles|yards|pounds|dollars|tons|"
    r"acres|words|times|km|meters|metres|degrees|units|members|students|families|homes)\b"
)
_NAME = re.compile(r" [A-Z](?!entur)")
_POWERS = ("hundred", "thousand", "million", "billion")
_ORDINAL = re.compile(
    rf"(?P<lead>\b(?:the|this|last|each|every|his|her|its|their|our|my|a|in|of|for|mid-|late|early|and|to)\s)"
    rf"(?P<word>{'|'.join(_ORDINALS)})(?=[ -](?P<noun>quarter|half|time|day|year|week|month|floor|"
    r"row|attempt|child|son|daughter|visit|edition|night|issue|point|reason|factor|chapter|term|"
    r"volume|question|question|page|act|scene|act|step|stage|round|wife|husband|letter|lesson)\b)",
    re.IGNORECASE,
)
_CENTURY = re.compile(rf"\b(?P<word>{'|'.join(_CENTURIES)})(?=[ -]centur)", re.IGNORECASE)


def figures(text: str) -> Iterator[Place]:
    """Yield the amounts in figures: `$1,200`, `3.5`, `12 percent`, `10th`."""
    others: list[tuple[float, str]]
    for m in _FIGURE.finditer(text):
        digits = m["digits"]
        value = float(digits.replace(",", ""))
        start, stop = m.start("digits"), m.end("digits")
        if m["ordinal"]:
            stop = m.end("ordinal")
            others = [(n, f"{n}{_suffix(n)}") for n in _near(int(value), 2, 28)]
            if "." in digits or "," in digits or value > 31 or _NAME.match(text[m.end() :]):
                continue
        elif "." in digits or "," in digits or m["sign"] or m["percent"]:
            others = _scaled(digits, value, 100.0 if m["percent"] and value <= 100 else None)
        elif value < 2 or digits[0] == "0" or _may_be_year(digits, text[m.end() :]):
            continue
        elif value <= 12:
            others = [(n, str(n)) for n in _near(int(value), 2, 15)]
        else:
            others = _scaled(digits, value, None)
        yield Place(start, stop, "number", value, tuple(others))


def _may_be_year(digits: str, after: str) -> bool:
    return len(digits) == 4 and "1500" <= digits < "2050" and not _UNIT.match(after)


def _suffix(n: int) -> str:
    return "th" if 10 <= n % 100 <= 20 else {1: "st", 2: "nd", 3: "rd"}.get(n % 10, "th")


def _near(value: int, low: int, high: int) -> list[int]:
    """Return numbers close to the value, within bounds."""
    near = (value + step for step in (-4, -3, -2, -1, 1, 2, 3, 5, 8))
    return [n for n in near if low <= n <= high]


def _scaled(digits: str, value: float, most: float | None) -> list[tuple[float, str]]:
    """Return values of about the same size, with as many decimals, commas and round zeros."""
    decimals = len(digits.partition(".")[2])
    whole = digits.partition(".")[0].replace(",", "")
    zeros = len(whole) - len(whole.rstrip("0")) if not decimals else 0
    unit = 10.0 ** min(zeros, len(whole) - 1) if not decimals else 10.0**-decimals
    if value / unit < 3:  # 1, 20, 0.2: too few steps to scale
        options = [value + step * unit for step in (1, 2, 3, 4, 6)]
        options += [value / 2] if not decimals and zeros else []
    else:
        options = [round(value * factor / unit) * unit for factor in _FACTORS]
    others = []
    for option in options:
        if option > 0 and option != value and not (most and option > most) and option != 1:
            written = (
                f"{option:,.{decimals}f}"
                if "," in digits or (option >= 1000 and value < 1000)
                else f"{option:.{decimals}f}"
            )
            others.append((option, written))
    return list(dict(others).items())


def cardinals(text: str) -> Iterator[Place]:
    """Yield the amounts in words: `three`, `twenty-five`, `two million`."""
    for m in _CARDINAL.finditer(text):
        if m["tens"]:
            ten = TENS.index(m["tens"].lower()) + 2
            unit = SMALL.index(m["unit"].lower()) if m["unit"] else 0
            value = 10 * ten + unit
            new = [
                (10 * n + unit, TENS[n - 2] + (f"-{m['unit']}" if unit else ""))
                for n in _near(ten, 2, 9)
            ]
            stop = m.end("unit") if unit else m.end("tens")
        else:
            value = SMALL.index(m["small"].lower())
            if (value == 1 and not m["power"]) or text[: m.start()].endswith((" or ", "you ")):
                continue
            new = [(n, SMALL[n]) for n in _near(value, 2, 12 if value <= 12 else 19)]
            stop = m.end("small")
        others = tuple((n, capital_like(m[0], word)) for n, word in new)
        yield Place(m.start(), stop, "number", value, others)
    for m in _HUNDRED.finditer(text):
        at = _POWERS.index(m["power"])
        beside = [n for n in (at - 1, at + 1) if 0 <= n < len(_POWERS)]
        yield Place(m.start(), m.end(), "power", at, tuple((n, _POWERS[n]) for n in beside))


def ordinals(text: str) -> Iterator[Place]:
    """Yield what `third quarter`, `second time` and `nineteenth century` count."""
    for m in _ORDINAL.finditer(text):
        most = {"quarter": 4, "half": 2, "week": 5}.get(m["noun"].lower(), 7)
        value = _ORDINALS.index(m["word"].lower()) + 1
        others = tuple(
            (n, capital_like(m["word"], _ORDINALS[n - 1]))
            for n in range(1, most + 1)
            if 0 < abs(n - value) < 4
        )
        yield Place(m.start("word"), m.end("word"), "ordinal", value, others)
    for m in _CENTURY.finditer(text):
        value = _CENTURIES[m["word"].lower()]
        others = tuple(
            (n, capital_like(m["word"], word)) for word, n in _CENTURIES.items() if n != value
        )
        yield Place(m.start(), m.end(), "ordinal", value, others)
