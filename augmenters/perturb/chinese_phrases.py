"""Names in Chinese texts: people, places, organisations, 《titles》 and 「labels」 of programs.

A name is found by its shape: 约翰·史密斯 by the point and the characters that write foreign names,
王小明 by its surname, 加利福尼亚州 by its last character, 北京 and 法国 by a list, 中国银行 by
jieba's tag or its last word. It is swapped with one of its own kind, which has the same last word.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain, islice
from zlib import crc32

from pairsmith.augmenters.perturb.chinese_words import (
    NO_WORD,
    Word,
    listed,
    simplified,
    words_of,
    written_as,
)
from pairsmith.augmenters.perturb.edits import Change, Edit, Mention

_MOST = 6
"""How many names are listed for one mention."""
_HAN = re.compile("[\u4e00-\u9fff]")
_FOREIGN = "".join(sorted(chain.from_iterable(listed("foreign"))))
_NAME = f"[{_FOREIGN}]"
_BEGIN = (
    "(?:(?<![\u4e00-\u9fff·•‧・])|(?<=[的在于与和是由对为及从至向到以被把将让给但而了有叫像比跟同或即自"
    "员家手者人师长父母子女儿弟友爵士星客国]))"
)
_STOP = re.compile(
    "(?:(?![\u4e00-\u9fff·•‧・a-z])|(?=[的在于与和是由对为及从至向到以被把将让给但而了有叫像比跟同或"
    "即曾出担获创执制发等都也则共去加成主演饰编撰写设说认指任击输赢率领取]))"
)
"""What stands around a name: no character of another one that is not listed."""
_START = re.compile(_BEGIN)
_CHAIN = re.compile(f"(?<![·•‧・]){_NAME}{{2,7}}(?:[·•‧・]{_NAME}{{1,8}})+(?![·•‧・a-z])")
_PLACE = re.compile(
    f"{_BEGIN}(?:[新东西南北]|北卡|南卡)?({_NAME}{{2,6}})(州|市|郡|县|省|镇|岛|河|湖|山脉)"
)
_OFFICE = re.compile("(" + "|".join(sorted(listed("offices"))) + ")$")
_GENERIC = re.compile(
    "(上市|国[有家立际]|商业?|中心|文[学理]|音乐|神学?|戏剧|工商|财经|理工|医|州|市|省|本|该|法)...?.?$"
    "|.{2,3}$"
)
"""Organisations without a name: 上市公司, 音乐学院."""
_PLACES = listed("countries") | listed("cities")
_TITLE = re.compile("《[^《》「」]{1,30}》")
_LABEL = re.compile("「[^「」『』，。！？；：,.!?;:=<>]{1,30}」")
_SHOWN_AS = re.compile(
    "\\s?(选项卡|对话框|按钮|菜单|窗口|字段|图标|框|命令|属性|工具栏|函数|列表|页)"
)
_ASKED = re.compile("(?:选择|点击|单击|打开|选中|使用)\\s?$")
_ENDED = re.compile("\\s?(?:[，。、；,;]|$|[可以来并])")


def mentions(text: str) -> list[Mention]:
    """Return the names in a Chinese text, in their order, none in another."""
    plain = simplified(text)
    found: list[Mention] = []
    words = words_of(text)
    for mention in (*_quoted(plain), *_foreign(plain, words), *_known(words)):
        if all(mention.stop <= one.start or one.stop <= mention.start for one in found):
            found.append(mention)
    return sorted(found)


def candidates(text: str, phrases: Mapping[str, Sequence[str]]) -> list[Change]:
    """Return changes of a name in a Chinese text into others of its kind, a few for each name."""
    plain = simplified(text)
    changes: list[Change] = []
    for start, stop, kind in mentions(text):
        others, old = phrases.get(kind, ()), plain[start:stop]
        first = crc32(f"{start} {text}".encode()) % max(len(others), 1)
        listing = map(simplified, chain(islice(others, first, None), islice(others, first)))
        fit = (new for new in listing if new not in plain and old not in new and new not in old)
        changes += [Edit(start, stop, written_as(text, new)) for new in islice(fit, _MOST)]
    return changes


def _quoted(text: str) -> Iterator[Mention]:
    for match in _TITLE.finditer(text):
        yield Mention(*match.span(), "title")
    for match in _LABEL.finditer(text):
        shown = _SHOWN_AS.match(text, match.end())
        asked = _ASKED.search(text[: match.start()]) and _ENDED.match(text, match.end())
        if _HAN.search(match[0]) and (shown or asked):
            path = " - " in match[0]
            kind = ("path" if path else "") + (shown[1] if shown else "" if path else "option")
            yield Mention(*match.span(), f"label {kind}")


def _foreign(text: str, words: list[Word]) -> Iterator[Mention]:
    unknown = {"x", "nr", "nrt", "ns", "ng", "zg"}
    begins = {one.stop for one in words if one.tag not in unknown}
    ends = {one.start for one in words if one.tag not in unknown}
    for match in _CHAIN.finditer(text):
        start, stop = match.span()
        start += 2 * match[0].startswith("哥哥")
        stop -= 2 * match[0].endswith("博士")
        if (start in begins or _START.match(text, start)) and (
            stop in ends or _STOP.match(text, stop)
        ):
            yield Mention(start, stop, "person, full name")
    for match in _PLACE.finditer(text):
        if match[1] not in listed("countries") and match[0] not in listed("nowhere"):
            yield Mention(*match.span(), f"place {match[2]}")


def _known(words: list[Word]) -> Iterator[Mention]:
    """Yield organisations, countries, cities and people that lists and tags know."""
    for before, word, after in zip((NO_WORD, *words), words, (*words[1:], NO_WORD), strict=False):
        office = _OFFICE.search(word.text)
        if office and word.tag == "nt" and not _GENERIC.match(word.text):
            yield Mention(word.start, word.stop, f"organisation {office[1]}")
        elif word.text in _PLACES and _alone(before, NO_WORD):
            kind = "country" if word.text in listed("countries") else "city"
            if after.text in listed("offices"):
                yield Mention(word.start, after.stop, f"organisation {after.text}")
            elif after.text not in listed("compounds"):
                yield Mention(word.start, word.stop, f"place {kind}")
        elif (kind := person(word)) and _alone(before, after):
            yield Mention(word.start, word.stop, kind)


def _alone(before: Word, after: Word) -> bool:
    """Return whether a name is not part of a longer one that jieba cut."""
    return not (_goes_on(before, before.text[-1:]) or _goes_on(after, after.text[:1]))


def _goes_on(word: Word, sign: str) -> bool:
    """Return whether a word whose nearer end is `sign` may belong to the name beside it."""
    if word.text in ("·", "•", "‧", "・"):
        return True
    if word.tag in ("x", "ng", "zg"):
        return _HAN.match(sign) is not None
    known = word.text in _PLACES
    return word.tag in ("nr", "nrt", "ns") and not known and sign in _FOREIGN


def person(word: Word) -> str:
    """Return the kind of person that a word names, "" for none."""
    name, given = word.text, word.text[1:]
    if not word.tag.startswith("nr") or name in listed("cities") | listed("countries"):
        return ""
    if name in listed("given") and len(name) > 1:
        return "person, given name"
    if name[0] in listed("surnames") and len(given) == 2 and name not in listed("nobody"):
        foreign = re.fullmatch(f"{_NAME}*", given)
        return "" if foreign or given[-1] in "有子儿您证卜人语区" else "person, Chinese"
    if re.fullmatch("[小老阿].", name) and given in listed("surnames"):
        return "person, Chinese nickname"
    return ""
