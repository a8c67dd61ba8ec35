"""Augmenters and recipes as JSON data, for digests and manifests."""

import dataclasses
from typing import Any

from pairsmith.augmenters.augmenter import Describes
from pairsmith.schemas import UserError


def as_data(value: Any) -> Any:
    """Return dataclasses, tuples, text and numbers as JSON data.

    A dataclass becomes its type, its version if it has one, and its fields or what it tells itself
    (`Describes`). Raises UserError for what cannot be recorded.
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
    if callable(value):
        return f"{value.__module__}:{value.__qualname__}"
    raise UserError(f"a recipe may hold dataclasses, tuples, text and numbers, not {value!r}")
