"""Errors a user can mend: one line, shown without a traceback."""

import importlib
from importlib.util import find_spec
from types import ModuleType


class UserError(Exception):
    """Something the user can put right: the message says what, where and how, in one line.

    The commands print it to standard error and exit with code 2.
    """


def require(module: str, extra: str) -> ModuleType:
    """Return an optional dependency, imported.

    Raises UserError that names the extra to install when the module is not there.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name and module.split(".")[0] != error.name.split(".")[0]:
            raise
        raise _missing(module, extra) from error


def check_installed(extra: str, *packages: str) -> None:
    """Raise UserError that names the extra to install when a package is not there; load none."""
    for package in packages:
        if find_spec(package) is None:
            raise _missing(package, extra)


def install_line(extra: str) -> str:
    """Return how to install an extra; nothing is published, so that only a checkout has it."""
    return f"pip install '.[{extra}]' in a checkout of pairsmith"


def _missing(module: str, extra: str) -> UserError:
    return UserError(
        f"the Python package {module.split('.')[0]!r} is missing; "
        f"install it with: {install_line(extra)}"
    )
