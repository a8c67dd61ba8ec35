"""Negation, in and out."""

from dataclasses import dataclass
from importlib import import_module, util
from typing import ClassVar

from pairsmith.augmenters.perturb.edits import Change, Perturbation, is_chinese


@dataclass(frozen=True)
class Negation(Perturbation):
    """Negates what a sentence says, or takes its negation away."""

    name: ClassVar[str] = "negation"

    def changes(self, text: str) -> list[Change]:
        """Return every change, by the rules of the text's language."""
        language = "chinese" if is_chinese(text) else "english"
        module = f"pairsmith.augmenters.perturb.{language}_negation"
        if util.find_spec(module) is None:  # until its rules are written
            return []
        return import_module(module).candidates(text)  # type: ignore[no-any-return]
