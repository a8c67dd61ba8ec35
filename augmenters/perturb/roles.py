"""Who did what to whom, the other way round."""

from dataclasses import dataclass
from importlib import import_module, util
from typing import ClassVar

from pairsmith.augmenters.perturb.edits import Change, Perturbation, is_chinese


@dataclass(frozen=True)
class RoleSwap(Perturbation):
    """Swaps who does and who undergoes, or what is compared with what."""

    name: ClassVar[str] = "role_swap"

    def changes(self, text: str) -> list[Change]:
        """Return every change, by the rules of the text's language."""
        language = "chinese" if is_chinese(text) else "english"
        module = f"pairsmith.augmenters.perturb.{language}_roles"
        if util.find_spec(module) is None:  # until its rules are written
            return []
        return import_module(module).candidates(text)  # type: ignore[no-any-return]
