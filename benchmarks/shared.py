"""What benchmarks share: where their data lies (docs/data.md says what it is), and taking turns."""

import os
import statistics
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

SHARED = Path(os.environ.get("PAIRSMITH_SHARED", Path(__file__).resolve().parents[2] / "shared"))
CORPUS = SHARED / "data" / "corpus"
THREADS = ("NUMBA_NUM_THREADS", "OMP_NUM_THREADS", "RAYON_NUM_THREADS", "MKL_NUM_THREADS")


def pin() -> int | str:
    """Keep this process on one core with one thread, where the system can, and return which.

    Libraries with threads of their own must be imported after this.
    """
    os.environ.update(dict.fromkeys(THREADS, "1"), TOKENIZERS_PARALLELISM="false")
    if not hasattr(os, "sched_setaffinity"):
        return "(this system cannot pin)"
    core = max(os.sched_getaffinity(0))
    os.sched_setaffinity(0, {core})
    return core


def race(
    contest: Mapping[str, Callable[[], Any]],
    runs: int,
    clock: Callable[[], float] = time.perf_counter,
) -> dict[str, list[float]]:
    """Return the seconds by a clock of some runs of each, in turns, after one that is not timed."""
    for run in contest.values():
        run()
    seconds: dict[str, list[float]] = {name: [] for name in contest}
    for _ in range(runs):
        for name, run in contest.items():
            start = clock()
            run()
            seconds[name].append(clock() - start)
    return seconds


def rate(rows: int, seconds: list[float]) -> str:
    """Return the median rate and the range of rates."""
    low, middle, high = (rows / f(seconds) for f in (max, statistics.median, min))
    digits = 0 if middle >= 100 else 1
    return f"{middle:,.{digits}f} ({low:,.{digits}f}–{high:,.{digits}f})"
