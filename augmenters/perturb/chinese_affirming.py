"""How a Chinese clause loses its negation: 不喜欢 → 喜欢, 没买 → 买了, 别走 → 请走, 未存 → 已存."""

import re
from typing import NamedTuple

from pairsmith.augmenters.perturb.chinese_words import (
    Clause,
    Word,
    at,
    is_noun,
    is_verb,
    listed,
    paired,
)
from pairsmith.augmenters.perturb.edits import Change, Edit, edits_of

NEGATION = re.compile(
    "(?<![对差])不(?!但|只|仅|光|管|论|断|久|同|列颠|少|错|料|禁|愧|幸|止|良|安|满)"
    "|没(?!收|落)|勿|未(?!来|婚)|(?<![特分性级类区差告个识辨])别(?![人的墅处扭名家克林])"
    "|无(?![论线数疑聊比辜奈])|非(?![常洲裔])"
)
"""Where a clause has a negation: not in 不但, 未来, 特别, 非常, which are none."""
_LEANS = re.compile(
    "再也|一点儿?[也都]|丝毫|根本|压根|万万|[什谁哪怎几]|多少|任何人?[也都]|连.*[也都]"
    "|一[^，]{0,4}[也都][没不]|除非|否则|[要若]不[是然]|不然|差点|差一点|难道|岂|何[不必]|而是"
    "|而[不非]|就是|才[不没]|可不|更不|好[不没]|免得|以免|小心|当心|防止|避免|禁止|之前|以前|前$"
    "|除了|不[得能]不|几乎|似的|比起|宁[愿可]|与其|至少|不如|不止|不.{1,2}不|不成|想不.*[都也]"
    "|不只|多大|多久|[没未](?!有任何).*[任太]|不.*任何|可言|既[不没]|不但|反而|再生|不得了|不过|不到|不一会|不客气"
    "|不好意思|不知不觉|不亚于|不外|不由|不经意|不见得|不算|没错|没准|没完|没想到|以至于"
)
"""What a negation belongs to, so that the clause would not stand without it."""
_SO_LONG = re.compile(
    "(一直|始终|至今|迟迟|半天|[好很许]久|(?<![第0-9])([一二两三四五六七八九十半多]+|[0-9]{1,2})"
    "(天|周|年|小时|分钟|星期|礼拜|个(月|小时|星期|礼拜))).{0,4}[没未]|(迟迟|半天).{0,2}不"
)
"""The time in which something was not: 三天没吃饭."""
_WHETHER = re.compile("(.)[不没]\\1|(..)[不没]\\2|有没有|[不没]$|没有$|不[啊呀了]$")
_POTENTIAL = re.compile(
    "(看|听|找|买|打|想|吃|收|查|做|记|睡|搞|弄|走|跑|进|出|来|回|赶|跟|连|登|用|拿|够|分|认|读|猜|学"
    "|说|装|插|充|解决|接)不(见|到|懂|起|出|上|动|清|着|清楚|完|开|进|出来|起来|进去|出去|来|去|及|了"
    "|明白|通|下)"
)
_IMPERATIVES = frozenset(("别", "不要", "勿", "千万别", "请勿", "切勿"))
_COVERBS = frozenset("把被跟对给在向为和用")
_YOU = frozenset(("你", "您", "你们"))


class Site(NamedTuple):
    """A negation in its clause."""

    words: tuple[Word, ...]
    i: int
    ends_in_le: bool
    """Whether the clause ends in 了, which has a sense of its own with 不: no more."""

    @property
    def word(self) -> Word:
        """Return the negation."""
        return self.words[self.i]

    @property
    def before(self) -> Word:
        """Return the word before it."""
        return at(self.words, self.i - 1)

    @property
    def after(self) -> Word:
        """Return the word after it."""
        return at(self.words, self.i + 1)


def affirmed(clause: Clause) -> Change | None:
    """Return how to take the negation out of a clause that has a single one, or None."""
    text = clause.text.replace("为什么", "")
    if len(NEGATION.findall(text)) != 1:
        return None
    if any(pattern.search(text) for pattern in (_LEANS, _SO_LONG, _WHETHER)):
        return None
    ends_in_le = text.endswith(("了", "啦"))
    for i, word in enumerate(clause.words):
        if NEGATION.search(word.text):
            site = Site(clause.words, i, ends_in_le)
            change = _without(site)
            return None if change is None else _unled(site, change)
    return None


