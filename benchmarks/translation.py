"""Back-translation against nlpaug and against transformers, and what a million pairs cost.

    python benchmarks/translation.py [--there MODEL --back MODEL] [--texts sentences.parquet]
        [--cpu-price 0.04] [--gpu-price 2.50] [--rows 320] [--runs 5]

Same models, same sentences, same run; the contenders take turns. On a CPU everything is pinned to
one core. nlpaug gets lists of 32, as its users do; the plain loop sorts by length and translates
32 at a time, greedily. Both stop a translation that does not end after 128 tokens. pairsmith stops
after twice the source's tokens plus 20, makes no view of what did not end, and brings back only
what is good; "stopped as early" is the plain loop with that limit, for the longest of each 32.
Loading and the first call are not timed. Prices are dollars an hour, of one core and of one GPU,
and pay for the pairs that are kept; the GPU row is measured only where there is one.
"""

import argparse
import platform
import statistics
import warnings
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from shared import SHARED, pin, race, rate

LIST = 32
MOST_TOKENS = 128


def main() -> None:
    """Print two Markdown tables."""
    options = arguments()
    core = pin()
    import torch

    torch.set_num_threads(1)
    warnings.filterwarnings("ignore")
    texts = sentences(options.texts, options.rows)
    names = ("ctranslate2", "transformers", "torch", "nlpaug", "numpy")
    print(
        f"{platform.machine()}, Python {platform.python_version()}, pinned to core {core}; ", end=""
    )
    print(", ".join(f"{name} {version(name)}" for name in names))
    words = sum(len(text.split()) for text in texts)
    print(f"{len(texts)} English sentences, {words / len(texts):.1f} words each; {options.there}\n")

    tokens = count_tokens(options.there, options.back, texts)
    contest = contenders(options.there, options.back, texts, "cpu")
    seconds = race(contest, options.runs)
    peers = ("x nlpaug", "x transformers", "x stopped as early")
    print(f"| CPU, one core | round trips/s (range) | tokens/s | {' | '.join(peers)} | kept |")
    print("|---|---|---|---|---|---|---|")
    for name, times in seconds.items():
        middle = statistics.median(times)
        ratios = [f"{statistics.median(seconds[peer]) / middle:.2f}" for peer in list(seconds)[:3]]
        share = kept(name, contest[name])
        print(
            f"| {name} | {rate(len(texts), times)} | {tokens / middle:,.0f} "
            f"| {' | '.join(ratios)} | {share:.0%} |"
        )
    # Ours with the fastest is the last.
    measured = {"CPU core, int8": (share * len(texts) / middle, options.cpu_price)}
    if torch.cuda.is_available():
        name, run = list(contenders(options.there, options.back, texts * 8, "cuda").items())[-1]
        (times,) = race({name: run}, options.runs).values()
        good = kept(name, run) * len(texts) * 8
        measured["GPU, float16"] = (good / statistics.median(times), options.gpu_price)
    print("\n| | pairs/hour | dollars/hour | pairs/hour per dollar/hour | dollars/million pairs |")
    print("|---|---|---|---|---|")
    for name, (a_second, price) in measured.items():
        pairs = a_second * 3600
        cost = price / pairs * 1e6
        print(f"| {name} | {pairs:,.0f} | {price:.2f} | {pairs / price:,.0f} | {cost:,.2f} |")
    if "GPU, float16" not in measured:
        print(f"| GPU, float16 | no GPU here | {options.gpu_price:.2f} | | |")


def arguments() -> argparse.Namespace:
    """Return the command line's settings."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    models = SHARED / "models"
    parser.add_argument("--there", default=str(models / "marian-tiny-en-fr"))
    parser.add_argument("--back", default=str(models / "marian-tiny-fr-en"))
    parser.add_argument(
        "--texts", type=Path, default=SHARED / "data" / "parallel" / "tatoeba_en_fr.parquet"
    )
    parser.add_argument("--rows", type=int, default=320)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--cpu-price", type=float, default=0.04)
    parser.add_argument("--gpu-price", type=float, default=2.5)
    options = parser.parse_args()
    for path in (options.there, options.back, options.texts):
        if not Path(path).exists():
            raise SystemExit(f"no {path}: give --there, --back (Marian checkpoints) and --texts")
    return options


def sentences(path: Path, rows: int) -> list[str]:
    """Return `rows` distinct texts of a Parquet file's column `en` or `text`, spread over it."""
    table = pq.read_table(path)
    column = "en" if "en" in table.column_names else "text"
    texts = sorted({text for text in table[column].to_pylist() if 6 <= len(text.split()) <= 40})
    chosen = np.random.default_rng(17).choice(len(texts), rows, replace=False)
    return [texts[i] for i in chosen.tolist()]


