"""English words as the perturbations see them: tokens, sentences, verbs, closed classes."""

import functools
import re
from pathlib import Path
from typing import NamedTuple

from pairsmith.augmenters.endings import with_ending

DATA = Path(__file__).parents[1] / "data"

_TOKEN = re.compile(
    r"[a-z](?:\.[a-z])+\.?"  # U.S., e.g.
    r"|[^\W\d_]+(?:['’\-][^\W\d_]+)*['’]?(?<=s['’])(?=\s+[a-z])"  # plural possessives
    r"|[^\W\d_]+(?:['’\-][^\W\d_]+)*"
    r"|\d+(?:[.,:/\-]\d+)*(?:[^\W\d_]+)?"
    r"|\.{2,}|--+|\S",
    re.IGNORECASE,
)
_ABBREVIATIONS = frozenset(
    [
        "mr",
        "mrs",
        "ms",
        "messrs",
        "dr",
        "st",
        "jr",
        "sr",
        "prof",
        "gen",
        "gov",
        "sen",
        "rep",
        "capt",
        "col",
        "lt",
        "sgt",
        "rev",
        "hon",
        "vol",
        "pp",
        "vs",
        "cf",
        "etc",
        "inc",
        "co",
        "corp",
        "ltd",
        "dept",
        "jan",
        "feb",
        "mar",
        "apr",
        "jun",
        "jul",
        "aug",
        "sept",
        "sep",
        "oct",
        "nov",
        "dec",
        "eq",
        "fig",
        "approx",
        "al",
        "op",
    ]
)


class Token(NamedTuple):
    """A word, a number or a punctuation mark."""

    start: int
    stop: int
    text: str
    low: str
    """In lower case, with straight apostrophes."""

    @property
    def is_word(self) -> bool:
        """Return whether it begins with a letter."""
        return self.text[0].isalpha()


def tokens(text: str) -> list[Token]:
    """Return the words, numbers and marks of a text, in order."""
    return [
        Token(m.start(), m.end(), m[0], m[0].lower().replace("’", "'"))
        for m in _TOKEN.finditer(text)
    ]


def sentences(text: str) -> list[list[Token]]:
    """Return the tokens cut after `.`, `!`, `?`, `;` and `:`, which stay with what they end."""
    cut: list[list[Token]] = [[]]
    for token in tokens(text):
        cut[-1].append(token)
        if token.text in (".", "!", "?", ";", ":") or token.text.startswith(".."):
            before = cut[-1][-2].low if len(cut[-1]) > 1 else ""
            if token.text != "." or (before not in _ABBREVIATIONS and len(before) > 1):
                cut.append([])
    return [sentence for sentence in cut if sentence]


class Verb(NamedTuple):
    """The forms of a verb, and whether a person may do it to a person (and the reverse differs)."""

    base: str
    past: str
    participle: str
    personal: bool

    @property
    def third(self) -> str:
        """Return the form that goes with he, she and it."""
        irregular = {"be": "is", "have": "has"}.get(self.base)
        return irregular or with_ending(self.base, "s", verb=True)

    @property
    def gerund(self) -> str:
        """Return the form in -ing."""
        base = self.base
        if base.endswith("ie"):
            return base[:-2] + "ying"
        if self.past == base + base[-1] + "ed" or base in _DOUBLED:
            return base + base[-1] + "ing"
        return "being" if base == "be" else with_ending(base, "ing")


_DOUBLED = frozenset(["begin", "forbid", "forget", "quit", "upset"])
"""Of those whose past does not end in -ed, what the rules do not double."""


class Verbs(NamedTuple):
    """Verbs by each of their forms."""

    base: dict[str, Verb]
    third: dict[str, Verb]
    past: dict[str, Verb]
    participle: dict[str, Verb]
    gerund: dict[str, Verb]


@functools.cache
def verbs() -> Verbs:
    """Return the verbs of `data/verbs_en.tsv`."""
    listed = []
    for line in (DATA / "verbs_en.tsv").read_text("utf-8").splitlines():
        if not line.startswith("#"):
            base, past, participle, use = line.split("\t")
            listed.append(Verb(base, past, participle, use == "person"))
    return Verbs(
        {verb.base: verb for verb in listed},
        {verb.third: verb for verb in listed},
        {verb.past: verb for verb in listed},
        {verb.participle: verb for verb in listed},
        {verb.gerund: verb for verb in listed},
    )


def words(listed: str) -> frozenset[str]:
    """Return the words of a string as a set."""
    return frozenset(listed.split())


SUBJECTS = words("i you he she it we they")
OBJECTS = words("me you him her it us them")
DETERMINERS = words(
    "a an the this that these those my your his her its our their some any no every each all both "
    "many few several another such what which whose"
)
PREPOSITIONS = words(
    "about above across after against along among around as at before behind below beneath beside "
    "between beyond by despite down during except for from in inside into like near of off on onto "
    "out outside over past since than through throughout till to toward towards under until up "
    "upon via with within without"
)
CONJUNCTIONS = words(
    "and or but nor if as than so because when while since although though whereas unless until "
    "lest where why how whether for yet"
)
BE = words("am is are was were")
MODALS = words("will would can could shall should may might must")
AUXILIARIES = BE | MODALS | words("has have had do does did be been being to")
NEGATIVES = words(
    "not no never none nobody nothing nowhere neither nor cannot without hardly scarcely barely "
    "seldom rarely ain't needn't n't unable"
)

_ASKING = words(
    "ask asks asked asking check checks checked checking confirm confirms confirmed confirming "
    "determine determined find found know knows knew known knowing learn learned see sees saw seen "
    "seeing tell tells told telling verify verifies verified verifying wonder wonders wondered "
    "wondering certain clear curious sure unsure explain explained explaining show question"
)
"""What an `if` that means `whether` goes with: `let me know if …`."""
_QUESTIONS = words("when where what which who whom whose why how")


def is_negative(token: Token) -> bool:
    """Return whether a word negates."""
    return token.low in NEGATIVES or token.low.endswith("n't")


def asked(sentence: list[Token], *, openly: bool = False) -> frozenset[int]:
    """Return which tokens are of a yes-no question inside the sentence: `I wonder if he is here`.

    It asks the same with a negation, and with the opposite. openly: also those of questions of
    when, how or what, as `tell me when it will come`, of which nobody asks the negation.
    """
    asks = _QUESTIONS | {"if"} if openly else {"if"}
    found: list[int] = []
    inside, asking = False, -9
    for at, token in enumerate(sentence):
        if not token.text[0].isalnum() or token.low in ("because", "since", "but", "although"):
            inside, asking = False, -9
        elif token.low in _ASKING:
            asking = at
        elif token.low == "whether" or (at - asking < 5 and token.low in asks):
            inside = True
        if inside:
            found.append(at)
    return frozenset(found)


def capital_like(old: str, new: str) -> str:
    """Return `new` with a capital first letter if `old` has one."""
    return new[:1].upper() + new[1:] if old[:1].isupper() else new
