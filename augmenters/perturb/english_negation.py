"""English negation: which words can be taken away, and where `not` can be put in.

A sentence that negates something only loses its negation, so that none is doubled; a question is
left alone, because its negation asks the same.
"""

from itertools import pairwise

from pairsmith.augmenters.perturb.edits import Change, Edit
from pairsmith.augmenters.perturb.english_negating import coordinated, insertions
from pairsmith.augmenters.perturb.english_words import (
    BE,
    CONJUNCTIONS,
    DETERMINERS,
    MODALS,
    PREPOSITIONS,
    SUBJECTS,
    Token,
    asked,
    capital_like,
    is_negative,
    sentences,
    verbs,
    words,
)

_CONTRACTED = {
    "isn't": "is",
    "aren't": "are",
    "wasn't": "was",
    "weren't": "were",
    "won't": "will",
    "wouldn't": "would",
    "can't": "can",
    "cannot": "can",
    "couldn't": "could",
    "shouldn't": "should",
    "mustn't": "must",
    "mightn't": "might",
    "hasn't": "has",
    "haven't": "have",
    "hadn't": "had",
    "shan't": "shall",
}
_DO = {"don't": "do", "doesn't": "does", "didn't": "did"}
_ONLY_NEGATED = words(
    "any anyone anybody anything anywhere anymore any-more ever yet either nor neither or until "
    "till unless whatever whatsoever slightest least much long far bit let but even so such "
    "instead than rather merely only just simply alone lest enough necessarily too single if though"
)
"""Words that want a negation before them, or change their sense without it."""
_THINGS = {
    "nothing": "something",
    "nobody": "somebody",
    "nowhere": "somewhere",
}
_NOT_A_THING = words("but less like short more of if loath daunted so however and or near close")
_SOME = words(
    "evidence money reason idea choice effect sense change attempt time information hope power "
    "right authority difficulty interest danger risk sign trace room trouble work progress answer "
    "objection influence experience knowledge justification provision chance possibility "
    "intention desire desire impact charge man woman person child friend enemy law question help "
    "water food pain pleasure fear light sound sympathy patience explanation support agreement"
)
_SPANS = words("years months weeks days hours ages decades")
_NOT_ALONE = words("for long help")
"""Words that mean something else, or nothing, when `not` before them goes: `could not help`."""
_TOLD = words("hesitate worry panic forget")
"""What nobody is told to do, as one is told not to: `do not hesitate to call`."""
_ASKED = words("if whether who whom whose what which where when why how")


def candidates(text: str) -> list[Change]:
    """Return every edit that negates a sentence of the text, or takes its negation away."""
    found: list[Change] = []
    for sentence in sentences(text):
        if any(token.text == "?" for token in sentence[-2:]):
            continue
        negatives = [at for at, token in enumerate(sentence) if is_negative(token)]
        if not negatives:
            found += insertions(text, sentence)
        elif len(negatives) == 1 and negatives[0] not in asked(sentence):
            found += _removals(text, sentence, negatives[0])
        elif [sentence[at].low for at in negatives] == ["neither", "nor"]:
            found += _either(sentence, *negatives)
    return found


def _either(sentence: list[Token], neither: int, nor: int) -> list[Change]:
    """Return `neither … nor` as `either … or`, which asks for the same agreement."""
    if neither + 1 < nor and sentence[neither + 1].is_word and sentence[nor - 1].text != ",":
        edits = [(sentence[neither], "either"), (sentence[nor], "or")]
        return [tuple(Edit(t.start, t.stop, capital_like(t.text, new)) for t, new in edits)]
    return []


def _removals(text: str, sentence: list[Token], at: int) -> list[Change]:
    token = sentence[at]
    rest = sentence[at + 1 :]
    if not rest or any(t.low in _ONLY_NEGATED for t in rest) or _has_at_all(rest):
        return []
    before = sentence[at - 1] if at else None
    if _lasts(sentence, at) or _unsure(sentence, at):
        return []
    if token.low in ("not", *_CONTRACTED, *_DO):
        return _not_removed(text, sentence, at)
    if token.low == "never" and before and rest[0].is_word:
        return _never_removed(before, token, rest)
    if token.low == "no":
        return _no_removed(token, before, rest)
    if before is None and rest[0].low in PREPOSITIONS:  # an answer: nothing for now
        return []
    if token.low in _THINGS and not (rest[0].low in _NOT_A_THING and rest[0].is_word):
        return [Edit(token.start, token.stop, capital_like(token.text, _THINGS[token.low]))]
    if token.low == "none" and rest[0].low in (".", ","):
        return [Edit(token.start, token.stop, capital_like(token.text, "some"))]
    return []


def _has_at_all(rest: list[Token]) -> bool:
    return any(a.low == "at" and b.low == "all" for a, b in pairwise(rest))


def _lasts(sentence: list[Token], at: int) -> bool:
    """Return whether it goes with a time in which all was so, which wants a negation.

    That is `in years` behind it, and around a perfect `for ages` or `still`.
    """
    pairs = [(a.low, b.low) for a, b in pairwise(sentence[at + 1 :])]
    lead = {token.low for token in sentence[max(0, at - 2) : at]}
    perfect = (lead | {sentence[at].low}) & words("have has had haven't hasn't hadn't")
    return any(a == "in" and b in _SPANS for a, b in pairs) or (
        bool(perfect) and ("still" in lead or ("for", "years") in pairs or ("for", "ages") in pairs)
    )


