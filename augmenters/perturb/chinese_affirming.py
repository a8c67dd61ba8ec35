"""How a Chinese clause loses its negation: 不喜欢 → 喜欢, 没买 → 买了, 别走 → 请走, 未保存 → 已保存."""

import re

from pairsmith.augmenters.perturb.chinese_words import NO_WORD, Clause, Word, is_noun, is_verb
from pairsmith.augmenters.perturb.edits import Change, Edit

NEGATION = re.compile(
    "(?<![对差])不(?!但|只|仅|光|管|论|断|久|同|列颠|少|错|料|禁|愧|幸|止|良|安|满)|没(?!收|落)|勿|未(?!来|婚)"
    "|(?<![特分性级类区差告个识辨])别(?![人的墅处扭名家克林])|无(?![论线数疑聊比辜奈])|非(?![常洲裔])"
)
"""Where a clause has a negation."""
_LEANS = re.compile(
    "再也|一点儿?[也都]|丝毫|根本|压根|万万|[什谁哪怎几]|多少|任何人?[也都]|连.*[也都]|一[^，]{0,4}[也都][没不]|除非"
    "|否则|[要若]不[是然]|不然|差点|差一点|难道|岂|何[不必]|而是|而[不非]|就是|才[不没]|可不|更不|好[不没]|免得|以免|小心"
    "|当心|防止|避免|禁止|之前|以前|前$|除了|不[得能]不|几乎|似的|比起|宁[愿可]|与其|至少|不如|不止|不.{1,2}不|不成"
    "|想不.*[都也]|不只|多大|多久|[没未].*[任太]|可言|既[不没]|不但|反而|再生|不得了|不过|不到|不一会|不客气|不好意思|不知不觉|不亚于|不外|不由|不经意|不见得|不算|没错|没准|没完|没想到"
)
"""What a negation belongs to, so that the clause would not stand without it."""
_WHOLE: dict[str, str] = {
    **{
        f"不{word}": word
        for word in (
            "能 能够 会 可以 可 应 应该 该 想 愿 愿意 敢 需要 是 像 值 怕 爱 信 让 带 喜欢 知道 支持 允许 存在 在乎 "
            "介意 买 卖 吃 喝 看 听 来 去 玩 送 换 收 用于 等于 属于 具有 包含 包括 适合 适用 满意 清楚 灵敏 合理 方便"
        ).split()
    },
    **{"不必": "必须", "不用": "需要", "不需": "需要", "不肯": "愿意", "不准": "可以", "不许": "可以"},
    **{"不太": "很", "不怎么": "很", "不再": "仍然", "不够": "足够", "不足": "足够", "不一定": "一定"},
    **{"无法": "能够", "无需": "需要", "无须": "需要", "未能": "得以", "未必": "必定", "尚未": "已经", "并未": "已经"},
    **{"并非": "是", "从不": "总是", "从来不": "总是", "绝不": "一定", "决不": "一定", "毫不": "十分", "永不": "永远"},
    **{"没能": "能够", "没法": "能", "没事": "有事", "没人": "有人", "没用": "有用", "没钱": "有钱", "没电": "有电"},
    **{"没空": "有空", "没什么": "有一些", "没关系": "有关系", "不容易": "很容易", "未指定": "已指定", "未找到": "找到"},
}
"""A negative word, and what may stand in its place."""
_GRADED = frozenset("高 大 多 远 贵 难 长 重 快 慢 冷 热 忙 饿 累 深 厚 亮 新 响 痛 好 易 稳 佳 近 深 重 甜 香 美 强".split())
_ABSOLUTE = frozenset("正确 一样 相同 可用 有效 必要 完整 一致 可能 真实 同样 完全 随便 对 行 准确 平等".split())
_PEOPLE = frozenset("我 他 她 它 我们 他们 她们 它们 咱们".split())
_COMPLEMENTS = frozenset(
    "见 到 懂 起 出 上 下 动 清 着 清楚 完 住 开 进 出来 起来 进去 出去 上去 下去 过来 过去 回来 下来 明白 成 掉 好".split()
)
_POTENTIALS = re.compile(
    "(看|听|找|买|打|想|吃|收|查|做|记|睡|搞|弄|走|跑|进|出|来|回|赶|跟|连|登|用|拿|够|分|认|读|猜|学|说|装|插|充|解决|赶|接)不"
    "(见|到|懂|起|出|上|动|清|着|清楚|完|开|进|出来|起来|进去|出去|来|去|及|了|明白|通|下)"
)
_KEPT = frozenset("想不到 用不着 对不起 了不起 看不起 瞧不起 说不上 算不上 想不开 想不通 过不去 说不出".split())
_NO_LE = frozenset(
    "包含 包括 存在 拥有 具有 属于 等于 影响 显示 敢 想 肯 要 必要 可能 打算 觉得 认为 知道 喜欢 需要 希望 让 使 给 叫 请 在 正在 "
    "允许 愿意 支持 变得 显得 值得 用于 位于 涉及 打算 成为 导致 像 比 办法 时间 关系 问题 意义 意思 机会 兴趣 工作 影响 变化 区别 差别".split()
)
_THINGS = frozenset("花 借 偏见 服务 急救 已知 会 能 可 可以 可能 应 更 办法 关系 问题 意义 意思 工作 影响 变化 区别 差别 兴趣 必要 可能 区别 限制 帮助 要求 联系 准备 活动 希望 感觉 选择 答案".split())


