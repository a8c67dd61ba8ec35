"""nlpaug through `NlpAug` against nlpaug itself, by family, and how much of it is respaced.

    python benchmarks/nlpaug_adapter.py [sentences.parquet]

Both get the same texts, one by one, on one core; they take turns, and each figure is the median of
ROUNDS runs, in µs a text. nlpaug runs as it is, without a seed. `views` also records what changed.
"""

import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nlpaug.augmenter.char as nac
import nlpaug.augmenter.word as naw
import nlpaug.model.word_stats as nmw
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pairsmith.augmenters.nlpaug_adapter import NlpAug
from pairsmith.augmenters.spacing import cut, respaced_share

DATA = Path(__file__).resolve().parents[2] / "shared" / "data" / "corpus"
ROWS = 2_000
ROUNDS = 9


def main() -> None:
    """Print a Markdown table."""
    path = Path(sys.argv[1]) if len(sys.argv) > 1 else DATA / "fed_sentences_en.parquet"
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
            seconds = race(runs)
            first, *others = (statistics.median(s) / len(texts) * 1e6 for s in seconds.values())
            cells = "".join(f"| {other:.1f} | {other / first - 1:+.1%} " for other in others)
            share = respaced_share(texts, plain(texts, keys))
            print(f"| {name} | {first:.1f} {cells}| {share:.0%} |", flush=True)


def race(runs: dict[str, Callable[[], Any]]) -> dict[str, list[float]]:
    """Return the seconds of each contender's runs, taken in turns."""
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    for run in runs.values():
        run()
    for _ in range(ROUNDS):
        for name, run in runs.items():
            start = time.process_time()
            run()
            seconds[name].append(time.process_time() - start)
    return seconds


def families(texts: list[str], folder: str) -> dict[str, Any]:
    """Return an augmenter of each family, TF-IDF trained on the texts."""
    model = nmw.TfIdf()
    model.train([cut(text)[1::2] for text in texts])
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
