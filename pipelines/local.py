"""A build on one machine: bounded memory, every core at work, and kept what is finished.

Nothing but small keys is shuffled in memory. Copies are found first; then the input is cut in
several tasks, whose parts go to files by shard; then the shards are filled in waves. Each task and
each wave is a Beam pipeline on the in-process engine, in a process of its own where the input is
large enough to pay for it. A task or wave that has left its results is not done again.
"""

from collections.abc import Iterator, Sequence
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
from pairsmith.pipelines.transforms import (
    WORKERS,
    CutDocuments,
    FindCopies,
    Job,
    Keyed,
    WriteResults,
)
from pairsmith.pipelines.workers import frugal_memory, workers
from pairsmith.schemas import put

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
    with frugal_memory():
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
        run_pipeline(lambda p: p | _each(splits) | "Copies" >> FindCopies(job), job.store_flags)
        put(done, b"")


def _cut(job: Job, splits: Sequence[Split], number: int) -> None:
    """Cut some splits into parts on disk."""
    folder = _spill(job) / f"{number:05d}"
    rmtree(folder, ignore_errors=True)  # what a killed one left

    done = _results(Path(job.work), "cut", number)

    def wire(pipeline: beam.Pipeline) -> None:
        parts, read = pipeline | _each(splits) | "Cut" >> CutDocuments(job)
        _ = parts | "Spill" >> beam.ParDo(Spill(str(folder)))
        _ = read | "Results" >> WriteResults(str(_early(done)))

    run_pipeline(wire, job.store_flags)
    _early(done).replace(done)


def _fill_wave(job: Job, shards: Sequence[int], number: int) -> None:
    """Fill some shards from the parts on disk."""

    done = _results(Path(job.work), "wave", number)

    def wire(pipeline: beam.Pipeline) -> None:
        filled = pipeline | _each(shards) | "Fill" >> beam.ParDo(_FillSpilled(job))
        _ = filled | "Results" >> WriteResults(str(_early(done)))

    run_pipeline(wire, job.store_flags)
    _early(done).replace(done)


class _FillSpilled(beam.DoFn):
    def __init__(self, job: Job) -> None:
        self.job = job

    def setup(self) -> None:
        self.job.recipe.setup()
        self.spilled = Spilled(_spill(self.job))

    def teardown(self) -> None:
        self.spilled.close()

    def process(self, number: int) -> Iterator[Keyed]:
        pa.default_memory_pool().release_unused()
        parts = list(self.spilled.parts(number))
        # A wave without parts must have results, too.
        yield 0, fill_or_reuse(self.job, number, parts) if parts else b"{}"


def _spill(job: Job) -> Path:
    return Path(job.work) / "spill"


def _each(elements: Sequence[Any]) -> beam.PTransform[Any, Any]:
    """Return the elements as a collection; there is one worker, so that none need be spread."""
    return beam.Create(elements, reshuffle=False)


def _results(work: Path, kind: str, number: int) -> Path:
    return work / f"{kind}-{number:05d}.json"


def _early(results: Path) -> Path:
    """Return where results stand while the pipeline runs, which may write them before the rest."""
    return results.with_suffix(".early")
