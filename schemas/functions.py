"""Functions of a user's own, called by name: `FILE.py:FUNCTION` or `MODULE:FUNCTION`."""

import importlib
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any, TypeVar

from pairsmith.schemas.errors import UserError

Made = TypeVar("Made")
_FROM_FILE = "__pairsmith_from_file__"
"""Set in modules that were loaded from a file by its path."""


def find_function(what: str, name: str) -> Callable[..., Any]:
    """Return the function called `name`.

    A file is loaded once in a process, and may import others that lie beside it.
    what: what errors call it, such as the option that it was given by.
    Raises UserError when there is no such function, or what defines it cannot be loaded.
    """
    place, colon, attribute = name.rpartition(":")
    if not colon:
        raise UserError(f"{what} {name} names no function; give FILE.py:FUNCTION")
    try:
        module = _load(what, place, name)
    except UserError:
        raise
    except Exception as error:
        raise UserError(f"{what} {name}: {_where(error)}") from error
    function = getattr(module, attribute, None)
    if not callable(function):
        raise UserError(f"{what} {name}: {place} has no function {attribute!r}")
    found: Callable[..., Any] = function
    return found


def made_by(what: str, name: str, kind: type[Made]) -> Made:
    """Return what the function called `name` returns, which must be a `kind`.

    Raises UserError when there is no such function, it fails, or it returns something else.
    """
    function = find_function(what, name)
    try:
        made = function()
    except UserError:
        raise
    except Exception as error:
        raise UserError(f"{what} {name}: {_where(error)}") from error
    if not isinstance(made, kind):
        raise UserError(f"{what} {name} returned a {type(made).__name__}, not a {kind.__name__}")
    return made


def modules_from_files() -> list[ModuleType]:
    """Return the modules that were loaded from files by their paths, which other processes lack."""
    modules = list(sys.modules.values())
    return [module for module in modules if _FROM_FILE in getattr(module, "__dict__", ())]


def _load(what: str, place: str, name: str) -> ModuleType:
    if not place.endswith(".py"):
        return importlib.import_module(place)
    path = Path(place).resolve()
    if not path.is_file():
        raise UserError(f"{what} {name}: no file {place}")
    if str(path.parent) not in sys.path:
        sys.path.append(str(path.parent))  # last, so that it hides no library
    importlib.invalidate_caches()
    module = importlib.import_module(path.stem)
    if Path(module.__file__ or "").resolve() != path:
        raise UserError(
            f"{what} {name}: {place} has the name of another Python module; rename the file"
        )
    setattr(module, _FROM_FILE, True)
    return module


def _where(error: Exception) -> str:
    """Return an error in one line, with the last place that it came through."""
    frames = traceback.extract_tb(error.__traceback__)
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text} ({frames[-1].filename}:{frames[-1].lineno})"
