"""A build on one machine: bounded memory, every core at work, and kept what is finished.

Nothing but small keys is shuffled in memory. Copies are found among those first; then the input is
cut in several tasks, whose parts go to files by shard; then the shards are filled in waves. All of
it without an engine; in several processes where the input is large enough to pay for them.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import orjson
import pyarrow.compute as pc

from pairsmith.pipelines.job import WORKERS, Job, StepResult
from pairsmith.pipelines.local.tasks import cut_task, fill_wave, prepare, results_of
from pairsmith.pipelines.local.workers import frugal_memory, workers
from pairsmith.pipelines.progress import report
from pairsmith.pipelines.reading.duplicates import copies_file, find_all_copies, keys_of
from pairsmith.pipelines.reading.read import read_split
from pairsmith.pipelines.reading.splits import Split
from pairsmith.pipelines.storage.files import put_file
from pairsmith.schemas import heeding_interrupts, put

_POOL_BYTES = 8 << 20
"""Of input; for less, starting processes costs more than they save. Who asks for some gets them."""
_TASK_BYTES = 4 << 20
"""Of input for each task and wave: what is lost at most when a build is killed."""
_TASKS = 64
_WAVES_EACH = 4
"""For each of several processes, so that none waits long for another at the end."""


@dataclass(frozen=True)
class Work:
    """How the work is cut; decides nothing about the result."""

    tasks: tuple[tuple[Split, ...], ...]
    waves: tuple[tuple[int, ...], ...]
    """Numbers of the shards filled in each."""
    workers: int


def plan_work(splits: Sequence[Split], shards: int, workers: int | None, waves: int | None) -> Work:
    """Return the tasks and waves for an input of this size.

    workers: how many processes, instead of one for each core, or one alone for a small input.
    waves: how many, instead of one for every 4 MiB of input, and four for each of several
    processes; never more than there are shards.
    """
    size = sum(split.bytes for split in splits)
    workers = workers or (cores() if size >= _POOL_BYTES else 1)
    pieces = min(_TASKS, max(1, size // _TASK_BYTES))
    tasks = max(1, min(len(splits), pieces))
    waves = min(shards, waves or max(pieces, _WAVES_EACH * workers if workers > 1 else 1))
    return Work(
        tasks=tuple(tuple(splits[number::tasks]) for number in range(tasks)),
        waves=tuple(tuple(range(number, shards, waves)) for number in range(waves)),
        workers=min(workers, max(tasks, waves)),
    )


def cores() -> int:
    """Return how many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def build_here(job: Job, splits: Sequence[Split], work: Work) -> list[StepResult]:
    """Make the files of the dataset but its manifest, and return the results of all steps."""
    folder = Path(job.work)
    pieces = (("cut", cut_task, work.tasks), ("wave", fill_wave, work.waves))
    with (
        frugal_memory(),
        heeding_interrupts(),
        workers(work.workers, folder / WORKERS, (prepare, job)) as run,
    ):
        prepare(job)
        _find_copies(job, splits, folder)
        kept = {
            kind: {n for n in range(len(given)) if results_of(job, kind, n).exists()}
            for kind, _, given in pieces
        }
        report(
            job.progress,
            kept_bytes=sum(split.bytes for n in kept["cut"] for split in work.tasks[n]),
            kept_shards=sum(len(work.waves[n]) for n in kept["wave"]),
        )
        for kind, step, given in pieces:
            run(
                (step, job, piece, number)
                for number, piece in enumerate(given)
                if number not in kept[kind]
            )
    paths = [results_of(job, kind, n) for kind, _, given in pieces for n in range(len(given))]
    return [
        StepResult.from_data(data) for path in paths for data in orjson.loads(path.read_bytes())
    ]


def _find_copies(job: Job, splits: Sequence[Split], folder: Path) -> None:
    """Leave a file of COPIES for each input file that has some."""
    done = folder / "copies.done"
    if done.exists():
        return
    source = job.recipe.source
    keys = [
        keys_of(read.documents, split.file)
        for split in splits
        for read in read_split(split, source, job.batch_rows)
    ]
    copies = find_all_copies(keys)
    for file in pc.unique(copies["file"]).to_pylist():
        own = copies.filter(pc.equal(copies["file"], file))
        put_file(job.copies(file), copies_file(own))
    put(done, b"")