def affirmed(clause: Clause) -> list[Change]:
    """Return the ways to take its only negation out of a clause, at most one most often."""
    text = "".join(word.text for word in clause.words)
    if len(NEGATION.findall(text)) != 1 or _LEANS.search(text) or _asks_whether(text):
        return []
    words = clause.words
    for i in range(len(words)):
        if NEGATION.search(words[i].text):
            change = _without(words, i)
            return [change] if change else []
    return []


def _asks_whether(text: str) -> bool:
    """Return whether it has 是不是, 去没去, 有没有 or ends in 不 or 没有, as questions do."""
    return bool(re.search("(.)[不没]\\1|(..)[不没]\\2|有没有|[不没]$|没有$|不[啊呀了]$", text))


def _without(words: tuple[Word, ...], i: int) -> Change | None:
    word = words[i]
    before, after = _at(words, i - 1), _at(words, i + 1)
    ends_in_le = words[-1].text in ("了", "啦") or words[-1].text.endswith("了")
    whole = _WHOLE.get(word.text)
    if word.text in ("不", "没", "没有", "未", "别", "不要", "勿", "千万别", "无", "非", "请勿", "切勿"):
        rule = {"不": _bu, "没": _mei, "没有": _mei, "未": _wei, "无": _wu, "非": _fei}.get(word.text, _bie)
        return rule(words, i, before, after, ends_in_le)
    if whole is not None and not (ends_in_le and word.text.startswith("不")):
        if word.text in ("没什么", "不太", "不怎么", "不再", "无法", "不能") and after.text == "":
            return None
        if word.text == "尚未" or word.text == "并未":
            return _mei(words, i, before, after, ends_in_le)
        if word.text == "并非" and after.text in ("所有", "每", "每个", "全部", "一切", "人人"):
            whole = ""
        if word.text == "不足" and (after.text or not is_noun(before)):
            return None
        if word.text == "不用" and not is_verb(after):
            whole = "用"
        return Edit(word.start, word.stop, whole)
    if match := _POTENTIALS.fullmatch(word.text):
        if word.text not in _KEPT and not ends_in_le:
            at = word.start + match.end(1)
            return Edit(at, at + 1, "得")
    if re.fullmatch("不.", word.text) and word.text[1] in _GRADED and not ends_in_le:
        if after.text in ("", "的") or before.text == "得":
            return Edit(word.start, word.stop, f"很{word.text[1]}")
        return Edit(word.start, word.start + 1, "") if is_verb(after) and word.text == "不好" else None
    return None





def _at(words: tuple[Word, ...], i: int) -> Word:
    return words[i] if 0 <= i < len(words) else NO_WORD


def _bu(words: tuple[Word, ...], i: int, before: Word, after: Word, ends_in_le: bool) -> Change | None:
    word = words[i]
    if not after.text or after.text in ("了", "的", "，", "、") or ends_in_le:
        return None
    if is_verb(before) and after.text in _COMPLEMENTS and before.text not in ("要", "想", "会", "能", "可"):
        return Edit(word.start, word.stop, "得") if before.text + "不" + after.text not in _KEPT else None
    if before.text in ("从来", "从"):
        return Edit(before.start, word.stop, "总是")
    start = before.start if before.text == "并" else word.start
    if after.text in ("太", "怎么", "大"):
        return Edit(start, after.stop, "很") if len(words) > i + 2 else None
    if after.text in ("再", "必", "用"):
        return Edit(start, after.stop, {"再": "仍然", "必": "必须", "用": "需要"}[after.text])
    if after.tag[0] == "a" and after.text not in _ABSOLUTE and before.tag != "d" and not is_verb(before):
        following = _at(words, i + 2).text
        if following in ("", "的") or before.text == "得":
            return Edit(start, word.stop, "很")
    if after.tag[0] in "vadpz" or after.tag in ("l", "i", "c") or after.text in ("这样", "这么", "那么"):
        return Edit(start, word.stop, "")
    return None


def _bie(words: tuple[Word, ...], i: int, before: Word, after: Word, ends_in_le: bool) -> Change | None:
    word = words[i]
    if not after.text or ends_in_le or after.text[0] in "再说忘提急怪管看了以太的":
        return None
    if before.text in _PEOPLE or (is_noun(before) and before.text not in ("你", "您", "你们")):
        return Edit(word.start, word.stop, "要") if word.text == "不要" or is_verb(after) else None
    if not (is_verb(after) or after.text in ("把", "被", "跟", "对", "给", "在", "向", "为", "和", "用")):
        return None
    if before.text in ("请", "务必"):
        return Edit(word.start, word.stop, "")
    if word.text in ("千万别", "切勿") or before.text in ("千万", "你", "您", "你们", "一定", "最好"):
        return Edit(word.start, word.stop, "千万要" if word.text == "千万别" else "要")
    return Edit(word.start, word.stop, "请") if not before.text or word.text == "请勿" else None


