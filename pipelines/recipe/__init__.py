"""What a recipe is made of: pairs and their views, rules, negatives, and how input is cut."""

from pairsmith.pipelines.recipe.bases import Base, Neighbours, Passage, Unit
from pairsmith.pipelines.recipe.negatives import Perturbed, RandomNegatives
from pairsmith.pipelines.recipe.recipe import Documents, Pair, Recipe, View
from pairsmith.pipelines.recipe.rules import (
    MaxChars,
    MaxWords,
    Measured,
    MinWords,
    Overlap,
    PairRule,
    TextRule,
    Unchanged,
)
from pairsmith.pipelines.recipe.segment import Lines, Segmenter, Sentences, Whole
from pairsmith.pipelines.recipe.similarity import Similarity
from pairsmith.pipelines.recipe.token_ids import TokenIds

__all__ = [
    "Base",
    "Documents",
    "Lines",
    "MaxChars",
    "MaxWords",
    "Measured",
    "MinWords",
    "Neighbours",
    "Overlap",
    "Pair",
    "PairRule",
    "Passage",
    "Perturbed",
    "RandomNegatives",
    "Recipe",
    "Segmenter",
    "Sentences",
    "Similarity",
    "TextRule",
    "TokenIds",
    "Unchanged",
    "Unit",
    "View",
    "Whole",
]
