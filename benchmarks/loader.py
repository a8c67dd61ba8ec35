"""Shuffled rows a second, of one epoch of the same pairs, against other streaming loaders.

    python benchmarks/loader.py [documents.parquet] [--runs 5] [--workers 0 1 2]

All hand over batches of 1,024 rows as two lists of Python strings, anchors and positives, in the
process that would train. pairsmith and Hugging Face datasets (streaming, its buffer of 10,000 rows)
read the very shards of the build; litdata reads their two columns as Parquet; Mosaic streaming
reads them converted to its own. These two run in environments of their own, made with uv.
pairsmith also looks ahead, so that no two rows of a document or text share a batch, which the
others do not. Each run is a process of its own; they take turns. Time counts from the opening of
the loader, after all imports.
"""

import argparse
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from shared import CORPUS

BATCH = 1024
SHARDS = 24
LONGEST = 20
"""Seconds of an epoch that are enough to tell a rate; most loaders need less for all of it."""
Texts = tuple[list[str], list[str]]


def main() -> None:
    """Print a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument(
        "documents", nargs="?", type=Path, default=CORPUS / "fed_documents_en.parquet"
    )
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--workers", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--loaders", nargs="+", default=list(LOADERS), choices=list(LOADERS))
    parser.add_argument("--child", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        loader, folder, workers = options.child
        print(json.dumps(measure(loader, Path(folder), int(workers))))
        return
    if not options.documents.is_file():
        raise SystemExit(f"no {options.documents}: give a Parquet file with a column text")
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        build(options.documents, folder / "pairs")
        wanted = ["pairsmith", *(name for name in options.loaders if name != "pairsmith")]
        pythons = {
            loader: own_python(loader, folder) if loader in OWN else Path(sys.executable)
            for loader in wanted
        }
        print(f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}\n")
        for loader in list(pythons):
            if missing := convert(loader, folder, pythons[loader]):
                print(f"{loader} is left out: {missing}\n")
                del pythons[loader]
        print("| workers | loader | rows/s (range) | rows/CPU s | first batch s | pairsmith ÷ it |")
        print("|---|---|---|---|---|---|")
        for workers in options.workers:
            table(race(pythons, folder, workers, options.runs), workers)


def given_or_built(pairs: Path | None, folder: Path) -> Path:
    """Return the dataset that was given, or one that is built in a folder."""
    if pairs:
        return pairs
    documents = CORPUS / "fed_documents_en.parquet"
    if not documents.is_file():
        raise SystemExit(f"no {documents}: give a dataset folder")
    build(documents, folder / "pairs")
    return folder / "pairs"


def build(documents: Path, output: Path) -> None:
    """Build the pairs."""
    script = str(Path(sys.executable).with_name("pairsmith"))
    command = [script, "build", "quickstart", "--input", str(documents), "--output", str(output)]
    subprocess.run([*command, "--shards", str(SHARDS)], check=True, stdout=subprocess.DEVNULL)


def own_python(loader: str, folder: Path) -> Path:
    """Return the interpreter of a new environment for a loader whose pins are not ours."""
    uv = str(Path(sys.executable).with_name("uv"))
    python = folder / f"{loader}-env" / "bin" / "python"
    subprocess.run([uv, "venv", "-q", "-p", sys.executable, str(python.parents[1])], check=True)
    install = [uv, "pip", "install", "-q", "--python", str(python), *OWN[loader]]
    subprocess.run(install, stderr=subprocess.DEVNULL)
    return python


def convert(loader: str, folder: Path, python: Path) -> str:
    """Make what a loader needs of the shards; return why it cannot be had, if so."""
    module = {"mosaic": "streaming", "pairsmith": "pairsmith.training"}.get(loader, loader)
    command = [str(python), "-c", f"import {module}"]
    if subprocess.run(command, capture_output=True).returncode:
        return f"{python} cannot import {module}"
    given = [str(python), __file__, "--child", f"{loader}-convert", str(folder), "0"]
    done = subprocess.run(given, capture_output=True, text=True)
    return "" if done.returncode == 0 else done.stderr.strip().splitlines()[-1]


def race(
    pythons: dict[str, Path], folder: Path, workers: int, runs: int
) -> dict[str, list[dict[str, float]]]:
    """Return the runs of all loaders, in turns, after one of each that is not counted."""
    done: dict[str, list[dict[str, float]]] = {loader: [] for loader in pythons}
    for turn in range(runs + 1):
        for loader, python in pythons.items():
            command = [str(python), __file__, "--child", loader, str(folder), str(workers)]
            said = subprocess.run(command, capture_output=True, text=True)
            if said.returncode:
                raise SystemExit(f"{loader} failed: {said.stderr}")
            if turn:
                done[loader].append(json.loads(said.stdout.splitlines()[-1]))
    return done


def table(done: dict[str, list[dict[str, float]]], workers: int) -> None:
    """Print a line for each loader."""
    ours = statistics.median(run["rate"] for run in done["pairsmith"])
    for loader, runs in done.items():
        rates = [run["rate"] for run in runs]
        middle = statistics.median(rates)
        cpu = statistics.median(run["cpu_rate"] for run in runs)
        first = statistics.median(run["first"] for run in runs)
        spread = f"{middle:,.0f} ({min(rates):,.0f}–{max(rates):,.0f})"
        print(
            f"| {workers} | {loader} | {spread} | {cpu:,.0f} | {first:.2f} | {ours / middle:.2f} |"
        )


def measure(loader: str, folder: Path, workers: int) -> dict[str, float]:
    """Return what one epoch, or its first LONGEST seconds, took in this process."""
    if loader.endswith("-convert"):
        CONVERSIONS.get(loader.removesuffix("-convert"), lambda folder: None)(folder)
        return {}
    begin = LOADERS[loader]()
    cpu, start = used(), time.perf_counter()
    rows, first = 0, 0.0
    batches = iter(begin(folder, workers))
    for anchors, positives in batches:
        first = first or time.perf_counter() - start
        rows += len(anchors)
        assert len(anchors) == len(positives)
        assert isinstance(anchors[0], str)
        if time.perf_counter() - start > LONGEST:
            break
    wall = time.perf_counter() - start
    del batches  # its worker processes end, and their time counts
    return {"rate": rows / wall, "cpu_rate": rows / (used() - cpu), "first": first, "rows": rows}


def used() -> float:
    """Return the processor time of this process and its finished children, in seconds."""
    each = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in each)


def shards(folder: Path) -> list[str]:
    """Return the files of the pairs."""
    return [str(path) for path in sorted((folder / "pairs" / "shards").iterdir())]


Begin = Callable[[Path, int], Iterable[Texts]]


def pairsmith() -> Begin:
    """Return the stream of this project; workers are threads."""
    import pyarrow as pa

    from pairsmith.schemas import open_dataset
    from pairsmith.training.streaming.corpus import StreamConfig, open_order
    from pairsmith.training.streaming.loader import Cursor, Share, stream

    pa.array([0])  # pyarrow puts off importing pandas, where that is installed, to its first array

    def texts(share: Share) -> tuple[list[str], list[str], Cursor]:
        pairs = share.pairs
        return pairs["anchor"].to_pylist(), pairs["positive"].to_pylist(), share.cursor

    def begin(folder: Path, workers: int) -> Iterator[Texts]:
        dataset = open_dataset(folder / "pairs", checksums=False)
        order = open_order([dataset], StreamConfig(), BATCH, seed=1)
        batches = stream(order, Cursor(), texts, workers=workers)
        for anchors, positives, cursor in batches:
            yield anchors, positives
            if cursor.position == order.rows:
                break
        batches.close()

    return begin


def datasets() -> Begin:
    """Return the streaming mode of Hugging Face datasets, in PyTorch's DataLoader."""
    import datasets
    from torch.utils.data import DataLoader

    datasets.disable_progress_bars()

    def begin(folder: Path, workers: int) -> Iterator[Texts]:
        options: dict[str, Any] = {"streaming": True, "columns": ["anchor", "positive"]}
        rows = datasets.load_dataset("parquet", data_files=shards(folder), split="train", **options)
        batches = rows.shuffle(seed=1, buffer_size=10_000).batch(BATCH)
        for batch in DataLoader(batches, batch_size=None, num_workers=workers):
            yield batch["anchor"], batch["positive"]

    return begin


