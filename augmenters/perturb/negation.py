"""Negation, in and out."""

from dataclasses import dataclass
from typing import ClassVar

from pairsmith.augmenters.perturb.edits import Change, Perturbation, is_chinese


@dataclass(frozen=True)
class Negation(Perturbation):
    """Negates a sentence, or takes its negation away: `He likes it` → `He does not like it`."""

    name: ClassVar[str] = "negation"

    def changes(self, text: str) -> list[Change]:
        """Return every change, by the rules of the text's language."""
        if is_chinese(text):  # imported late: they read word lists
            from pairsmith.augmenters.perturb.chinese_negation import candidates
        else:
            from pairsmith.augmenters.perturb.english_negation import candidates
        return candidates(text)
