"""nlpaug through `NlpAug` against nlpaug itself, by family, and how much of it is respaced.

    python benchmarks/nlpaug_adapter.py [sentences.parquet [folder of WordNet]]

The second table has our own words of WordNet beside nlpaug's, which here read WordNet by our reader
and tag by it, so that only what the augmenters themselves do is compared. Its first figure is for a
process that has seen none of the words yet.

Both get the same texts, one by one, on one core; they take turns, and each figure is the median of
ROUNDS runs, in µs a text. nlpaug runs as it is, without a seed. `views` also records what changed.
"""

import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from shared import CORPUS, race

from pairsmith.augmenters.augmenter import Keys
from pairsmith.augmenters.nlpaug_adapter import NlpAug
from pairsmith.augmenters.nlpaug_objects import load, make
from pairsmith.augmenters.spacing import cut, respaced_share
from pairsmith.augmenters.wordnet import Antonyms, Synonyms

ROWS = 1_000
TRAINED_ON = 200  # texts of TF-IDF's model: nlpaug draws from all its words, for every word
ROUNDS = 9


def main() -> None:
    """Print a Markdown table."""
    path = Path(sys.argv[1]) if len(sys.argv) > 1 else CORPUS / "fed_sentences_en.parquet"
    texts = pa.array(pq.read_table(path, columns=["text"])["text"].to_pylist()[:ROWS])
    keys = np.random.default_rng(17).integers(0, 2**64, len(texts), np.uint64)
    lists = texts.to_pylist()
    print(
        f"{len(texts):,} sentences of {path.name}, {sum(map(len, lists)) / ROWS:.0f} characters\n"
    )
    print("| | nlpaug | `NlpAug` | | `.views` | | nlpaug's spacing | | `.views` | | respaced |")
    print("|---|---|---|---|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        for name, theirs in families(lists, folder).items():
            ours, plain = NlpAug(theirs), NlpAug(theirs, keep_spacing=False)
            runs: dict[str, Callable[[], Any]] = {
                "nlpaug": lambda theirs=theirs: [theirs.augment(text) for text in lists],
                "call": lambda ours=ours: ours(texts, keys),
                "views": lambda ours=ours: ours.views(texts, keys),
                "plain": lambda plain=plain: plain(texts, keys),
                "plain views": lambda plain=plain: plain.views(texts, keys),
            }
            seconds = race(runs, ROUNDS, time.process_time)
            first, *others = (statistics.median(s) / len(texts) * 1e6 for s in seconds.values())
            cells = "".join(f"| {other:.1f} | {other / first - 1:+.1%} " for other in others)
            share = respaced_share(texts, plain(texts, keys))
            print(f"| {name} | {first:.1f} {cells}| {share:.0%} |", flush=True)
    wordnet = sys.argv[2] if len(sys.argv) > 2 else ""
    print("\n| | texts/s, cold | texts/s | x nlpaug | texts changed | words changed a text |")
    print("|---|---|---|---|---|---|")
    for ours, kind in ((Synonyms(wordnet), "SynonymAug"), (Antonyms(wordnet), "AntonymAug")):
        against(ours, kind, wordnet, texts, keys)


def against(ours: Any, kind: str, wordnet: str, texts: pa.StringArray, keys: Keys) -> None:
    """Print two rows: nlpaug's augmenter, and ours."""
    name = f"nlpaug.augmenter.word.{kind}"
    theirs = make(name, {"model_path": wordnet})
    lists = texts.to_pylist()
    runs: dict[str, Callable[[], Any]] = {
        f"nlpaug {kind}": lambda: [theirs.augment(text) for text in lists],
        f"`{type(ours).__name__}`": lambda: ours.views(texts, keys),
    }
    cold = {}
    for label, run in runs.items():
        start = time.process_time()
        run()
        cold[label] = time.process_time() - start
    times = race(runs, ROUNDS, time.process_time)
    seconds = {label: statistics.median(some) for label, some in times.items()}
    slow = next(iter(seconds.values()))
    for (label, second), augmenter in zip(
        seconds.items(), (NlpAug(name, model_path=wordnet), ours), strict=True
    ):
        views = augmenter.views(texts, keys)
        details = [json.loads(detail) for detail in views.details.drop_null().to_pylist()]
        words = sum(len(detail.get("changed", [None])) for detail in details)
        print(
            f"| {label} | {len(texts) / cold[label]:,.0f} | {len(texts) / second:,.0f} "
            f"| {slow / second:.1f} | {len(details) / len(texts):.0%} "
            f"| {words / max(1, len(details)):.1f} |"
        )


def families(texts: list[str], folder: str) -> dict[str, Any]:
    """Return an augmenter of each family, TF-IDF trained on the first texts."""
    nac, naw = load("nlpaug.augmenter.char"), load("nlpaug.augmenter.word")
    model = load("nlpaug.model.word_stats").TfIdf()
    model.train([cut(text)[1::2] for text in texts[:TRAINED_ON]])
    model.save(folder)
    return {
        "KeyboardAug": nac.KeyboardAug(),
        "OcrAug": nac.OcrAug(),
        "RandomCharAug": nac.RandomCharAug(),
        "SpellingAug": naw.SpellingAug(),
        "SplitAug": naw.SplitAug(),
        "RandomWordAug delete": naw.RandomWordAug(),
        "RandomWordAug swap": naw.RandomWordAug(action="swap"),
        "TfIdfAug": naw.TfIdfAug(folder),
        "TfIdfAug insert": naw.TfIdfAug(folder, action="insert"),
    }


if __name__ == "__main__":
    main()
