"""Opposites of Chinese words: 增加 ↔ 减少, 左边 ↔ 右边, 支持 ↔ 反对, 很贵 ↔ 很便宜.

The words are those of `data/antonyms_zh.tsv` and must be whole words of the text. Words of one
character change only where a degree adverb or 得 makes them adjectives for certain. A sentence that
says the opposite, too (从上面到下面), stays as it is, and so do quoted names.
"""

import re
from functools import cache
from importlib import resources

from pairsmith.augmenters.perturb.chinese_words import (
    Clause,
    Word,
    at,
    clauses_of,
    is_noun,
    is_verb,
    listed,
    written_as,
)
from pairsmith.augmenters.perturb.edits import Change, Edit

_ASKS = re.compile("吗|是否|(.)[不没]\\1|没有$|不$|(?<![什怎多这那])么$")
"""Questions that ask the same with the opposite: 对吗."""


def candidates(text: str) -> list[Change]:
    """Return every change of a word of a Chinese text into its opposite."""
    opposites = _opposites()
    changes: list[Change] = []
    for clause in clauses_of(text):
        if _ASKS.search(clause.text):
            continue
        for i, word in enumerate(clause.words):
            for opposite, where in opposites.get(word.text, ()):
                if _fits(clause, i, opposite, where):
                    changes.append(Edit(word.start, word.stop, written_as(text, opposite)))
                    break
    return changes


@cache
def _opposites() -> dict[str, tuple[tuple[str, str], ...]]:
    """Return the opposites of each word of the list, and where each may stand."""
    file = resources.files("pairsmith.augmenters") / "data" / "antonyms_zh.tsv"
    found: dict[str, tuple[tuple[str, str], ...]] = {}
    for line in file.read_text("utf-8").splitlines():
        if not line.startswith("#"):
            word, opposite, where = (line + "\t").split("\t")[:3]
            found[word] = (*found.get(word, ()), (opposite, where))
    return found


def _fits(clause: Clause, i: int, opposite: str, where: str) -> bool:
    """Return whether the opposite may stand in place of word i: see the head of the list."""
    word, before, after = clause.words[i], at(clause.words, i - 1), at(clause.words, i + 1)
    if opposite in clause.sentence or clause.sentence.count(word.text) > 1:
        return False
    if _bound(word, before, after, clause.sentence):
        return False
    ends = after.text in ("", "的", "了")
    graded = before.text in listed("degrees")
    match where:
        case "g":
            return graded and (ends or (len(opposite) > 1 and after.text != "就"))
        case "e":
            return graded and ends
        case "n":
            return after.text == "的" or is_noun(after)
        case "o":
            return is_noun(after) or after.tag in ("m", "eng")
        case "v":
            return is_verb(after)
        case "p":
            people = listed("pronouns") | {"大家", "人们", "谁", "人"}
            return any(one.text in people or one.tag.startswith("nr") for one in clause.words)
        case "b":
            moved = any(one.text.startswith("到") for one in clause.words[i + 1 :])
            ahead = after.text not in ("了", "在", "于", "的", "点", "时") and not moved
            return ahead and before.text not in ("的", "被", "遭到", "受到")
    return True


def _bound(word: Word, before: Word, after: Word, sentence: str) -> bool:
    """Return whether a word is part of another one, or of a tense that its opposite has not."""
    match word.text:
        case "以前" | "以后":
            return re.search("[过了曾将会]", sentence) is not None
        case "之前" | "之后":
            return not (is_verb(before) or (is_noun(before) and before.tag != "r"))
        case "之外" | "以外":
            return "除" in sentence
        case "开始":
            return re.search("[从自由].*开始", sentence) is not None
        case "不同":
            return re.search("根据|按照|[稍略]有", sentence) is not None
        case "多个" | "单个":
            return "之一" in sentence
        case "大人":
            return is_noun(before)
        case "经常":
            return before.text in ("很", "不")
        case "同意":
            return "未经" in sentence
        case "收入":
            return before.text.endswith("支配")
        case "年轻人":
            return "老年" in sentence
        case "出生" | "去世":
            return after.text[:1] in ("地", "率", "在", "的", "日")
    named = ("东北人", "东北虎", "男子组", "女子组", "收入证", "国内生产", "存款准备")
    return (word.text + after.text).startswith(named)
