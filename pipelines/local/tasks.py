"""Tasks and waves: what the processes of a build on one machine do, each piece once.

A task cuts some of the input into parts on disk, a wave fills some shards from them. They do what
the steps of `transforms` do, without an engine, which has nothing to add where nothing is grouped,
and without loading Beam. One that has left its results is not done again.
"""

from collections.abc import Sequence
from pathlib import Path
from shutil import rmtree

import pyarrow as pa

from pairsmith.pipelines.increments import fill_or_reuse
from pairsmith.pipelines.job import Job, as_array
from pairsmith.pipelines.progress import report
from pairsmith.pipelines.reading.cut import cut_split
from pairsmith.pipelines.reading.splits import Split
from pairsmith.pipelines.shards.spill import Spill, Spilled
from pairsmith.pipelines.storage.files import use_options
from pairsmith.schemas import put


def prepare(job: Job) -> None:
    """Load what tasks and waves need."""
    use_options(job.store_flags)
    job.recipe.setup()


def cut_task(job: Job, splits: Sequence[Split], number: int) -> None:
    """Cut some splits into parts on disk."""
    folder = _spill(job) / f"{number:05d}"
    rmtree(folder, ignore_errors=True)  # what a killed one left
    spill = Spill(folder)
    results = [cut_split(job, split, spill.add) for split in splits]
    spill.flush()
    put(results_of(job, "cut", number), as_array(results))


def fill_wave(job: Job, shards: Sequence[int], number: int) -> None:
    """Fill some shards from the parts on disk."""
    results = []
    spilled = Spilled(_spill(job))
    for shard in shards:
        pa.default_memory_pool().release_unused()
        if parts := list(spilled.parts(shard)):
            results.append(fill_or_reuse(job, shard, parts))
        else:
            report(job.progress, shards=1)
    put(results_of(job, "wave", number), as_array(results))


def results_of(job: Job, kind: str, number: int) -> Path:
    """Return the file that a task (`cut`) or wave (`wave`) leaves when it is done."""
    return Path(job.work) / f"{kind}-{number:05d}.json"


def _spill(job: Job) -> Path:
    return Path(job.work) / "spill"
