"""Synonyms and antonyms, from WordNet or from a list of one's own."""

from pairsmith.augmenters.wordnet.replace import Antonyms, Synonyms

__all__ = ["Antonyms", "Synonyms"]
