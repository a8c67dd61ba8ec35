"""Kernels that edit words and characters, each beside nlpaug's and fasttextaug's where they exist.

    python benchmarks/edits.py [sentences.parquet]

As benchmarks/augmenters.py: one core, one thread, the median of five runs with their range, the
contenders of a row taking turns. Peers get and return Python lists, pairsmith Arrow arrays. All are
set to change about one word in ten, and one place of a word; what came of that is the column
`words changed`: places where a word differs, or words more or less. A swap moves two words.

`x WordDropout` is the best of TURNS runs against WordDropout's best: our augmenters took those
turns among themselves, so that a busy machine is hard on all of them alike.
"""

import platform
import statistics
import sys
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from shared import CORPUS, pin, race, rate

from augmenters import ROWS, RUNS, P, sentences
from pairsmith.augmenters import WordDropout, WordShuffle
from pairsmith.augmenters.augmenter import Augmenter
from pairsmith.augmenters.chinese_typos import LookalikeTypos, PinyinTypos
from pairsmith.augmenters.compose import fitted
from pairsmith.augmenters.eda import eda
from pairsmith.augmenters.edits import (
    PunctuationInsert,
    RandomCase,
    WordJoin,
    WordSplit,
    WordSwap,
)
from pairsmith.augmenters.typos import KeyboardTypos, OcrTypos
from pairsmith.augmenters.word_choice import WordInsert, WordSubstitute

Run = Callable[[list[str]], Any]
TURNS = 40
LONG = 2 * P
"""Of the words of four letters or more, about as many as peers change: P of all words, or one."""
NONE: dict[str, int] = {"neighbour": 0, "transposition": 0, "deletion": 0, "doubling": 0}


def main() -> None:
    """Print a Markdown table."""
    core = pin()
    texts = sentences(
        Path(sys.argv[1]) if len(sys.argv) > 1 else CORPUS / "fed_sentences_en.parquet"
    )
    print(
        f"{platform.machine()}, Python {platform.python_version()}, pinned to core {core}; ", end=""
    )
    names = ("numba", "pyarrow", "nlpaug", "fasttextaug", "pypinyin", "rjieba")
    print(", ".join(f"{name} {version(name)}" for name in names))
    print(f"{len(texts):,} English sentences of 10 to 40 words, {size(texts) / 1e6:.2f} MB\n")
    print("| | words changed | sentences/s (range) | MB/s | x WordDropout | x nlpaug | ", end="")
    print("x fasttextaug |\n|---|---|---|---|---|---|---|")
    keys = np.random.default_rng(17).integers(0, 2**64, len(texts), np.uint64)
    words = WordInsert().fit(texts).vocabulary[:5000]
    alike = peers(list(words))
    ours: dict[str, Augmenter] = {
        "WordDropout": WordDropout(P),
        "KeyboardTypos, neighbouring keys": KeyboardTypos(LONG, **{**NONE, "neighbour": 1}),
        "KeyboardTypos, transpositions": KeyboardTypos(LONG, **{**NONE, "transposition": 1}),
        "KeyboardTypos, deletions": KeyboardTypos(LONG, **{**NONE, "deletion": 1}),
        "KeyboardTypos, all four kinds": KeyboardTypos(LONG),
        "OcrTypos": OcrTypos(P, min_length=2),
        "WordSwap, neighbours": WordSwap(2 * P),
        "WordSwap, anywhere": WordSwap(2 * P, "anywhere"),
        "WordSubstitute, 5,000 words": WordSubstitute(P, words),
        "WordInsert, 5,000 words": WordInsert(P, words),
        "WordSplit": WordSplit(LONG),
        "WordJoin": WordJoin(P),
        "PunctuationInsert": PunctuationInsert(),
        "RandomCase, words": RandomCase(P),
        "RandomCase, letters": RandomCase(P, "letters"),
        "WordShuffle": WordShuffle(),
        "eda": fitted(eda(P), texts),
    }
    times = beside_dropout(ours, texts, keys)
    for name, augmenter in ours.items():
        contest(name, augmenter, times[name], texts, keys, alike.get(name, {}))
    chinese = CORPUS / "mixed_sentences_zh.parquet"
    if chinese.is_file():
        given = pq.read_table(chinese, columns=["text"])["text"][:ROWS].combine_chunks()
        print(f"\n{len(given):,} Chinese sentences, {size(given) / 1e6:.2f} MB\n")
        print("| | sentences/s (range) | MB/s | x WordDropout |\n|---|---|---|---|")
        characters: dict[str, Any] = {"chinese": "characters"}
        ours = {
            "WordDropout, characters": WordDropout(P, **characters),
            "PinyinTypos": PinyinTypos(P),
            "LookalikeTypos": LookalikeTypos(P),
            "WordSwap, characters": WordSwap(P, **characters),
            "WordSubstitute, characters": WordSubstitute(P, **characters).fit(given),
            "PunctuationInsert, characters": PunctuationInsert(**characters),
            "PunctuationInsert, words (most of it rjieba)": PunctuationInsert(),
        }
        times = beside_dropout(ours, given, keys[: len(given)])
        for name, augmenter in ours.items():
            run = {name: lambda a=augmenter: a(given, keys[: len(given)])}
            seconds = race(run, RUNS, time.process_time)[name]
            speed = size(given) / statistics.median(seconds) / 1e6
            print(f"| {name} | {rate(len(given), seconds)} | {speed:,.1f} | {times[name]:.2f} |")


