"""Other numbers and other dates."""

from dataclasses import dataclass
from typing import ClassVar

from pairsmith.augmenters.perturb.edits import Change, Perturbation, is_chinese


@dataclass(frozen=True)
class NumberChange(Perturbation):
    """Changes the value of a number, date or time, and keeps its format: `3.5 %` → `4.5 %`."""

    name: ClassVar[str] = "number_change"

    def changes(self, text: str) -> list[Change]:
        """Return every change, by the rules of the text's language."""
        if is_chinese(text):  # imported late: they read word lists
            from pairsmith.augmenters.perturb.chinese_numbers import candidates
        else:
            from pairsmith.augmenters.perturb.english_numbers import candidates
        return candidates(text)
