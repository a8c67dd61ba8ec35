"""What `train` and `tune` share: the settings of a run, by flags over those of a function."""

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Annotated, Any, TypeVar

import tyro

from pairsmith.training.config import TrainConfig, find_config

Options = TypeVar("Options")
Settings = Annotated[TrainConfig, tyro.conf.OmitArgPrefixes]
Function = Annotated[str, tyro.conf.arg(name="config", metavar="FILE.py:FUNCTION")]


def parse(
    options: Callable[[TrainConfig], Options], argv: Sequence[str], prog: str, description: str
) -> Options:
    """Return what the command line says, over the settings of the function that --config names.

    options: a dataclass that begins with the settings; all other fields have defaults.
    """
    # Its settings are the defaults of all other flags, so it has to be known before they are read.
    name = next(filter(None, map(_function, pairwise([*argv, ""]))), "")
    default: Any = options(find_config(name)) if name else tyro.MISSING_NONPROP
    return tyro.cli(
        options,
        prog=prog,
        description=description,
        args=list(argv),
        default=default,
        config=(tyro.conf.OmitArgPrefixes,),
    )


def _function(words: tuple[str, str]) -> str:
    """Return the function that is named here, by `--config NAME` or `--config=NAME`."""
    option, equals, name = words[0].partition("=")
    return (name if equals else words[1]) if option == "--config" else ""
