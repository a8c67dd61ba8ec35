"""Other numbers in Chinese texts: 35 → 38, 三十五 → 三十八, 2021年3月5日 → 2021年3月8日.

A digit changes and the format stays: as many digits, the same zeros, units and separators. Months
stay below 13, hours below 25, percentages below 101; in 从三点到五点 the first only falls and the
second only rises; no number becomes equal to another one of the text. Left alone are words (一般,
四周, 三明治), estimates (三四天, 几十), names and formulas (Windows 10, A1, 1.2.3), numbers of a
list (1. …) and 一 where it means "a".
"""

import re
from collections.abc import Callable, Iterator
from typing import NamedTuple

from pairsmith.augmenters.perturb.chinese_words import Word, simplified, words_of, written_as
from pairsmith.augmenters.perturb.edits import Change, Edit

_MOST = 6
"""How many values are listed for one number, so that none of a text is drawn more often."""
_DIGITS = "零一二三四五六七八九"
_COUNTS = frozenset(
    "个 只 条 张 本 件 次 天 年 月 日 号 岁 元 块 米 斤 吨 升 杯 瓶 碗 盘 名 位 所 座 栋 层 楼 间 台 部 辆 "
    "架 艘 章 首 封 幅 根 朵 棵 头 匹 种 项 遍 趟 场 届 轮 倍 折 度 点 秒 周 级 枚 颗 页 段 篇 句 行 列 款 集 "
    "夜 层 袋 箱 排 季 期 类 组 步 人 支 把 套 双 顿 圈 局 票 胜 球 英里 英尺 英寸 公里 公斤 公分 公顷 千米 千克 "
    "厘米 毫米 毫升 平方米 美元 美金 欧元 英镑 日元 港元 港币 人民币 元钱 块钱 万元 亿元 分钟 小时 星期 礼拜 世纪 年代 "
    "月份 个月 个人 个小时 个星期 个月前 天前 年前 周年 季度 年级 部分 点钟 点半 字节 像素 岁时 个字 名学生 把椅子".split()
)
"""What is counted or measured; not 分, 角, 面, 边, 下, 起, 手, whose numbers are often words."""
_OF_ONE = frozenset("年 小时 个小时 分钟 公里 元 美元 倍 星期 礼拜 个星期 周 个月 岁 米 公斤 季度 年级".split())
"""Where 一 is a number, not "a"."""
_ONES = frozenset("个 只 本 条 张 件 台 辆 杯 瓶 碗 座 棵 封 把 间 名 位 家 套 双".split())
_COPULAS = frozenset("是 像 为 叫 当 做 作 成 成为 作为 变成 属于 想 不 没 没有 还有 存在 就 那 这 另 每 某".split())
_LEFT_ALONE = re.compile("四周|三角|两[面边侧旁者方]|一[起般点些下样直定]|[三四]方|八方|千万|百度")
_NOT_AFTER_FIRST = re.compile("方|者|手|人称|夫人|世界|时间|线|语言|产业|眼|感")
_ARABIC = re.compile(r"(?<![0-9.,])[0-9]+(?:,[0-9]{3})*(?:\.[0-9]+)?(?![0-9])")
_BEFORE = re.compile(r"(?:^|[^!-~\s])\s?[(\[\"'$€£¥-]?\s?$")
_AFTER = re.compile(
    r" ?(?:%|°C?|℃|(?:[kcm]?m|[km]?g|ml|[KMG]B|[kMG]?Hz|k?W|km/h)(?![A-Za-z]))?"
    r"[)\]\"']?[.,;:!?]?(?:\s|[^!-~]|$)(?! ?[A-Za-z=+*/<>-])"
)
_DATE = re.compile(r"(?<![0-9./-])[0-9]{4}([-/.])[0-9]{1,2}\1([0-9]{1,2})(?![0-9./-])")
_CLOCK = re.compile(r"(?<![0-9:.])(?:[01]?[0-9]|2[0-4])[::]([0-5][0-9])(?![0-9:.])")
_LIST = re.compile(r"\s*[(（]?(?:[0-9]{1,2}|[一二三四五六七八九十]{1,2})(?:[.、)）](?![0-9])|[::])")
_RANGE = re.compile(
    r" ?(?:[年月日号点时岁度元万亿%米个名人]|[个]月|美元|公里|小时|分钟)?[份钟半]? ?"
    r"(?:[-–—~～至到]|直到|上升到|下降到|增加到|减少到|改为) ?(?:第|公元)?"
)
_RUN = re.compile("[〇零一二三四五六七八九十百千万亿两]+")
_FRACTION = re.compile("([一二三四五六七八九十百千万]|[0-9]+)分之([一二两三四五六七八九十百]+|[0-9]+)(?![.0-9])")
_WEEKDAY = re.compile("(?<![一二两三四五六七八九十几])(?:星期|礼拜|周|星期 )([一二三四五六])(?![个年月])")
_PLACES = {"十": 10, "百": 100, "千": 1000, "万": 10**4, "亿": 10**8}


