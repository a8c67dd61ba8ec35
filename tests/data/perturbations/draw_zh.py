"""Draws Chinese sentences that get a view of a perturbation, to be read and judged: see SOURCES.md.

    python tests/data/perturbations/draw_zh.py negation --seed 7 > negation_zh.jsonl

Needs the shared test data (`PAIRSMITH_SHARED`). The judgements are added by whoever reads the
views; `phrases_zh.json` holds what `PhraseSwap` was fitted to (`--fit`).
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
PLAIN = {
    "negation": Negation,
    "number_change": NumberChange,
    "antonym": AntonymSwap,
    "role_swap": RoleSwap,
}
SOURCES = {
    "tatoeba": ("parallel/tatoeba_en_zh", ["zh"]),
    "libreoffice": ("parallel/libreoffice_help_en_zh", ["zh"]),
    "pawsx": ("eval/pawsx_zh", ["sentence1", "sentence2"]),
}
TALK = {"talk": ("corpus/mixed_sentences_zh", ["text"])}
"""Reviews, questions, news: to be read only, for their licences keep them out of the lists."""
LENGTHS = range(4, 101)
"""How many characters a sentence may have that is drawn."""
PER_KIND = 60
"""How many phrases of a kind are kept."""


def augmenter_of(kind: str) -> Negation | NumberChange | PhraseSwap | AntonymSwap | RoleSwap:
    """Return the augmenter of a kind; phrases are those of `phrases_zh.json`."""
    if kind in PLAIN:
        return PLAIN[kind]()
    phrases = json.loads((HERE / "phrases_zh.json").read_text("utf-8"))
    return PhraseSwap(tuple(Phrase(text, kind) for kind in phrases for text in phrases[kind]))


def sentences(sources: dict[str, tuple[str, list[str]]]) -> dict[str, list[str]]:
    """Return the sentences of each source."""
    folder = Path(os.environ.get("PAIRSMITH_SHARED", "../shared")) / "data"
    found = {}
    for source, (file, columns) in sources.items():
        table = pq.read_table(folder / f"{file}.parquet", columns=columns)
        texts = {text for column in columns for text in table[column].to_pylist()}
        found[source] = sorted(text for text in texts if len(text) in LENGTHS)
    return found


def fit() -> dict[str, list[str]]:
    """Return the most frequent phrases of all sentences, by kind."""
    texts = [text for part in sentences(SOURCES).values() for text in part]
    phrases: dict[str, list[str]] = {}
    rng = random.Random(99)
    fitted = list(PhraseSwap().fit(pa.array(texts)).phrases)
    rng.shuffle(fitted)
    for text, kind in fitted:
        if len(phrases.setdefault(kind, [])) < PER_KIND:
            phrases[kind].append(text)
    return {kind: sorted(phrases[kind]) for kind in sorted(phrases) if len(phrases[kind]) > 2}


def draw(
    kind: str, seed: int, count: int, sources: dict[str, tuple[str, list[str]]]
) -> list[dict[str, object]]:
    """Return random sentences that get a view: as many of each source as there are, up to a third.

    Sentences much like one that was drawn are passed over: PAWS-X says most things four times.
    """
    rng = random.Random(seed)
    augmenter = augmenter_of(kind)
    rows: dict[str, list[dict[str, object]]] = {}
    seen: list[set[str]] = []
    for source, texts in sentences(sources).items():
        rng.shuffle(texts)
        keys = [rng.getrandbits(64) for _ in texts]
        views = augmenter(pa.array(texts), np.array(keys, np.uint64)).to_pylist()
        rows[source] = []
        for text, key, view in zip(texts, keys, views, strict=True):
            pieces = {text[i : i + 2] for i in range(len(text) - 1)}
            if view is None or len(rows[source]) == count:
                continue
            if any(len(pieces & other) > 0.4 * len(pieces | other) for other in seen):
                continue
            seen.append(pieces)
            rows[source].append({"source": source, "text": text, "key": key, "view": view})
    drawn: list[dict[str, object]] = []
    for i in range(count):
        drawn += [part[i] for part in rows.values() if i < len(part)]
    return drawn[:count]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("kind", nargs="?", choices=[*PLAIN, "phrase_swap"])
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--count", type=int, default=100)
    parser.add_argument("--fit", action="store_true", help="print the phrases instead")
    parser.add_argument("--talk", action="store_true", help="draw from reviews and questions")
    arguments = parser.parse_args()
    if arguments.fit:
        print(json.dumps(fit(), ensure_ascii=False, indent=0))
    else:
        sources = TALK if arguments.talk else SOURCES
        for row in draw(arguments.kind, arguments.seed, arguments.count, sources):
            print(json.dumps(row, ensure_ascii=False))