def beside_dropout(
    ours: dict[str, Augmenter], texts: pa.StringArray, keys: Any
) -> dict[str, float]:
    """Return how many times as fast as the first each augmenter is, its best of TURNS runs."""
    for augmenter in ours.values():
        augmenter.setup()
    runs = {n: lambda a=a: a(texts, keys) for n, a in ours.items()}
    seconds = race(runs, TURNS, time.process_time)
    first = min(next(iter(seconds.values())))
    return {name: first / min(own) for name, own in seconds.items()}


def contest(
    name: str,
    augmenter: Augmenter,
    beside: float,
    texts: pa.StringArray,
    keys: Any,
    others: dict[str, Run],
) -> None:
    """Print the rows of an augmenter, `beside` times as fast as WordDropout, and of its like."""
    lists = texts.to_pylist()
    runs: dict[str, Callable[[], Any]] = {
        other: lambda run=run: run(lists) for other, run in others.items()
    }
    runs[f"**{name}**"] = lambda: augmenter(texts, keys)
    seconds = race(runs, RUNS, time.process_time)
    own = [*runs][-1]
    for name, run in runs.items():
        out = run()
        share = changed(lists, out.to_pylist() if isinstance(out, pa.Array) else out)
        middle = statistics.median(seconds[name])
        ratios = [
            next((statistics.median(seconds[n]) for n in runs if n.startswith(peer)), 0) / middle
            for peer in ("nlpaug", "fasttextaug")
        ]
        times = f"{beside:.2f}" if name == own else ""
        times += "".join(f" | {ratio:,.1f}" if ratio else " | " for ratio in ratios)
        print(
            f"| {name} | {share:.1%} | {rate(len(lists), seconds[name])} "
            f"| {size(texts) / middle / 1e6:,.1f} | {times} |",
            flush=True,
        )


def peers(words: list[str]) -> dict[str, dict[str, Run]]:
    """Return what to compare an augmenter with, by its name; words: those to put into texts."""
    import fasttextaug.augmenter.char as fast_char
    import fasttextaug.augmenter.word as fast_word
    import nlpaug.augmenter.char as char
    import nlpaug.augmenter.word as word

    one = {"aug_char_min": 1, "aug_char_max": 1, "aug_word_min": 0, "aug_word_p": P}
    many = {"aug_word_max": 1000}
    plain = {"include_special_char": False, "include_numeric": False}
    per_word = {"aug_p": P, "aug_min": 0}

    def pair(name: str, nlpaug: Any, fast: Any = None) -> dict[str, Run]:
        found: dict[str, Run] = {f"nlpaug {name}": lambda t: nlpaug.augment(t, num_thread=1)}
        if fast is not None:
            found[f"fasttextaug {name}"] = lambda t: fast.augment(t, num_thread=1)
        return found

    def characters(action: str) -> dict[str, Run]:
        return pair(
            f"RandomCharAug {action}",
            char.RandomCharAug(action=action, **one, aug_word_max=None),
            fast_char.RandomCharAug(action=action, **one, **many),
        )

    def random_words(action: str, target: list[str] | None = None) -> dict[str, Run]:
        extra = {} if target is None else {"target_words": target}
        return pair(
            f"RandomWordAug {action}",
            word.RandomWordAug(action=action, **per_word, aug_max=None, **extra),
            fast_word.RandomWordAug(action=action, **per_word, aug_max=1000, **extra),
        )

    return {
        "WordDropout": random_words("delete"),
        "KeyboardTypos, neighbouring keys": pair(
            "KeyboardAug",
            char.KeyboardAug(**one, **plain, aug_word_max=None),
            fast_char.KeyboardAug(**one, **plain, **many),
        ),
        "KeyboardTypos, transpositions": characters("swap"),
        "KeyboardTypos, deletions": characters("delete"),
        "OcrTypos": pair(
            "OcrAug",
            char.OcrAug(**one, aug_word_max=None, min_char=2),
            fast_char.OcrAug(**one, **many, min_char=2),
        ),
        "WordSwap, neighbours": random_words("swap"),
        "WordSubstitute, 5,000 words": random_words("substitute", words),
        "WordSplit": pair("SplitAug", word.SplitAug(**per_word, aug_max=None)),
    }


def changed(before: list[str], after: list[str]) -> float:
    """Return the share of words that differ, or that are more or less, of all words before."""
    count = 0
    for old, new in zip(before, after, strict=True):
        a, b = old.split(), new.split()
        more = abs(len(a) - len(b))
        count += more or sum(x != y for x, y in zip(a, b, strict=True))
    return count / sum(len(text.split()) for text in before)


def size(texts: pa.StringArray) -> int:
    """Return the bytes of the texts."""
    return texts.nbytes - 4 * len(texts)


if __name__ == "__main__":
    main()
