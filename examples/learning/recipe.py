"""Recipes of the recorded runs."""

import dataclasses

from pairsmith.pipelines.bases import Neighbours
from pairsmith.pipelines.recipe import Pair, Recipe, View
from pairsmith.pipelines.recipes import context


def near() -> Recipe:
    """A sentence and the one before and after it."""
    pair = Pair("context", anchor=View(), positive=View(base=Neighbours(1)))
    return dataclasses.replace(context(), pairs=(pair,))
