"""English pairs of words that change places: origin and goal, what is preferred to what."""

from pairsmith.augmenters.perturb.edits import Change, Edit
from pairsmith.augmenters.perturb.english_antonyms import starts_with_vowel
from pairsmith.augmenters.perturb.english_arguments import argument
from pairsmith.augmenters.perturb.english_phrases import names
from pairsmith.augmenters.perturb.english_words import OBJECTS, Token, words

_ENDS = words(
    "top bottom beginning end start finish first last head foot floor ceiling contrary point "
    "one other effect"
)
_ENDINGS = tuple(
    sorted(words("ed ing ly tion ment ness ity ism ous ive al ic ies es ts ns rs"), reverse=True)
)
_ADJECTIVE = ("ous", "ive", "al", "ic")
_AFTER_CHOICE = words(
    "the a an in on at by to for with from as and but that which when his her their its our my "
    "this these of"
)
_DISTANCES = words("mile miles km kilometre kilometres kilometer kilometers distance road way far")
"""Words that say the distance is meant, which is the same both ways."""
_PREFER = words("prefer prefers preferred preferring")
_CHOICES = _PREFER | words(
    "choose chooses chose chosen favor favors favored favour favoured victory"
)


def exchanges(sentence: list[Token]) -> list[Change]:
    """Return every exchange of two phrases around `from … to`, `rather than` and the like."""
    found: list[Change] = []
    for at, token in enumerate(sentence):
        if token.low == "from":
            found += _from_to(sentence, at)
        elif token.low in ("rather", "instead"):
            found += _rather_than(sentence, at)
        elif token.low in _CHOICES:
            found += _over(sentence, at)
    return found


def _from_to(sentence: list[Token], at: int) -> list[Change]:
    """Return `from Paris to London` as `from London to Paris`."""
    if any(token.low in _DISTANCES for token in sentence):
        return []
    if sum(token.low == "from" for token in sentence) > 1:
        return []  # from sea to sea, from north to south: everywhere
    origin = _place(sentence, at + 1)
    if origin is None or origin >= len(sentence) - 1 or sentence[origin].low != "to":
        return []
    goal = _place(sentence, origin + 1)
    if goal is None or (goal < len(sentence) and not _is_closed(sentence, goal)):
        return []
    return _exchanged(sentence, (at + 1, origin), (origin + 1, goal))


def _place(sentence: list[Token], at: int) -> int | None:
    """Return where a place, a name or `the` and a noun ends that begins at sentence[at]."""
    found = argument(sentence, at, as_object=True)
    if found is None or sentence[at].low in OBJECTS | {"a", "an", "this", "that"}:
        return None
    if names().get(found.subject) == "continent":
        return None  # from Europe to Asia is from Asia to Europe
    return found.last if sentence[found.last - 1].low not in _ENDS else None


def _is_closed(sentence: list[Token], at: int) -> bool:
    after = sentence[at]
    if after.text == "," and at + 1 < len(sentence):
        return not sentence[at + 1].text[0].isupper()
    return not after.is_word or (after.text.islower() and after.low not in ("of", "and", "to"))


def _rather_than(sentence: list[Token], at: int) -> list[Change]:
    """Return `improved rather than worsened` as `worsened rather than improved`."""
    if at == 0 or at + 3 >= len(sentence) or sentence[at + 1].low not in ("than", "of"):
        return []
    one, other, after = sentence[at - 1], sentence[at + 2], sentence[at + 3]
    adjectives = one.low.endswith(_ADJECTIVE) and other.low.endswith(_ADJECTIVE)
    if after.is_word and after.low not in _AFTER_CHOICE and not adjectives:
        return []
    alike = adjectives or any(one.low.endswith(end) and other.low.endswith(end) for end in _ENDINGS)
    if not alike or one.low == other.low or not (one.text.islower() and other.text.islower()):
        return []
    return _exchanged(sentence, (at - 1, at), (at + 2, at + 3))


def _over(sentence: list[Token], at: int) -> list[Change]:
    """Return `chose Paris over London` as `chose London over Paris`."""
    one = argument(sentence, at + 1, as_object=True)
    if one is None or one.last >= len(sentence) - 1:
        return []
    if sentence[one.last].low not in ("over", "to" if sentence[at].low in _PREFER else "over"):
        return []
    other = argument(sentence, one.last + 1, as_object=True)
    if other is None or "you" in (one.subject, other.subject):
        return []
    return _exchanged(sentence, (one.first, one.last), (other.first, other.last))


def _exchanged(sentence: list[Token], one: tuple[int, int], other: tuple[int, int]) -> list[Change]:
    """Return the edits that let two runs of tokens change places, with the article before."""
    texts = [" ".join(token.text for token in sentence[a:b]) for a, b in (one, other)]
    if texts[0].lower() == texts[1].lower():
        return []
    edits = [
        Edit(sentence[one[0]].start, sentence[one[1] - 1].stop, texts[1]),
        Edit(sentence[other[0]].start, sentence[other[1] - 1].stop, texts[0]),
    ]
    before = sentence[one[0] - 1] if one[0] else None
    if before is not None and before.low in ("a", "an"):
        fitting = "an" if starts_with_vowel(texts[1]) else "a"
        if fitting != before.low:
            edits.insert(0, Edit(before.start, before.stop, fitting))
    return [tuple(edits)]
