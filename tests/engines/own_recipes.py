"""A user's own recipes, in a file that no worker has; tests copy it to where they run.

Recipes that misbehave leave their notes beside that copy.
"""

import os
import socket
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np

from pairsmith.augmenters import from_function
from pairsmith.pipelines.recipe import Documents, Pair, Recipe, View

HERE = str(Path(__file__).parent)


def shout(text, rng):
    return text.upper() + "!" * int(rng.integers(1, 4))


def none_refused(pairs):
    return np.zeros(len(pairs.anchors), bool), np.zeros(len(pairs.anchors))


@dataclass(frozen=True)
class Held:
    """While the file `hold` is there, tells its process there and waits."""

    reason: str = "held"

    def refused_pairs(self, pairs):
        hold = Path(HERE, "hold")
        if hold.exists():
            hold.write_text(str(os.getpid()))
            while hold.exists():
                time.sleep(0.05)
        return none_refused(pairs)


@dataclass(frozen=True)
class FailsOnce:
    """Fails at the first sight of each of two documents, and never again; notes the second."""

    reason: str = "fails once"

    def refused_pairs(self, pairs):
        anchors = pairs.anchors.to_pylist()
        for number in (0, 31):
            if any(anchor.startswith(f"Item {number}:") for anchor in anchors):
                marker = Path(HERE, f"failed-{number}")
                if not marker.exists():
                    marker.touch()
                    raise RuntimeError("the first attempt at this shard")
                Path(HERE, "tried-again").touch()
        return none_refused(pairs)


@dataclass(frozen=True)
class Slow:
    """Cuts lines, slowly, and notes who did it and when."""

    version: ClassVar[int] = 1

    def __call__(self, text, lang):
        begun = time.time()
        time.sleep(0.05)
        who = f"{socket.gethostname()}-{os.getpid()}"
        note = Path(HERE, f"cut-{who}-{threading.get_ident()}")
        with note.open("a") as stream:
            stream.write(f"{who} {begun} {time.time()}\n")
        return [text]


@dataclass(frozen=True)
class Moody:
    reason: str = "moody"

    def refused_pairs(self, pairs):
        raise ArithmeticError("not today")


def loud(*gates) -> Recipe:
    pair = Pair("loud", anchor=View(), positive=View(from_function(shout, name="shout")), draws=2)
    return Recipe(pairs=(pair,), gates=gates, shards=5)


def held() -> Recipe:
    return loud(Held())


def fails_once() -> Recipe:
    return loud(FailsOnce())


def slow() -> Recipe:
    pair = Pair("same", anchor=View(), positive=View())
    return Recipe(source=Documents(segment=Slow()), pairs=(pair,))


def moody() -> Recipe:
    return Recipe(pairs=(Pair("k", View(), View()),), gates=(Moody(),))
