"""Settings of a run as a function: `my_runs.py:small`."""

import importlib
import runpy
from dataclasses import replace
from pathlib import Path

from pairsmith.schemas import UserError
from pairsmith.training.config import TrainConfig


def find_config(name: str) -> TrainConfig:
    """Return what the function called `file.py:function` or `module:function` returns.

    Raises UserError when there is no such function or it does not return a TrainConfig.
    """
    place, colon, function = name.rpartition(":")
    if not colon:
        raise UserError(f"--config {name} names no function; give FILE.py:FUNCTION")
    if place.endswith(".py") and not Path(place).is_file():
        raise UserError(f"--config {name}: no file {place}")
    try:
        if place.endswith(".py"):
            found = runpy.run_path(place).get(function)
        else:
            found = getattr(importlib.import_module(place), function, None)
        config = found() if callable(found) else None
    except UserError:
        raise
    except Exception as error:
        text = " ".join(str(error).split())
        raise UserError(f"--config {name}: {type(error).__name__}: {text}") from error
    if not callable(found):
        raise UserError(f"--config {name}: {place} has no function {function!r}")
    if not isinstance(config, TrainConfig):
        raise UserError(f"--config {name} returned a {type(config).__name__}, not a TrainConfig")
    return replace(config, data=tuple(map(str, config.data)))