def _unsure(sentence: list[Token], at: int) -> bool:
    """Return whether `sure why` or `seem to` follows, which none says of what is sure or can be."""
    token, rest = sentence[at], sentence[at + 1 : at + 4]
    unable = token.low in ("can't", "cannot", "couldn't") or (
        token.low == "not" and at > 0 and sentence[at - 1].low in ("can", "could")
    )
    return (unable and rest[0].low == "seem") or any(
        a.low in ("sure", "certain") and b.low in _ASKED for a, b in pairwise(rest)
    )


def _not_removed(text: str, sentence: list[Token], at: int) -> list[Change]:
    """Return the edits that take `not` or `n't` away, with the `do` that came with it."""
    token, rest = sentence[at], sentence[at + 1 :]
    before = sentence[at - 1] if at else None
    following = rest[0]
    if following.low in SUBJECTS or not following.is_word:
        return []
    if token.low in _DO or (token.low == "not" and before and before.low in _DO.values()):
        first = at if token.low in _DO else at - 1
        return _without_do(sentence, first, at)
    if token.low in _CONTRACTED:
        if before is None or not before.is_word or before.low in CONJUNCTIONS:
            return []
        if following.low in _NOT_ALONE:
            return []
        if token.low in ("can't", "cannot") and following.low in ("be", "wait"):
            return []
        return [Edit(token.start, token.stop, _CONTRACTED[token.low])]
    if before is None:
        return []
    if before.low in BE | MODALS | {"has", "have", "had", "ought"} or before.low.endswith(
        ("'s", "'re", "'m", "'ve", "'ll", "'d")
    ):
        if following.low in _NOT_ALONE:
            return []
        subject = sentence[at - 2] if at > 1 else None
        if subject is None and before.low in BE | MODALS | {"has", "have", "had"}:
            return []
        return [Edit(before.stop, token.stop, "")]
    if following.low == "to" and len(rest) > 1 and rest[1].low in verbs().base:
        if rest[1].low == "mention" or before.low in ("or", "whether", "if", "why"):
            return []
        return [Edit(token.start, following.start, "")]
    if following.low in verbs().gerund and following.low != "being":
        if before.low in CONJUNCTIONS:
            return []
        return [Edit(token.start, following.start, "")]
    return []


def _without_do(sentence: list[Token], first: int, last: int) -> list[Change]:
    """Return `does not like` as `likes`: sentence[first:last + 1] is do and not, or don't."""
    do, rest = sentence[first], sentence[last + 1 :]
    verb = rest[0]
    known = verbs().base.get(verb.low)
    if known is None or (verb.low in ("mind", "bother", "think", "know") and len(rest) < 3):
        return []
    form = _DO.get(do.low, do.low)
    before = sentence[first - 1] if first else None
    told = before is None or not before.is_word or before.low == "please"
    wrong = [token.low for token in rest[:3]] == ["get", "me", "wrong"]
    if form == "do" and told and (verb.low in _TOLD or wrong):
        return []
    if form == "do":
        if before is None:  # an imperative
            return [Edit(do.start, verb.stop, capital_like(do.text, verb.text))]
        if before.low in CONJUNCTIONS or not (before.is_word or before.text in ',"“('):
            return []
        return [Edit(do.start, verb.start, "")]
    if before is None or not before.is_word or before.low in CONJUNCTIONS or verb.low == "be":
        return []
    if coordinated(rest, verbs().base):
        return []
    return [Edit(do.start, verb.stop, known.third if form == "does" else known.past)]


def _never_removed(before: Token, token: Token, rest: list[Token]) -> list[Change]:
    if before.low in CONJUNCTIONS or not before.is_word:
        return []
    if rest[0].low in ("before", "more", "again", "mind", "fear") or rest[0].low in DETERMINERS:
        return []
    return [Edit(token.start, rest[0].start, "")]


def _no_removed(token: Token, before: Token | None, rest: list[Token]) -> list[Change]:
    first = rest[0]
    if first.low == "longer" and before and len(rest) > 1 and rest[1].is_word:
        return [Edit(token.start, first.stop, "still")]
    if first.low == "one" and token.text != "NO":
        if (len(rest) > 1 and rest[1].low in ("of", "'s", "-")) or not rest[1:]:
            return []
        return [Edit(token.start, first.stop, capital_like(token.text, "someone"))]
    noun = (
        rest[1]
        if len(rest) > 1 and first.low.endswith(("al", "ic", "ive", "ous", "ble"))
        else first
    )
    plural = noun.low.endswith("s") and not noun.low.endswith(("ss", "us", "is", "less"))
    if (
        noun.is_word
        and (plural or noun.low in _SOME)
        and noun.low not in ("signs", "means", "matters", "thanks", "worries", "regrets")
        and (before is not None or len(rest) < 2 or rest[1].low not in (",", ".", "!"))
    ):
        return [Edit(token.start, token.stop, capital_like(token.text, "some"))]
    return []