def litdata() -> Begin:
    """Return litdata's loader of Parquet files."""
    from litdata import StreamingDataLoader, StreamingDataset
    from litdata.streaming.item_loader import ParquetLoader

    def begin(folder: Path, workers: int) -> Iterator[Texts]:
        rows = StreamingDataset(
            str(folder / "litdata"), item_loader=ParquetLoader(), shuffle=True, seed=1
        )
        options: dict[str, Any] = {"batch_size": BATCH, "num_workers": workers}
        options |= {"collate_fn": in_columns}
        if workers:  # it refuses to fork
            options["multiprocessing_context"] = "spawn"
        yield from StreamingDataLoader(rows, **options)

    return begin


def mosaic() -> Begin:
    """Return Mosaic's streaming dataset, in PyTorch's DataLoader."""
    from streaming import StreamingDataset
    from torch.utils.data import DataLoader

    def begin(folder: Path, workers: int) -> Iterator[Texts]:
        rows = StreamingDataset(local=str(folder / "mds"), shuffle=True, batch_size=BATCH)
        options: dict[str, Any] = {"collate_fn": in_columns, "num_workers": workers}
        yield from DataLoader(rows, batch_size=BATCH, **options)

    return begin


def in_columns(rows: list[dict[str, str]]) -> Texts:
    """Return rows as two lists."""
    return [row["anchor"] for row in rows], [row["positive"] for row in rows]


def convert_litdata(folder: Path) -> None:
    """Lay the shards out as litdata wants them: two columns, and an index."""
    import litdata
    import pyarrow.parquet as pq

    (folder / "litdata").mkdir()
    for path in shards(folder):
        table = pq.read_table(path, columns=["anchor", "positive"])
        pq.write_table(table, folder / "litdata" / Path(path).name, compression="zstd")
    litdata.index_parquet_dataset(str(folder / "litdata"))


def convert_mosaic(folder: Path) -> None:
    """Write the pairs as Mosaic's shards."""
    import pyarrow.parquet as pq
    from streaming import MDSWriter

    with MDSWriter(out=str(folder / "mds"), columns={"anchor": "str", "positive": "str"}) as out:
        for path in shards(folder):
            for row in pq.read_table(path, columns=["anchor", "positive"]).to_pylist():
                out.write(row)


LOADERS = {"pairsmith": pairsmith, "datasets": datasets, "litdata": litdata, "mosaic": mosaic}
OWN = {"litdata": ("litdata", "polars", "pyarrow"), "mosaic": ("mosaicml-streaming", "pyarrow")}
"""Packages of loaders that have an environment of their own."""
CONVERSIONS = {"litdata": convert_litdata, "mosaic": convert_mosaic}

if __name__ == "__main__":
    main()
