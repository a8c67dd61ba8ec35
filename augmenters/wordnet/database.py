"""WordNet as its own files have it: https://wordnet.princeton.edu/documentation/wndb5wn.

A folder with `index.*` and `data.*` for nouns, verbs, adjectives and adverbs, `*.exc` (irregular
forms) and `cntlist.rev` (how often a sense was seen in tagged text), as Debian's package
wordnet-base has it. The library nltk reads them too, but from its own folders only, and not without
`lexnames`, which Debian leaves out; the library wn reads another format.
"""

from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from pairsmith.augmenters.wordnet.words import PARTS, Meaning, PartOfSpeech, Words
from pairsmith.schemas import UserError

FILES: Final[dict[PartOfSpeech, str]] = {"n": "noun", "v": "verb", "a": "adj", "r": "adv"}
"""What the names of the files of each part of speech end or begin with."""
_TYPES: Final[dict[str, PartOfSpeech]] = {"1": "n", "2": "v", "3": "a", "4": "r", "5": "a"}
"""Parts of speech in a sense key, behind the %; 5 is an adjective that stands near another."""
_ANTONYM: Final = b"!"


class Database(Words):
    """The words of one folder."""

    language = "en"
    counted = True

    def __init__(self, folder: Path) -> None:
        """Read the files. Raises UserError when one is missing."""
        try:
            self._index = {part: dict(_index(folder / f"index.{FILES[part]}")) for part in PARTS}
            self._data = {part: (folder / f"data.{FILES[part]}").read_bytes() for part in PARTS}
            self.irregular = {part: _exceptions(folder / f"{FILES[part]}.exc") for part in PARTS}
            self._counts = dict(_counts(folder / "cntlist.rev"))
        except FileNotFoundError as error:
            name = Path(error.filename).name
            raise UserError(f"{folder} holds no WordNet database: {name} is missing") from error

    def counts(self, word: str, part: PartOfSpeech) -> list[int]:
        """Return how often each meaning of a base form is seen; nothing when it is not there."""
        size = len(self._offsets(word, part))
        return [self._counts.get((word, part, number), 0) for number in range(1, size + 1)]

    def meanings(self, word: str, part: PartOfSpeech) -> tuple[Meaning, ...]:
        """Return what a base form means, the most frequent first; nothing when it is not there."""
        found = zip(self._offsets(word, part), self.counts(word, part), strict=True)
        return tuple(self._meaning(word, part, offset, count) for offset, count in found)

    def _offsets(self, word: str, part: PartOfSpeech) -> list[bytes]:
        """Return the synsets of a word."""
        fields = self._index[part].get(word.encode(), b"").split()
        return fields[-int(fields[1]) :] if fields else []

    def _meaning(self, word: str, part: PartOfSpeech, offset: bytes, count: int) -> Meaning:
        words, opposites = self._synset(part, offset)
        own = [at for at, other in enumerate(words) if other.lower() == word]
        others = [other for at, other in enumerate(words) if at not in own]
        synonyms = tuple((other, self._count(other.lower(), part, offset)) for other in others)
        antonyms = []
        for here, target, there in opposites:
            if here in own:
                other = self._synset(part, target)[0][there]
                antonyms.append((other, self._count(other.lower(), part, target)))
        return Meaning(count, synonyms, tuple(antonyms))

    def _count(self, word: str, part: PartOfSpeech, offset: bytes) -> int:
        number = self._offsets(word, part).index(offset) + 1
        return self._counts.get((word, part, number), 0)

    def _synset(
        self, part: PartOfSpeech, offset: bytes
    ) -> tuple[list[str], list[tuple[int, bytes, int]]]:
        """Return the words of a synset; and for antonyms: which word, of which synset, which."""
        data, start = self._data[part], int(offset)
        fields = data[start : data.index(b"\n", start)].partition(b" | ")[0].split()
        size = int(fields[3], 16)
        words = [field.decode().partition("(")[0] for field in fields[4 : 4 + 2 * size : 2]]
        pointers = fields[5 + 2 * size :]
        antonyms = []
        for at in range(0, 4 * int(fields[4 + 2 * size]), 4):
            symbol, target, _, ends = pointers[at : at + 4]
            if symbol == _ANTONYM:
                antonyms.append((int(ends[:2], 16) - 1, target, int(ends[2:], 16) - 1))
        return words, antonyms


def _lines(path: Path) -> Iterator[bytes]:
    """Give the lines of a file but those of the licence, which begin with two spaces."""
    for line in path.read_bytes().splitlines():
        if not line.startswith(b"  "):
            yield line


def _index(path: Path) -> Iterator[tuple[bytes, bytes]]:
    """Give each word with what its line says behind it."""
    for line in _lines(path):
        word, _, rest = line.partition(b" ")
        yield word, rest


def _exceptions(path: Path) -> dict[str, tuple[str, ...]]:
    """Return the base forms of each irregular form."""
    forms: dict[str, tuple[str, ...]] = defaultdict(tuple)
    for line in _lines(path):
        form, *words = line.decode().split()
        forms[form] += tuple(words)
    return dict(forms)


def _counts(path: Path) -> Iterator[tuple[tuple[str, PartOfSpeech, int], int]]:
    """Give how often each (word, part of speech, number of the sense) was seen."""
    for line in _lines(path):
        key, number, count = line.decode().split()
        word, _, kind = key.partition("%")
        yield (word, _TYPES[kind[0]], int(number)), int(count)
