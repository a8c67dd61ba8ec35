"""How a Chinese clause is negated: 是 → 不是, 有一本 → 没有, 很好 → 不好, 买了 → 没买."""

import re

from pairsmith.augmenters.perturb.chinese_affirming import NEGATION
from pairsmith.augmenters.perturb.chinese_words import (
    NO_WORD,
    Clause,
    Word,
    at,
    is_noun,
    is_verb,
    listed,
    paired,
)
from pairsmith.augmenters.perturb.edits import Change, Edit

Words = tuple[Word, ...]

_EXCLAIMS = re.compile(
    "^多么?|真[是的]?.*[啊呀]|[啊呀呗哦啦哈嘛]$|太.*了$|只[有要会能是]|才|除非|越.*越|宁|谢谢|再见"
    "|对不起|恐怕|难道"
)
"""Clauses that are no plain statements."""
_CONTRASTS = re.compile("而[不是]|还是")
"""A sentence that says what is not beside what is, or asks which: 是红的还是蓝的."""
_COPULA_STOPS = re.compile(
    "还是|而是|不?就是|[的得]是[，：]|是[以因]|要是|是否|是[的吧啊]?$|越|像.*一样|才"
)
_NO_PLACE = re.compile(
    "时|后|前|中|之|期间|下|情况|方面|过程|上述|此|其|这|那|同时|处|内|外|[了过着]"
)
_INDEFINITE = re.compile(
    "一(?![点下会些起样般直定天次年切段时半生])[^一二三]{1,2}|[几一]些|一[个种条本只]"
)
_ASIDES = re.compile(
    "方法|方式有|其中|使用(情况|说明|者|权|寿命|次数)|即可|就可|可[将使以]|有很多|的是|[后时]$|时候"
    "|以便.*$|启用后"
)
"""Where a verb that begins a clause is no instruction."""
_NOT_DENIED = listed("states") | listed("unnegatable")
_COVERBS = frozenset("把被在给向从跟对")
_NOT_SO = re.compile("[被由于]|(出生|成立|建|毕业|始建|创建|源|死)于|源自")
_CLOSED = frozenset("把被在给向从跟对为用与于和由以将")
_ADVERBS = frozenset(("已", "已经", "总是", "经常", "常常", "正在"))
_NO_OBJECT = frozenset(
    (
        "的",
        "了",
        "着",
        "过",
        "、",
        "和",
        "或",
        "与",
        "不",
        "-",
        "/",
        "于",
        "起来",
        "上去",
        "中",
        "期间",
    )
)
_NOT_TOLD = frozenset(
    ("可", "可以", "能", "会", "就", "即可", "了", "是", "还", "还是", "都", "也")
)
"""Words of a clause that tells what is, not what to do."""
_TOOLS = frozenset("跟给把用")
"""What one is told to do is the verb behind these: 把门打开, but not 跟图片一样."""
_BEGUN = frozenset(
    ("会", "能", "可以", "可", "将", "已", "已经", "曾", "被", "把", "让", "使", "所")
)


def negated(clause: Clause) -> list[Change]:
    """Return the ways to negate a clause that has no negation and is a statement or a request."""
    words, text = clause.words, clause.text
    if NEGATION.search(text) or clause.end in tuple("！!?？") or _EXCLAIMS.search(text):
        return []
    if _CONTRASTS.search(clause.sentence):
        return []
    rules = (_copula, _modal, _have, _degree, _state, _perfect, _command, _place, _coverb, _adverb)
    found = (
        next((change for rule in rules if (change := rule(words, i, text))), None)
        for i in range(len(words))
    )
    return [change for change in found if change]


def _after_subject(words: Words, i: int) -> bool:
    """Return whether what comes before word i is a subject, perhaps with 也 or 都, or nothing."""
    before = at(words, i - 1)
    return (
        not before.text or is_noun(before) or before.text in listed("adverbs") or before.tag == "t"
    )


def _copula(words: Words, i: int, text: str) -> Change | None:
    """是 → 不是."""
    word, before = words[i], at(words, i - 1)
    if word.text != "是" or not at(words, i + 1).text:
        return None
    if _COPULA_STOPS.search(text) or text.endswith(("了", "过")):
        return None
    subject = before.text and (_after_subject(words, i) or (before.text == "的" and i > 2))
    return Edit(word.start, word.start, "不") if subject else None


def _modal(words: Words, i: int, text: str) -> Change | None:
    """会, 能, 可以, 想, 必须 …: their negation."""
    word, before, after = words[i], at(words, i - 1), at(words, i + 1)
    new = paired("modals").get(word.text)
    if new is None or not (is_verb(after) or after.tag[0] in "dp" or after.text == "是"):
        return None
    if (
        not _after_subject(words, i)
        or text.endswith(("了", "过"))
        or after.text in tuple("就才说还以")
    ):
        return None
    if word.text == "可能" and not is_verb(after):
        return None
    someone = before.text in listed("pronouns") or before.tag.startswith("nr")
    return None if word.text == "要" and not someone else Edit(word.start, word.stop, new)


