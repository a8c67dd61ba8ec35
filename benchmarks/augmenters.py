"""Word dropout against nlpaug and fasttextaug, and the speed of our other kernels.

    python benchmarks/augmenters.py [sentences.parquet]

Everything runs on one core with one thread. Each figure is the median of five runs, with their
range, in time of the processor; the contenders take turns, so that a busy machine is hard on all of
them alike. Peers get and return Python lists, which is how they are used; pairsmith gets and
returns Arrow arrays, and one row says what it does from list to list. Compilation and loading are
not timed.
"""

import io
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from shared import CORPUS, THREADS, pin, race, rate

from pairsmith.augmenters import (
    AntonymSwap,
    Augmenter,
    Crop,
    Negation,
    NumberChange,
    PhraseSwap,
    RoleSwap,
    SpanMask,
    SubwordSampling,
    TokenDropout,
    TokenSpanMask,
    WordDropout,
    WordRepeat,
    WordShuffle,
    count_words,
    drop_ids,
    word_overlap,
)

ROWS = 20_000
RUNS = 5
P = 0.1


def main() -> None:
    """Print two Markdown tables."""
    core = pin()
    texts = sentences(
        Path(sys.argv[1]) if len(sys.argv) > 1 else CORPUS / "fed_sentences_en.parquet"
    )
    size = texts.nbytes - 4 * len(texts)
    print(
        f"{platform.machine()}, Python {platform.python_version()}, pinned to core {core}; ", end=""
    )
    print(", ".join(f"{name}=1" for name in THREADS))
    names = ("numba", "pyarrow", "nlpaug", "fasttextaug", "sentencepiece", "rjieba")
    print(", ".join(f"{name} {version(name)}" for name in names))
    print(f"{len(texts):,} English sentences of 10 to 40 words, {size / 1e6:.2f} MB\n")

    lists = texts.to_pylist()
    keys = np.random.default_rng(17).integers(0, 2**64, len(texts), np.uint64)
    dropout = WordDropout(p=P)
    nlpaug, fast = peers()
    contest = {
        "nlpaug RandomWordAug": lambda: nlpaug(lists),
        "fasttextaug RandomWordAug": lambda: fast(lists),
        "pairsmith WordDropout": lambda: dropout(texts, keys),
        "pairsmith, list to list": lambda: dropout(pa.array(lists), keys).to_pylist(),
    }
    seconds = race(contest, RUNS, time.process_time)
    print(f"Word dropout, p = {P}\n")
    print("| | words dropped | sentences/s (range) | MB/s | x nlpaug | x fasttextaug |")
    print("|---|---|---|---|---|---|")
    words = sum(len(text.split()) for text in lists)
    for name, run in contest.items():
        out = run()
        out = out.to_pylist() if isinstance(out, pa.Array) else out
        share = 1 - sum(len(text.split()) for text in out) / words
        middle = statistics.median(seconds[name])
        ratios = [statistics.median(seconds[peer]) / middle for peer in list(contest)[:2]]
        print(
            f"| {name} | {share:.2%} | {rate(len(texts), seconds[name])} "
            f"| {size / middle / 1e6:,.1f} | {ratios[0]:,.1f} | {ratios[1]:,.2f} |"
        )

    print("\nOther kernels\n\n| | texts/s (range) | MB/s |\n|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        rows = others(texts, keys, Path(folder))
        seconds = race({name: run for name, (run, _) in rows.items()}, RUNS, time.process_time)
    for name, (_, given) in rows.items():
        speed = (given.nbytes - 4 * len(given)) / statistics.median(seconds[name]) / 1e6
        print(f"| {name} | {rate(len(given), seconds[name])} | {speed:,.1f} |")


def sentences(path: Path) -> pa.StringArray:
    """Return the first ROWS texts of 10 to 40 words of a Parquet file's column `text`."""
    if not path.is_file():
        raise SystemExit(
            f"no {path}: give a Parquet file with English sentences in a column `text`"
        )
    texts = pq.read_table(path, columns=["text"])["text"].to_pylist()
    texts = [text for text in texts if 10 <= len(text.split()) <= 40][:ROWS]
    if len(texts) < ROWS:
        print(f"only {len(texts):,} sentences of 10 to 40 words in {path.name}", file=sys.stderr)
    return pa.array(texts)


def peers() -> tuple[Callable[[list[str]], Any], Callable[[list[str]], Any]]:
    """Return nlpaug and fasttextaug, set to drop a share P of the words of a list of texts."""
    from fasttextaug.augmenter.word import RandomWordAug as Fast
    from nlpaug.augmenter.word import RandomWordAug as Nlpaug

    nlpaug = Nlpaug(action="delete", aug_p=P, aug_min=0, aug_max=None)
    fast = Fast(action="delete", aug_p=P, aug_min=0, aug_max=1000)
    return (
        lambda texts: nlpaug.augment(texts, num_thread=1),
        lambda texts: fast.augment(texts, num_thread=1),
    )


def others(
    texts: pa.StringArray, keys: Any, folder: Path
) -> dict[str, tuple[Callable[[], Any], pa.StringArray]]:
    """Return what to run on which texts, by name."""
    import sentencepiece

    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(texts[:5000].to_pylist()),
        model_writer=model,
        vocab_size=4000,
        minloglevel=2,
        num_threads=1,
    )
    path = folder / "benchmark.model"
    path.write_bytes(model.getvalue())
    rows: dict[str, tuple[Callable[[], Any], pa.StringArray]] = {}

    def add(name: str, augmenter: Augmenter, given: pa.StringArray = texts) -> None:
        augmenter.setup()
        rows[name] = (lambda: augmenter(given, keys[: len(given)]), given)

    add("SpanMask, sentinel", SpanMask())
    add("SpanMask, mask", SpanMask(style="mask"))
    add("SpanMask, delete", SpanMask(style="delete"))
    add("Crop", Crop())
    add("WordShuffle", WordShuffle())
    add("WordRepeat", WordRepeat())
    for perturbation in (Negation(), NumberChange(), AntonymSwap(), RoleSwap()):
        add(f"{type(perturbation).__name__} (Python)", perturbation)
    add("PhraseSwap, fitted (Python)", PhraseSwap().fit(texts))
    add("SubwordSampling, unigram", SubwordSampling(str(path)))
    add("TokenDropout (most of it sentencepiece)", TokenDropout(str(path)))
    add("TokenSpanMask (most of it sentencepiece)", TokenSpanMask(str(path)))
    ids = sentencepiece.SentencePieceProcessor(model_file=str(path)).encode(texts.to_pylist())
    values = np.concatenate([np.array(i, np.int32) for i in ids])
    offsets = np.cumsum([0, *map(len, ids)])
    rows["drop_ids, on the ids of the texts"] = (lambda: drop_ids(values, offsets, keys, P), texts)
    rows["count_words"] = (lambda: count_words(texts), texts)
    half = len(texts) // 2
    left, right = texts[:half], texts[half : 2 * half]
    rows["word_overlap, pairs"] = (lambda: word_overlap(left, right), left)
    zh = CORPUS / "mixed_sentences_zh.parquet"
    if zh.is_file():
        given = pq.read_table(zh, columns=["text"])["text"][:ROWS].combine_chunks()
        add("WordDropout, Chinese, characters", WordDropout(P, chinese="characters"), given)
        add("WordDropout, Chinese, words (most of it rjieba)", WordDropout(P), given)
    return rows


if __name__ == "__main__":
    main()
