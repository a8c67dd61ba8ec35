"""Other numbers in Chinese texts: 35 → 37, 三十五 → 三十七, 2021年3月5日 → 2021年3月6日.

A digit changes and the format stays: as many digits, the same zeros, units and separators. Months
stay below 13, hours below 24, days below 29 (and a month has the days of its date, a year the 29
February); in 从三点到五点 the first only falls and the second
only rises; no number becomes equal to another one of the text. Left alone are words (一般, 四周,
三明治), estimates (三四天, 几十), names and formulas (Windows 10, A1, 1.2.3), numbers of a list
(1. …) and 一 where it means "a".
"""

import re
from calendar import monthrange
from collections.abc import Callable, Iterator
from typing import NamedTuple

from pairsmith.augmenters.perturb.chinese_numerals import DIGITS, PLACES, digit_of, value_of
from pairsmith.augmenters.perturb.chinese_words import (
    Word,
    at,
    listed,
    simplified,
    words_of,
    written_as,
)
from pairsmith.augmenters.perturb.edits import Change, Edit

_MOST = 6
"""How many values are listed for one number, so that none of a text is drawn more often."""
_LEFT_ALONE = re.compile("四周|三角|两[面边侧旁者方]|一[起般点些下样直定]|[三四]方|八方|千万|百度")
_NAMED = re.compile("四季(?!度)|[一二三]级(?:市场|医院)|二次元|[三四]轮车|四人帮")
"""Names that begin like a count, of one word or of several."""
_CALLED = re.compile("(?:拨打|致电|电话|热线|尾号|卡号|账号|号码|编号)[是为：:]? ?$")
"""What stands before numbers that are no amounts: 拨打95588."""
_FROM = re.compile("[一二两三四五六七八九十百千万亿0-9][到至~-]$")
_NOT_AFTER_FIRST = re.compile("方|者|手|人|夫人|世界|时间|线|语言|产业|眼|感|印象")
_ARABIC = re.compile(r"(?<![0-9.,])[0-9]+(?:,[0-9]{3})*(?:\.[0-9]+)?(?![0-9])")
_BEFORE = re.compile(r"(?:^|[^!-~\s])\s?[(\[\"'$€£¥-]?\s?$")
_AFTER = re.compile(
    r" ?(?:%|°C?|℃|(?:[kcm]?m|[km]?g|ml|[KMG]B|[kMG]?Hz|k?W|km/h)(?![A-Za-z]))?"
    r"[)\]\"']?[.,;:!?]?(?:\s|[^!-~]|$)(?! ?[A-Za-z=+*/<>-])"
)
_DATE = re.compile(r"(?<![0-9./-])[0-9]{4}([-/.])[0-9]{1,2}\1([0-9]{1,2})(?![0-9./-])")
# Full-width : and % stand escaped: as they are, they look like those of ASCII, and were lost once.
_CLOCK = re.compile(
    r"(?<![0-9:\uff1a.])(?:[01]?[0-9]|2[0-4])[:\uff1a]([0-5][0-9])(?![0-9:\uff1a.])"
)
_TIME = re.compile(r"(?<![0-9])[0-9]{1,2}(?:\uff1a[0-5][0-9])+(?![0-9])")
_LIST = re.compile(
    r"\s*[(（]?(?:[0-9]{1,2}|[一二三四五六七八九十]{1,2})(?:[.、)）](?![0-9])|[:\uff1a])"
)
_TO = "(?:[-–—~～至到]|直到|上升到|下降到|增加到|减少到|改为) ?(?:第|公元)?"
_RANGE = re.compile(
    r" ?(?:[年月日号点时岁度元万亿%\uff05米个名人]|个月|美元|公里|小时|分钟)?[份钟半]? ?" + _TO
)
_NUMERAL = "(?:[0-9]{1,4}|[〇零一二三四五六七八九十]{1,4})"
_DAY = re.compile(f"(?:({_NUMERAL}) ?年 ?)?({_NUMERAL}) ?月 ?({_NUMERAL}) ?[日号]")
_DATES = re.compile(f" ?([年月日号]) ?(?:{_NUMERAL} ?[月日号] ?)*{_TO}(?:{_NUMERAL} ?[年月] ?)*")
_RUN = re.compile("[〇零一二三四五六七八九十百千万亿两]+")
_FRACTION = re.compile(
    "([一二三四五六七八九十百千万]|[0-9]+)分之([一二两三四五六七八九十百]+|[0-9]+)(?![.0-9])"
)
_WEEKDAY = re.compile("(?:星期|礼拜|周)[一二三四五六]")
_GAINS = re.compile("[有买卖吃喝写花带养]")


class Number(NamedTuple):
    """A number in a text, and what it may become."""

    start: int
    stop: int
    text: str
    values: tuple[str, ...]