class Number(NamedTuple):
    """A number in a text, and what it may become."""

    start: int
    stop: int
    text: str
    values: tuple[str, ...]


def candidates(text: str) -> list[Change]:
    """Return every change of a number that keeps a Chinese text well-formed."""
    plain = simplified(text)
    start = match.end() if (match := _LIST.match(plain)) else 0
    words = words_of(text)
    found: dict[int, Number] = {}
    for number in (*_fixed(plain), *_arabic(plain), *_chinese(plain, words)):
        overlaps = any(one.start < number.stop and number.start < one.stop for one in found.values())
        if number.start >= start and not overlaps:
            found[number.start] = number
    numbers = [found[at] for at in sorted(found)]
    seen = {value_of(number.text) for number in numbers}
    changes: list[Change] = []
    for i, number in enumerate(numbers):
        rises = i > 0 and _RANGE.fullmatch(plain, numbers[i - 1].stop, number.start)
        falls = i + 1 < len(numbers) and _RANGE.fullmatch(plain, number.stop, numbers[i + 1].start)
        old = value_of(number.text)
        values = [
            new
            for new in number.values
            if value_of(new) not in seen
            and not (rises and value_of(new) < old)
            and not (falls and value_of(new) > old)
        ]
        for new in values[:_MOST]:
            changes.append(Edit(number.start, number.stop, written_as(text, new)))
    return changes


def value_of(number: str) -> float:
    """Return what a number is worth: 1,234.5, 三十五, 一九九八."""
    if number[0].isascii():
        return float(number.replace(",", ""))
    if not any(sign in _PLACES for sign in number):
        return float("".join(str(_digit(sign)) for sign in number))
    total = section = digit = 0
    for sign in number:
        place = _PLACES.get(sign)
        if place is None:
            digit = _digit(sign)
        elif place < 10**4:
            section += (digit or 1) * place
            digit = 0
        else:
            total += (section + digit) * place
            section = digit = 0
    return float(total + section + digit)


def _digit(sign: str) -> int:
    return 2 if sign == "两" else _DIGITS.index(sign.replace("〇", "零"))


def _fixed(text: str) -> Iterator[Number]:
    """Yield days of dates, minutes of clock times, weekdays and fractions."""
    for match in _DATE.finditer(text):
        yield _near(match, 2, 1, 28)
    for match in _CLOCK.finditer(text):
        yield _near(match, 1, 1, 59)
    for match in _WEEKDAY.finditer(text):
        others = tuple(day for day in "一二三四五六" if day != match[1])
        yield Number(*match.span(1), match[1], others)
    for match in _FRACTION.finditer(text):
        below, above = match[1], match[2]
        if below in ("百", "千", "万"):
            yield Number(*match.span(2), above, tuple(_other_digits(above)))
        elif value_of(above) < value_of(below) < 20 and below != "十":
            others = "三四五六七八九" if below in _DIGITS else "3456789"
            larger = (one for one in others if value_of(one) > value_of(above) and one != below)
            yield Number(*match.span(1), below, tuple(larger))
        yield Number(match.start(1), match.end(2), below, ())  # nothing else may change in it


def _near(match: re.Match[str], group: int, low: int, high: int) -> Number:
    old = match[group]
    return Number(*match.span(group), old, tuple(_neighbours(old, low, high)))


def _neighbours(old: str, low: int, high: int) -> Iterator[str]:
    for step in (1, -1, 2, -2, 3, -3, 5, -5):
        if low <= int(old) + step <= high:
            new = str(int(old) + step)
            yield new.zfill(len(old)) if old[0] == "0" else new


def _arabic(text: str) -> Iterator[Number]:
    for match in _ARABIC.finditer(text):
        if _BEFORE.search(text[: match.start()]) and _AFTER.match(text, match.end()):
            old, after = match[0], text[match.end() :].lstrip(" ")
            yield Number(*match.span(), old, tuple(_arabic_values(old, after)))


