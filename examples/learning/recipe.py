"""Recipes of the recorded runs."""

import dataclasses

from pairsmith.augmenters import (
    AntonymSwap,
    Crop,
    Negation,
    NumberChange,
    PhraseSwap,
    RoleSwap,
    WordDropout,
)
from pairsmith.pipelines.recipe import Neighbours, Pair, Passage, Perturbed, Recipe, View
from pairsmith.pipelines.recipe.shipped import context, quickstart


def near() -> Recipe:
    """A sentence and the one before and after it."""
    pair = Pair("context", anchor=View(), positive=View(base=Neighbours(1)))
    return dataclasses.replace(context(), pairs=(pair,))


def near_and_noisy() -> Recipe:
    """`near`, and two copies of a sentence, each without two words in five."""
    noisy = View(WordDropout(p=0.4))
    pairs = (*near().pairs, Pair("dropout", anchor=noisy, positive=noisy))
    return dataclasses.replace(near(), pairs=pairs)


def spans() -> Recipe:
    """Two spans of the same eight turns of a dialogue."""
    span = View(Crop(0.2, 0.5), base=Passage(8))
    return dataclasses.replace(near(), pairs=(Pair("crop", anchor=span, positive=span, every=3),))


def changed() -> Recipe:
    """The demo's pairs, with a copy of the anchor that says something else as a negative."""
    steps = (Negation(), NumberChange(), PhraseSwap(), AntonymSwap(), RoleSwap())
    return dataclasses.replace(quickstart(), negatives=tuple(map(Perturbed, steps)))
