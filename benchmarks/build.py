"""A whole build against a plain pyarrow process, and the build's peak memory.

    python benchmarks/build.py [documents.parquet …] [--sentences 200000 800000] [--runs 5]

The build: three pair kinds, screens, gates, duplicates, shuffle, sorted shards with sha256, books.
The plain process: one loop that reads, segments, calls the same kernels, applies the same rules and
writes the texts unsorted; no keys in the output, no hashes of texts, no rejected rows, no engine.
Both are whole processes, start to end, pinned to one core, and take turns.
"""

import argparse
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

CORPUS = Path(__file__).resolve().parents[2] / "shared" / "data" / "corpus"
DOCUMENTS = ("novels_documents_en", "fed_documents_en", "sgd_dialogues_en")
RECIPE = f"{Path(__file__).with_name('build_recipe.py')}:three_kinds"
PLAIN = Path(__file__).with_name("build_plain.py")


@dataclass(frozen=True)
class Run:
    """One finished process."""

    wall: float
    """Seconds."""
    cpu: float
    """Seconds, user and system."""
    peak: float
    """Largest resident set, MiB."""


def main() -> None:
    """Print a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("documents", nargs="*", type=Path)
    parser.add_argument("--sentences", nargs="+", type=int, default=[200_000, 800_000])
    parser.add_argument("--runs", type=int, default=5)
    options = parser.parse_args()
    files = options.documents or [CORPUS / f"{name}.parquet" for name in DOCUMENTS]
    if missing := [str(file) for file in files if not file.is_file()]:
        raise SystemExit(f"no {missing[0]}: give Parquet files of documents, one sentence a line")
    # What a user's interpreter does: compiled modules are kept between runs.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    names = ("apache-beam", "pyarrow", "numba")
    print(f"{platform.machine()}, one core, Python {platform.python_version()}, ", end="")
    print(", ".join(f"{name} {version(name)}" for name in names))
    print("\n| sentences | text | | wall s (range) | CPU s (range) | peak MiB | build ÷ plain |")
    print("|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        for count in options.sentences:
            corpus = Path(folder) / f"{count}.parquet"
            size = write_corpus(files, count, corpus)
            runs = race(corpus, Path(folder), options.runs)
            for name, done in runs.items():
                print(row(f"{count:,} | {size / 1e6:.0f} MB | {name}", done, runs["plain"]))


def write_corpus(files: list[Path], count: int, target: Path) -> int:
    """Write documents with `count` lines in all and return the size of their text."""
    ids, texts, left = [], [], count
    for file in files:
        for document in pq.read_table(file, columns=["doc_id", "text"]).to_pylist():
            if lines := document["text"].split("\n")[:left]:
                ids.append(f"{file.stem}/{document['doc_id']}")
                texts.append("\n".join(lines))
                left -= len(lines)
    if left:
        raise SystemExit(f"the files hold {left:,} lines fewer than {count:,}")
    pq.write_table(pa.table({"doc_id": ids, "text": texts}), target, row_group_size=500)
    return sum(map(len, texts))


def race(corpus: Path, folder: Path, runs: int) -> dict[str, list[Run]]:
    """Return the runs of both, in turns, after one of each that is not counted."""
    output = folder / "out"
    script = str(Path(sys.executable).with_name("pairsmith"))
    commands = {
        "plain": [sys.executable, str(PLAIN), str(corpus), str(output)],
        "build": [script, "build", RECIPE, "--input", str(corpus), "--output", str(output)],
    }
    done: dict[str, list[Run]] = {name: [] for name in commands}
    for turn in range(runs + 1):
        for name, command in commands.items():
            run = measure(command)
            shutil.rmtree(output)
            if turn:
                done[name].append(run)
    return done


def measure(command: list[str]) -> Run:
    """Run a command on one core and return what it took."""
    start = time.perf_counter()
    core = {max(os.sched_getaffinity(0))} if hasattr(os, "sched_setaffinity") else None
    process = subprocess.Popen(
        command,
        stdout=subprocess.DEVNULL,
        preexec_fn=(lambda: os.sched_setaffinity(0, core)) if core else None,
    )
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{command} ended with {process.returncode}")
    wall = time.perf_counter() - start
    return Run(wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)


def row(name: str, runs: list[Run], baseline: list[Run]) -> str:
    """Return one line of the table; the speed ratio is plain CPU over this CPU."""
    walls, cpus = [run.wall for run in runs], [run.cpu for run in runs]
    speed = statistics.median(run.cpu for run in baseline) / statistics.median(cpus)
    peak = statistics.median(run.peak for run in runs)
    return f"| {name} | {spread(walls)} | {spread(cpus)} | {peak:,.0f} | {speed:.2f} |"


def spread(values: list[float]) -> str:
    """Return the median and the range."""
    return f"{statistics.median(values):.2f} ({min(values):.2f}–{max(values):.2f})"


if __name__ == "__main__":
    main()
