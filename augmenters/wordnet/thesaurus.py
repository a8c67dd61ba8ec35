"""Which words may stand for a word of a text, chosen without a tagger.

What a word means in a text is not known. So it is only replaced by what fits most of its uses in
tagged text, as every part of speech that it may be, and is itself common with that meaning. A word
that was never seen in tagged text is replaced when it has one meaning.
"""

import hashlib
import json
from collections import Counter, defaultdict
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Final, NamedTuple, Protocol

from pairsmith.augmenters.wordnet.database import Database
from pairsmith.augmenters.wordnet.inflection import Form, forms, inflected
from pairsmith.augmenters.wordnet.lmf import LexicalResource
from pairsmith.augmenters.wordnet.words import Meaning, PartOfSpeech, Words
from pairsmith.schemas import UserError

DEBIAN: Final = Path("/usr/share/wordnet")
"""Where Debian's package wordnet-base puts WordNet."""


class Demands(NamedTuple):
    """What a word must meet to be put in the place of another, by tagged text."""

    clear: float
    """The share of the other's uses that it must fit."""
    rare: float
    """Parts of speech that the other has in a smaller share of its uses do not matter."""
    common: float
    """The share of its own uses that must have the meaning, too."""
    usual: float
    """How often it must be seen with the meaning for each time that the other is."""


_SYNONYM: Final = Demands(clear=0.8, rare=0.05, common=0.5, usual=1 / 3)
_ANTONYM: Final = Demands(clear=0.6, rare=0.1, common=0.3, usual=0.05)
_FUNCTION_WORDS: Final = """
a an the this that these those i you he she it we they me him her us them my your his its our their
mine yours hers ours theirs who whom whose which what where when why how there here and or but nor
so yet if because as than though although while until since unless whether of in on at by for with
from to into onto over under out up down off about after before between through during against among
within without upon across along around behind beside beyond near toward towards per via be am is
are was were been being have has had having do does did done doing will would shall should can could
may might must ought need not no yes all any both each every some few many much more most less least
little other another such same own one two three four five six seven eight nine ten hundred thousand
million billion percent very too also just only even still someone somebody anyone anybody everyone
everybody nobody something anything everything nothing then now ever never again once quite rather
well like ok please mr mrs ms dr
"""
FUNCTION_WORDS: Final = frozenset(_FUNCTION_WORDS.split())
"""English words that hold a sentence together: neither replaced nor put in."""


class Thesaurus(Protocol):
    """What may stand for a word, ready to be put into a text."""

    english: bool
    """Whether it is of English words: then `a` and `an` must go with the word behind them."""

    def synonyms(self, word: str, clear: float) -> tuple[str, ...]:
        """Return words that mean the same in such a share of the word's uses; often nothing."""

    def antonyms(self, word: str) -> tuple[str, ...]:
        """Return words that mean the opposite; often nothing."""


class WordList:
    """Words and what may stand for each: a file of one's own, in any language.

    Text with a word and its alternatives on each line, tabs between them, `#` before a comment; or
    JSON, `{"word": ["alternative", …], …}`.
    """

    english = False

    def __init__(self, path: Path) -> None:
        """Read the file. Raises UserError for a line, or a member, of another form."""
        try:
            text = path.read_text("utf-8-sig")
        except UnicodeDecodeError as error:
            raise UserError(f"{path} is not UTF-8 ({error}); save it as UTF-8") from error
        self._others = _members(text, path) if path.suffix == ".json" else _rows(text, path)

    def synonyms(self, word: str, clear: float = 1) -> tuple[str, ...]:
        """Return what the list has for the word."""
        return self._others.get(word, ())

    antonyms = synonyms


