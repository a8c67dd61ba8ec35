"""How long a stream that resumes takes to its first batch, beside one that starts cold.

    python benchmarks/resume.py [pairs] [--cursors 12] [--batch 64] [--runs 5]

The cursors are drawn from an epoch, every fourth of them just before a window's last batch. Cold is
the first batch of an epoch, whose window must be planned and read as that of any cursor. Both take
turns, so often each, in one process that has done all of it once; opening the dataset is not timed.
"""

import argparse
import statistics
import sys
import tempfile
import time
from contextlib import closing
from pathlib import Path

import numpy as np
from loader import given_or_built

WORKERS = (0, 1, 2)


def main() -> None:
    """Print a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("pairs", nargs="?", type=Path, help="a dataset; by default one is built")
    parser.add_argument("--cursors", type=int, default=12)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--runs", type=int, default=5)
    options = parser.parse_args()
    from pairsmith.schemas import open_dataset
    from pairsmith.training.streaming.corpus import StreamConfig, open_order
    from pairsmith.training.streaming.loader import Cursor, stream
    from pairsmith.training.streaming.order import Order

    def seconds(order: Order, cursor: Cursor, workers: int) -> tuple[float, float]:
        """Return wall and processor time to the first batch."""
        wall, cpu = time.perf_counter(), time.process_time()
        given = stream(order, cursor, lambda share: share.pairs, workers=workers)
        with closing(given) as batches:
            next(batches)
            return time.perf_counter() - wall, time.process_time() - cpu

    with tempfile.TemporaryDirectory() as folder:
        dataset = open_dataset(given_or_built(options.pairs, Path(folder)), checksums=False)
        order = open_order([dataset], StreamConfig(), options.batch, 17)
        rng = np.random.default_rng(17)
        starts = [order.plan(0, number).start for number in range(order.windows)]
        cursors = []
        for n in range(options.cursors):
            number = int(rng.integers(order.windows))
            whole = ([*starts, order.rows][number + 1] - starts[number]) // options.batch
            batch = whole - 1 if n % 4 == 3 else int(rng.integers(whole))
            cursors.append(starts[number] + batch * options.batch)
        print(f"{order.rows:,} pairs, {order.windows} windows, batches of {options.batch}\n")
        print("| workers | cold s, wall (range) | resumed ÷ cold, wall: median, most | CPU |")
        print("|---|---|---|---|")
        for workers in WORKERS:
            seconds(order, Cursor(), workers)
            cold, warm = [], []
            for _ in range(options.runs):
                cold.append(seconds(order, Cursor(), workers))
                warm.append([seconds(order, Cursor(0, at), workers) for at in cursors])
                print(".", end="", flush=True, file=sys.stderr)
            wall, cpu = (statistics.median(column) for column in zip(*cold, strict=True))
            walls = [time for time, _ in cold]
            ratios = np.median(np.array(warm), axis=0) / (wall, cpu)  # of each cursor
            told = [f"{np.median(column):.2f}, {column.max():.2f}" for column in ratios.T]
            print(f"| {workers} | {wall:.2f} ({min(walls):.2f}–{max(walls):.2f}) ", end="")
            print(f"| {told[0]} | {told[1]} |", flush=True)


if __name__ == "__main__":
    main()