def _have(words: Words, i: int, text: str) -> Change | None:
    """有 → 没有, 有一本 → 没有."""
    word, before, after = words[i], at(words, i - 1), at(words, i + 1)
    if word.text != "有" or re.search("有(时(?!间)|[的点限关效了过着待])|一[样族]", text):
        return None
    if not _after_subject(words, i) or before.text in ("所", "只", "还") or _says_how(words):
        return None
    if after.tag[0] == "m":
        following = at(words, i + 2)
        if after.text == "一" and following.tag[0] in "qrmn" and len(words) > i + 3:
            return None
        if not _INDEFINITE.fullmatch(after.text):
            return Edit(word.start, word.stop, "没有")
        thing = is_noun(following) or following.tag[0] in "na"
        return Edit(word.start, after.stop, "没有") if thing else None
    thing = after.tag in ("n", "vn", "nr", "eng", "nz", "an") and after.text != "人"
    return Edit(word.start, word.start, "没") if thing else None


def _degree(words: Words, i: int, text: str) -> Change | None:
    """很好 → 不好, 非常喜欢 → 不喜欢."""
    word, after, following = words[i], at(words, i + 1), at(words, i + 2).text
    if word.text not in ("很", "非常", "十分", "相当", "特别", "极其") or text.endswith(
        ("了", "过")
    ):
        return None
    if after.text in listed("states") or after.text in ("想", "愿意", "希望"):
        return Edit(word.start, word.stop, "不")
    graded = after.tag[0] == "a" and after.text not in ("多", "少", "快", "久", "大")
    if (graded or after.text in ("漂亮", "高兴")) and after.text[:1] != "不":
        return Edit(word.start, word.stop, "不") if following in ("", "的") else None
    return None


def _state(words: Words, i: int, text: str) -> Change | None:
    """喜欢 → 不喜欢."""
    word, before, after = words[i], at(words, i - 1), at(words, i + 1)
    if word.text not in listed("states") or not _after_subject(words, i) or not after.text:
        return None
    if (
        after.text in ("的", "和", "与", "、", "或", "您的", "有", "得")
        or after.text[0] in "了过着"
    ):
        return None
    if word.text not in listed("minds") and _says_how(words):
        return None
    begun = any(one.text in _BEGUN for one in words[:i]) or before.text in ("自行", "各自", "将值")
    begun |= word.text.endswith("于") and any(map(is_verb, words[:i]))
    if begun or text.endswith(("了", "过")):
        return None
    if word.text in listed("subjected") and not is_noun(before):
        return None
    if word.text == "来自":
        return (
            None
            if "的" in [one.text for one in words[i:]]
            else Edit(word.start, word.start, "不是")
        )
    return Edit(word.start, word.start, "不")


def _perfect(words: Words, i: int, text: str) -> Change | None:
    """买了书 → 没买书, 去过日本 → 没去过日本, 已经吃了 → 还没吃."""
    verb, particle, after = words[i], at(words, i + 1), at(words, i + 2)
    experienced = verb.tag[0] in "vu" and len(verb.text) > 1 and verb.text.endswith("过")
    if not (is_verb(verb) or experienced) or verb.text in _NOT_DENIED:
        return None
    no = _no_before(words, i)
    directional = verb.text in ("去", "来") and any(map(is_verb, words[:i]))
    if no is None or directional or verb.text in ("胜过", "难过", "好过"):
        return None
    if experienced or particle.text == "过":
        done = at(words, i + (1 if experienced else 2)).text
        return no if done != "了" and no.new == "没" else None
    if particle.text != "了":
        return None
    if after.tag[0] == "m":
        known = _INDEFINITE.fullmatch(after.text) and is_noun(at(words, i + 3))
        return (no, Edit(particle.start, after.stop, "")) if known else None
    if after.text and (not is_noun(after) or words[-1].text == "了"):
        return None
    return no, Edit(particle.start, particle.stop, "")


def _no_before(words: Words, i: int) -> Edit | None:
    """Return 没 where it stands to deny verb i: before 把, 被 and the like, if there is one."""
    j = next((k for k in range(max(0, i - 5), i) if words[k].text in _CLOSED), i)
    if j < i and (words[j].text not in _COVERBS or (i - j < 2 and words[j].text != "被")):
        return None
    before = at(words, j - 1)
    if before.text in ("已经", "已"):
        return Edit(before.start, before.stop, "还没")
    subject = before.text in ("也", "都") or is_noun(before) or before.tag == "t"
    return Edit(words[j].start, words[j].start, "没") if subject else None


