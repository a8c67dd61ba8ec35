"""Negation in Chinese texts, in and out: 他喜欢 ↔ 他不喜欢, 买了 ↔ 没买, 已保存 ↔ 未保存.

A negation goes out where it is the only one of its clause and nothing leans on it (一点也不,
不是…而是); one comes in only in statements and requests: at the copula, a modal, 有, a verb of a
state, a degree adverb, a perfective verb or an instruction. Yes-no questions, which say the same
with and without, stay as they are, and so do fixed words (不但, 对不起, 差不多).
"""

import re

from pairsmith.augmenters.perturb.chinese_affirming import affirmed
from pairsmith.augmenters.perturb.chinese_negating import negated
from pairsmith.augmenters.perturb.chinese_words import clauses_of, written_as
from pairsmith.augmenters.perturb.edits import Change, Edit, edits_of

_ASKS = re.compile(
    "[？?吗吧呢嘛]|(?<![那这多])么|(.)[不没]\\1|有没有|是否|多少|[谁哪几啥咋]|什么(?!样)|怎"
)
_ASKS_WHY = re.compile("为什么|为何|怎么[会就又还]|为啥")


def candidates(text: str) -> list[Change]:
    """Return every change by which a clause of a Chinese text is negated or is no longer."""
    changes: list[Change] = []
    for clause in clauses_of(text):
        asks = _ASKS.search(clause.sentence)
        why = _ASKS_WHY.search(clause.sentence) and "吗" not in clause.sentence
        out = affirmed(clause) if why or not asks else None
        changes += [out] if out else [] if asks else negated(clause)
    return [
        tuple(Edit(start, stop, written_as(text, new)) for start, stop, new in edits_of(change))
        for change in changes
    ]
