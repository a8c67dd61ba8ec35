"""The recipe that benchmarks/build.py measures."""

from pairsmith.augmenters import SpanMask, WordDropout
from pairsmith.pipelines.recipe import MinWords, Neighbours, Overlap, Pair, Recipe, Unchanged, View


def three_kinds() -> Recipe:
    """Dropout, masked spans and context."""
    return Recipe(
        pairs=(
            Pair("dropout", anchor=View(), positive=View(WordDropout(p=0.15))),
            Pair("span_mask", anchor=View(), positive=View(SpanMask(density=0.15))),
            Pair("context", anchor=View(), positive=View(base=Neighbours(3))),
        ),
        screens=(MinWords(4),),
        gates=(Unchanged(), Overlap(max=0.95)),
    )