def candidates(text: str) -> list[Change]:
    """Return every change of a number that keeps a Chinese text well-formed."""
    plain = simplified(text)
    item = _LIST.match(plain)
    start = item.end() if item else 0
    words = words_of(text)
    if not words:
        return []
    found: list[Number] = []
    for number in (*_fixed(plain, words), *_arabic(plain), *_chinese(plain, words)):
        apart = all(one.stop <= number.start or number.stop <= one.start for one in found)
        if number.start >= start and apart:
            found.append(number)
    found.sort()
    seen = {value_of(match[0]) for match in re.finditer("[0-9]+", plain)}
    seen |= {value_of(number.text) for number in found}
    changes: list[Change] = []
    for i, number in enumerate(found):
        old = value_of(number.text)
        rises = any(_ends(plain, one, number) for one in found[max(0, i - 3) : i])
        falls = any(_ends(plain, number, one) for one in found[i + 1 : i + 4])
        values = [
            new
            for new in number.values
            if (value := value_of(new)) not in seen
            and not (rises and value < old)
            and not (falls and value > old)
            and _on_calendar(plain, number, new)
        ]
        changes += [Edit(*number[:2], written_as(text, new)) for new in values[:_MOST]]
    return changes


def _ends(text: str, one: Number, other: Number) -> bool:
    """Return whether two numbers end a range: 三 and 五 of 三点到五点, the years of two dates."""
    if _RANGE.fullmatch(text, one.stop, other.start):
        return True
    dates = _DATES.fullmatch(text, one.stop, other.start)
    return dates is not None and text[other.stop : other.stop + 2].lstrip(" ").startswith(dates[1])


def _on_calendar(text: str, number: Number, new: str) -> bool:
    """Return whether the date that the new number stands in, if any, is one: not 2月31日."""
    before = text[max(0, number.start - 20) : number.start]  # no date is longer
    for date in _DAY.finditer(before + new + text[number.stop : number.stop + 20]):
        if date.start() <= len(before) < date.end():
            year, month, day = (int(value_of(part or "2000")) for part in date.groups())
            return not 1 <= month <= 12 or day <= monthrange(year, month)[1]
    return True


def _fixed(text: str, words: list[Word]) -> Iterator[Number]:
    """Yield days of dates, minutes of clock times, weekdays and fractions."""
    for match in _DATE.finditer(text):
        days = (day for day in _near(match[2], 1, 28) if len(day) == len(match[2]))
        yield Number(*match.span(2), match[2], tuple(days))
    for match in _CLOCK.finditer(text):
        minutes = (minute.zfill(2) for minute in _near(match[1], 1, 59))
        yield Number(*match.span(1), match[1], tuple(minutes))
    for word in words:
        if _WEEKDAY.fullmatch(word.text):
            old = word.text[-1]
            others = tuple(day for day in "一二三四五六" if day != old)
            yield Number(word.stop - 1, word.stop, old, others)
    for match in _FRACTION.finditer(text):
        below, above = match[1], match[2]
        if below in ("百", "千", "万"):
            yield Number(*match.span(2), above, tuple(_other_digits(above)))
        elif value_of(above) < value_of(below) < 20 and below != "十":
            others = tuple("三四五六七八九" if below in DIGITS else "3456789")
            larger = (one for one in others if value_of(one) > value_of(above) and one != below)
            yield Number(*match.span(1), below, tuple(larger))
        yield Number(match.start(1), match.end(2), below, ())  # nothing else may change in it


def _near(old: str, low: int, high: int) -> Iterator[str]:
    """Yield numbers from low to high that are near, with leading zeros where `old` has some."""
    for step in (1, -1, 2, -2, 3, -3, 5, -5):
        if low <= int(old) + step <= high:
            new = str(int(old) + step)
            yield new.zfill(len(old)) if old[0] == "0" else new


def _arabic(text: str) -> Iterator[Number]:
    times = {at for match in _TIME.finditer(text) for at in range(*match.span())}
    for match in _ARABIC.finditer(text):
        if match.start() in times or _CALLED.search(text[: match.start()][-8:]):
            continue
        if _BEFORE.search(text[: match.start()]) and _AFTER.match(text, match.end()):
            old, after = match[0], text[match.end() :].lstrip(" ")
            yield Number(*match.span(), old, tuple(_arabic_values(old, after)))


_BOUNDS: tuple[tuple[str, Callable[[int], bool], int, int], ...] = (
    ("月", lambda n: 1 <= n <= 12, 1, 12),
    ("[日号]", lambda n: 1 <= n <= 31, 1, 28),
    ("[点时](?!间)", lambda n: 1 <= n <= 12, 1, 12),
    ("[点时](?!间)", lambda n: n <= 24, 13, 23),
    ("分(?!之|钟)", lambda n: 1 <= n <= 59, 1, 59),
    ("世纪", lambda n: 1 <= n <= 21, 1, 20),
    ("年级", lambda n: 1 <= n <= 6, 1, 6),
    ("季度", lambda n: 1 <= n <= 4, 1, 4),
    ("折", lambda n: 1 <= n <= 9, 1, 9),
)
"""A unit, the values it makes sense with, and the least and the largest that replace them."""


