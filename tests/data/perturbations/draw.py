"""Draws sentences that get a view of a perturbation, to be read and judged: see SOURCES.md.

    python tests/data/perturbations/draw.py negation --seed 7 > negation_en.jsonl

Needs the folder `corpus` of the shared test data (`PAIRSMITH_SHARED`). The judgements are added by
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
SOURCES = ("fed_sentences_en", "us_speeches_sentences_en", "novels_documents_en")
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


def sentences() -> dict[str, list[str]]:
    """Return the sentences of each public-domain source."""
    folder = Path(os.environ.get("PAIRSMITH_SHARED", "../shared")) / "data" / "corpus"
    found = {}
    for source in SOURCES:
        texts = pq.read_table(folder / f"{source}.parquet")["text"].to_pylist()
        lines = (line for text in texts for line in text.split("\n"))
        found[source] = [line for line in lines if len(line.split()) in WORDS]
    return found


def fit() -> dict[str, list[str]]:
    """Return the phrases, by kind, of 20,000 sentences of each source."""
    rng = random.Random(FIT_SEED)
    texts = [text for part in sentences().values() for text in rng.sample(part, 20_000)]
    phrases: dict[str, list[str]] = {}
    for text, kind in PhraseSwap().fit(pa.array(texts)).phrases:
        phrases.setdefault(kind, []).append(text)
    return phrases


def draw(kind: str, seed: int, count: int) -> list[dict[str, object]]:
    """Return the first `count` of random sentences, as many of each source, that get a view."""
    rng = random.Random(seed)
    texts = [text for part in sentences().values() for text in rng.sample(part, 20_000)]
    rng.shuffle(texts)
    keys = [rng.getrandbits(64) for _ in texts]
    views = augmenter_of(kind)(pa.array(texts), np.array(keys, np.uint64)).to_pylist()
    rows = [
        {"text": text, "key": key, "view": view}
        for text, key, view in zip(texts, keys, views, strict=True)
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
