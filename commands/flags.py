"""Flags that a command hands to Beam: a slip among them must not go unnoticed."""

import dataclasses
import difflib
from collections.abc import Sequence
from typing import Any

from pairsmith.schemas import UserError


def check_beam_flags(options: Any, flags: Sequence[str]) -> None:
    """Raise UserError for a word that is no flag, and for a flag that is nearly one of `options`.

    Engines have flags of their own, so that only a near miss is surely a slip.
    """
    if stray := [flag for flag in flags if not flag.startswith("-")]:
        raise UserError(
            f"cannot place {stray[0]!r}; write Beam flags with '=', as --direct_num_workers=2"
        )
    ours = [f"--{field.name.replace('_', '-')}" for field in dataclasses.fields(options)]
    for flag in flags:
        name = flag.split("=")[0].replace("_", "-")
        if near := difflib.get_close_matches(name, ours, 1, 0.85):
            raise UserError(f"no option {flag.split('=')[0]}; did you mean {near[0]}?")
