"""How a Chinese clause is negated: 是 → 不是, 有一本 → 没有, 很好 → 不好, 买了 → 没买, 打开 → 不要打开."""

import re
from collections.abc import Iterator

from pairsmith.augmenters.perturb.chinese_affirming import NEGATION
from pairsmith.augmenters.perturb.chinese_words import NO_WORD, Clause, Word, is_noun, is_verb
from pairsmith.augmenters.perturb.edits import Change, Edit

_MODALS = {
    **{one: f"不{one}" for one in "会 能 应该 应 想 愿意 敢 能够 可能 想要 打算 准备 可".split()},
    **{"可以": "不能", "必须": "不必", "需要": "不需要", "须": "无须", "一定": "不一定", "要": "不要", "将会": "将不会", "必": "不必"},
}
_STATES = frozenset(
    "喜欢 爱 知道 认识 相信 同意 认为 觉得 支持 允许 包含 包括 属于 适用 等于 存在 希望 懂 明白 了解 理解 记得 关心 尊重 信任 害怕 "
    "怕 讨厌 恨 羡慕 欣赏 赞成 接受 承认 像 适合 值得 显示 返回 表示 意味着 代表 影响 取决于 依赖 介意 在乎 住 叫 位于 用于 适用于 "
    "提供 使用 具有 拥有 含有 担心 反对 享受 擅长 需要 在意 符合 遵循 依赖于 对应 来自 想念 迟到 抽烟 喝酒 说话 撒谎 说谎 相当于 "
    "指定 计算 定义 应用于 作用于 出现在 受 称为 遵守 满足 重视 限制 引用 支配 归 参与 受到 起作用 接触".split()
)
_ADVERBS = frozenset(
    "也 都 可能 其实 当然 通常 一般 仍然 确实 的确 因为 所以 但 但是 如果 而且 因此 并 当 既然 虽然 然而 不过 于是 而 并且 将 可是 "
    "虽 若 由于 后来 同时 现在 今天 明天 昨天 永远 本来 实际上 事实上 则 即使 尽管 是因为 以便 这样 如 据说".split()
)
"""What may stand between a subject and the word that is negated."""
_COPULA_STOPS = re.compile("还是|而是|不?就是|[的得]是[，：]|是[以因]|要是|是否|是[的吧啊]?$|越|像.*一样|才")
_ACTS_NOT = frozenset("有 到 成 变 为 除 过 完 算 得 极 死 够 多 好 是 当 想 会 能 要 起 起来 说 停 老 行 罢 对 成为 变成 到达 来 忘".split())
_COMMANDS = frozenset(
    "选择 单击 点击 双击 按 按下 输入 打开 关闭 插入 使用 拖动 删除 选中 移动 启用 勾选 标记 右击 键入 复制 取消 编辑 添加 更改 应用 创建 "
    "设置 保存 切换 导出 导入 安装 运行 启动 执行 调整 修改 去掉 清除 隐藏 粘贴 替换 等 看 听 坐 站 躺 告诉 帮助 停止 开始 拿 放 带 给 让 "
    "洗 吃 喝 写 读 叫 回答 跟 问 穿 脱 相信 试 把 用 释放 松开 拖拽 指定 定义 隐藏 转换 转到 合并 拆分 绘制 旋转 锁定".split()
)
_AT_PLACE_NOT = re.compile("时|后|前|中|之|期间|下|情况|方面|过程|上述|此|其|这|那|同时|处|内|外")
_MEASURED = re.compile("一(?![点下会些起样般直定天次年切段时半生])[^一二三]{1,2}|[几一]些|一[个种条本只]")



def negated(clause: Clause) -> list[Change]:
    """Return the ways to negate a clause that has no negation."""
    words = clause.words
    text = "".join(word.text for word in words)
    if NEGATION.search(text) or clause.end in "！!?？" and clause.end or _EXCLAIMS.search(text):
        return []
    changes: list[Change] = []
    for i in range(len(words)):
        for rule in (_copula, _modal, _have, _degree, _state, _perfect, _command, _place, _passive, _done):
            if change := rule(words, i, text):
                changes.append(change)
                break
    return changes


_EXCLAIMS = re.compile("^多么?|真[是的]?.*[啊呀]|[啊呀呗哦啦哈嘛]$|太.*了$|只[有要会能是]|才|除非|越.*越|宁|谢谢|再见|对不起|恐怕|难道")


def _at(words: tuple[Word, ...], i: int) -> Word:
    return words[i] if 0 <= i < len(words) else NO_WORD


def _after_subject(words: tuple[Word, ...], i: int) -> bool:
    """Return whether what comes before word i is a subject, perhaps with 也 or 都, or nothing."""
    before = _at(words, i - 1)
    return not before.text or is_noun(before) or before.text in _ADVERBS or before.tag in ("nz", "t")


