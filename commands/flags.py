"""What is looked at in a command line beside the parser: a slip must not go unnoticed."""

import dataclasses
import difflib
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stderr
from io import StringIO
from itertools import pairwise
from typing import Any

from pairsmith.schemas import UserError

_DRAWN = re.compile(r"\x1b\[[0-9;]*m|[\u2500-\u257f]")
"""Colours, and the lines of boxes."""


def asks_json(arguments: Sequence[str]) -> bool:
    """Return whether what goes wrong is to be told as JSON."""
    return ("--log", "json") in pairwise(arguments) or "--log=json" in arguments


@contextmanager
def raising_complaints() -> Iterator[None]:
    """Raise UserError, one line, where the parser would end the process with a box of text."""
    with redirect_stderr(StringIO()) as said:
        try:
            yield
        except SystemExit as ended:
            if not ended.code:
                raise  # it was asked for help
            raise UserError(" ".join(_DRAWN.sub(" ", said.getvalue()).split())) from ended


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
