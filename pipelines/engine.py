"""Running a pipeline on the engine that the Beam flags name, and what went wrong in one line."""

import os
import re
from collections.abc import Callable, Sequence

import apache_beam as beam
from apache_beam.options.pipeline_options import DirectOptions, PipelineOptions, StandardOptions
from apache_beam.runners.runner import create_runner

from pairsmith.pipelines.progress import Address
from pairsmith.pipelines.watch import watched
from pairsmith.schemas import UserError

_IN_PROCESS = "apache_beam.runners.portability.fn_api_runner.FnApiRunner"
# DirectRunner would try an engine that may not be there, and fall back without a word.
_LOCAL = (None, "DirectRunner", "FnApiRunner")
_ON_THIS_MACHINE = (*_LOCAL, "BundleBasedDirectRunner")


def run_pipeline(
    wire: Callable[[beam.Pipeline], object], flags: Sequence[str], progress: Address | None = None
) -> None:
    """Run what `wire` adds to a pipeline, and wait for its end.

    flags: `--runner=…` and other Beam options; without a runner, Beam's in-process one.
    progress: where to report what the engine counts, if it lets one ask.
    Raises UserError for an unknown runner, and when a worker raised one.
    """
    options = PipelineOptions(list(flags))
    named = options.view_as(StandardOptions).runner
    try:
        runner = create_runner(_IN_PROCESS if named in _LOCAL else named)
    except (ImportError, ValueError) as error:
        raise UserError(f"--runner={named}: {error}") from error
    try:
        pipeline = beam.Pipeline(runner=runner, options=options)
        with watched(pipeline, progress), pipeline:
            wire(pipeline)
    except Exception as error:
        # Engines wrap what a worker raised in errors of their own, and only the text survives.
        if line := _mendable(error):
            raise UserError(line) from error
        raise


def runs_elsewhere(flags: Sequence[str]) -> bool:
    """Return whether the flags name an engine other than this process."""
    options = PipelineOptions(list(flags))
    if options.view_as(StandardOptions).runner not in _LOCAL:
        return True
    return bool(options.view_as(DirectOptions).direct_running_mode != "in_memory")


def hears_workers(flags: Sequence[str]) -> bool:
    """Return whether all workers are on this machine, so that datagrams reach the driver."""
    return PipelineOptions(list(flags)).view_as(StandardOptions).runner in _ON_THIS_MACHINE


def cores() -> int:
    """Return how many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _mendable(error: Exception) -> str | None:
    """Return the one line of a user's error that was raised on a worker."""
    text = str(error)
    if isinstance(error, UserError):
        return text.rsplit(" [while running", 1)[0]
    if found := re.search(r"UserError: (.+?)(?: \[while running|$)", text, re.MULTILINE):
        return found[1]
    return None