def contenders(
    there: str, back: str, texts: list[str], device: str
) -> dict[str, Callable[[], Any]]:
    """Return what makes a round trip of all texts, by name; ours with the fastest last."""
    from nlpaug.augmenter.word import BackTranslationAug

    from pairsmith.augmenters import BackTranslate

    peer = BackTranslationAug(there, back, device=device, batch_size=LIST, max_length=MOST_TOKENS)
    plain = [load(model, device) for model in (there, back)]
    array, keys = pa.array(texts), np.arange(len(texts), dtype=np.uint64)
    threads = 1 if device == "cpu" else 0

    def ours(engine: Any, compute_type: str) -> Callable[[], Any]:
        translate = BackTranslate(
            models=(there, back),
            engine=engine,
            device="cuda" if device == "cuda" else "cpu",
            compute_type=compute_type,
            threads=threads,
        )
        translate.setup()
        return lambda: translate(array, keys)

    made = {
        "nlpaug BackTranslationAug, lists of 32": lambda: [
            peer.augment(texts[i : i + LIST]) for i in range(0, len(texts), LIST)
        ],
        "transformers, sorted, 32 at a time": lambda: round_trip(texts, *plain),
        "the same, stopped as early": lambda: round_trip(texts, *plain, early=True),
    }
    if device == "cpu":
        made["pairsmith, transformers"] = ours("transformers", "float32")
        made["pairsmith, CTranslate2 float32"] = ours("ctranslate2", "float32")
    made["pairsmith, CTranslate2"] = ours("ctranslate2", "auto")
    return made


def load(model: str, device: str) -> tuple[Any, Any]:
    """Return a Marian tokenizer and model of transformers."""
    from transformers import MarianMTModel, MarianTokenizer

    return MarianTokenizer.from_pretrained(model), MarianMTModel.from_pretrained(model).eval().to(
        device
    )


def kept(name: str, run: Callable[[], Any]) -> float:
    """Return of which share of the texts a contender makes a pair: the others refuse nothing."""
    if not name.startswith("pairsmith"):
        return 1.0
    views = run()
    return 1 - float(views.null_count) / len(views)


def round_trip(
    texts: list[str], there: tuple[Any, Any], back: tuple[Any, Any], early: bool = False
) -> list[str]:
    """Return the texts translated there and back by transformers."""
    return translated(translated(texts, *there, early), *back, early)


def translated(texts: list[str], tokenizer: Any, model: Any, early: bool = False) -> list[str]:
    """Return the texts translated by transformers, sorted by length, 32 at a time, greedily.

    early: whether one that does not end is stopped after twice the longest source plus 20 tokens,
    instead of MOST_TOKENS.
    """
    import torch

    order = sorted(range(len(texts)), key=lambda i: len(texts[i]))
    out = [""] * len(texts)
    for start in range(0, len(texts), LIST):
        rows = order[start : start + LIST]
        batch = tokenizer([texts[i] for i in rows], return_tensors="pt", padding=True)
        most = 2 * batch["input_ids"].shape[1] + 20 if early else MOST_TOKENS
        with torch.inference_mode():
            ids = model.generate(
                **batch.to(model.device), num_beams=1, do_sample=False, max_length=most
            )
        decoded = tokenizer.batch_decode(ids, skip_special_tokens=True)
        for i, text in zip(rows, decoded, strict=True):
            out[i] = text
    return out


def count_tokens(there: str, back: str, texts: list[str]) -> int:
    """Return how many tokens transformers writes for one round trip of the texts."""
    total = 0
    for model in (there, back):
        tokenizer, weights = load(model, "cpu")
        texts = translated(texts, tokenizer, weights)
        total += sum(len(ids) for ids in tokenizer(text_target=texts).input_ids)
    return total


if __name__ == "__main__":
    main()
