"""The perturbations that need no more than rules and word lists."""

from dataclasses import dataclass
from typing import ClassVar

from pairsmith.augmenters.perturb.edits import Perturbation


@dataclass(frozen=True)
class Negation(Perturbation):
    """Negates a sentence, or takes its negation away: `He likes it` → `He does not like it`."""

    name: ClassVar[str] = "negation"
    rules: ClassVar[str] = "negation"


@dataclass(frozen=True)
class NumberChange(Perturbation):
    """Changes the value of a number, date or time, and keeps its format: `3.5 %` → `4.5 %`."""

    name: ClassVar[str] = "number_change"
    rules: ClassVar[str] = "numbers"


@dataclass(frozen=True)
class AntonymSwap(Perturbation):
    """Puts the opposite in place of a word: `accepted the offer` → `rejected the offer`."""

    name: ClassVar[str] = "antonym"
    rules: ClassVar[str] = "antonyms"


@dataclass(frozen=True)
class RoleSwap(Perturbation):
    """Swaps who does with who undergoes, or what is compared: `Ann saw me` → `I saw Ann`."""

    name: ClassVar[str] = "role_swap"
    rules: ClassVar[str] = "roles"