class WordNet:
    """What a wordnet says of the words of a text."""

    def __init__(self, words: Words) -> None:
        self._words = words
        self.english = words.language == "en"

    def synonyms(self, word: str, clear: float = _SYNONYM.clear) -> tuple[str, ...]:
        """Return words that mean the same in such a share of the word's uses; often nothing."""
        demands = _SYNONYM._replace(clear=clear)
        return self._others(word, lambda meaning: meaning.synonyms, demands)

    def antonyms(self, word: str) -> tuple[str, ...]:
        """Return words that mean the opposite; often nothing."""
        others = self._others(word, lambda meaning: meaning.antonyms, _ANTONYM)
        return tuple(other for other in others if other != f"non{word}")  # as `nondriver`

    def _others(
        self,
        word: str,
        offers: Callable[[Meaning], tuple[tuple[str, int], ...]],
        demands: Demands,
    ) -> tuple[str, ...]:
        """Return the words that meanings offer, with the ending of the word they stand for."""
        if self.english and (word in FUNCTION_WORDS or len(word) < 3):
            return ()
        found = [
            (form, meaning)
            for form in forms(word, self._words, self.english)
            for meaning in self._words.meanings(form.base, form.part)
        ]
        counted = any(meaning.seen for _, meaning in found)
        if len(found) != 1 and not counted:
            return ()  # no telling which is meant
        uses: Counter[PartOfSpeech] = Counter()
        fits: Counter[Form] = Counter()
        known: Counter[Form] = Counter()
        for form, meaning in found:
            weight = meaning.seen if counted else 1
            uses[form.part] += weight
            for other, count in offers(meaning):
                option = Form(other, form.part, form.ending)
                fits[option] += weight
                known[option] += count
        parts = {part for part in uses if uses[part] >= demands.rare * uses.total()}
        fitting: defaultdict[str, set[PartOfSpeech]] = defaultdict(set)
        for option, weight in fits.items():
            if (
                weight >= demands.clear * uses[option.part]
                and known[option] >= max(1, demands.usual * weight * counted) * self._words.counted
                and self._share(option.base, option.part, known[option]) >= demands.common
                and (ended := self._ended(option))
            ):
                fitting[ended].add(option.part)
        return tuple(other for other in fitting if other != word and fitting[other] >= parts)

    def _share(self, word: str, part: PartOfSpeech, count: int) -> float:
        """Return the share of all uses of a word that so many are."""
        counts = self._words.counts(word, part)
        return count / sum(counts) if any(counts) else float(len(counts) == 1)

    def _ended(self, option: Form) -> str | None:
        """Return a word with its ending; None unless it is one plain word."""
        base = option.base
        if not base.isalpha() or base != base.lower() or base in FUNCTION_WORDS:
            return None
        if self.english and set("aeiouy").isdisjoint(base):
            return None
        return inflected(base, option.part, option.ending, self._words)


@cache
def open_thesaurus(source: str) -> Thesaurus:
    """Return what a file or folder holds; of "", the WordNet that Debian installs.

    Raises UserError when there is nothing of a known form.
    """
    path = Path(source) if source else DEBIAN
    listed = path.is_file() and path.suffix != ".xml"
    return WordList(path) if listed else WordNet(open_words(source))


@cache
def open_words(source: str) -> Words:
    """Return the wordnet of a file or folder; of "", the one that Debian installs.

    Raises UserError when there is none.
    """
    path = Path(source) if source else DEBIAN
    if path.is_dir():
        return Database(path)
    if not path.is_file():
        hint = "give the place of one, or apt-get install wordnet-base"
        raise UserError(f"no WordNet or list of words at {path}: {hint}")
    return LexicalResource(path)


@cache
def source_digest(source: str) -> str:
    """Return the sha256 of what a source holds. Raises UserError when there is none."""
    open_thesaurus(source)
    path = Path(source) if source else DEBIAN
    files = [path]
    if path.is_dir():
        patterns = ("index.[nav]*", "data.[nav]*", "*.exc", "cntlist.rev")
        files = sorted(file for pattern in patterns for file in path.glob(pattern))
    total = hashlib.sha256()
    for file in files:
        total.update(hashlib.sha256(file.read_bytes()).digest())
    return total.hexdigest()


def _members(text: str, path: Path) -> dict[str, tuple[str, ...]]:
    try:
        data = json.loads(text)
    except json.JSONDecodeError as error:
        raise UserError(f"{path} is not JSON: {error}") from error
    if not isinstance(data, dict):
        raise UserError(f"{path} must hold an object: word: [other words]")
    for word, others in data.items():
        texts = isinstance(others, list) and all(isinstance(o, str) and o.strip() for o in others)
        if not word.strip() or not texts:
            raise UserError(f"{path}: {word!r} must stand before a list of words")
    return {word: tuple(others) for word, others in data.items()}


def _rows(text: str, path: Path) -> dict[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = {}
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        word, *others = [field.strip() for field in line.split("\t")]
        if not word or not others or not all(others):
            raise UserError(f"{path}, line {number}: not a word and other words with tabs between")
        found[word] = (*found.get(word, ()), *others)
    return found
