"""A whole build against a plain pyarrow process and a row-by-row pipeline; its memory and growth.

    python benchmarks/build.py [documents.parquet …] [--sentences 50000 200000 800000] [--runs 3]

The build: three pair kinds, screens, gates, duplicates, shuffle, sorted shards with sha256, books.
The plain process: one loop that reads, segments, calls the same kernels, applies the same rules and
writes the texts unsorted; no keys in the output, no hashes of texts, no rejected rows, no engine.
Row by row: a Beam pipeline with nlpaug whose elements are single documents, sentences and pairs.

All are whole processes, start to end, and take turns; all but "build, N processes" have one core.
What a sentence costs is told without what a build of hardly any costs, which is mostly loading.
Builds have the shards they have by default. A process has one of them in memory at a time, so the
largest input is also built into as many as make a shard as small as that of the smallest.
"""

import argparse
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import version
from multiprocessing import get_context
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from shared import CORPUS
from xxhash import xxh3_64_intdigest

DOCUMENTS = ("novels_documents_en", "fed_documents_en", "sgd_dialogues_en")
RECIPE = f"{Path(__file__).with_name('build_recipe.py')}:three_kinds"
PLAIN, ROWS = (Path(__file__).with_name(f"build_{name}.py") for name in ("plain", "rows"))
HARDLY_ANY, SHARDS = 100, 16
ENOUGH = 800_000
"""Sentences in all runs of a size: a small build is measured more often, as what it costs beyond a
build of hardly any is the difference of two figures that are alike."""
MOST_RUNS = 11
PLAINLY, BUILD, BY_ROW = "plain", "build", "row by row"
MANY_SHARDS = "build, more shards"
PROCESSES = "processes"
Runs = dict[str, list["Run"]]


@dataclass(frozen=True)
class Run:
    """One finished process."""

    wall: float
    """Seconds."""
    cpu: float
    """Seconds, user and system, of all its processes."""
    peak: float
    """Largest resident set, MiB: of the process, or of all its processes together."""