def _ends_in_le(words: tuple[Word, ...]) -> bool:
    return words[-1].text in ("了", "过") or words[-1].text.endswith("了")


def _copula(words: tuple[Word, ...], i: int, text: str) -> Change | None:
    word = words[i]
    before, after = _at(words, i - 1), _at(words, i + 1)
    if word.text != "是" or not after.text or _COPULA_STOPS.search(text) or _ends_in_le(words):
        return None
    relative = before.text == "的" and i > 2
    if not (before.text and (_after_subject(words, i) or relative)):
        return None
    return Edit(word.start, word.start, "不")


def _modal(words: tuple[Word, ...], i: int, text: str) -> Change | None:
    word, after = words[i], _at(words, i + 1)
    new = _MODALS.get(word.text)
    if new is None or not (is_verb(after) or after.tag[0] in "dp" or after.text == "是"):
        return None
    if not _after_subject(words, i) or _ends_in_le(words) or after.text in ("就", "才", "说", "还", "以"):
        return None
    if word.text == "可能" and not after.tag[0] == "v":
        return None
    if word.text == "要" and not (words[i - 1].text in _PEOPLE if i else False):
        return None
    return Edit(word.start, word.stop, new)


_PEOPLE = frozenset("我 你 他 她 您 我们 你们 他们 她们 汤姆 玛丽".split())


def _have(words: tuple[Word, ...], i: int, text: str) -> Change | None:
    word, before, after = words[i], _at(words, i - 1), _at(words, i + 1)
    if word.text != "有" or not after.text or re.search("有[时的点限关效了过着待]|一[样族]", text):
        return None
    if not _after_subject(words, i) or before.text in ("所", "只", "还"):
        return None
    if after.tag[0] == "m":
        start = after.stop if _MEASURED.fullmatch(after.text) else word.stop
        following = _at(words, i + 2)
        if after.text == "一" and following.tag[0] in "qrmn" and len(words) > i + 3:
            return None
        if start > word.stop and not (is_noun(following) or following.tag[0] in "na"):
            return None
        return Edit(word.start, start, "没有")
    if after.tag in ("n", "vn", "nr", "eng", "nz", "an") and after.text != "人":
        return Edit(word.start, word.start, "没")
    return None


def _degree(words: tuple[Word, ...], i: int, text: str) -> Change | None:
    word, after = words[i], _at(words, i + 1)
    if word.text not in ("很", "非常", "十分", "相当", "特别", "极其") or _ends_in_le(words):
        return None
    following = _at(words, i + 2).text
    if after.text in _STATES or after.text in ("想", "愿意", "希望"):
        return Edit(word.start, word.stop, "不")
    if after.text[:1] == "不":
        return None
    if after.tag[0] == "a" and after.text not in ("多", "少", "快", "久", "大") or after.text in ("漂亮", "高兴"):
        return Edit(word.start, word.stop, "不") if following in ("", "的") else None
    return None


def _state(words: tuple[Word, ...], i: int, text: str) -> Change | None:
    word, after = words[i], _at(words, i + 1)
    if word.text not in _STATES or not _after_subject(words, i) or not after.text:
        return None
    if after.text in ("了", "过", "着", "的", "和", "与", "、", "或", "您的", "有") or after.text[0] in "了过":
        return None
    if any(one.text in ("会", "能", "可以", "可", "将", "已", "已经", "曾", "被", "把", "让", "所") for one in words[:i]):
        return None
    if not is_noun(_at(words, i - 1)) and word.text in ("使用", "提供", "指定", "叫", "计算", "定义", "影响", "限制", "引用"):
        return None
    if _ends_in_le(words):
        return None
    new = "不是" if word.text == "来自" else "不"
    return Edit(word.start, word.start, new)


def _perfect(words: tuple[Word, ...], i: int, text: str) -> Change | None:
    """买了书 → 没买书, 去过日本 → 没去过日本, 已经吃了 → 还没吃."""
    verb, particle, after = words[i], _at(words, i + 1), _at(words, i + 2)
    experienced = verb.tag[0] in "vu" and len(verb.text) > 1 and verb.text.endswith("过")
    if not (is_verb(verb) or experienced) or verb.text in _ACTS_NOT or verb.text in _STATES:
        return None
    start = _place_of_no(words, i)
    if start is None:
        return None
    place, stop, new = start
    if experienced or particle.text == "过":
        done = _at(words, i + 1 if experienced else i + 2).text
        return Edit(place, stop, new) if done != "了" and new == "没" else None
    if particle.text == "了":
        if after.tag[0] == "m":
            if not _MEASURED.fullmatch(after.text) or not is_noun(_at(words, i + 3)):
                return None
            return (Edit(place, stop, new), Edit(particle.start, after.stop, ""))
        if after.text and not is_noun(after) and after.tag != "eng" or after.text in ("这么", "那么"):
            return None
        if words[-1].text == "了" and after.text:
            return None
        return (Edit(place, stop, new), Edit(particle.start, particle.stop, ""))
    return None


