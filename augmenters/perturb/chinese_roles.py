"""Who did what to whom, swapped in Chinese: 汤姆喜欢玛丽 → 玛丽喜欢汤姆, 我比你高 → 你比我高.

Swapped are pronouns and names of people around a verb (also with 把, 被, 给, 对 and 向), the two
sides of 比 (in 他的个子比我高 only 他 and 我), the ends of 从…到…, and two names of one kind that a
verb keeps apart (生于纽约，死于伦敦).
What holds both ways stays as it is: 和, 与, 是, 结婚, 见面.
"""

import re
from collections.abc import Iterator
from typing import TypeAlias

from pairsmith.augmenters.perturb.chinese_phrases import mentions, person
from pairsmith.augmenters.perturb.chinese_words import (
    Clause,
    Word,
    at,
    clauses_of,
    is_noun,
    is_verb,
    listed,
    simplified,
)
from pairsmith.augmenters.perturb.edits import Change, Edit, Mention

Pair: TypeAlias = tuple[tuple[int, int], tuple[int, int]]
"""From where to where the two phrases stand that are swapped."""

_ALIKE = re.compile(
    "互相|彼此|一起|之间|一样|相[同似等比爱识]|结婚|离婚|见面|分手|吵架|双方|两人|都是|有关"
    "|称[为作]|[又亦]名|(.)[不没]\\1"
)
"""What holds both ways, or asks whether."""
_DISTANCE = re.compile(
    "公里|千米|[英海华]里|[0-9一二三四五六七八九十百千万几多半] ?里|距离|多远|路程"
)
"""How far it is from one end to the other, which is as far the other way."""
_FORMER = re.compile(
    "以前|之前|过去|上[次周个]|原来|平时|想象|预期|什么|谁|任何|其他|别|往|一般|一[天年次个]|自己"
)
_SAME = {"您": "你", "你们": "你", "我们": "我", "咱们": "我", "俺": "我"}
"""We and you, who are not swapped with themselves."""
_AFTER_OBJECT = frozenset(("", "的", "吗", "吧", "了", "呢", "过", "很", "时", "不", "去", "来"))
_BESIDE = frozenset(("和", "与", "、", "或", "跟", "·", "自己", "家"))


def candidates(text: str) -> list[Change]:
    """Return every change of a Chinese text in which two take each other's place."""
    plain, clauses = simplified(text), clauses_of(text)
    pairs: list[Pair] = []
    for clause in clauses:
        pairs += [*_acting(clause), *_compared(clause), *_from_to(clause)]
    if not pairs and clauses:
        pairs += _apart(plain, clauses, mentions(text))
    return [
        (Edit(*one, text[slice(*other)]), Edit(*other, text[slice(*one)]))
        for one, other in pairs
        if _meant(plain[slice(*one)]) != _meant(plain[slice(*other)])
    ]


def _meant(phrase: str) -> str:
    return _SAME.get(phrase, phrase)


def _span(words: tuple[Word, ...]) -> tuple[int, int]:
    return words[0].start, words[-1].stop


def _acting(clause: Clause) -> Iterator[Pair]:
    """Yield subject and object: people, names or pronouns of them, of one verb."""
    words = clause.words
    if _ALIKE.search(clause.text):
        return
    subject = _person(words, 0) or (_person(words, 1) if words[0].text in listed("openers") else ())
    if not subject:
        return
    begin = subject[-1].stop
    for i, word in enumerate(words[:7]):
        if word.start < begin:
            continue
        if word.text in listed("joins") or (is_noun(word) and word.tag not in ("t", "f")):
            return
        verb = words[i - 1] if word.text == "了" else word
        acts = is_verb(verb) or verb.text in listed("towards")
        if acts and verb.text in listed("mutual"):
            return
        target = _person(words, i + 1)
        if acts and target:
            after = at(words, i + 1 + len(target))
            apposed = len(target) > 1 and after.tag[0] in "nx"
            all_of_them = any(one.text == "都" for one in words[:i])
            if _may_follow(after, verb) and not apposed and not all_of_them:
                yield _span(subject), _span(target)
            return


