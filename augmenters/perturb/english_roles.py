"""English subjects and objects, sides of comparisons, origins and goals, that change places.

A few patterns with short noun phrases on both sides; pronouns change their case, verbs agree with
the new subject. What is not surely one of these patterns is left alone.
"""

from typing import NamedTuple

from pairsmith.augmenters.perturb.edits import Change, Edit
from pairsmith.augmenters.perturb.english_arguments import Argument, argument
from pairsmith.augmenters.perturb.english_exchanges import exchanges
from pairsmith.augmenters.perturb.english_words import (
    MODALS,
    OBJECTS,
    SUBJECTS,
    Token,
    Verb,
    sentences,
    verbs,
    words,
)

_OPENERS = words(
    "and but that because when if while since although though so as before after where for until"
)
_INVARIANT = MODALS | words("had did didn't couldn't wouldn't can't won't shouldn't never")
_ADVERBS = words("never always often also then once only still really even just soon first")
_WITH = {
    "look": "at",
    "smile": "at",
    "laugh": "at",
    "stare": "at",
    "gaze": "at",
    "glance": "at",
    "listen": "to",
    "turn": "to",
    "write": "to",
    "come": "to",
    "bow": "to",
    "wait": "for",
    "care": "for",
    "rely": "on",
    "think": "of",
    "shout": "at",
    "nod": "to",
    "run": "after",
    "point": "to",
    "lie": "to",
    "belong": "to",
    "reply": "to",
    "wave": "to",
    "hear": "from",
}
_RELATIONS = words(
    "exceed outweigh precede follow replace surpass cause affect influence reflect dominate "
    "contain create shape determine support accompany cover reveal threaten destroy strike produce"
)
_COMPARED = words(
    "larger smaller bigger greater higher lower taller shorter longer older younger better worse "
    "stronger weaker richer poorer faster slower wiser happier braver heavier lighter cheaper "
    "harder easier safer kinder prettier handsomer cleverer worthier wider deeper earlier later"
)
_BE = words("am is are was were")
_DETERMINED = words(
    "the a an my his her our their your this that these those another he she we they you"
)
_SELVES = words("himself herself myself yourself themselves ourselves itself each one another")


def candidates(text: str) -> list[Change]:
    """Return every swap of two arguments in the text."""
    found: list[Change] = []
    for sentence in sentences(text):
        if sentence[-1].text == "?" and sentence[-2:][0].low in SUBJECTS:
            continue  # a tag agrees with the subject: `you see me, don't you?`
        for at in range(len(sentence)):
            before = sentence[at - 1] if at else None
            opens = before is None or not before.is_word or before.low in _OPENERS
            if opens and not _coordinated(sentence, at):
                found += _clause(text, sentence, at)
        found += exchanges(sentence)
    return found


def _coordinated(sentence: list[Token], at: int) -> bool:
    """Return whether sentence[at] may be the second of two subjects: `you and Miss Fairfax`."""
    if at < 2 or sentence[at - 1].low != "and":
        return False
    first = sentence[at - 2]  # a full stop: `Mr. and Mrs. Brown`
    return first.low in SUBJECTS | OBJECTS or first.text[0].isupper() or first.text == "."


def _clause(text: str, sentence: list[Token], at: int) -> list[Change]:
    """Return the swaps of the subject that begins a clause at sentence[at]."""
    subject = argument(sentence, at, as_object=False)
    if subject is None or subject.last >= len(sentence) - 1:
        return []
    verb = _verb(sentence, subject.last)
    if verb is None:
        return []
    found: list[Change] = []
    if verb.known is not None:
        found += _active(text, sentence, subject, verb, verb.known)
    elif sentence[verb.finite].low in _BE:
        found += _compared(text, sentence, subject, verb)
    return found


class _Phrase(NamedTuple):
    """A finite verb, sentence[finite], and the verb that says what is done, up to last."""

    finite: int
    last: int
    known: Verb | None
    passive: bool


def _verb(sentence: list[Token], at: int) -> _Phrase | None:
    """Return the verb phrase that begins at sentence[at], with at most one auxiliary."""
    at = _skip(sentence, at, _ADVERBS)
    if at >= len(sentence) - 1:
        return None
    low = sentence[at].low
    then = _skip(sentence, at + 1, _ADVERBS | {"not"})
    if then >= len(sentence):
        return None
    following = sentence[then].low
    forms = verbs()
    if low in _BE:
        if following in forms.gerund:
            return _Phrase(at, then + 1, forms.gerund[following], passive=False)
        by = then + 1 < len(sentence) and sentence[then + 1].low == "by"
        if following in forms.participle and by:
            return _Phrase(at, then + 2, forms.participle[following], passive=True)
        return _Phrase(at, then, None, passive=False)
    if low in _INVARIANT | {"don't", "doesn't", "do", "does"} and low != "had":
        if following == "have" and then + 1 < len(sentence):
            known = forms.participle.get(sentence[then + 1].low)
            return _Phrase(at, then + 2, known, passive=False) if known else None
        known = forms.base.get(following)
        return _Phrase(at, then + 1, known, passive=False) if known else None
    if low in ("had", "has", "have") and following in forms.participle:
        return _Phrase(at, then + 1, forms.participle[following], passive=False)
    known = forms.past.get(low) or forms.third.get(low) or forms.base.get(low)
    return _Phrase(at, at + 1, known, passive=False) if known else None


