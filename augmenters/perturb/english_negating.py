"""Where `not` can be put into an English sentence that negates nothing yet."""

from collections.abc import Container
from itertools import pairwise, takewhile

from pairsmith.augmenters.perturb.edits import Change, Edit
from pairsmith.augmenters.perturb.english_words import (
    AUXILIARIES,
    BE,
    CONJUNCTIONS,
    DETERMINERS,
    MODALS,
    OBJECTS,
    PREPOSITIONS,
    SUBJECTS,
    Token,
    asked,
    verbs,
    words,
)

_NOT_AFTER = words(
    "already just also only almost nearly rather pretty far long barely fairly somewhat some soon "
    "finally merely perhaps even well ever once too several both indeed of course hardly still yet "
    "little few about quite simply like better so such therefore thus"
)
"""Words that do not stand right behind `not`, or say something else there."""
_AFTER_WHICH = words(
    "probably certainly therefore clearly surely obviously generally usually definitely possibly "
    "unfortunately fortunately sadly luckily thankfully hopefully apparently evidently supposedly "
    "presumably arguably undoubtedly"
)
"""Adverbs that stand before `not`: most speak of the whole sentence."""
_BESIDE = words("then also even later finally eventually just never always soon")
"""Adverbs that stand between `and` and a second verb, as those in -ly."""
_NOT_IN_CLAUSE = words(
    "already also too somewhat some several still yet as than whether until till unless lest only "
    "either ever any anything anyone rather both something someone"
)
_NOT_BEFORE = words("as than until till lest how after before once glad wonder")
_NO_SUBJECT = CONJUNCTIONS | PREPOSITIONS | words("here what how where when why such so there's")
_OPENERS = words("and but that because if when while since although though so which who what")
_SUPERLATIVES = words("best worst most only first")
_NO_SUPERLATIVES = words(
    "contest forest guest harvest honest interest invest protest request rest suggest test west"
)
_SPEECH = words(
    "said say says cried cry asked ask answered replied thought observed exclaimed returned "
    "continued added remarked whispered murmured muttered repeated shouted"
)
_ASIDE = _SPEECH | words(
    "think know knew suppose believe mean guess fear see saw imagine confess fancy assure"
)
"""Verbs of clauses thrown in, as `I think`."""


def insertions(text: str, sentence: list[Token]) -> list[Change]:
    """Return every edit that negates a verb of the sentence."""
    found: list[Change] = []
    if sentence[0].low in ("yes", "yeah", "sure", "ok", "okay", "what", "how", "so", "such"):
        return found
    inside = asked(sentence, openly=True)
    for at in range(len(sentence) - 1):
        token = sentence[at]
        before = sentence[at - 1] if at else None
        if not token.is_word or at in inside or not _clause_allows(sentence, at):
            continue
        if token.low in BE | MODALS:
            found += _after_auxiliary(sentence, at)
        elif token.low in ("has", "have", "had") and at:
            found += _after_have(sentence, at)
        elif token.low.endswith(("'m", "'re", "'s", "'ll")):
            found += _after_contracted(sentence, at)
        elif token.low in SUBJECTS and (
            before is None or not before.is_word or before.low in _OPENERS
        ):
            found += _with_do(sentence, at)
    return found


def _clause_allows(sentence: list[Token], at: int) -> bool:
    """Return whether words around, up to the next comma, do not forbid a negation."""
    for token in sentence[at + 1 :]:
        if token.text in ',—--()"“”':
            break
        if token.low in _NOT_IN_CLAUSE:
            return False
    pairs = pairwise(token.low for token in sentence[at + 1 :])
    if any(pair in (("but", "also"), ("but", "rather")) for pair in pairs):
        return False
    return not any(token.low in _NOT_BEFORE for token in sentence[max(0, at - 4) : at])


def coordinated(rest: list[Token], forms: Container[str]) -> bool:
    """Return whether a second verb of these forms follows, which `did not` would deny or change."""
    joined = False
    for token in rest:
        if joined and token.low in forms and token.low not in BE:
            return True
        skipped = joined and (token.low in _BESIDE or token.low.endswith("ly"))
        joined = skipped or token.low in ("and", "or", "but", ",")
    return False


def _behind(sentence: list[Token], at: int) -> tuple[Token, Token]:
    """Return what `not` follows, the auxiliary sentence[at] or an adverb, and the next word."""
    if sentence[at + 1].low in _AFTER_WHICH and at + 2 < len(sentence):
        return sentence[at + 1], sentence[at + 2]
    return sentence[at], sentence[at + 1]


