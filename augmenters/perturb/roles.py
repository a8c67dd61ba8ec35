"""Who did what to whom, the other way round."""

from dataclasses import dataclass
from typing import ClassVar

from pairsmith.augmenters.perturb.edits import Change, Perturbation, is_chinese


@dataclass(frozen=True)
class RoleSwap(Perturbation):
    """Swaps who does with who undergoes, or what is compared: `Ann saw me` → `I saw Ann`."""

    name: ClassVar[str] = "role_swap"

    def changes(self, text: str) -> list[Change]:
        """Return every change, by the rules of the text's language."""
        if is_chinese(text):  # imported late: they read word lists
            from pairsmith.augmenters.perturb.chinese_roles import candidates
        else:
            from pairsmith.augmenters.perturb.english_roles import candidates
        return candidates(text)
