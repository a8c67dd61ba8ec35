"""Draws sentences that get a view of a perturbation, to be read and judged: see SOURCES.md.

    python tests/data/perturbations/draw.py negation --seed 7 > negation_en.jsonl

Needs the shared test data (`PAIRSMITH_SHARED`). The judgements are added by
whoever reads the views; `phrases_en.json` holds what `PhraseSwap` was fitted to (`--fit`).
"""

import argparse
import json
import os
import random
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pairsmith.augmenters.perturb import (
    AntonymSwap,
    Negation,
    NumberChange,
    PhraseSwap,
    RoleSwap,
)
from pairsmith.augmenters.perturb.phrases import Phrase

HERE = Path(__file__).parent
KINDS = ("negation", "number_change", "phrase_swap", "antonym", "role_swap")
PROSE = (
    "corpus/fed_sentences_en",
    "corpus/us_speeches_sentences_en",
    "corpus/novels_documents_en",
)
TALK = ("corpus/sgd_turns_en", "eval/banking77_train_en")
PER_SOURCE = 8_000
"""How many sentences of each source are tried: Banking77 has few more."""
WORDS = range(4, 41)
"""How long a sentence may be that is drawn."""
FIT_SEED = 99


def augmenter_of(kind: str) -> Negation | NumberChange | PhraseSwap | AntonymSwap | RoleSwap:
    """Return the augmenter of a kind; phrases are those of `phrases_en.json`."""
    if kind == "phrase_swap":
        phrases = json.loads((HERE / "phrases_en.json").read_text("utf-8"))
        return PhraseSwap(tuple(Phrase(text, kind) for kind in phrases for text in phrases[kind]))
    plain = {"negation": Negation, "number_change": NumberChange, "antonym": AntonymSwap}
    return plain[kind]() if kind in plain else RoleSwap()


def sentences(sources: tuple[str, ...]) -> dict[str, list[str]]:
    """Return the sentences of each source, of those that repeat themselves one each."""
    folder = Path(os.environ.get("PAIRSMITH_SHARED", "../shared")) / "data"
    found = {}
    for source in sources:
        texts = pq.read_table(folder / f"{source}.parquet")["text"].to_pylist()
        lines = (line for text in texts for line in text.split("\n"))
        fitting = [line for line in lines if len(line.split()) in WORDS]
        found[source] = sorted(set(fitting)) if source in TALK else fitting
    return found


def fit() -> dict[str, list[str]]:
    """Return the phrases, by kind, of 20,000 sentences of each source of prose."""
    rng = random.Random(FIT_SEED)
    texts = [text for part in sentences(PROSE).values() for text in rng.sample(part, 20_000)]
    phrases: dict[str, list[str]] = {}
    for text, kind in PhraseSwap().fit(pa.array(texts)).phrases:
        phrases.setdefault(kind, []).append(text)
    return phrases


def draw(kind: str, seed: int, count: int) -> list[dict[str, object]]:
    """Return the first `count` of random sentences, as many of each source, that get a view."""
    rng = random.Random(seed)
    parts = sentences(PROSE + TALK).items()
    drawn = [(text, of) for of, part in parts for text in rng.sample(part, PER_SOURCE)]
    rng.shuffle(drawn)
    texts = [text for text, _ in drawn]
    keys = [rng.getrandbits(64) for _ in texts]
    views = augmenter_of(kind)(pa.array(texts), np.array(keys, np.uint64)).to_pylist()
    rows = [
        {"source": source.split("/")[1], "text": text, "key": key, "view": view}
        for (text, source), key, view in zip(drawn, keys, views, strict=True)
        if view is not None
    ]
    return rows[:count]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("kind", nargs="?", choices=KINDS)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--count", type=int, default=100)
    parser.add_argument(
        "--fit", action="store_true", help="print the phrases of the corpus instead"
    )
    arguments = parser.parse_args()
    if arguments.fit:
        print(json.dumps(fit(), ensure_ascii=False, indent=0))
    else:
        for row in draw(arguments.kind, arguments.seed, arguments.count):
            print(json.dumps(row, ensure_ascii=False))
