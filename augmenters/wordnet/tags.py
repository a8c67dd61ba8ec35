"""WordNet in the shape in which nlpaug asks for words and their parts of speech."""

from functools import cache, lru_cache
from typing import Final

from pairsmith.augmenters.wordnet.inflection import forms
from pairsmith.augmenters.wordnet.thesaurus import FUNCTION_WORDS
from pairsmith.augmenters.wordnet.words import PARTS, PartOfSpeech, Words

_TAGS: Final[dict[PartOfSpeech, str]] = {"n": "NN", "v": "VB", "a": "JJ", "r": "RB"}
_PARTS: Final[dict[str | None, tuple[PartOfSpeech, ...]]] = {
    None: PARTS,
    **{part: (part,) for part in PARTS},
    "s": ("a",),
}
"""What nlpaug asks for; `s` is an adjective that stands near another."""


class TaggedWords:
    """What `nlpaug.model.word_dict.WordNet` does, by our reader and without NLTK's tagger.

    A word gets the tag of the part of speech that it has most often in tagged text, of the Penn
    Treebank; words that hold a sentence together are `DT`, which nlpaug leaves alone. As nlpaug
    does, it gives base forms: `rates` becomes `pace`.
    """

    def __init__(self, words: Words, synonyms: bool) -> None:
        self._words = words
        self._synonyms = synonyms
        self.predict = lru_cache(2**18)(self._predict)
        self._tag = cache(self._find_tag)

    def pos_tag(self, tokens: list[str]) -> list[tuple[str, str]]:
        """Return the tokens with their tags."""
        return [(token, self._tag(token)) for token in tokens]

    def _predict(self, word: str, pos: str | None = None) -> list[str]:
        """Return the words of all meanings of a word, the word itself among them; or opposites."""
        found: list[str] = []
        for form in forms(word.lower(), self._words):
            if form.part in _PARTS[pos]:
                for meaning in self._words.meanings(form.base, form.part):
                    others = meaning.synonyms if self._synonyms else meaning.antonyms
                    found += [form.base] * self._synonyms + [other for other, _ in others]
        return found

    def _find_tag(self, token: str) -> str:
        low = token.lower()
        if low in FUNCTION_WORDS:
            return "DT"
        uses = [(sum(self._words.counts(f.base, f.part)), f.part) for f in forms(low, self._words)]
        return _TAGS[max(uses, key=lambda use: use[0])[1]] if uses else "NN"