def _person(words: tuple[Word, ...], i: int) -> tuple[Word, ...]:
    """Return the words that name a person from word i on: none, one, or 我 妈妈."""
    word, after = at(words, i), at(words, i + 1)
    if word.text in listed("pronouns") and after.text in listed("kin"):
        return words[i : i + 2]
    named = word.text in listed("pronouns") or word.text in listed("kin") or person(word)
    return words[i : i + 1] if named and after.text not in _BESIDE else ()


def _may_follow(after: Word, verb: Word) -> bool:
    """Return whether what stands after the object is not a part of it."""
    if after.text in _AFTER_OBJECT or is_verb(after) or after.tag[0] in "dpmac":
        return True
    return verb.text in listed("towards") and is_noun(after)


def _compared(clause: Clause) -> Iterator[Pair]:
    """Yield the two sides of 比."""
    words = clause.words
    for i in range(1, min(5, len(words) - 2)):
        if words[i].text != "比":
            continue
        left = words[:i]
        while len(left) > 1 and left[0].tag in ("c", "t") and left[1].text != "的":
            left = left[1:]
        right: tuple[Word, ...] = ()
        for word in words[i + 1 :]:
            if word.tag[0] in "adz" or word.text in listed("grades"):
                break
            right += (word,)
        compared = right and len(right) <= 4 and i + 1 + len(right) < len(words)
        named = all(map(_nominal, (*left, *right))) and left[-1].text not in ("感觉", "的")
        former = _FORMER.search("".join(word.text for word in right))
        if compared and named and not former and (one := _side(left, right)):
            yield _span(one), _span(right)


def _side(left: tuple[Word, ...], right: tuple[Word, ...]) -> tuple[Word, ...]:
    """Return what of the left side of 比 the right side stands for: 他 of 他的个子比我高.

    Returns () where nothing of its kind is there, as in 公司的工资比去年高.
    """
    ours = next((i for i in range(len(left) - 1, 0, -1) if left[i].text == "的"), 0)
    head = left[-1]
    alone = len(right) == 1 and right[0].tag in ("r", "nr", "ns", "t")
    if not ours or not alone or right[0].text in ("这", "那", "此"):
        return left
    if head.text in listed("kin") or person(head):  # 我的妹妹比他高
        return left
    timed = right[0].tag == "t"
    if timed != (left[ours - 1].tag == "t"):
        return ()
    return left[ours - 1 : ours] if timed else left[:ours]


def _nominal(word: Word) -> bool:
    return is_noun(word) or word.text == "的" or word.tag in ("m", "q", "mq", "nz", "vn", "t")


def _from_to(clause: Clause) -> Iterator[Pair]:
    """Yield the ends of 从…到…, which are places or people."""
    words = clause.words
    if _DISTANCE.search(clause.text):
        return
    for i in range(len(words) - 3):
        start, end = words[i + 1], words[i + 3]
        goes = words[i].text in ("从", "由") and words[i + 2].text in listed("arrivals")
        places = all(one.tag in ("ns", "nr", "r", "s") for one in (start, end))
        after = at(words, i + 4).text
        known = (
            after != "的"
            and start.text not in ("这", "那", "此", "头", "这里", "那里")
            and end.text != "这"
        )
        if goes and places and known:
            yield start[:2], end[:2]


def _apart(text: str, clauses: list[Clause], names: list[Mention]) -> Iterator[Pair]:
    """Yield two names of one kind, the only ones of it, with a verb between them."""
    begins = {name.start for name in names}
    if _ALIKE.search(text):
        return
    for kind in dict.fromkeys(name.kind for name in names):
        two = [name for name in names if name.kind == kind]
        if len(two) != 2 or kind == "title" or kind.startswith("label"):
            continue
        one, other = two
        between = text[one.stop : other.start]
        joined = re.search("[。！？；\\n]|[和与及、或跟同]|就是|是$|即", between)
        if joined or any(name.stop in begins for name in two):
            continue
        if any(
            is_verb(word) and word.text not in listed("mutual")
            for clause in clauses
            for word in clause.words
            if one.stop <= word.start < other.start
        ):
            yield one[:2], other[:2]