def _place_of_no(words: tuple[Word, ...], i: int) -> tuple[int, int, str] | None:
    """Return where 没 stands before verb i and what it replaces: before 把 or 被, if there is one."""
    j = i
    for k in range(max(0, i - 5), i):
        if words[k].text in ("把", "被", "在", "给", "向", "从", "跟", "对", "为", "用", "与", "于", "和", "由", "以", "将", "以"):
            j = k
            break
    if j < i and (words[j].text not in ("把", "被", "在", "给", "向", "从", "跟", "对") or i - j < 2 and words[j].text != "被"):
        return None
    before = _at(words, j - 1)
    if before.text in ("已经", "已"):
        return before.start, before.stop, "还没"
    if before.text in ("也", "都") or (before.text and is_noun(before)) or before.tag == "t":
        return words[j].start, words[j].start, "没"
    return None


def _command(words: tuple[Word, ...], i: int, text: str) -> Change | None:
    word, before, after = words[i], _at(words, i - 1), _at(words, i + 1)
    if word.text not in _COMMANDS or i > 1 or not after.text or _ends_in_le(words):
        return None
    if i == 1 and before.text != "请":
        return None
    if after.text in ("的", "了", "着", "过", "、", "和", "或", "与", "不", "-", "/", "于") or words[-1].text in ("的", "时", "后"):
        return None
    if after.tag[0] in "cdp" and after.text not in ("在", "把", "从", "对", "用", "与", "给", "跟") or _HEADINGS.search(text):
        return None
    if re.search("[后时]$|时候|以便.*$|^[^，]{0,4}$", text) or "的" in text and len(words) <= 3:
        return None
    return Edit(word.start, word.start, "不要")


_HEADINGS = re.compile("方法|方式有|其中|使用(情况|说明|者|权|寿命|次数)|即可|就可|可[将使以]|有很多|的是")


def _place(words: tuple[Word, ...], i: int, text: str) -> Change | None:
    """他在北京工作 → 他不在北京工作."""
    word, before, after = words[i], _at(words, i - 1), _at(words, i + 1)
    if word.text != "在" or not (before.tag == "r" or before.tag[:2] in ("nr", "nz") or before.tag == "n"):
        return None
    rest = text[sum(len(one.text) for one in words[: i + 1]) :]
    if after.tag not in ("ns", "s", "nt", "n", "r") or _AT_PLACE_NOT.search(rest) or re.search("[了过着]", rest):
        return None
    return Edit(word.start, word.start, "不") if len(words) <= i + 5 and before.text not in ("现在",) else None


def _passive(words: tuple[Word, ...], i: int, text: str) -> Change | None:
    """A被B批评 → A没有被B批评, 由A制作 → 不是由A制作, 于1950年出生 → 并非于1950年出生."""
    word, before, after = words[i], _at(words, i - 1), _at(words, i + 1)
    if not (before.text and is_noun(before)) or not after.text or _ends_in_le(words) or "了" in text or "而" in text:
        return None
    if any(one.text in ("是", "由", "被", "在", "把", "从", "于", "而") for one in words[:i]):
        return None
    if word.text == "被" and not any(one.text in ("会", "将", "可", "能", "可以") for one in words[:i]):
        return Edit(word.start, word.start, "没有")
    if word.text == "由" and any(is_verb(one) for one in words[i + 1 :]) and "的" not in text:
        return Edit(word.start, word.start, "不是")
    if word.text == "于" and re.fullmatch("[0-9]+|公元|[0-9]+年", after.text):
        return Edit(word.start, word.start, "并非")
    if word.text in ("出生于", "成立于", "建于", "毕业于", "始建于", "创建于", "源自", "源于", "死于"):
        return Edit(word.start, word.start, "并非")
    return None


def _done(words: tuple[Word, ...], i: int, text: str) -> Change | None:
    """已保存 → 未保存, 总是 → 从不, 正在看 → 没有在看."""
    word, before, after = words[i], _at(words, i - 1), _at(words, i + 1)
    if _ends_in_le(words) or not after.text or "了" in text or "过" in text:
        return None
    if word.text in ("已", "已经") and is_verb(after) and after.text not in ("有", "是", "成", "成为", "达", "达到"):
        return Edit(word.start, word.stop, "尚未" if len(word.text) == 2 else "未")
    if word.text in ("总是", "经常", "常常") and (is_verb(after) or after.text in ("在", "把", "对", "给")):
        return Edit(word.start, word.stop, "从不")
    if word.text == "正在" and is_verb(after) and before.text:
        return Edit(word.start, word.stop, "没有在")
    return None
