"""Opposites of Chinese words: 增加 ↔ 减少, 左边 ↔ 右边, 支持 ↔ 反对, 很贵 ↔ 很便宜.

The words are those of `data/antonyms_zh.tsv` and must be whole words of the text. Words of one
character change only where a degree adverb or 得 makes them adjectives for certain. A sentence that
says the opposite, too (从上面到下面), stays as it is, and so do quoted names.
"""

import re
from functools import cache
from importlib import resources

from pairsmith.augmenters.perturb.chinese_words import (
    NO_WORD,
    Clause,
    clauses_of,
    is_noun,
    is_verb,
    written_as,
)
from pairsmith.augmenters.perturb.edits import Change, Edit

_DEGREES = frozenset("很 非常 太 更 最 比较 十分 较 特别 挺 得 越来越 这么 那么 不太 有点 相当 极其 不够 足够 更加 真".split())

_PEOPLE = frozenset("我 你 他 她 您 我们 你们 他们 她们 大家 人们 谁 人".split())
_TENSED = frozenset("以前 以后".split())
_BOUND = re.compile("(男|女)(子|生)组|东北(人|虎)|左右|先生们|收入证|出生[地率在的日]|去世的")


def candidates(text: str) -> list[Change]:
    """Return every change of a word of a Chinese text into its opposite."""
    opposites = _opposites()
    changes: list[Change] = []
    for clause in clauses_of(text):
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
    word, sentence = clause.words[i], clause.sentence
    before = clause.words[i - 1] if i else NO_WORD
    after = clause.words[i + 1] if i + 1 < len(clause.words) else NO_WORD
    if opposite in sentence or sentence.count(word.text) > 1 :
        return False
    if _BOUND.search(word.text + after.text) or before.text in ("很", "不") and word.text == "经常":
        return False
    if word.text in ("之前", "之后") and not (is_verb(before) or is_noun(before) and before.tag != "r"):
        return False
    if word.text == "不同" and re.search("根据|按照", sentence):
        return False
    if word.text in _TENSED and re.search("[过了]|[曾将会]", sentence):
        return False
    if word.text in ("之外", "以外") and "除" in sentence:
        return False
    if word.text == "开始" and re.search("[从自由].*开始", sentence):
        return False
    ends = after.text in ("", "的", "了")
    match where:
        case "g":
            return before.text in _DEGREES and (ends or (len(opposite) > 1 and after.text != "就"))
        case "e":
            return before.text in _DEGREES and ends
        case "n":
            return after.text == "的" or is_noun(after)
        case "o":
            return is_noun(after) or after.tag in ("m", "eng")
        case "v":
            return is_verb(after)
        case "p":
            return any(one.text in _PEOPLE or one.tag.startswith("nr") for one in clause.words)
        case "b":
            rest = [one.text for one in clause.words[i + 1 :]]
            ahead = after.text not in ("了", "到", "在", "于", "的", "点", "时") and "到" not in rest
            return ahead and before.text not in ("的", "被", "遭到", "受到")
    return True
