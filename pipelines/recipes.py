"""Recipes that come with pairsmith, and how a recipe is found by name.

Each is a function that returns a Recipe; copy one into a file of your own to change it.
"""

import importlib
import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path

from pairsmith.augmenters import Crop, SpanMask, WordDropout
from pairsmith.pipelines.bases import Neighbours, Passage
from pairsmith.pipelines.negatives import RandomNegatives
from pairsmith.pipelines.recipe import Pair, Recipe, View
from pairsmith.pipelines.rules import MaxChars, MinWords, Overlap, Unchanged
from pairsmith.schemas import UserError

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
        negatives=RandomNegatives(1),
    )


def context() -> Recipe:
    """A sentence and the sentences around it: the kind that teaches most from documents."""
    return Recipe(pairs=(_CONTEXT,), screens=_SCREENS, gates=_GATES)


def crop() -> Recipe:
    """Two spans of one passage of a document (DeCLUTR, arXiv 2006.03659)."""
    return Recipe(pairs=(_CROP,), screens=_SCREENS, gates=_GATES)


def dropout() -> Recipe:
    """A sentence and itself with words left out."""
    pair = Pair("dropout", anchor=View(), positive=View(WordDropout(p=0.15)))
    return Recipe(pairs=(pair,), screens=_SCREENS, gates=_GATES)


def identity() -> Recipe:
    """The same sentence twice; the encoder's own dropout tells them apart (SimCSE, 2104.08821)."""
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
    for function in SHIPPED:
        if function.__name__ == name:
            return function()
    place, colon, attribute = name.rpartition(":")
    if not colon:
        shipped = ", ".join(function.__name__ for function in SHIPPED)
        raise UserError(
            f"unknown recipe {name!r}; shipped are {shipped}; "
            "one of your own is named my_recipes.py:my_recipe"
        )
    made = getattr(_module(place), attribute, None)
    if not callable(made):
        raise UserError(f"{place} has no function {attribute!r}")
    try:
        recipe = made()
    except (TypeError, ValueError) as error:
        raise UserError(f"recipe {name}: {error}") from error
    if not isinstance(recipe, Recipe):
        raise UserError(f"recipe {name} returned a {type(recipe).__name__}, not a Recipe")
    return recipe


def _module(place: str) -> object:
    if not place.endswith(".py"):
        try:
            return importlib.import_module(place)
        except ModuleNotFoundError as error:
            raise UserError(f"no module {place!r} to take a recipe from ({error})") from error
    path = Path(place).resolve()
    if not path.is_file():
        raise UserError(f"no file {place} to take a recipe from")
    # Under its own name and folder, so that worker processes can import what the recipe refers to.
    sys.path.insert(0, str(path.parent))
    importlib.invalidate_caches()
    return importlib.import_module(path.stem)