def _arabic_values(old: str, after: str) -> Iterator[str]:
    if not old.isdigit() or (len(old) > 1 and old[0] == "0"):
        yield from _other_digits(old)
        return
    value = int(old)
    for unit, fits, low, high in _BOUNDS:
        if re.match(unit, after) and fits(value):
            yield from _near(old, low, high)
            return
    if after.startswith("年代"):
        others = (value - value % 100 + tens for tens in (50, 60, 70, 80, 90))
        yield from (str(new) for new in others if new != value and value % 10 == 0)
    elif (len(old) == 4 and after.startswith("年")) or 1900 < value < 2030:
        steps = (1, -1, 2, -3, 4, -6, -8)
        yield from (str(value + step) for step in steps if (value + step) // 100 == value // 100)
    elif after.startswith(("%", "\uff05")) and value == 100:
        yield from ("90", "80", "50")
    else:
        yield from _other_digits(old)


def _other_digits(old: str) -> Iterator[str]:
    """Yield numbers that differ in the first digit that is not zero, or in the last such."""
    places = [i for i, sign in enumerate(old) if sign in "123456789两" or sign in DIGITS[1:]]
    if not places:
        return
    ends = (places[0],) if len(places) > 4 else dict.fromkeys((places[-1], places[0]))
    for step in (2, -2, 3, 1, -1, 4):
        for place in ends:
            arabic = old[place].isascii()
            new = (int(old[place]) if arabic else digit_of(old[place])) + step
            if (1 if arabic else 3) <= new <= 9:
                yield old[:place] + (str(new) if arabic else DIGITS[new]) + old[place + 1 :]


def _chinese(text: str, words: list[Word]) -> Iterator[Number]:
    for i, word in enumerate(words):
        ordinal = word.text.startswith("第")
        match = _RUN.match(word.text, 1 if ordinal else 0)
        named = word.tag == "nr" and len(word.text) > 1
        if match is None or named or _LEFT_ALONE.match(word.text):
            continue
        if _NAMED.match(text, word.start) or _FROM.search(text[: word.start][-2:]):
            continue
        start, stop, old = word.start + match.start(), word.start + match.end(), match[0]
        rest = re.sub("^[多余]", "", word.text[match.end() :])
        after = text[stop:] if not rest or ordinal else rest
        unit = next((after[:n] for n in (4, 3, 2, 1) if after[:n] in listed("counts")), "")
        before = words[i - 1].text if i else ""
        if rest and not ordinal and rest != unit:
            continue
        if before.endswith(("几", "数", "上", "近百")) or not _well_formed(old, after):
            continue
        if ordinal:
            fits = not _NOT_AFTER_FIRST.match(after)
            unit = unit if unit == "季度" else "第"
        elif old == "一":
            fits = _counts_one(unit, before, at(tuple(words), i + 1))
        else:
            bare = old in ("百", "千", "万", "亿", "千万", "百万", "零", "〇")
            fits = bool(unit) and not bare and (old, unit) not in (("二", "元"), ("三", "元"))
        if fits:
            yield Number(start, stop, old, tuple(_chinese_values(old, unit)))


def _well_formed(number: str, after: str) -> bool:
    """Return whether it is one number: not 三四, nor 百万 or 万."""
    if re.fullmatch("[〇零一二三四五六七八九]{4}", number):
        return after.startswith("年")
    return not re.search("[一二两三四五六七八九]{2}|^[百千万亿零〇]", number)


def _counts_one(unit: str, before: str, following: Word) -> bool:
    """Return whether 一 is one, not "a": of a measure, or of things that are had or got."""
    if before in listed("articles"):
        return False
    gained = _GAINS.search(before) and following.tag.startswith("n")
    return unit in listed("measures") or bool(unit in listed("classifiers") and gained)


def _chinese_values(old: str, unit: str) -> Iterator[str]:
    if unit in ("月", "月份"):
        values = ["三", "四", "五", "六", "七", "八", "九", "十", "十一"]
    elif unit == "季度":
        values = ["一", "二", "三", "四"]
    elif unit == "年代":
        values = [f"{one}十" for one in "五六七八九"]
    elif unit == "世纪":
        values = ["十六", "十七", "十八", "十九"]
    elif unit in ("点", "点钟", "点半", "年级", "折"):
        values = list(DIGITS[3 : 7 if unit == "年级" else 10])
    elif len(old) == 4 and not PLACES.keys() & set(old):
        values = [f"{old[:3]}{one}" for one in DIGITS[1:]]
    elif old == "十":
        values = ["二十", "三十", "五十"]
    elif unit in ("日", "号") and len(old) > 1:
        values = [f"十{one}" for one in DIGITS[1:9]]
    else:
        values = list(_other_digits(old))
    yield from (one for one in values if one != old)
