"""A build as one pipeline, on the engine that the Beam flags name."""

from collections.abc import Iterable, Sequence

import apache_beam as beam
import orjson
from rich.console import Console

from pairsmith.pipelines.engines.cloud import engine_flags
from pairsmith.pipelines.engines.engine import run_pipeline
from pairsmith.pipelines.engines.transforms import RESULTS, BuildDataset
from pairsmith.pipelines.job import Job, StepResult
from pairsmith.pipelines.progress import Address
from pairsmith.pipelines.reading.splits import Split
from pairsmith.pipelines.settle import Terms, settle
from pairsmith.pipelines.storage.files import join, open_file, use_options
from pairsmith.pipelines.storage.store_claim import StoreClaim
from pairsmith.pipelines.telling import OnConsole
from pairsmith.schemas import UserError


def build_elsewhere(
    job: Job, splits: Sequence[Split], flags: Sequence[str], progress: Address | None
) -> list[StepResult]:
    """Make the files of the dataset but its manifest, and return the results of all steps.

    progress: where to report what the engine counts; None not to ask it.
    Raises UserError when the engine fails, or its workers have written to another place.
    """
    run_pipeline(lambda pipeline: wire_build(pipeline, splits, job), engine_flags(flags), progress)
    path = join(job.work, RESULTS)
    try:
        with open_file(path) as stream:
            return [StepResult.from_data(data) for data in orjson.loads(stream.read())]
    except FileNotFoundError as error:
        raise UserError(
            f"the job has ended, but there is no {path}: choose an --output that this command and "
            "all workers reach under one path"
        ) from error


def hand_over(
    job: Job, splits: Sequence[Split], flags: Sequence[str], terms: Terms, output: str
) -> None:
    """Start a job that makes the whole dataset, on a store, without this process."""
    last = _FinishDataset(terms, output, job.store_flags)
    run_pipeline(lambda pipeline: wire_build(pipeline, splits, job, last), engine_flags(flags))


def wire_build(
    pipeline: beam.Pipeline,
    splits: Sequence[Split],
    job: Job,
    last: beam.DoFn | None = None,
) -> None:
    """Add a whole build to a pipeline; last: the step that gets all results, instead of a file."""
    spread = pipeline | "Splits" >> beam.Create(splits) | "Spread" >> beam.Reshuffle()
    _ = spread | "Build" >> BuildDataset(job, last)


class _FinishDataset(beam.DoFn):
    """Puts the manifest of a dataset on a store, on the worker that has all results."""

    def __init__(self, terms: Terms, output: str, store_flags: Sequence[str]) -> None:
        self.terms = terms
        self.output = output
        self.store_flags = store_flags

    def setup(self) -> None:
        use_options(self.store_flags)

    def process(self, group: tuple[int, Iterable[bytes]]) -> None:
        results = [StepResult.from_data(orjson.loads(data)) for data in sorted(group[1])]
        manifest = settle(self.terms, results, OnConsole(Console(stderr=True, quiet=True)))
        claim = StoreClaim(self.output)
        claim.check(manifest)
        claim.complete(manifest, self.terms.name, results)
        claim.release()