def _mei(words: tuple[Word, ...], i: int, before: Word, after: Word, ends_in_le: bool) -> Change | None:
    """没 and 没有: of an act, which was done then, or of a thing, which is there then."""
    word, start, new = words[i], words[i].start, ""
    if not after.text or ends_in_le or after.text in ("的", "呢", "啊", "、"):
        return None
    if word.text in ("尚未", "并未"):
        new = "已经"
    elif before.text in ("还", "尚", "仍"):
        start, new = before.start, "已经"
    elif before.text == "并":
        start = before.start
    elif before.text in ("从来", "从"):
        start, new = before.start, "曾经"
    last = words[-1]
    if after.text == "任何":
        return Edit(start, after.stop, "有一些")
    if last.tag[0] == "a" and after.tag[0] in "rns":
        so = _at(words, i + 2).text in ("这么", "那么")
        if words[i + (3 if so else 2) :] == (last,):  # 没有他(那么)高
            return (Edit(start, word.stop, "比"), Edit(after.stop, last.start, ""))[: 1 + so]
    if after.tag == "a" and _at(words, i + 2).tag not in ("n", "uj", "vn"):
        return None
    if _is_act(after):
        return _done(words, i, start, new)
    if after.tag in ("n", "ns", "nt", "nz", "nr", "b", "an", "eng", "vn", "a") or after.text in _THINGS:
        thing = True
    elif after.tag == "m":
        thing = not re.search("[天会久下几两少半多年]", after.text)
    else:
        thing = after.text in _THIS
    if thing:
        if is_verb(before) and before.text[0] == after.text[0]:
            return None
        return Edit(start, word.stop, ("已经有" if new == "已经" else "有") if new != "曾经" else "曾经有")
    return None


_THIS = frozenset("这 这个 这种 这些 那 那个 那种 那些 其他 其它 别的 下 下一个 自己 我们 他们 朋友 很多 我 你 他 她 它".split())
_ACTS = frozenset(
    "生病 发货 起床 睡觉 回家 上学 读书 跑步 打电话 接电话 贴膜 煲机 见面 开机 标明 产生 消失 激活 体验 动手 降价 保价 买房 对准 "
    "出差错 想象 意识 发生 结婚 怀孕 上线 重建 密封 固定 听见 吃饭 吃早饭 说话 下雨 迟到 犯错 撒谎 提交 更新".split()
)
"""Acts that jieba takes for things, most of them a verb with its object."""


def _is_act(word: Word) -> bool:
    return word.text in _ACTS or (is_verb(word) and word.text not in _THINGS) or word.text in ("把", "被", "在", "正在")


def _done(words: tuple[Word, ...], i: int, start: int, new: str) -> Change | None:
    word, verb = words[i], words[i + 1]
    out = Edit(start, word.stop, new)
    if new == "曾经" and not any("过" in one.text for one in words[i + 1 :]):
        return None
    if verb.text in ("把", "被"):
        last = words[-1]
        ends_in_verb = is_verb(last) and len(words) > i + 3
        return (out, Edit(last.stop, last.stop, "了")) if ends_in_verb else None
    j = i + 1
    while j + 1 < len(words) and words[j + 1].text in _COMPLEMENTS:
        j += 1
    after = _at(words, j + 1)
    if verb.text in _NO_LE or "过" in words[j].text or after.text in ("过", "的", "在"):
        return out
    if after.text in ("着", "得", "了"):
        return None
    if is_verb(after) and after.tag != "vn":
        last = words[-1]
        return (out, Edit(last.stop, last.stop, "了")) if len(words) <= j + 4 and last.text != "的" else None
    return out, Edit(words[j].stop, words[j].stop, "了")


def _wei(words: tuple[Word, ...], i: int, before: Word, after: Word, ends_in_le: bool) -> Change | None:
    start = before.start if before.text in ("尚", "仍", "还", "并") else words[i].start
    if not is_verb(after) or before.text == "从" or ends_in_le:
        return None
    return Edit(start, words[i].stop, "已")


def _wu(words: tuple[Word, ...], i: int, before: Word, after: Word, ends_in_le: bool) -> Change | None:
    free = not before.text or is_noun(before)
    return Edit(words[i].start, words[i].stop, "有") if free and after.tag in ("n", "vn", "eng") else None


def _fei(words: tuple[Word, ...], i: int, before: Word, after: Word, ends_in_le: bool) -> Change | None:
    if after.tag in ("n", "vn", "b", "a", "v", "nz") and before.text not in ("是", "并", "绝", "若", "莫"):
        return Edit(words[i].start, words[i].stop, "")
    return None