def _arabic_values(old: str, after: str) -> Iterator[str]:
    if not old.isdigit() or (len(old) > 1 and old[0] == "0"):
        yield from _other_digits(old)
        return
    value = int(old)
    for unit, fits, low, high in _BOUNDS:
        if re.match(unit, after) and fits(value):
            yield from _neighbours(old, low, high)
            return
    if re.match("年(?!代)", after) and len(old) == 4 or 1900 < value < 2030:
        steps = (1, -1, 2, -3, 4, -6, -8)
        yield from (str(value + s) for s in steps if (value + s) // 100 == value // 100)
    elif after.startswith("年代"):
        others = (value - value % 100 + tens for tens in (50, 60, 70, 80, 90))
        yield from (str(new) for new in others if new != value and value % 10 == 0)
    elif after.startswith(("%", "%")) and value == 100:
        yield from ("90", "80", "50")
    elif value:
        yield from _other_digits(old)


_BOUNDS: tuple[tuple[str, Callable[[int], bool], int, int], ...] = (
    ("月", lambda n: 1 <= n <= 12, 1, 12),
    ("[日号]", lambda n: 1 <= n <= 31, 1, 28),
    ("[点时](?!间)", lambda n: 1 <= n <= 12, 1, 12),
    ("[点时](?!间)", lambda n: n <= 24, 13, 23),
    ("分(?!之|钟)", lambda n: 1 <= n <= 59, 1, 59),
    ("世纪", lambda n: 1 <= n <= 21, 1, 20),
    ("年级", lambda n: 1 <= n <= 6, 1, 6),
    ("折", lambda n: 1 <= n <= 9, 1, 9),
)
"""A unit, the values it makes sense with, and the least and the largest that replace them."""


def _other_digits(old: str) -> Iterator[str]:
    """Yield numbers that differ in one digit: the first that is not zero, or the last such."""
    places = [i for i, sign in enumerate(old) if sign in "123456789" or sign in _DIGITS[1:] or sign == "两"]
    for step in (2, -2, 3, 1, -1, 4):
        for place in dict.fromkeys((places[-1], places[0]) if places else ()):
            digit = int(old[place]) if old[place].isascii() else _digit(old[place])
            new = digit + step
            if old[place].isascii() and 1 <= new <= 9:
                yield f"{old[:place]}{new}{old[place + 1 :]}"
            elif not old[place].isascii() and 3 <= new <= 9:
                yield f"{old[:place]}{_DIGITS[new]}{old[place + 1 :]}"


def _chinese(text: str, words: list[Word]) -> Iterator[Number]:
    for i, word in enumerate(words):
        ordinal = word.text.startswith("第")
        match = _RUN.match(word.text, 1 if ordinal else 0)
        if match is None or _LEFT_ALONE.match(word.text) or (word.tag == "nr" and len(word.text) > 1):
            continue
        start, stop, old = word.start + match.start(), word.start + match.end(), match[0]
        rest = word.text[match.end() :].removeprefix("多").removeprefix("余")
        after = text[stop:] if not rest or ordinal else rest
        unit = next((u for u in (after[:4], after[:3], after[:2], after[:1]) if u in _COUNTS), "")
        before = words[i - 1].text if i else ""
        if rest and not ordinal and rest != unit and not rest.startswith(unit or "-"):
            continue
        if before.endswith(("几", "数", "好几", "上", "近百")) or not _well_formed(old, after):
            continue
        if ordinal:
            if not _NOT_AFTER_FIRST.match(after):
                yield Number(start, stop, old, tuple(_chinese_values(old, "第")))
        elif old == "一":
            if _counts_one(unit, before, words[i + 1 :]):
                yield Number(start, stop, old, tuple(_chinese_values(old, unit)))
        elif unit and not (old in ("百", "千", "万", "亿", "千万", "百万", "零", "〇")):
            yield Number(start, stop, old, tuple(_chinese_values(old, unit)))


def _well_formed(number: str, after: str) -> bool:
    """Return whether it is one number: not 三四, nor 百万 or 一万两."""
    if re.fullmatch("[〇零一二三四五六七八九]{4}", number):
        return after.startswith("年")
    return not re.search("[一二两三四五六七八九]{2}|^[百千万亿零〇]", number)


def _counts_one(unit: str, before: str, following: list[Word]) -> bool:
    """Return whether 一 is one, not "a": of a measure, or of things that are had or got."""
    if before in _COPULAS or unit not in _OF_ONE | _ONES:
        return False
    gained = any(word in before for word in ("有", "买", "卖", "吃", "喝", "写", "花", "带", "养"))
    return unit in _OF_ONE or (gained and bool(following) and following[0].tag.startswith("n"))


def _chinese_values(old: str, unit: str) -> Iterator[str]:
    if unit in ("月", "月份"):
        yield from (one for one in "三 四 五 六 七 八 九 十 十一".split() if one != old)
    elif unit == "年代":
        yield from (f"{one}十" for one in "五六七八九" if f"{one}十" != old)
    elif unit == "世纪":
        yield from (one for one in ("十六", "十七", "十八", "十九") if one != old)
    elif unit in ("点", "点钟", "点半", "年级", "折"):
        limit = 6 if unit == "年级" else 9
        yield from (one for one in _DIGITS[3 : limit + 1] if one != old)
    elif len(old) == 4 and not any(sign in _PLACES for sign in old):
        yield from (f"{old[:3]}{one}" for one in _DIGITS[1:] if one != old[3])
    elif old == "十":
        yield from ("二十", "三十", "五十")
    elif unit in ("日", "号") and len(old) > 1:
        yield from (f"十{one}" for one in _DIGITS[1:9] if f"十{one}" != old)
    else:
        yield from _other_digits(old)
