"""English noun phrases that can change places: pronouns, names, short ones with a determiner."""

from typing import NamedTuple

from pairsmith.augmenters.perturb.english_phrases import names
from pairsmith.augmenters.perturb.english_words import (
    AUXILIARIES,
    CONJUNCTIONS,
    OBJECTS,
    PREPOSITIONS,
    SUBJECTS,
    Token,
    verbs,
    words,
)

_OBJECT_OF = dict(
    zip(
        ["i", "he", "she", "we", "they", "you"],
        ["me", "him", "her", "us", "them", "you"],
        strict=True,
    )
)
_SUBJECT_OF = {object_: subject for subject, object_ in _OBJECT_OF.items()}
_PERSONS = words(
    "man woman boy girl lady gentleman child king queen prince princess father mother brother "
    "sister son daughter husband wife uncle aunt cousin friend doctor priest soldier captain "
    "servant master mistress teacher lawyer stranger officer nurse baby widow nephew niece "
    "grandmother grandfather knight lord duke colonel sergeant policeman farmer merchant artist "
    "girl lad fellow governor president chairman minister judge landlord landlady driver waiter "
    "maid housekeeper butler porter clerk secretary student pupil companion enemy neighbor "
    "neighbour guest host visitor patient prisoner thief murderer detective inspector vicar rector "
    "bishop nun monk monarch emperor ambassador senator economist committee board congress staff "
    "government council commission senate crowd company army men women boys girls ladies gentlemen "
    "children brothers sisters friends soldiers servants parents officers students"
)
_PLURAL_PERSONS = words("men women children people")
_ADJECTIVES = words(
    "old young little poor good dear other tall fat big great small new first second last late "
    "same elder younger eldest strange pretty beautiful wounded blind unhappy brave"
)
_DETERMINERS = words("the a an my his her our their your this that these those another")
_NO_NAME = words(
    "what who then there here yes well oh january february march april may june july august "
    "september october november december monday tuesday wednesday thursday friday saturday sunday"
)
_BARE = words("Congress Parliament God")
_FINITE = words(
    "am is are was were has have had will would can could shall should may might must do"
)
_TITLES = words("mr mrs miss ms dr sir lady lord captain colonel aunt uncle madame professor")
_NO_NOUN = ("ed", "ing", "ous", "ive", "al", "ic", "ful", "less", "ary", "able", "ible")
_ADVERBS = words("never always often also still just really already not only even now then soon")
PLACES = words("city country state continent")
_CLOSED = (
    PREPOSITIONS
    | CONJUNCTIONS
    | words(
        "a an the my his our their your this these no some any to that who which again once twice "
        "there here then now today yesterday tomorrow so very all only just well too not also "
        "still i he she we they"
    )
)


class Argument(NamedTuple):
    """A noun phrase, as a subject and as an object."""

    first: int
    """Its tokens are sentence[first:last]."""
    last: int
    subject: str
    object: str
    number: str
    """`i`, `sg` or `pl`, as the verb agrees; `you` counts as `pl`."""
    person: bool


def argument(sentence: list[Token], at: int, as_object: bool) -> Argument | None:
    """Return the noun phrase that begins at sentence[at], or None for none that is surely whole."""
    if at >= len(sentence):
        return None
    token = sentence[at]
    found = (
        _pronoun(sentence, at, as_object)
        or _place(sentence, at)
        or _name(sentence, at)
        or _with_determiner(sentence, at)
    )
    if found and as_object and found.last < len(sentence):
        after = sentence[found.last]
        if token.low not in ("me", "him", "us", "them") and _is_subject(sentence, found.last):
            return None
        if token.low in _OBJECT_OF.values():
            return found
        if after.is_word and after.low not in _CLOSED and not after.low.endswith("ly"):
            return None
    return found


def _is_subject(sentence: list[Token], at: int) -> bool:
    """Return whether a finite verb begins there, perhaps behind adverbs: `you still need`."""
    forms = verbs()
    for token in sentence[at:]:
        if token.low in _ADVERBS or token.low.endswith("ly"):
            continue
        known = token.low in forms.base or token.low in forms.past or token.low in forms.third
        return token.low in _FINITE or (known and token.low not in PREPOSITIONS - {"like"})
    return False


