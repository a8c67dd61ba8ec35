"""The recipe of the demo: `quickstart`, and sentences translated to French and back."""

import dataclasses
from pathlib import Path

from pairsmith.augmenters import BackTranslate
from pairsmith.pipelines.recipe import Pair, Recipe, View
from pairsmith.pipelines.recipe.shipped import quickstart

MODELS = Path(__file__).resolve().parents[1] / "translation" / "models"


def demo() -> Recipe:
    """Return the recipe. Of a hundred sentences one is translated, which is enough to see it."""
    models = (str(MODELS / "tiny-en-fr"), str(MODELS / "tiny-fr-en"))
    translated = View(BackTranslate("fr", models=models))
    base = quickstart()
    return dataclasses.replace(
        base,
        pairs=(*base.pairs, Pair("translation", View(), translated, every=100)),
    )
