"""Words and their opposites."""

from dataclasses import dataclass
from typing import ClassVar

from pairsmith.augmenters.perturb.edits import Change, Perturbation, is_chinese


@dataclass(frozen=True)
class AntonymSwap(Perturbation):
    """Puts the opposite in place of a word: `accepted the offer` → `rejected the offer`."""

    name: ClassVar[str] = "antonym"

    def changes(self, text: str) -> list[Change]:
        """Return every change, by the rules of the text's language."""
        if is_chinese(text):  # imported late: they read word lists
            from pairsmith.augmenters.perturb.chinese_antonyms import candidates
        else:
            from pairsmith.augmenters.perturb.english_antonyms import candidates
        return candidates(text)
