"""English endings by the regular rules of spelling."""

import re
from typing import Final, Literal

Ending = Literal["", "s", "ed", "ing", "er", "est"]
""""" for the base form; `s` of nouns and verbs; `ed` of the past and of the participle."""
VOWELS: Final = "aeiou"
_DOUBLED: Final = re.compile(r"[^aeiou]+[aeiou][^aeiouwxy]")
"""Words of one syllable that double their last letter; those of more depend on the stress."""


def with_ending(base: str, ending: Ending, *, verb: bool = False) -> str:
    """Return a base form with an ending: `try`, `tries`, `tried`, `trying`; `hot`, `hotter`."""
    if not ending:
        return base
    consonant_y = base.endswith("y") and base[-2:-1] not in VOWELS
    if ending == "s":
        hisses = base.endswith(("s", "x", "z", "ch", "sh"))
        if hisses or (verb and base.endswith("o") and base[-2:-1] not in VOWELS):
            return f"{base}es"
        return f"{base[:-1]}ies" if consonant_y else f"{base}s"
    if _DOUBLED.fullmatch(base):
        base += base[-1]
    if ending == "ing":
        silent = base.endswith("e") and not base.endswith(("ee", "oe", "ye"))
        return f"{base[:-1] if silent else base}ing"
    stem = f"{base[:-1]}i" if consonant_y else base
    return stem + (ending[1:] if base.endswith("e") else ending)