def _skip(sentence: list[Token], at: int, adverbs: frozenset[str]) -> int:
    while at < len(sentence) and (sentence[at].low in adverbs or sentence[at].low.endswith("ly")):
        at += 1
    return at


def _active(
    text: str, sentence: list[Token], subject: Argument, phrase: _Phrase, known: Verb
) -> list[Change]:
    """Return `John hit Mary` as `Mary hit John`, and `was hit by` likewise."""
    last = phrase.last
    person = known.personal
    joined = last < len(sentence) and sentence[last].low == _WITH.get(known.base)
    if joined and not phrase.passive:
        last, person = last + 1, True
    elif known.base not in _RELATIONS and not person:
        return []
    thing = argument(sentence, last, as_object=True)
    after = sentence[thing.last].low if thing is not None and thing.last < len(sentence) else ""
    if after == "of" or (after in ("and", "or") and sentence[last].low not in OBJECTS):
        return []
    if (
        thing is None
        or thing.person != subject.person
        or (person and not subject.person and known.base not in _RELATIONS)
    ):
        return []
    if subject.person and not person:
        return []
    return _swapped(text, sentence, subject, phrase.finite, thing)


def _compared(text: str, sentence: list[Token], subject: Argument, phrase: _Phrase) -> list[Change]:
    """Return `she is taller than I` as `I am taller than she`."""
    at = _skip(sentence, phrase.last, words("much far even still somewhat"))
    if at < len(sentence) and sentence[at].low in ("more", "less"):
        at = _skip(sentence, at + 1, frozenset())
        if at < len(sentence) and not sentence[at].is_word:
            return []
    elif at >= len(sentence) or sentence[at].low not in _COMPARED:
        return []
    if at + 2 >= len(sentence) or sentence[at + 1].low != "than":
        return []
    other = argument(sentence, at + 2, as_object=True)
    if other is None:
        other = argument(sentence, at + 2, as_object=False)
        if other is None or (other.last < len(sentence) and sentence[other.last].is_word):
            return []
        subject = subject._replace(object=subject.subject)
    if other.person != subject.person:
        return []
    return _swapped(text, sentence, subject, phrase.finite, other)


def _swapped(
    text: str, sentence: list[Token], subject: Argument, finite: int, other: Argument
) -> list[Change]:
    """Return the edits that let subject and other change places, if that says something else."""
    if other.subject == subject.subject or any(t.low in _SELVES for t in sentence[other.last :]):
        return []
    verb = sentence[finite]
    agreeing = _agreeing(verb.low, other.number, subject.number)
    if agreeing is None:
        return []
    first = sentence[subject.first]
    new = other.subject
    if first.text[0].isupper() and (_opens(text, first.start) or first.low in _DETERMINED):
        new = new[:1].upper() + new[1:]
    edits = [
        Edit(first.start, sentence[subject.last - 1].stop, new),
        Edit(verb.start, verb.stop, agreeing),
        Edit(sentence[other.first].start, sentence[other.last - 1].stop, subject.object),
    ]
    if agreeing == verb.text:
        del edits[1]
    return [tuple(edits)]


def _opens(text: str, start: int) -> bool:
    """Return whether a sentence, or what is quoted, begins at text[start]."""
    head = text[:start]
    if head.endswith(('"', "“", "‘", "'")):
        return len(head) == 1 or not head[-2].isalnum()
    head = head.rstrip().rstrip("\"”’'")
    return not head or head[-1] in ".!?"


def _agreeing(verb: str, number: str, old: str) -> str | None:
    """Return the finite verb as it goes with a subject of that number."""
    if verb in _BE:
        if verb in ("was", "were"):
            return "were" if number == "pl" else "was"
        return {"i": "am", "sg": "is", "pl": "are"}[number]
    for singular, plural in (("has", "have"), ("doesn't", "don't"), ("does", "do")):
        if verb in (singular, plural):
            return singular if number == "sg" else plural
    if verb in _INVARIANT or verb in verbs().past:
        return verb
    known = verbs().third.get(verb) or verbs().base.get(verb)
    if known is None or (verb == known.third) != (old == "sg"):
        return None
    return known.third if number == "sg" else known.base