def _after_auxiliary(sentence: list[Token], at: int) -> list[Change]:
    token, following = sentence[at], sentence[at + 1]
    if at == 0 or not sentence[at - 1].is_word or sentence[at - 1].low in _NO_SUBJECT:
        return []
    if not following.is_word or following.low in SUBJECTS or following.low in CONJUNCTIONS:
        return []
    if token.text[0].isupper() or following.low == "all":  # a title; that is all
        return []
    place, following = _behind(sentence, at)
    if following.low in _NOT_AFTER or not following.is_word:
        return []
    if token.low in MODALS:
        if following.low not in verbs().base and not following.low.endswith("ly"):
            return []
        if token.low in ("will", "may", "might", "can", "must") and (
            sentence[at - 1].low in DETERMINERS
            and sentence[at - 1].low not in ("this", "that", "all")
        ):
            return []
        if token.low == "can" and place is token:
            return [Edit(token.stop, token.stop, "not")]
    return [Edit(place.stop, place.stop, " not")]


def _after_have(sentence: list[Token], at: int) -> list[Change]:
    """Return `has gone` as `has not gone`, but leave `has limited means`."""
    before, token, following = sentence[at - 1 : at + 2]
    if not before.is_word or before.low in _NO_SUBJECT | AUXILIARIES or _of_the_best(sentence, at):
        return []
    if following.low not in verbs().participle or following.low in ("had", "got"):
        return []
    after = sentence[at + 2] if at + 2 < len(sentence) else None
    if after is not None and following.low.endswith("ed"):
        function_word = after.low in DETERMINERS | PREPOSITIONS | OBJECTS | CONJUNCTIONS
        if after.is_word and not function_word:
            return []
    return [Edit(token.stop, token.stop, " not")]


def _of_the_best(sentence: list[Token], at: int) -> bool:
    """Return whether `have` is of a clause behind a superlative, which makes no sense negated.

    As in `the best I have seen`, `it is the first time the bank has failed`.
    """
    lead = [token.low for token in takewhile(lambda token: token.is_word, sentence[at - 1 :: -1])]
    for i, low in enumerate(lead):
        if low in _SUPERLATIVES or (low.endswith("est") and low not in _NO_SUPERLATIVES):
            told = any(word in BE or word.endswith("'s") for word in lead[i:])
            return told or lead[0] in SUBJECTS
    return False


def _after_contracted(sentence: list[Token], at: int) -> list[Change]:
    token = sentence[at]
    place, following = _behind(sentence, at)
    subject, _, ending = token.low.rpartition("'")
    if following.low in _NOT_AFTER or not following.is_word or following.low in SUBJECTS:
        return []
    if following.low in ("welcome", "all"):
        return []
    if ending in ("m", "re") and subject in SUBJECTS:
        return [Edit(place.stop, place.stop, " not")]
    if ending == "s" and subject in ("he", "she", "it", "that", "there"):
        return [Edit(place.stop, place.stop, " not")]
    if ending == "ll" and subject in SUBJECTS and following.low in verbs().base:
        if place is not token:
            return [Edit(place.stop, place.stop, " not")]
        return [Edit(token.stop - 3, token.stop, " won" + token.text[-3] + "t")]
    return []


def _with_do(sentence: list[Token], at: int) -> list[Change]:
    """Return `he likes` as `he does not like`, where a subject pronoun begins the clause."""
    subject, verb = sentence[at], sentence[at + 1]
    following = sentence[at + 2] if at + 2 < len(sentence) else None
    known = None
    if subject.low in ("he", "she", "it"):
        do, known = "does", verbs().third.get(verb.low)
    elif verb.low in verbs().base and verb.low not in verbs().past:
        do, known = "do", verbs().base[verb.low]
    if known is None:
        do, known = "did", verbs().past.get(verb.low)
        if known and known.base == verb.low and subject.low not in ("he", "she", "it"):
            return []
    if known is None or known.base in ("be", "do", "thank", "hope", "beg", "need", "dare"):
        return []
    aside = following is None or not following.is_word
    quoted = at > 0 and not sentence[at - 1].is_word
    if (verb.low in _ASIDE and aside) or (verb.low in _SPEECH and quoted):
        return []
    if following is not None and following.low in _NOT_AFTER:
        return []
    if known.base == "have" and (
        following is None
        or following.low not in ("a", "an", "the", "to", "my", "his", "her", "their", "our", "your")
    ):
        return []
    if coordinated(sentence[at + 2 :], {"does": verbs().third, "did": verbs().past}.get(do, {})):
        return []
    return [Edit(verb.start, verb.stop, f"{do} not {known.base}")]
