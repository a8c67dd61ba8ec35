"""What telling by group costs a step, and what the leak check costs a start.

    .venv/bin/python benchmarks/telemetry.py

CPU time, medians of 5 runs with their ranges, made rows: the content does not matter.
"""

import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch

from pairsmith.schemas import Dataset, Manifest, ShardFile
from pairsmith.training.evaluation.leaks import find_leaks
from pairsmith.training.evaluation.scores import Tasks
from pairsmith.training.streaming.corpus import StreamConfig, shard_files
from pairsmith.training.telemetry.breakdown import Breakdown

ROWS = 1024
STEP = 0.045
"""Seconds of a step of a static encoder on two cores of a machine of 2024; 1 % is of that."""
EVERY = 50
SHARD_ROWS = 1_000_000
SHARDS = 4


def timed(run: Callable[[], object], times: int) -> tuple[float, float, float]:
    """Return median, least and most seconds of one call, over 5 runs of `times` calls."""
    run()
    seconds = []
    for _ in range(5):
        start = time.process_time()
        for _ in range(times):
            run()
        seconds.append((time.process_time() - start) / times)
    return median(seconds), min(seconds), max(seconds)


def main() -> None:
    """Print the table."""
    torch.set_num_threads(1)
    rng = np.random.default_rng(0)
    about = pa.RecordBatch.from_pydict(
        {
            "kind": pa.array(rng.choice(list("abcd"), ROWS)).dictionary_encode(),
            "anchor_view": pa.array(rng.choice(list("abcdef"), ROWS)).dictionary_encode(),
            "positive_view": pa.array(rng.choice(list("abcdef"), ROWS)).dictionary_encode(),
            "lang": pa.array(rng.choice(["en", "zh"], ROWS)).dictionary_encode(),
            "dataset": pa.array(rng.integers(0, 3, ROWS), pa.int32()),
        }
    )
    lengths = rng.integers(4, 200, ROWS)
    names = ("loss", "accuracy", "positive", "hardest", "masked")
    values = {name: rng.random(ROWS).astype(np.float32) for name in names}
    vectors = torch.nn.functional.normalize(torch.randn(ROWS, 256))
    running = Breakdown(("one", "two", "three"))

    def line() -> None:
        for _ in range(EVERY):
            running.add(about, lengths, values)
        running.take(about, lengths, vectors)

    told = timed(line, 5)
    share = told[0] / EVERY / STEP
    print(
        f"{EVERY} steps of {ROWS:,} rows, told by group  {_told(told)}  {share:.2%} of 45 ms a step"
    )

    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        files = []
        for number in range(SHARDS):
            hashes = rng.integers(0, 2**64, (2, SHARD_ROWS), np.uint64)
            table = pa.table({"anchor_hash": hashes[0], "positive_hash": hashes[1]})
            name = f"{number}.parquet"
            pq.write_table(table, root / name, row_group_size=8192, compression="zstd")
            files.append(ShardFile(name, SHARD_ROWS, 0, ""))
        manifest = Manifest({}, "", (), tuple(files), (), (), {}, {})
        texts = [f"this is the evaluation text number {i}" for i in range(20_000)]
        labels = [str(i % 70) for i in range(20_000)]
        pq.write_table(pa.table({"text": texts, "label": labels}), root / "texts.parquet")
        shards = shard_files(Dataset(root, manifest), StreamConfig())
        tasks = Tasks(intent=(root / "texts.parquet",))
        check = timed(lambda: find_leaks(shards, tasks), 1)
    pairs = SHARDS * SHARD_ROWS
    print(f"leak check, {pairs:,} pairs, 20,000 texts {_told(check)}  {pairs / check[0]:,.0f}/s")


def _told(seconds: tuple[float, float, float]) -> str:
    middle, low, high = (f"{1e3 * value:.2f}" for value in seconds)
    return f"{middle} ms ({low}-{high})"


if __name__ == "__main__":
    main()
