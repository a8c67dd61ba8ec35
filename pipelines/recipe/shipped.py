"""Recipes that come with pairsmith, and how a recipe is found by name.

Each is a function that returns a Recipe; copy one into a file of your own to change it.
"""

import dataclasses
import sys
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from pairsmith.augmenters import Crop, SpanMask, WordDropout
from pairsmith.pipelines.recipe.bases import Neighbours, Passage
from pairsmith.pipelines.recipe.negatives import RandomNegatives
from pairsmith.pipelines.recipe.recipe import Pair, Recipe, View
from pairsmith.pipelines.recipe.rules import MaxChars, MinWords, Overlap, Unchanged
from pairsmith.schemas import UserError
from pairsmith.schemas.dataset import sha256_file
from pairsmith.schemas.functions import made_by, modules_from_files

_SCREENS = (MinWords(4), MaxChars(2000))
_GATES = (Unchanged(), Overlap(max=0.95))


def quickstart() -> Recipe:
    """Noisy copies of a sentence, spans of one passage, and the sentences around a sentence."""
    return Recipe(
        pairs=(
            Pair("dropout", anchor=View(), positive=View(WordDropout(p=0.15))),
            Pair("span_mask", anchor=View(), positive=View(SpanMask(style="mask"))),
            _CROP,
            _CONTEXT,
        ),
        screens=_SCREENS,
        gates=_GATES,
        negatives=(RandomNegatives(1),),
    )


def context() -> Recipe:
    """A sentence and the sentences around it: the kind that teaches most from documents."""
    return Recipe(pairs=(_CONTEXT,), screens=_SCREENS, gates=_GATES)


def crop() -> Recipe:
    """Two spans of one passage of a document (DeCLUTR, arXiv 2006.03659)."""
    return Recipe(pairs=(_CROP,), screens=_SCREENS, gates=_GATES)


def dropout() -> Recipe:
    """A sentence and a copy without some of its words: for texts with no neighbours."""
    pair = Pair("dropout", anchor=View(), positive=View(WordDropout(p=0.15)))
    return Recipe(pairs=(pair,), screens=_SCREENS, gates=_GATES)


def identity() -> Recipe:
    """A sentence twice, for encoders with dropout of their own (SimCSE, arXiv 2104.08821)."""
    pair = Pair("identity", anchor=View(), positive=View(), gates=())
    return Recipe(pairs=(pair,), screens=_SCREENS)


_CONTEXT = Pair("context", anchor=View(), positive=View(base=Neighbours(3)))
_SPAN = View(Crop(0.3, 0.8), base=Passage(6))
_CROP = Pair("crop", anchor=_SPAN, positive=_SPAN, every=3)

SHIPPED: tuple[Callable[[], Recipe], ...] = (quickstart, context, crop, dropout, identity)


def find_recipe(name: str) -> Recipe:
    """Return the recipe called `name`: a shipped one, `file.py:function` or `module:function`.

    Raises UserError when there is no such recipe or its function does not return one.
    """
    for shipped_recipe in SHIPPED:
        if shipped_recipe.__name__ == name:
            return shipped_recipe()
    if ":" not in name:
        shipped = ", ".join(function.__name__ for function in SHIPPED)
        raise UserError(
            f"unknown recipe {name!r}; shipped are {shipped}; "
            "one of your own is named my_recipes.py:my_recipe"
        )
    return made_by("recipe", name, Recipe)


def sources_of(recipe: Recipe) -> list[str]:
    """Return the sha256 of each file with code of the user's that makes what the recipe asks for.

    Those are the files that define what it holds, and what was loaded from beside them. The digest
    of a recipe knows functions by name and version only. Code that lies in no file, as that of a
    notebook, counts as another one each time.
    """
    modules = {getattr(part, "__module__", None) for part in _parts(recipe)}
    own = {name for name in modules if name and name.split(".")[0] not in ("builtins", "pairsmith")}
    found = [_file(sys.modules.get(name)) for name in own]
    folders = {file.parent for file in found if file}
    files = {file for module in list(sys.modules.values()) if (file := _file(module))}
    sums = [sha256_file(file) for file in files if file.parent in folders]
    return sorted([*sums, *(uuid.uuid4().hex for file in found if not file)])


def _parts(value: Any) -> Iterator[Any]:
    """Yield a value of a recipe and all that it holds."""
    yield value
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        value = [getattr(value, field.name) for field in dataclasses.fields(value)]
    if isinstance(value, tuple | list):
        for part in value:
            yield from _parts(part)


def _file(module: object) -> Path | None:
    """Return the file that a module was loaded from, and load nothing, as lazy ones would."""
    file = getattr(module, "__dict__", {}).get("__file__")
    return Path(file) if isinstance(file, str) and Path(file).is_file() else None


def send_files() -> None:
    """Have what recipes from files define sent by value to processes, which lack the files."""
    from apache_beam.internal.cloudpickle import cloudpickle

    for module in modules_from_files():
        cloudpickle.register_pickle_by_value(module)