def _pronoun(sentence: list[Token], at: int, as_object: bool) -> Argument | None:
    low = sentence[at].low
    if as_object:
        subject = _SUBJECT_OF.get(low)
        if subject is None or (low == "her" and not _ends_here(sentence, at + 1)):
            return None
    elif low not in SUBJECTS or low == "it":
        return None
    else:
        subject = low
    number = {"i": "i", "he": "sg", "she": "sg"}.get(subject, "pl")
    written = "I" if subject == "i" else subject
    return Argument(at, at + 1, written, _OBJECT_OF[subject], number, True)


def _ends_here(sentence: list[Token], at: int) -> bool:
    """Return whether what follows `her` shows that it is no possessive."""
    if at >= len(sentence):
        return True
    after = sentence[at]
    return not after.is_word or after.low in _CLOSED


def _place(sentence: list[Token], at: int) -> Argument | None:
    """Return a known city, country, state or continent that is followed by no other name."""
    the = int(sentence[at].low == "the")
    for last in (at + the + 3, at + the + 2, at + the + 1):
        name = " ".join(token.text for token in sentence[at + the : last])
        kind = names().get(name, "")
        if last <= len(sentence) and kind.removeprefix("the ") in PLACES:
            if kind.startswith("the ") != bool(the) or _name_follows(sentence, last):
                return None
            text = f"the {name}" if the else name
            return Argument(at, last, text, text, "sg", False)
    return None


def _name_follows(sentence: list[Token], at: int) -> bool:
    """Return whether another capitalised word comes next, perhaps behind a comma."""
    if at < len(sentence) and sentence[at].text in (",", "-"):
        at += 1
    return at < len(sentence) and sentence[at].text[0].isupper()


def _name(sentence: list[Token], at: int) -> Argument | None:
    first = sentence[at]
    last = at + 1
    if first.low in _TITLES and first.text[0].isupper():
        if last < len(sentence) and sentence[last].text == ".":
            last += 1
        if last >= len(sentence) or not _is_name(sentence[last]):
            return None
        last += 1
    elif (
        names().get(first.text) not in ("man", "woman")
        and first.text not in _BARE
        and (at == 0 or not sentence[at - 1].is_word or not _is_name(first))
    ):
        return None
    if last < len(sentence) and (
        _is_name(sentence[last]) or (sentence[last].text in ".-" and last < len(sentence) - 1)
    ):
        return None
    if at and (sentence[at - 1].text in (".", "-") or sentence[at - 1].low in _TITLES):
        return None
    known = first.text in _BARE or first.text in names()
    if last == at + 1 and first.low.endswith("s") and not known:
        return None  # perhaps a plural
    if last < len(sentence) and sentence[last].text == "," and _name_follows(sentence, last):
        return None
    text = " ".join(token.text for token in sentence[at:last]).replace(" .", ".")
    return Argument(at, last, text, text, "sg", True)


def _is_name(token: Token) -> bool:
    text = token.text
    return (
        text[0].isupper()
        and len(text) > 2
        and text.isalpha()
        and text[1:].islower()
        and token.low
        not in AUXILIARIES | CONJUNCTIONS | PREPOSITIONS | _DETERMINERS | OBJECTS | SUBJECTS
        and token.low not in _NO_NAME
        and names().get(text, "man") in ("man", "woman")
    )


def _with_determiner(sentence: list[Token], at: int) -> Argument | None:
    low = sentence[at].low
    if low not in _DETERMINERS:
        return None
    noun = at + 1
    while noun < len(sentence) and sentence[noun].low in _ADJECTIVES and noun < at + 3:
        noun += 1
    if noun >= len(sentence):
        return None
    word = sentence[noun]
    if (
        not word.text.isalpha()
        or (word.low in _CLOSED)
        or word.low in AUXILIARIES | OBJECTS | SUBJECTS
    ):
        return None
    if word.low.endswith(_NO_NOUN) and word.low not in _PERSONS:
        return None
    tokens = sentence[at : noun + 1]
    text = " ".join([low, *(token.text for token in tokens[1:])])
    plural = word.low in _PLURAL_PERSONS or (
        word.low.endswith("s") and not word.low.endswith(("ss", "us", "is"))
    )
    if plural != (low in ("these", "those")) and low in (
        "a",
        "an",
        "this",
        "that",
        "these",
        "those",
        "another",
    ):
        return None
    return Argument(at, noun + 1, text, text, "pl" if plural else "sg", word.low in _PERSONS)
