"""English words and their opposites, where the words beside say that the sense is the usual one."""

import functools
from collections import defaultdict
from itertools import pairwise
from typing import NamedTuple

from pairsmith.augmenters.endings import with_ending
from pairsmith.augmenters.perturb.edits import Change, Edit
from pairsmith.augmenters.perturb.english_words import (
    BE,
    DATA,
    MODALS,
    SUBJECTS,
    Token,
    Verb,
    asked,
    capital_like,
    sentences,
    verbs,
    words,
)

_BEFORE_VERB = MODALS | SUBJECTS | words("to do does did don't doesn't didn't not who never always")
_BEFORE_THIRD = words("he she it which who that this never always also")
_PERFECT = words("have has had having be been being is are was were am get got")
_UN = ("un", "in", "im", "il", "ir", "dis")
_NEGATIVE = words(
    "never nobody nothing few rarely seldom unless if without impossible unlikely doubt"
)
_POLAR = words(
    "any anyone anybody anything ever either yet not n't never no don't didn't won't can't"
)
"""Words that want a negation or a condition, and negations: they stay beside what they go with."""
_ASKS = BE | MODALS | words("do does did have has had")
_ASKED = SUBJECTS | words("there my this that these")
_OPENERS = words("and but so or also then well ok okay yes no hi hello great perfect please")
_OFTEN = words("usually normally often always")
"""Words that a question of when or how long does not deny: `How long does it usually take?`."""
_DEGREES = words("more most less least as so too very rather how")


class _Rule(NamedTuple):
    """One form of a word, its opposite, and where it may stand."""

    new: str
    slot: str
    """`base` or `third` of a verb, which must stand like one; `past` or `participle`, which must
    be that; else empty."""
    pair: frozenset[str]
    """All forms of both words: a text that has the opposite already is left alone."""
    not_after: frozenset[str]
    not_before: frozenset[str]
    after: frozenset[str]
    before: frozenset[str]


def candidates(text: str) -> list[Change]:
    """Return every edit that puts the opposite in place of a word, and mends `a` or `an`."""
    rules = _rules()
    found: list[Change] = []
    parts = sentences(text)
    present = {token.low for sentence in parts for token in sentence}
    for sentence in parts:
        if _asks_yes_or_no(sentence):
            continue
        inside = asked(sentence)
        for at, token in enumerate(sentence):
            if at in inside or (token.low in _OFTEN and sentence[-1].text == "?"):
                continue
            for rule in rules.get(token.low, ()):
                if _fits(rule, sentence, at) and not (rule.pair - {token.low}) & present:
                    found.append(_edit(sentence, at, rule.new))
                    break
    return found


def _asks_yes_or_no(sentence: list[Token]) -> bool:
    """Return whether it is a question that asks the same with the opposite: `Is that correct?`."""
    marked = any(token.text == "?" for token in sentence[-2:])  # many leave it out
    if marked and len(sentence) == 2:  # Correct?
        return True
    for at, (token, after) in enumerate(pairwise(sentence)):
        before = sentence[at - 1] if at else None
        if before is None or not before.is_word or before.low in _OPENERS:
            asks = token.low in _ASKS or token.low.endswith("n't")
            if asks and (marked or after.low in _ASKED):
                return True
    return False


def _fits(rule: _Rule, sentence: list[Token], at: int) -> bool:
    """Return whether the words beside allow the rule."""
    token = sentence[at]
    left = sentence[at - 1].low if at else "^"
    right = sentence[at + 1].low if at + 1 < len(sentence) else "."
    if token.text[0].isupper() and (at or token.text.isupper()):
        return False
    if left in rule.not_after or right in rule.not_before:
        return False
    if (rule.after and left not in rule.after) or (rule.before and right not in rule.before):
        return False
    if rule.new.startswith(_UN) and left in _DEGREES:
        return False
    if rule.slot in ("base", "third"):
        if left.endswith("ly") and at > 1:
            left = sentence[at - 2].low
        return left in (_BEFORE_VERB if rule.slot == "base" else _BEFORE_THIRD)
    if rule.slot in ("past", "participle"):
        perfect = any(before.low in _PERFECT for before in sentence[max(0, at - 3) : at])
        return perfect if rule.slot == "participle" else not perfect and left in _BEFORE_THIRD
    return not (token.low in _NEGATIVE and any(after.low in _POLAR for after in sentence[at:]))


def _edit(sentence: list[Token], at: int, new: str) -> Change:
    """Return the edit of sentence[at], together with that of an article before it."""
    token = sentence[at]
    edit = Edit(token.start, token.stop, capital_like(token.text, new))
    if at and sentence[at - 1].low in ("a", "an"):
        article = sentence[at - 1]
        fitting = "an" if starts_with_vowel(new) else "a"
        if fitting != article.low:
            return Edit(article.start, article.stop, capital_like(article.text, fitting)), edit
    return edit


def starts_with_vowel(word: str) -> bool:
    """Return whether `an` goes before a word."""
    low = word.lower()
    if low.startswith(("hour", "honest", "honou", "honor", "heir")):
        return True
    return low[:1] in tuple("aeiou") and not low.startswith(
        ("uni", "use", "usu", "eu", "one", "u.")
    )


@functools.cache
def _rules() -> dict[str, list[_Rule]]:
    """Return the rules of each form in `data/antonyms_en.tsv`, in its order."""
    rules: dict[str, list[_Rule]] = defaultdict(list)
    for line in (DATA / "antonyms_en.tsv").read_text("utf-8").splitlines():
        if line.startswith("#"):
            continue
        word, opposite, kind, ways, *sides = line.split("\t")
        where = [words(side) for side in sides]
        for one, other in [(word, opposite), (opposite, word)][: 2 if ways == "=" else 1]:
            forms = _forms(one, other, kind)
            pair = frozenset({*(old for old, _, _ in forms), *(new for _, new, _ in forms)})
            for old, new, slot in forms:
                rules[old].append(_Rule(new, slot, pair, *where))
    return dict(rules)


def _forms(word: str, opposite: str, kind: str) -> list[tuple[str, str, str]]:
    """Return each form of a word with that of its opposite, and its slot."""
    if kind == "noun":
        return [(word, opposite, ""), (with_ending(word, "s"), with_ending(opposite, "s"), "")]
    if kind == "adj-er":
        pairs = zip(_compared(word), _compared(opposite), strict=True)
        return [(old, new, "") for old, new in pairs]
    if kind in ("verb", "verbnoun"):
        return _verb_forms(verbs().base[word], verbs().base[opposite], kind == "verb")
    return [(word, opposite, "")]


def _verb_forms(old: Verb, new: Verb, alone: bool) -> list[tuple[str, str, str]]:
    forms = [(old.gerund, new.gerund, "")]
    forms += [(old.base, new.base, "base" if alone else "")]
    forms += [(old.third, new.third, "third" if alone else "")]
    if old.past != old.participle:
        forms += [(old.past, new.past, ""), (old.participle, new.participle, "")]
    elif new.past == new.participle:
        forms += [(old.past, new.past, "")]
    else:
        forms += [(old.past, new.past, "past"), (old.past, new.participle, "participle")]
    return [form for form in forms if form[0] not in (old.base, old.third) or form[2] or not alone]


def _compared(word: str) -> list[str]:
    """Return a short adjective with its comparative and superlative."""
    return [word, with_ending(word, "er"), with_ending(word, "est")]
