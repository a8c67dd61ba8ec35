"""Applying augmenters to batches so that a text that breaks one takes no other text with it."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pairsmith.augmenters import Augmenter
from pairsmith.schemas import UserError, subkeys


class Broken(NamedTuple):
    """A text that an augmenter raised an error for."""

    row: int
    augmenter: str
    error: str


def augment(
    steps: Sequence[Augmenter], texts: pa.StringArray, keys: npt.NDArray[np.uint64]
) -> tuple[pa.StringArray, list[Broken]]:
    """Return the texts after every step in turn, null where there is no view, and what broke.

    Step i draws from the i-th subkeys of `keys`.
    """
    broken: list[Broken] = []
    for number, step in enumerate(steps):
        texts, errors = _apply(step, texts, subkeys(keys, number), 0)
        broken.extend(errors)
    return texts, broken


def _apply(
    step: Augmenter, texts: pa.StringArray, keys: npt.NDArray[np.uint64], first: int
) -> tuple[pa.StringArray, list[Broken]]:
    """Apply one step to all rows at once, or to halves of them where it raises an error."""
    try:
        views = step(texts, keys)
    except UserError:
        raise
    except Exception as error:  # noqa: BLE001 - any error of a foreign augmenter is a failed row
        if len(texts) == 1:
            problem = Broken(first, step.name, f"{type(error).__name__}: {error}")
            return pa.nulls(1, pa.string()), [problem]
    else:
        if len(views) != len(texts) or views.type != pa.string():
            raise UserError(
                f"augmenter {step.name!r} returned {len(views)} of {views.type} "
                f"for {len(texts)} texts; it must return one string or null for each"
            )
        return views, []
    middle = len(texts) // 2
    left, left_broken = _apply(step, texts[:middle], keys[:middle], first)
    right, right_broken = _apply(step, texts[middle:], keys[middle:], first + middle)
    return pa.concat_arrays([left, right]), left_broken + right_broken
