"""Applying augmenters to batches so that a text that breaks one takes no other text with it."""

from collections.abc import Sequence
from typing import NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from pairsmith.augmenters import Augmenter, Views, views_of
from pairsmith.augmenters.augmenter import Keys
from pairsmith.augmenters.changes import Changes, changes_of
from pairsmith.augmenters.compose import follow, labels
from pairsmith.augmenters.languages import primary
from pairsmith.schemas import UserError, subkeys
from pairsmith.schemas.private import described


class Broken(NamedTuple):
    """A text that an augmenter raised an error for."""

    row: int
    augmenter: str
    error: str


class Augmented(NamedTuple):
    """What a chain of augmenters made of a batch."""

    views: Views
    broken: list[Broken]
    changes: dict[str, Changes]
    """How much each step changed: by its number and name."""


def augment(
    steps: Sequence[Augmenter],
    texts: pa.StringArray,
    keys: Keys,
    langs: pa.StringArray | None = None,
) -> Augmented:
    """Return the texts after every step in turn, null where there is no view, and what broke.

    Step i draws from the i-th subkeys of `keys`. langs: BCP 47 codes, null for unknown; a step that
    is made for some languages makes no view of a text that is known to be in another.
    """
    nothing = pa.nulls(len(texts), pa.string())
    views, broken, changes = Views(texts, nothing, nothing), list[Broken](), dict[str, Changes]()
    for number, (step, label) in enumerate(zip(steps, labels(steps), strict=True)):
        foreign = _foreign(step, langs)
        if foreign is not None:
            reason = pc.if_else(foreign, f"not in {' or '.join(step.languages)}", None)
            told = pc.coalesce(views.reasons, reason)
            given = pc.if_else(foreign, pa.scalar(None, pa.string()), views.texts)
            views = Views(given, told, views.details)
        made, errors = _apply(step, views.texts, subkeys(keys, number), 0)
        changes[f"{number + 1}:{step.name}"] = changes_of(views.texts, made.texts)
        views = follow(views, label, made)
        broken.extend(errors)
    return Augmented(views, broken, changes)


def _foreign(step: Augmenter, langs: pa.StringArray | None) -> pa.BooleanArray | None:
    """Return which texts are known to be in a language that the step is not made for."""
    if langs is None or not step.languages or langs.null_count == len(langs):
        return None
    made_for = set(map(primary, step.languages))
    codes = langs.dictionary_encode()
    foreign = [primary(code) not in made_for for code in codes.dictionary.to_pylist()]
    return pa.array(foreign, pa.bool_()).take(codes.indices).fill_null(False)


def _apply(
    step: Augmenter, texts: pa.StringArray, keys: Keys, first: int
) -> tuple[Views, list[Broken]]:
    """Apply one step to all rows at once, or to halves of them where it raises an error."""
    try:
        views = views_of(step, texts, keys)
    except UserError:
        raise
    except Exception as error:  # noqa: BLE001 - any error of a foreign augmenter is a failed row
        if len(texts) == 1:
            problem = Broken(first, step.name, described(error))
            nothing = pa.nulls(1, pa.string())
            return Views(nothing, nothing, nothing), [problem]
    else:
        for made in views:
            if len(made) != len(texts) or made.type != pa.string():
                raise UserError(
                    f"augmenter {step.name!r} returned {len(made)} of {made.type} "
                    f"for {len(texts)} texts; it must return one string or null for each"
                )
        return views, []
    middle = len(texts) // 2
    left, left_broken = _apply(step, texts[:middle], keys[:middle], first)
    right, right_broken = _apply(step, texts[middle:], keys[middle:], first + middle)
    joined = (pa.concat_arrays(both) for both in zip(left, right, strict=True))
    return Views(*joined), left_broken + right_broken
