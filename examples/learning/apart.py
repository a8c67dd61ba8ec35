"""How often a text is nearer to what means the same than to a copy that says something else.

    python examples/learning/apart.py DATA PAIRS MODEL…

DATA: the larger data that `examples/demo/prepare.py` takes. Judged are texts that PAIRS lack:

- noise: sentences of documents that the demo lacks, against themselves without 15 % of the words;
- paraphrase: against another English sentence with the same French translation (Tatoeba).

Printed is the share of texts whose cosine with these is above that with the changed copy.
"""

import sys
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pairsmith.augmenters import (
    AntonymSwap,
    Augmenter,
    Negation,
    NumberChange,
    RoleSwap,
    WordDropout,
)
from pairsmith.schemas import open_dataset, text_hashes
from pairsmith.training.evaluation.saved import encode_with, open_saved
from pairsmith.training.evaluation.vectors import Encode, unit

CHANGES = (Negation(), NumberChange(), AntonymSwap(), RoleSwap())
DEMO = Path(__file__).resolve().parents[1] / "demo" / "corpus"
DOCUMENTS, WORDS, MOST = 250, 5, 2000


def main(data: Path, pairs: Path, models: list[str]) -> None:
    """Print a table: a row for each model and task, a column for each change."""
    tasks = {"noise": noise(data), "paraphrase": paraphrases(data)}
    seen = seen_hashes(pairs)
    new = {name: ~np.isin(text_hashes(texts), seen) for name, (texts, _) in tasks.items()}
    triples = {
        (name, change.name): changed(
            change, *(column.filter(pa.array(new[name])) for column in both)
        )
        for name, both in tasks.items()
        for change in CHANGES
    }
    for name in tasks:
        print(
            name, {kind: len(found[0]) for (task, kind), found in triples.items() if task == name}
        )
    print(f"{'model':>24} {'':>11}" + "".join(f"{change.name:>15}" for change in CHANGES))
    for model in models:
        encode = encode_with(open_saved(model, "cpu"), 256)
        for name in tasks:
            told = [nearer(encode, *triples[name, change.name]) for change in CHANGES]
            cells = "".join(f"{each:15.3f}" for each in told)
            print(f"{Path(model).name:>24} {name:>11}{cells}", flush=True)


def changed(change: Augmenter, texts: pa.Array, same: pa.Array) -> tuple[list[str], ...]:
    """Return the texts that can be changed, what means the same, and their changed copies."""
    change.setup()
    copies = change(texts, text_hashes(texts))
    there = copies.is_valid()
    return tuple(column.filter(there).to_pylist()[:MOST] for column in (texts, same, copies))


def nearer(encode: Encode, texts: list[str], same: list[str], copies: list[str]) -> float:
    """Return the share of texts to which `same` is nearer than the changed copy."""
    if not texts:
        return float("nan")
    one, like, unlike = (unit(encode(column)) for column in (texts, same, copies))
    return float(((one * like).sum(1) > (one * unlike).sum(1)).mean())


def noise(data: Path) -> tuple[pa.StringArray, pa.StringArray]:
    """Return sentences of documents that the demo lacks, and noisy copies."""
    lines: list[str] = []
    for corpus, there in (("novels", "novels"), ("fed", "speeches"), ("sgd", "dialogues")):
        kind = "dialogues" if corpus == "sgd" else "documents"
        documents = pq.read_table(data / "corpus" / f"{corpus}_{kind}_en.parquet")
        known = pq.read_table(DEMO / f"{there}_en.parquet")["doc_id"]
        others = documents.filter(pc.invert(pc.is_in(documents["doc_id"], known.combine_chunks())))
        order = np.argsort(text_hashes(others["text"].combine_chunks()))[:DOCUMENTS]
        for text in others["text"].take(order).to_pylist():
            lines += [line for line in text.split("\n") if len(line.split()) >= WORDS][:20]
    texts = pa.array(dict.fromkeys(lines), pa.string())
    dropout = WordDropout(p=0.15)
    dropout.setup()
    noisy = dropout(texts, text_hashes(texts))
    changed = pc.fill_null(pc.not_equal(texts, noisy), False)
    return texts.filter(changed), noisy.filter(changed)


def paraphrases(data: Path) -> tuple[pa.StringArray, pa.StringArray]:
    """Return English sentences and others that have a French translation in common with them."""
    table = pq.read_table(data / "parallel" / "tatoeba_en_fr.parquet", columns=["en", "fr"])
    by_french: dict[str, list[str]] = {}
    for english, french in zip(table["en"].to_pylist(), table["fr"].to_pylist(), strict=True):
        if len(english.split()) >= WORDS:
            by_french.setdefault(french, []).append(english)
    both = [(group[0], group[1]) for group in by_french.values() if len({*group[:2]}) == 2]
    left, right = zip(*dict(both).items(), strict=True)
    return pa.array(left, pa.string()), pa.array(right, pa.string())


def seen_hashes(pairs: Path) -> npt.NDArray[np.uint64]:
    """Return the hashes of all anchors and positives."""
    names = ["anchor_hash", "positive_hash"]
    tables = [pq.read_table(path, columns=names) for path in open_dataset(pairs).shards]
    return np.unique(np.concatenate([t[name].to_numpy() for t in tables for name in names]))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3:])
