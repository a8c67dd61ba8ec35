"""Augmenters and recipes as JSON data, for digests and manifests."""

import dataclasses
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
        if _takes_settings(value):
            raise UserError(
                f"{value.__qualname__} holds values of the function around it, which its name does "
                "not tell; make it a function of the module, or an augmenter: a frozen dataclass"
            )
        return f"{value.__module__}:{value.__qualname__}"
    raise UserError(
        f"a recipe may hold dataclasses, functions, tuples, text and numbers, not {value!r}; "
        "make it a frozen dataclass"
    )


def _takes_settings(function: Any) -> bool:
    """Return whether functions of this name differ by what was around them when they were made."""
    holders = ("__closure__", "__defaults__", "__kwdefaults__")
    held = any(getattr(function, holder, None) for holder in holders)
    return held and "<locals>" in function.__qualname__