def _unled(site: Site, change: Change) -> Change | None:
    """Return the change without 并 and 尚, which stand before negations only: 尚不能 → 已能."""
    lead, (first, *others) = site.before, edits_of(change)
    if lead.text not in ("并", "尚") or first.start < site.word.start:
        return change
    if first.start > site.word.start:  # 并看不到 → 并看得到
        return None
    new = "已" if lead.text == "尚" else ""
    return (Edit(lead.start, first.stop, new + first.new), *others)


def _without(site: Site) -> Change | None:
    text = site.word.text
    if text in ("没", "没有", "尚未", "并未"):
        return _mei(site)
    if text in _IMPERATIVES:
        return _bie(site)
    single = {"不": _bu, "未": _wei, "无": _wu, "非": _fei}.get(text)
    if single is not None:
        return single(site)
    if text in paired("affirmed") and not (site.ends_in_le and text.startswith("不")):
        return _whole(site)
    if (match := _POTENTIAL.fullmatch(text)) and text not in listed("fixed"):
        place = site.word.start + match.end(1)
        return None if site.ends_in_le else Edit(place, place + 1, "得")
    if re.fullmatch("不.", text) and text[1] in listed("graded") and not site.ends_in_le:
        if site.after.text in ("", "的") or site.before.text == "得":
            return Edit(site.word.start, site.word.stop, f"很{text[1]}")
        if text == "不好" and is_verb(site.after):
            return Edit(site.word.start, site.word.start + 1, "")
    return None


def _whole(site: Site) -> Change | None:
    """Return the change of a negative word into another: 无法 → 能够."""
    word, after, new = site.word, site.after, paired("affirmed")[site.word.text]
    if word.text in ("没什么", "不太", "不怎么", "不再", "无法", "不能") and not after.text:
        return None
    if word.text == "不足" and (after.text or not is_noun(site.before)):
        return None
    if word.text == "并非" and after.text in ("所有", "每", "每个", "全部", "一切", "人人"):
        new = ""
    if word.text == "不用" and not is_verb(after):
        new = "用"
    return Edit(word.start, word.stop, new)


def _bu(site: Site) -> Change | None:
    """不: taken out, or 很 in its place before an adjective that ends the clause."""
    words, i, _ = site
    word, before, after = site.word, site.before, site.after
    if not after.text or after.text in ("了", "的", "，", "、") or site.ends_in_le:
        return None
    if is_verb(before) and after.text in listed("complements"):
        free = before.text not in ("要", "想", "会", "能", "可")
        kept = f"{before.text}不{after.text}" in listed("fixed")
        if free:
            return None if kept else Edit(word.start, word.stop, "得")
    if before.text in ("从来", "从"):
        return Edit(before.start, word.stop, "总是")
    if after.text in ("太", "怎么", "大"):
        return Edit(word.start, after.stop, "很") if len(words) > i + 2 else None
    if after.text in ("再", "必", "用"):
        return Edit(word.start, after.stop, {"再": "仍然", "必": "必须", "用": "需要"}[after.text])
    graded = after.tag[0] == "a" and after.text not in listed("absolute")
    ends = at(words, i + 2).text in ("", "的") or before.text == "得"
    if graded and ends and before.tag != "d" and not is_verb(before):
        return Edit(word.start, word.stop, "很")
    so = after.text in ("这样", "这么", "那么")
    if after.tag[0] in "vadpz" or after.tag in ("l", "i", "c") or so:
        return Edit(word.start, word.stop, "")
    return None


def _bie(site: Site) -> Change | None:
    """别, 不要 and 勿: one is asked to do it."""
    word, before, after = site.word, site.before, site.after
    if not after.text or site.ends_in_le or after.text[0] in "再说忘提急怪管看了以太的":
        return None
    if is_noun(before) and before.text not in _YOU:
        return Edit(word.start, word.stop, "要") if word.text == "不要" or is_verb(after) else None
    if not (is_verb(after) or after.text in _COVERBS):
        return None
    if before.text in ("请", "务必"):
        return Edit(word.start, word.stop, "")
    asked = before.text in ("千万", "一定", "最好") or before.text in _YOU
    if word.text in ("千万别", "切勿") or asked:
        return Edit(word.start, word.stop, "千万要" if word.text == "千万别" else "要")
    return Edit(word.start, word.stop, "请") if not before.text or word.text == "请勿" else None


