"""A build on one machine: bounded memory, every core at work, and kept what is finished.

Nothing but small keys is shuffled in memory. Copies are found first; then the input is cut in
several tasks, whose parts go to files by shard; then the shards are filled in waves. Each task and
each wave is a Beam pipeline on the in-process engine, in a process of its own where the input is
large enough to pay for it. A task or wave that has left its results is not done again.
"""

import fcntl
import logging
import os
import signal
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from shutil import rmtree
from typing import Any

import apache_beam as beam
import orjson
from apache_beam.internal.cloudpickle import cloudpickle

from pairsmith.pipelines.engine import run_pipeline
from pairsmith.pipelines.increments import fill_or_reuse
from pairsmith.pipelines.inputs import Split
from pairsmith.pipelines.spill import Spill, spilled
from pairsmith.pipelines.transforms import (
    CutDocuments,
    FindCopies,
    Job,
    Keyed,
    WriteResults,
)
from pairsmith.schemas import UserError, put

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
    _find_copies(job, splits, work)
    with _workers(plan.workers, work) as run:
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
        run_pipeline(
            lambda p: _spread(p, list(splits)) | "Copies" >> FindCopies(job), job.store_flags
        )
        put(done, b"")


def _cut(job: Job, splits: Sequence[Split], number: int) -> None:
    """Cut some splits into parts on disk."""
    folder = _spill(job) / f"{number:05d}"
    rmtree(folder, ignore_errors=True)  # what a killed one left

    def wire(pipeline: beam.Pipeline) -> None:
        parts, read = _spread(pipeline, list(splits)) | "Cut" >> CutDocuments(job)
        _ = parts | "Spill" >> beam.ParDo(Spill(str(folder)))
        _ = read | "Results" >> WriteResults(str(_results(Path(job.work), "cut", number)))

    run_pipeline(wire, job.store_flags)


def _fill_wave(job: Job, shards: Sequence[int], number: int) -> None:
    """Fill some shards from the parts on disk."""

    def wire(pipeline: beam.Pipeline) -> None:
        filled = _spread(pipeline, list(shards)) | "Fill" >> beam.ParDo(_FillSpilled(job))
        _ = filled | "Results" >> WriteResults(str(_results(Path(job.work), "wave", number)))

    run_pipeline(wire, job.store_flags)


class _FillSpilled(beam.DoFn):
    def __init__(self, job: Job) -> None:
        self.job = job

    def setup(self) -> None:
        self.job.recipe.setup()

    def process(self, number: int) -> Iterator[Keyed]:
        parts = list(spilled(_spill(self.job), number))
        # A wave without parts must have results, too.
        yield 0, fill_or_reuse(self.job, number, parts) if parts else b"{}"


def _spill(job: Job) -> Path:
    return Path(job.work) / "spill"


def _spread(pipeline: beam.Pipeline, elements: list[Any]) -> Any:
    return pipeline | "Create" >> beam.Create(elements) | "Spread" >> beam.Reshuffle()


def _results(work: Path, kind: str, number: int) -> Path:
    return work / f"{kind}-{number:05d}.json"


Call = tuple[Any, ...]


@contextmanager
def _workers(count: int, work: Path) -> Iterator[Callable[[Iterable[Call]], None]]:
    """Yield what runs calls, in this process for one worker, else in as many processes."""
    work.mkdir(parents=True, exist_ok=True)
    lock = work / "workers"
    with lock.open("a") as alone:
        # Workers of a driver that was killed end within a second; they hold the lock until then.
        fcntl.flock(alone, fcntl.LOCK_EX)
    if count == 1:
        yield _run_here
        return
    begin = (os.getpid(), str(lock), logging.root.manager.disable)
    pool = ProcessPoolExecutor(count, get_context("spawn"), initializer=_begin, initargs=begin)

    def run(calls: Iterable[Call]) -> None:
        futures: list[Future[None]] = [pool.submit(_call, cloudpickle.dumps(c)) for c in calls]
        for future in as_completed(futures):
            future.result()

    try:
        yield run
    except BrokenProcessPool as error:
        raise UserError(
            "a worker process died, most likely for want of memory; "
            "lower --workers or raise --shards, and run the same command again"
        ) from error
    finally:
        for process in list((pool._processes or {}).values()):
            process.terminate()
        pool.shutdown(cancel_futures=True)


def _run_here(calls: Iterable[Call]) -> None:
    for function, *rest in calls:
        function(*rest)


def _begin(driver: int, lock: str, logged: int) -> None:
    """Prepare a worker process: it must not outlive its driver."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the driver gets it, too, and ends us
    logging.disable(logged)
    held = Path(lock).open("a")  # noqa: SIM115 - held until this process ends
    fcntl.flock(held, fcntl.LOCK_SH)

    def watch() -> None:
        with held:
            while os.getppid() == driver:
                time.sleep(0.2)
            os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _call(call: bytes) -> None:
    function, *rest = cloudpickle.loads(call)
    function(*rest)
