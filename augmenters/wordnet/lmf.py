"""Wordnets in the format WN-LMF (https://globalwordnet.github.io/schemas), read by the library wn.

So are the Open English WordNet and those of many other languages in the Open Multilingual Wordnet.
"""

from collections import defaultdict
from pathlib import Path
from typing import Any

from pairsmith.augmenters.wordnet.words import PARTS, Meaning, PartOfSpeech, Words
from pairsmith.schemas import UserError, require

_PARTS: dict[str, PartOfSpeech] = {"n": "n", "v": "v", "a": "a", "s": "a", "r": "r"}


class LexicalResource(Words):
    """The words of all lexicons of one file; it is read whole."""

    def __init__(self, path: Path) -> None:
        """Read the file. Raises UserError when it is no WN-LMF, or holds more than one language."""
        lmf: Any = require("wn.lmf", extra="wordnet")
        try:
            lexicons = lmf.load(path, progress_handler=None)["lexicons"]
        except lmf.LMFError as error:
            raise UserError(f"{path} is not a WN-LMF file: {error}") from error
        languages = {lexicon["language"] for lexicon in lexicons}
        if len(languages) != 1:
            raise UserError(f"{path} must hold lexicons of one language, not {len(languages)}")
        self.language = languages.pop()
        self.irregular = {part: defaultdict(tuple) for part in PARTS}
        self._senses: dict[tuple[str, PartOfSpeech], list[dict[str, Any]]] = defaultdict(list)
        self._members: dict[str, list[tuple[str, int]]] = defaultdict(list)
        self._by_id: dict[str, tuple[str, int]] = {}
        for lexicon in lexicons:
            for entry in lexicon.get("entries", []):
                self._add(entry)
        self.counted = any(count for _, count in self._by_id.values())

    def _add(self, entry: dict[str, Any]) -> None:
        lemma = entry["lemma"]
        part = _PARTS.get(lemma["partOfSpeech"])
        if part is None:
            return
        word = lemma["writtenForm"]
        for form in entry.get("forms", []):
            self.irregular[part][form["writtenForm"]] += (word,)
        senses = entry.get("senses", [])
        for sense in sorted(senses, key=lambda sense: int(sense.get("n", 0))):
            self._senses[word, part].append(sense)
            self._by_id[sense["id"]] = word, _count(sense)
            self._members[sense["synset"]].append(self._by_id[sense["id"]])

    def counts(self, word: str, part: PartOfSpeech) -> list[int]:
        """Return how often each meaning of a base form is seen; nothing when it is not there."""
        return [_count(sense) for sense in self._senses.get((word, part), ())]

    def meanings(self, word: str, part: PartOfSpeech) -> tuple[Meaning, ...]:
        """Return what a base form means, the most frequent first; nothing when it is not there."""
        return tuple(
            Meaning(
                _count(sense),
                tuple(pair for pair in self._members[sense["synset"]] if pair[0] != word),
                tuple(
                    self._by_id[relation["target"]]
                    for relation in sense.get("relations", [])
                    if relation["relType"] == "antonym" and relation["target"] in self._by_id
                ),
            )
            for sense in self._senses.get((word, part), ())
        )


def _count(sense: dict[str, Any]) -> int:
    return sum(int(count["value"]) for count in sense.get("counts", []))
