"""Texts that look alike and mean something else: hard negatives by one small edit.

Rules of grammar and word lists, no model: precision before recall, so many texts get no view.
"""

from pairsmith.augmenters.perturb.perturbations import (
    AntonymSwap,
    Negation,
    NumberChange,
    RoleSwap,
)
from pairsmith.augmenters.perturb.phrases import Phrase, PhraseSwap

__all__ = ["AntonymSwap", "Negation", "NumberChange", "Phrase", "PhraseSwap", "RoleSwap"]