def _command(words: Words, i: int, text: str) -> Change | None:
    """打开文件 → 不要打开文件."""
    word, after = words[i], at(words, i + 1)
    begins = i == 0 or (i == 1 and words[0].text == "请")
    if word.text not in listed("commands") or not begins or not after.text:
        return None
    if (
        after.text in _NO_OBJECT
        or text.endswith(("的", "时", "后", "了", "过"))
        or _says_how(words)
    ):
        return None
    if word.text in _TOOLS and not _has_verb(words, i):
        return None
    bound = after.tag[0] in "cdp" and after.text not in (
        "在",
        "把",
        "从",
        "对",
        "用",
        "与",
        "给",
        "跟",
    )
    heads = ("的" in text and len(words) <= 3) or words[-1].stop - words[0].start < 5
    later = any(
        one.text in _NOT_TOLD or (one.text == "将" and at(words, j + 1).tag[0] in "vp")
        for j, one in enumerate(words)
    )
    if bound or heads or later or _ASIDES.search(text):
        return None
    return Edit(word.start, word.start, "不要")


def _says_how(words: Words) -> bool:
    """Return whether a clause is about how something is: 速度很快, 体验不错, 跟图片一样."""
    last = words[-1]
    if last.tag[0] == "a" or last.text in ("很快", "不错", "一样", "一般", "差不多"):
        return True
    inside = max((j for j, word in enumerate(words) if word.text == "的"), default=-1)
    return any(word.text in listed("degrees") for word in words[inside + 1 :])


def _has_verb(words: Words, i: int) -> bool:
    """Return whether a verb is told behind word i, or 给 gives somebody something."""
    to, what = at(words, i + 1), at(words, i + 2)
    if words[i].text == "给" and to.text in listed("pronouns") and what.tag[0] in "mnr":
        return True
    verbs = (j for j in range(i + 1, len(words)) if is_verb(words[j]) and words[j].tag != "vn")
    return any(at(words, j + 1).text != "的" for j in verbs)


def _place(words: Words, i: int, text: str) -> Change | None:
    """他在北京工作 → 他不在北京工作."""
    word, before, after = words[i], at(words, i - 1), at(words, i + 1)
    if (
        word.text != "在"
        or is_verb(at(words, i - 2))
        or before.tag not in ("r", "n", "nz", "nr", "nrt", "nrfg")
    ):
        return None
    rest = "".join(one.text for one in words[i + 1 :])
    if after.tag not in ("ns", "s", "nt", "n", "r") or _NO_PLACE.search(rest):
        return None
    return Edit(word.start, word.start, "不") if len(words) <= i + 5 else None


def _coverb(words: Words, i: int, text: str) -> Change | None:
    """被 → 没有被, 由 → 不是由, 于 and 出生于 → 并非于 and 并非出生于."""
    word, before, after = words[i], at(words, i - 1), at(words, i + 1)
    # Looking for it first keeps a long text from being searched anew at each of its words.
    if not _NOT_SO.fullmatch(word.text) or not is_noun(before) or not after.text:
        return None
    if re.search("了|而|过$", text):
        return None
    earlier = {one.text for one in words[:i]}
    if earlier & {"是", "由", "被", "在", "把", "从", "于", "当"} or text.endswith(("后", "时")):
        return None
    if word.text == "被" and not earlier & {"会", "将", "可", "能", "可以"}:
        return Edit(word.start, word.start, "没有")
    if word.text == "由" and any(is_verb(one) for one in words[i + 1 :]) and "的" not in text:
        return Edit(word.start, word.start, "不是")
    dated = word.text == "于" and re.fullmatch("[0-9]+年?|公元", after.text)
    if dated or word.text not in ("被", "由", "于"):
        return Edit(word.start, word.start, "并非")
    return None


def _adverb(words: Words, i: int, text: str) -> Change | None:
    """已保存 → 未保存, 总是 → 从不, 正在看 → 没有在看."""
    word, before, after = words[i], at(words, i - 1), at(words, i + 1)
    if word.text not in _ADVERBS or not after.text or re.search("[了过]", text):
        return None
    if word.text in ("已", "已经") and is_verb(after):
        is_so = after.text in ("有", "是", "成", "成为", "达", "达到")
        return None if is_so else Edit(word.start, word.stop, "尚未" if word.text[1:] else "未")
    if word.text in ("总是", "经常", "常常") and (
        is_verb(after) or after.text in ("在", "把", "对", "给")
    ):
        return Edit(word.start, word.stop, "从不")
    if word.text == "正在" and is_verb(after) and before is not NO_WORD:
        return Edit(word.start, word.stop, "没有在")
    return None
