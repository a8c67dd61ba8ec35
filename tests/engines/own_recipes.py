"""A user's own recipes, in a file that no worker has; tests copy it to where they run.

`PAIRSMITH_TEST_HOLD` names a file: while it is there, whoever judges pairs tells its process there
and waits.
"""

import os
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pairsmith.augmenters import from_function
from pairsmith.pipelines.recipe import Pair, Recipe, View


def shout(text, rng):
    return text.upper() + "!" * int(rng.integers(1, 4))


@dataclass(frozen=True)
class Held:
    reason: str = "held"

    def refused_pairs(self, pairs):
        hold = Path(os.environ.get("PAIRSMITH_TEST_HOLD", "/nowhere"))
        if hold.exists():
            hold.write_text(str(os.getpid()))
            while hold.exists():
                time.sleep(0.05)
        return np.zeros(len(pairs.anchors), bool), np.zeros(len(pairs.anchors))


@dataclass(frozen=True)
class Moody:
    reason: str = "moody"

    def refused_pairs(self, pairs):
        raise ArithmeticError("not today")


def loud() -> Recipe:
    view = View(from_function(shout, name="shout"))
    pair = Pair("loud", anchor=View(), positive=view, draws=2)
    return Recipe(pairs=(pair,), gates=(Held(),), shards=5)


def moody() -> Recipe:
    return Recipe(pairs=(Pair("k", View(), View()),), gates=(Moody(),))