def main() -> None:
    """Print Markdown tables."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("documents", nargs="*", type=Path)
    parser.add_argument("--sentences", nargs="+", type=int, default=[50_000, 200_000, 800_000])
    parser.add_argument("--by-row", type=int, default=50_000, help="sentences done row by row")
    parser.add_argument("--runs", type=int, default=3)
    options = parser.parse_args()
    files = options.documents or [CORPUS / f"{name}.parquet" for name in DOCUMENTS]
    if missing := [str(file) for file in files if not file.is_file()]:
        raise SystemExit(f"no {missing[0]}: give Parquet files of documents, one sentence a line")
    # What a user's interpreter does: compiled modules are kept between runs.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    names = ("apache-beam", "pyarrow", "numba", "nlpaug")
    print(
        f"{platform.machine()}, {len(cores())} cores, Python {platform.python_version()}, ", end=""
    )
    print(", ".join(f"{name} {version(name)}" for name in names))
    print("\n| sentences | text | | wall s (range) | CPU s (range) | µs a sentence | peak MiB |")
    print("|---|---|---|---|---|---|---|")
    several = f"build, {len(cores())} {PROCESSES}"
    with tempfile.TemporaryDirectory() as name:
        folder, runs = Path(name), options.runs
        nothing = table(files, folder, runs, HARDLY_ANY, [PLAINLY, BUILD, several, BY_ROW], {})
        tables = []
        for count in options.sentences:
            names = [PLAINLY, BUILD, several]
            more = count // options.sentences[0] if count == options.sentences[-1] else 1
            names += [MANY_SHARDS] * (more > 1)
            tables.append(table(files, folder, runs, count, names, nothing, SHARDS * more))
        rows = table(files, folder, runs, options.by_row, [BY_ROW], nothing)
    costs = [
        per_sentence(runs[BUILD], count, nothing[BUILD])
        for runs, count in zip(tables, options.sentences, strict=True)
    ]
    by_row = per_sentence(rows[BY_ROW], options.by_row, nothing[BY_ROW])
    first, last = tables[0], tables[-1]
    print(f"\n- cost of a sentence: {max(costs) / min(costs) - 1:+.0%} between the sizes")
    for name in last.keys() & {BUILD, MANY_SHARDS, several}:
        grown = peak(last[name]) / peak(first.get(name, first[BUILD]))
        print(f"- peak memory of the {name}, last size ÷ first: {grown:.2f}")
    if MANY_SHARDS in last:
        speed = cpu(last[PLAINLY]) / cpu(last[MANY_SHARDS])
        print(f"- {options.sentences[-1]:,}: speed of the {MANY_SHARDS}: {speed:.2f} of plain")
    for runs, count in zip(tables, options.sentences, strict=True):
        speed = cpu(runs[PLAINLY]) / cpu(runs[BUILD])
        print(f"- {count:,}: speed of the build, by processor time: {speed:.2f} of plain")
        if several in runs:
            faster = wall(runs[BUILD]) / wall(runs[several])
            print(f"- {count:,}: {several} {faster:.2f} times as fast as one")
    print(f"- row by row a sentence costs {by_row / costs[-1]:.0f} times as much as in the build")


def table(
    files: list[Path],
    folder: Path,
    runs: int,
    count: int,
    names: list[str],
    nothing: Runs,
    shards: int = SHARDS,
) -> Runs:
    """Print a row for each contender and return its runs.

    nothing: runs with hardly any sentences. shards: of the build with more.
    """
    corpus = folder / f"{count}.parquet"
    # A process of its own: the peak that the system tells of a child is never below its parent's.
    with get_context("spawn").Pool(1) as pool:
        size = pool.apply(write_corpus, (files, count, corpus))
    if BY_ROW not in names or count == HARDLY_ANY:
        runs = max(runs, min(MOST_RUNS, ENOUGH // count))
    done = race(corpus, folder, runs, names, shards)
    for name, its in done.items():
        walls, cpus = [run.wall for run in its], [run.cpu for run in its]
        base = nothing.get(name) or nothing.get(BUILD)
        cost = f"{per_sentence(its, count, base):.1f}" if base else ""
        cells = (f"{count:,}", f"{size / 1e6:.1f} MB", name, spread(walls), spread(cpus), cost)
        print(f"| {' | '.join(cells)} | {peak(its):,.0f} |", flush=True)
    return done


def per_sentence(runs: list[Run], count: int, nothing: list[Run]) -> float:
    """Return the CPU µs of a sentence beyond what a corpus of hardly any takes."""
    return (cpu(runs) - cpu(nothing)) / (count - HARDLY_ANY) * 1e6


def write_corpus(files: list[Path], count: int, target: Path) -> int:
    """Write documents with `count` lines in all and return the size of their text.

    Documents come in the order of their hashes, so that texts are mixed alike at every size.
    """
    documents = [
        (f"{file.stem}/{document['doc_id']}", document["text"])
        for file in files
        for document in pq.read_table(file, columns=["doc_id", "text"]).to_pylist()
    ]
    ids, texts, left = [], [], count
    for name, text in sorted(documents, key=lambda found: xxh3_64_intdigest(found[0].encode())):
        if lines := text.split("\n")[:left]:
            ids.append(name)
            texts.append("\n".join(lines))
            left -= len(lines)
    if left:
        raise SystemExit(f"the files hold {left:,} lines fewer than {count:,}")
    pq.write_table(pa.table({"doc_id": ids, "text": texts}), target, row_group_size=500)
    return sum(map(len, texts))


def race(corpus: Path, folder: Path, runs: int, names: list[str], shards: int) -> Runs:
    """Return the runs of the contenders, in turns, after one of each that is not counted."""
    output = folder / "out"
    script = str(Path(sys.executable).with_name("pairsmith"))
    build = [script, "build", RECIPE, "--input", str(corpus), "--output", str(output)]
    build += ["--workers"]
    commands = {
        PLAINLY: [sys.executable, str(PLAIN), str(corpus), str(output)],
        BUILD: [*build, "1"],
        MANY_SHARDS: [*build, "1", "--shards", str(shards)],
        BY_ROW: [sys.executable, str(ROWS), str(corpus), str(output)],
    }
    done: Runs = {name: [] for name in names}
    for turn in range(runs + 1):
        for name in names:
            command = commands.get(name, [*build, str(len(cores()))])
            run = measure(command, cores() if name not in commands else set(sorted(cores())[-1:]))
            shutil.rmtree(output)
            if turn:
                done[name].append(run)
    return done


def measure(command: list[str], on: set[int]) -> Run:
    """Run a command on some cores and return what it took."""
    start = time.perf_counter()
    process = subprocess.Popen(
        command,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        preexec_fn=(lambda: os.sched_setaffinity(0, on)) if on else None,
    )
    together = [0.0]
    if len(on) > 1:
        threading.Thread(target=watch, args=(process.pid, together), daemon=True).start()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{command} ended with {process.returncode}")
    wall = time.perf_counter() - start
    peak = max(usage.ru_maxrss / 1024, *together)
    return Run(wall, usage.ru_utime + usage.ru_stime, peak)


def watch(process: int, peak: list[float]) -> None:
    """Keep the largest sum of the resident sets of a process and its children, until it ends."""
    page = os.sysconf("SC_PAGE_SIZE")
    with suppress(FileNotFoundError, ProcessLookupError):
        while True:
            children = Path(f"/proc/{process}/task/{process}/children").read_text().split()
            total = 0
            for number in (str(process), *children):
                with suppress(FileNotFoundError, ProcessLookupError):
                    total += int(Path(f"/proc/{number}/statm").read_text().split()[1]) * page
            peak[0] = max(peak[0], total / 2**20)
            time.sleep(0.05)


def cores() -> set[int]:
    """Return the cores that there are, as far as the system tells."""
    return os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else set()


def wall(runs: list[Run]) -> float:
    """Return the median of the seconds."""
    return statistics.median(run.wall for run in runs)


def cpu(runs: list[Run]) -> float:
    """Return the median of the CPU seconds."""
    return statistics.median(run.cpu for run in runs)


def peak(runs: list[Run]) -> float:
    """Return the median of the peaks, MiB."""
    return statistics.median(run.peak for run in runs)


def spread(values: list[float]) -> str:
    """Return the median and the range."""
    return f"{statistics.median(values):.2f} ({min(values):.2f}–{max(values):.2f})"


if __name__ == "__main__":
    main()
