"""How well an encoder finds translations."""

from pathlib import Path

import numpy as np

from pairsmith.training.evaluation.gold import translations
from pairsmith.training.evaluation.retrieval import search
from pairsmith.training.evaluation.vectors import Encode, Vectors, unit

SENTENCES = 1000
BITEXT_SEED = 7
NEIGHBOURS = 4


def bitext(encode: Encode, path: Path) -> dict[str, float]:
    """Return how often the best match of a text is its translation, each way, in [0, 1].

    `accuracy` is the mean of both ways by cosine, the Tatoeba task of Artetxe and Schwenk
    (arXiv 1812.10464): 1,000 sentences a language, here drawn by a fixed seed, each searched among
    the 1,000 of the other. `margin` is the same by ratio margin over 4 neighbours (their
    arXiv 1811.01136), which takes from texts that are close to everything.
    """
    names, left, right = translations(path, SENTENCES, BITEXT_SEED)
    there, back = unit(encode(left)), unit(encode(right))
    plain = there @ back.T
    forth, home = _both_ways(plain)
    margin = plain / (0.5 * (_nearness(there, back)[:, None] + _nearness(back, there)))
    found = (forth + home) / 2, forth, home, sum(_both_ways(margin)) / 2
    return dict(zip(_measures(names), found, strict=True))


def bitext_measures(path: Path) -> tuple[str, ...]:
    """Return the names of what `bitext` returns, in its order."""
    return _measures(translations(path)[0])


def _measures(languages: tuple[str, str]) -> tuple[str, ...]:
    one, other = languages
    return "accuracy", f"{one}-{other}", f"{other}-{one}", "margin"


def _both_ways(scores: Vectors) -> tuple[float, float]:
    own = np.arange(len(scores))
    return float((scores.argmax(1) == own).mean()), float((scores.argmax(0) == own).mean())


def _nearness(texts: Vectors, others: Vectors) -> Vectors:
    """Return each text's mean cosine with its nearest neighbours, kept off 0."""
    means: Vectors = search(texts, [others], NEIGHBOURS)[0].mean(1)
    return np.clip(means, 1e-6, None)