def _mei(site: Site) -> Change | None:
    """没 and 没有: of an act, which was done then, or of a thing, which is there then."""
    words, i, _ = site
    word, before, after, last = site.word, site.before, site.after, words[-1]
    if not after.text or site.ends_in_le or after.text in ("的", "呢", "啊", "、"):
        return None
    start, new = word.start, ""
    if word.text in ("尚未", "并未"):
        new = "已经"
    elif before.text in ("还", "尚", "仍"):
        start, new = before.start, "已经"
    elif before.text in ("从来", "从"):
        start, new = before.start, "曾经"
    if after.text == "任何":
        return Edit(start, after.stop, "有一些")
    if last.tag[0] == "a" and is_noun(after):  # 没有他(那么)高 → 比他高
        so = at(words, i + 2).text in ("这么", "那么")
        if words[i + (3 if so else 2) :] == (last,):
            return (Edit(start, word.stop, "比"), Edit(after.stop, last.start, ""))[: 1 + so]
    if last.tag[0] == "a" and not is_verb(at(words, len(words) - 2)):  # 没有想象中的好
        return None
    if after.tag == "a" and at(words, i + 2).tag not in ("n", "uj", "vn"):
        return None
    if _is_act(after):
        return _done(site, start, new)
    same = is_verb(before) and before.text[0] == after.text[0]
    return Edit(start, word.stop, f"{new}有") if _is_thing(after) and not same else None


def _is_act(word: Word) -> bool:
    if word.text in listed("acts") or word.text in ("把", "被", "在", "正在"):
        return True
    return is_verb(word) and word.text not in listed("things")


def _is_thing(word: Word) -> bool:
    if word.text in listed("things") or word.text in listed("these"):
        return True
    if word.tag == "m":
        return not re.search("[天会久下几两少半多年]", word.text)
    return word.tag in ("n", "ns", "nt", "nz", "nr", "b", "an", "eng", "vn", "a")


def _done(site: Site, start: int, new: str) -> Change | None:
    """Return the change of what was not done into what was: mostly 了 after the verb."""
    words, i, _ = site
    verb, last = words[i + 1], words[-1]
    out, end = Edit(start, site.word.stop, new), Edit(last.stop, last.stop, "了")
    if new == "曾经" and not any("过" in word.text for word in words[i + 1 :]):
        return None
    if verb.text in ("把", "被"):
        return (out, end) if is_verb(last) and len(words) > i + 3 else None
    j = i + 1
    while at(words, j + 1).text in listed("complements"):
        j += 1
    after = at(words, j + 1)
    lasting = verb.text in listed("lasting") or "过" in words[j].text
    if lasting or after.text in ("过", "的", "在"):
        return out
    if after.text in ("着", "得", "了"):
        return None
    goes = verb.text in ("去", "来") and after.text in listed("acts")
    if (is_verb(after) and after.tag != "vn") or goes:
        return (out, end) if len(words) <= j + 4 and last.text != "的" else None
    return out, Edit(words[j].stop, words[j].stop, "了")


def _wei(site: Site) -> Change | None:
    """未: 已."""
    if not is_verb(site.after) or site.before.text == "从" or site.ends_in_le:
        return None
    adverb = site.before.text in ("尚", "仍", "还")
    return Edit(site.before.start if adverb else site.word.start, site.word.stop, "已")


def _wu(site: Site) -> Change | None:
    """无: 有."""
    free = not site.before.text or is_noun(site.before)
    named = site.after.tag in ("n", "vn", "eng")
    return Edit(site.word.start, site.word.stop, "有") if free and named else None


def _fei(site: Site) -> Change | None:
    """非 before what it makes the opposite of: 非空单元格."""
    if site.before.text in ("是", "并", "绝", "若", "莫"):
        return None
    fits = site.after.tag in ("n", "vn", "b", "a", "v", "nz")
    return Edit(site.word.start, site.word.stop, "") if fits else None
