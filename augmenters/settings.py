"""Augmenters and recipes as JSON data, for digests and manifests."""

import dataclasses
from types import MethodType
from typing import Any

from pairsmith.augmenters.augmenter import Describes
from pairsmith.schemas import UserError


def as_data(value: Any) -> Any:
    """Return dataclasses, tuples, text and numbers as JSON data.

    A dataclass becomes its type, its version if it has one, and its fields or what it tells itself
    (`Describes`); a function becomes its name. Raises UserError for what cannot be recorded.
    """
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        if isinstance(value, Describes):
            fields = value.settings()
        else:
            fields = {f.name: as_data(getattr(value, f.name)) for f in dataclasses.fields(value)}
        if (version := getattr(value, "version", None)) is not None:
            fields["version"] = version
        return {"type": type(value).__name__, **fields}
    if isinstance(value, tuple | list):
        return [as_data(item) for item in value]
    if value is None or isinstance(value, str | int | float | bool):
        return value
    if callable(value) and hasattr(value, "__qualname__"):
        if not _told_by_name(value):
            raise UserError(
                f"{value.__qualname__} is not told from others by its name; make it a function of "
                "the module, with `def`, or an augmenter: a frozen dataclass"
            )
        return f"{value.__module__}:{value.__qualname__}"
    raise UserError(
        f"a recipe may hold dataclasses, functions, tuples, text and numbers, not {value!r}; "
        "make it a frozen dataclass"
    )


def _told_by_name(function: Any) -> bool:
    """Return whether there can be only one function of this name.

    Not so of a lambda, a method of some object, or what keeps values of the function around it.
    """
    if "<lambda>" in function.__qualname__ or isinstance(function, MethodType):
        return False
    holders = ("__closure__", "__defaults__", "__kwdefaults__")
    held = any(getattr(function, holder, None) for holder in holders)
    return not (held and "<locals>" in function.__qualname__)
