"""A build on one machine: bounded memory, every core at work, and kept what is finished.

Nothing but small keys is shuffled in memory. Copies are found first, by a Beam pipeline on the
in-process engine; then the input is cut in several tasks, whose parts go to files by shard; then
the shards are filled in waves. Tasks and waves do what the steps of `transforms` do, without an
engine, which has nothing to add where nothing is grouped; in processes of their own where the
input is large enough to pay for them. A task or wave that has left its results is not done again.
"""

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from shutil import rmtree
from typing import Any

import apache_beam as beam
import orjson
import pyarrow as pa

from pairsmith.pipelines.engine import run_pipeline
from pairsmith.pipelines.increments import fill_or_reuse
from pairsmith.pipelines.inputs import Split
from pairsmith.pipelines.spill import Spill, Spilled
from pairsmith.pipelines.storage import use_options
from pairsmith.pipelines.transforms import WORKERS, FindCopies, Job, as_array, cut_split
from pairsmith.pipelines.workers import frugal_memory, workers
from pairsmith.schemas import heeding_interrupts, put

_POOL_BYTES = 8 << 20
"""Of input; for less, starting processes costs more than they save."""
_TASK_BYTES = 4 << 20
"""Of input for each task and wave: what is lost at most when a build is killed."""
_TASKS = 64


@dataclass(frozen=True)
class Plan:
    """How the work is cut; decides nothing about the result."""

    tasks: tuple[tuple[Split, ...], ...]
    waves: tuple[tuple[int, ...], ...]
    """Numbers of the shards filled in each."""
    workers: int


def plan_work(splits: Sequence[Split], shards: int, workers: int, waves: int | None) -> Plan:
    """Return the tasks and waves for an input of this size.

    waves: how many, instead of one for every 4 MiB of input; never more than there are shards.
    """
    size = sum(split.bytes for split in splits)
    pieces = min(_TASKS, max(1, size // _TASK_BYTES))
    tasks = max(1, min(len(splits), pieces))
    waves = min(shards, waves or max(pieces, workers))
    return Plan(
        tasks=tuple(tuple(splits[number::tasks]) for number in range(tasks)),
        waves=tuple(tuple(range(number, shards, waves)) for number in range(waves)),
        workers=1 if size < _POOL_BYTES else min(workers, max(tasks, waves)),
    )


def build_here(job: Job, splits: Sequence[Split], plan: Plan) -> list[dict[str, Any]]:
    """Make the files of the dataset but its manifest, and return the results of all steps."""
    work = Path(job.work)
    with frugal_memory(), heeding_interrupts():
        _find_copies(job, splits, work)
        with workers(plan.workers, work / WORKERS) as run:
            for kind, step, pieces in (("cut", _cut, plan.tasks), ("wave", _fill_wave, plan.waves)):
                run(
                    (step, job, piece, number)
                    for number, piece in enumerate(pieces)
                    if not _results(work, kind, number).exists()
                )
    paths = [_results(work, "cut", n) for n in range(len(plan.tasks))]
    paths += [_results(work, "wave", n) for n in range(len(plan.waves))]
    return [result for path in paths for result in orjson.loads(path.read_bytes())]


def _find_copies(job: Job, splits: Sequence[Split], work: Path) -> None:
    done = work / "copies.done"
    if not done.exists():
        splits_here = beam.Create(splits, reshuffle=False)  # there is one worker
        run_pipeline(lambda p: p | splits_here | FindCopies(job), job.store_flags)
        put(done, b"")


def _cut(job: Job, splits: Sequence[Split], number: int) -> None:
    """Cut some splits into parts on disk."""
    use_options(job.store_flags)
    folder = _spill(job) / f"{number:05d}"
    rmtree(folder, ignore_errors=True)  # what a killed one left
    spill = Spill(folder)
    results = [cut_split(job, split, spill.add) for split in splits]
    spill.flush()
    put(_results(Path(job.work), "cut", number), as_array(results))


def _fill_wave(job: Job, shards: Sequence[int], number: int) -> None:
    """Fill some shards from the parts on disk."""
    use_options(job.store_flags)
    job.recipe.setup()
    results = []
    with closing(Spilled(_spill(job))) as spilled:
        for shard in shards:
            pa.default_memory_pool().release_unused()
            if parts := list(spilled.parts(shard)):
                results.append(fill_or_reuse(job, shard, parts))
    put(_results(Path(job.work), "wave", number), as_array(results))


def _spill(job: Job) -> Path:
    return Path(job.work) / "spill"


def _results(work: Path, kind: str, number: int) -> Path:
    return work / f"{kind}-{number:05d}.json"
