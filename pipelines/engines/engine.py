"""Running a pipeline on the engine that the Beam flags name, and what went wrong in one line."""

import logging
import os
import sys
import tempfile
import zipfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import apache_beam as beam
from apache_beam.options.pipeline_options import (
    DirectOptions,
    PipelineOptions,
    PrismRunnerOptions,
    StandardOptions,
)
from apache_beam.runners.runner import create_runner

from pairsmith.pipelines.engines.causes import cause, mendable
from pairsmith.pipelines.engines.watch import watched
from pairsmith.pipelines.progress import Address
from pairsmith.pipelines.recipe.shipped import send_files
from pairsmith.schemas import UserError, heeding_interrupts

_IN_PROCESS = "apache_beam.runners.portability.fn_api_runner.FnApiRunner"
# DirectRunner would try an engine that may not be there, and fall back without a word.
_LOCAL = (None, "DirectRunner", "FnApiRunner")
_ON_THIS_MACHINE = (*_LOCAL, "BundleBasedDirectRunner")
_WRONG = {
    "dask": "it drops what a step emits at the end of a bundle",
    "pyspark": "its tagged outputs are wrong",
}
"""Words in the names of runners whose datasets would not be whole, and why."""
_TIED = """#!{python}
import ctypes, os, sys
ctypes.CDLL(None).prctl(1, 9)  # PR_SET_PDEATHSIG, SIGKILL
os.execv({path!r}, [{path!r}, *sys.argv[1:]])
"""
_LOG = logging.getLogger(__name__)


def run_pipeline(
    wire: Callable[[beam.Pipeline], object], flags: Sequence[str], progress: Address | None = None
) -> None:
    """Run what `wire` adds to a pipeline, and wait for its end.

    flags: `--runner=…` and other Beam options; without a runner, Beam's in-process one.
    progress: where to report what the engine counts, if it lets one ask.
    Raises UserError for an unknown runner, when a worker raised one, and when an engine other than
    this process fails; Beam's whole account of that is logged. An interrupted job is cancelled.
    """
    send_files()
    options = PipelineOptions(list(flags))
    named = options.view_as(StandardOptions).runner
    check_engine(flags)
    try:
        runner = create_runner(_IN_PROCESS if named in _LOCAL else named)
    except (ImportError, ValueError) as error:
        raise UserError(f"--runner={named}: {error}") from error
    pipeline = beam.Pipeline(runner=runner, options=options)
    try:
        # Only transforms in other languages use it, and who is killed leaves it behind.
        Path(pipeline.local_tempdir).rmdir()
        with (
            heeding_interrupts(),
            _this_python_first(),
            _tied(options),
            watched(pipeline, progress),
            pipeline,
        ):
            wire(pipeline)
    except Exception as error:
        if line := mendable(error):
            raise UserError(line) from error
        if not runs_elsewhere(flags):
            raise
        _LOG.error("the engine failed", exc_info=error)
        name = type(runner).__name__
        raise UserError(f"{name} failed: {cause(error)}; --verbose shows the rest") from error
    except KeyboardInterrupt:
        if running := getattr(pipeline, "result", None):
            with suppress(Exception):
                running.cancel()
        raise


def check_engine(flags: Sequence[str]) -> None:
    """Raise UserError for an engine that is not there, or is known to lose rows."""
    options = PipelineOptions(list(flags))
    named = options.view_as(StandardOptions).runner or ""
    for word, why in _WRONG.items():
        if word in named.lower():
            raise UserError(
                f"--runner={named}: {why}; take another engine, or leave --runner out to build here"
            )
    if options.view_as(DirectOptions).direct_running_mode == "multi_threading":
        raise UserError(
            "--direct_running_mode=multi_threading: it loses rows; take multi_processing, or leave "
            "it out"
        )
    # Beam would take the path of a Prism that is not there for a URL.
    path = options.view_as(PrismRunnerOptions).prism_location
    if path and "://" not in path and not Path(path).is_file():
        raise UserError(
            f"--prism_location={path}: no such file; .ci/prism builds one, or "
            "go install github.com/apache/beam/sdks/v2/go/cmd/prism@v" + beam.__version__
        )


def runs_elsewhere(flags: Sequence[str]) -> bool:
    """Return whether the flags name an engine other than this process."""
    options = PipelineOptions(list(flags))
    if options.view_as(StandardOptions).runner not in _LOCAL:
        return True
    return bool(options.view_as(DirectOptions).direct_running_mode != "in_memory")


def hears_workers(flags: Sequence[str]) -> bool:
    """Return whether all workers are on this machine, so that datagrams reach the driver."""
    return PipelineOptions(list(flags)).view_as(StandardOptions).runner in _ON_THIS_MACHINE


@contextmanager
def _this_python_first() -> Iterator[None]:
    """Make `python` this one: Beam starts worker processes by that name, and waits for them."""
    before = os.environ.get("PATH", "")
    os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{before}"
    try:
        yield
    finally:
        os.environ["PATH"] = before


@contextmanager
def _tied(options: PipelineOptions) -> Iterator[None]:
    """Have a Prism end with this process, however it ends; left alone it would wait for ever."""
    prism = options.view_as(PrismRunnerOptions)
    if not _is_program(prism.prism_location) or not sys.platform.startswith("linux"):
        yield
        return
    with tempfile.TemporaryDirectory() as folder:
        tied = Path(folder) / "prism"
        tied.write_text(_TIED.format(python=sys.executable, path=str(prism.prism_location)))
        tied.chmod(0o700)
        prism.prism_location = str(tied)
        yield


def _is_program(path: str | None) -> bool:
    return bool(path) and os.access(str(path), os.X_OK) and not zipfile.is_zipfile(str(path))
