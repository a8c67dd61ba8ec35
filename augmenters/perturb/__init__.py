"""Texts that look alike and mean something else: hard negatives by one small edit.

Rules of grammar and word lists, no model: precision before recall, so many texts get no view.
"""

from pairsmith.augmenters.perturb.antonyms import AntonymSwap
from pairsmith.augmenters.perturb.negation import Negation
from pairsmith.augmenters.perturb.numbers import NumberChange
from pairsmith.augmenters.perturb.phrases import Phrase, PhraseSwap
from pairsmith.augmenters.perturb.roles import RoleSwap

__all__ = ["AntonymSwap", "Negation", "NumberChange", "Phrase", "PhraseSwap", "RoleSwap"]
