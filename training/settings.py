"""What can be told of all settings of a run from their types alone: bounds, and what they decide.

Settings are frozen dataclasses, one inside the other; names are unique over all of them, so that
each is a flag of its own. A field says more about itself by marks in its `Annotated` type.
"""

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import UnionType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from pairsmith.schemas import UserError
from pairsmith.schemas.store import check_local

Config = TypeVar("Config")


@dataclass(frozen=True)
class Free:
    """Mark of what may change between a run's start and its resumption, or a group of such."""


@dataclass(frozen=True)
class AtLeast:
    """Mark of a number's lower bound, itself allowed."""

    bound: float


@dataclass(frozen=True)
class AtMost:
    """Mark of a number's upper bound, itself allowed."""

    bound: float


@dataclass(frozen=True)
class Above:
    """Mark of a number's lower bound, itself not allowed."""

    bound: float


@dataclass(frozen=True)
class Setting:
    """One leaf of the settings."""

    name: str
    value: Any
    kinds: tuple[Any, ...]
    """The types that its value may have; several of a union."""
    marks: tuple[Any, ...]

    @property
    def takes(self) -> tuple[str, ...]:
        """Return what it may be, in words: those of a Literal, and the names of other types."""
        words = (get_args(k) if get_origin(k) is Literal else (k.__name__,) for k in self.kinds)
        return tuple(str(word) for some in words for word in some)

    @property
    def free(self) -> bool:
        """Tell whether it may change between a run's start and its resumption."""
        return Free() in self.marks


def settings(config: Any, inherited: tuple[Any, ...] = ()) -> Iterator[Setting]:
    """Yield every setting in `config` and the dataclasses that it holds, in their order."""
    hints = get_type_hints(type(config), include_extras=True)
    plain_hints = get_type_hints(type(config))
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        marks = (*inherited, *getattr(hints[field.name], "__metadata__", ()))
        if dataclasses.is_dataclass(value):
            yield from settings(value, marks)
        else:
            hint = plain_hints[field.name]
            kinds = get_args(hint) if get_origin(hint) in (Union, UnionType) else (hint,)
            yield Setting(field.name, value, kinds, marks)


def groups(config: Any) -> Iterator[Any]:
    """Yield the dataclasses that `config` holds, and theirs."""
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        if dataclasses.is_dataclass(value):
            yield value
            yield from groups(value)


def change(config: Config, **values: Any) -> Config:
    """Return `config` with settings replaced by name, in whichever dataclass they stand.

    Raises TypeError for a name that is none.
    """
    own: dict[str, Any] = {}
    for field in dataclasses.fields(config):  # type: ignore[arg-type]
        name, inner = field.name, getattr(config, field.name)
        # A group may be called like a setting in it, and is meant where a group is given.
        group = dataclasses.is_dataclass(inner)
        if name in values and dataclasses.is_dataclass(values[name]) == group:
            own[name] = inner = values.pop(name)
        if group:
            names = {setting.name for setting in settings(inner)} & values.keys()
            if names:
                own[name] = change(inner, **{each: values.pop(each) for each in names})
    if values:
        raise TypeError(f"no setting {', '.join(values)}")
    return dataclasses.replace(config, **own)  # type: ignore[type-var]


def check(config: Any) -> None:
    """Raise UserError for an unknown word, a value out of bounds, or one that a group refuses.

    A setting that is a Path is written to, so it must not be a URL; files to read are tuples.
    """
    for setting in settings(config):
        name, value = flag(setting.name), setting.value
        words = [w for k in setting.kinds if get_origin(k) is Literal for w in get_args(k)]
        if words and value not in words and type(value) not in setting.kinds:
            raise UserError(f"{name} {value!r} is none of {', '.join(setting.takes)}; give one")
        if isinstance(value, Path):
            check_local(value, name)
        for mark in setting.marks if value is not None else ():
            # Written so that nan is refused too.
            if isinstance(mark, AtLeast) and not value >= mark.bound:
                raise UserError(f"{name} {value} is too small; give at least {mark.bound:g}")
            if isinstance(mark, AtMost) and not value <= mark.bound:
                raise UserError(f"{name} {value} is too large; give at most {mark.bound:g}")
            if isinstance(mark, Above) and not value > mark.bound:
                raise UserError(f"{name} {value} must be above {mark.bound:g}")
    for group in groups(config):
        look = getattr(group, "check", None)
        if look is not None:
            look()


def plain(value: Any) -> Any:
    """Return a setting's value as JSON data, folders by their names only."""
    if isinstance(value, Path):
        return value.name
    if dataclasses.is_dataclass(value):
        return {setting.name: plain(setting.value) for setting in settings(value)}
    return [plain(v) for v in value] if isinstance(value, tuple) else value


def flag(name: str) -> str:
    """Return the command line's spelling of a setting."""
    return "--" + name.replace("_", "-")
