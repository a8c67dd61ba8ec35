"""How much each row counts: factors by kind, view and language, or a function, over its weight.

Shards are not rewritten; a row whose weight becomes 0 is left out of the stream.
"""

import inspect
import re
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from xxhash import xxh3_64_hexdigest

from pairsmith.schemas import PAIRS, UserError
from pairsmith.schemas.functions import find_function

Weigh = Callable[[pa.RecordBatch], npt.NDArray[np.float32]]
_COLUMNS = {
    "kind": ("kind",),
    "lang": ("lang",),
    "view": ("anchor_view", "positive_view"),
    "anchor_view": ("anchor_view",),
    "positive_view": ("positive_view",),
}
_RULE = re.compile(r"(?P<what>\w+):(?P<value>.*)=(?P<factor>[^=]+)")


@dataclass(frozen=True)
class Rule:
    """Rows with `value` in one of `columns` count `factor` times as much."""

    columns: tuple[str, ...]
    value: str
    """Empty: null."""
    factor: float

    def matches(self, table: pa.Table) -> npt.NDArray[np.bool_]:
        """Return which rows it is about: bool, shape (rows,)."""
        found = np.zeros(table.num_rows, np.bool_)
        for name in self.columns:
            column = table[name]
            same = pc.equal(column, self.value) if self.value else pc.is_null(column)
            found |= pc.fill_null(same, False).to_numpy()
        return found


@dataclass(frozen=True)
class Weights:
    """What the stored weight of a row is multiplied by."""

    rules: tuple[Rule, ...] = ()
    function: Weigh | None = None
    columns: tuple[str, ...] = ("weight",)
    """What has to be read to weigh a row."""
    digest: str = ""
    """Hash of the file that defines the function, so that a run does not go on with another."""

    @property
    def change(self) -> bool:
        """Tell whether any weight is other than the stored one."""
        return bool(self.rules) or self.function is not None

    def __call__(self, table: pa.Table, where: object) -> npt.NDArray[np.float32]:
        """Return the weights of the rows of `table`, which has `columns`: float32, shape (rows,).

        where: names the rows in errors.
        Raises UserError when a weight is negative, NaN or infinite, or the function fails.
        """
        weights: npt.NDArray[np.float32] = table["weight"].to_numpy().astype(np.float32)
        for rule in self.rules:
            weights = (
                np.where(rule.matches(table), np.float32(rule.factor), np.float32(1)) * weights
            )
        if self.function is not None:
            weights = weights * self._by_function(table, where)
        if not (np.isfinite(weights).all() and (weights >= 0).all()):
            mend = "mend --weights or --weigh" if self.change else "build the dataset anew"
            raise UserError(f"{where} has a weight that is negative, NaN or infinite; {mend}")
        return weights

    def _by_function(self, table: pa.Table, where: object) -> npt.NDArray[np.float32]:
        assert self.function is not None  # noqa: S101
        name = getattr(self.function, "__name__", "the function")
        try:
            rows = table.select(self.columns).combine_chunks().to_batches()
            made = np.concatenate([np.asarray(self.function(batch)) for batch in rows])
            made = made.astype(np.float32)
        except Exception as error:
            text = " ".join(str(error).split())
            raise UserError(
                f"--weigh {name} failed on {where} with {type(error).__name__}: {text}"
            ) from error
        if made.shape != (table.num_rows,):
            raise UserError(
                f"--weigh {name} returned shape {made.shape} for {table.num_rows} rows of {where}; "
                "it must return one number a row"
            )
        return made


def open_weights(rules: Sequence[str] = (), function: str = "") -> Weights:
    """Return the weights of settings such as `kind:dropout=0.5` and `file.py:function`.

    The function gets a RecordBatch of whole rows, or of the columns that its attribute `columns`
    names, and returns a float32 for each; it must depend on nothing but the row.
    Raises UserError when a rule is misspelt or there is no such function.
    """
    parsed = tuple(map(_parse, rules))
    columns = dict.fromkeys(["weight", *(name for rule in parsed for name in rule.columns)])
    if not function:
        return Weights(parsed, None, tuple(columns))
    called = find_function("--weigh", function)
    wanted = getattr(called, "columns", PAIRS.names)
    if unknown := sorted({*wanted} - {*PAIRS.names}):
        raise UserError(f"--weigh {function} asks for the column {unknown[0]!r}, which pairs lack")
    columns |= dict.fromkeys(wanted)
    place = function.rpartition(":")[0]
    files = {Path(place if place.endswith(".py") else sys.modules[place].__file__ or "").resolve()}
    with suppress(TypeError):  # of what is no function, such as a partial one: it has no file
        files.add(Path(inspect.getfile(called)).resolve())  # from which the other may import it
    source = b"".join(path.read_bytes() for path in sorted(files))
    return Weights(parsed, called, tuple(columns), xxh3_64_hexdigest(source))


def _parse(text: str) -> Rule:
    found = _RULE.fullmatch(text)
    if not found or found["what"] not in _COLUMNS:
        known = ", ".join(_COLUMNS)
        raise UserError(
            f"--weights {text} is not of the form WHAT:VALUE=FACTOR, with WHAT one of {known}; "
            "write, say, kind:dropout=0.5"
        )
    try:
        factor = float(found["factor"])
    except ValueError:
        factor = -1.0
    if not 0 <= factor < float("inf"):
        raise UserError(f"--weights {text}: {found['factor']} must be a number of at least 0")
    return Rule(_COLUMNS[found["what"]], found["value"], factor)
