"""Driving a build: refuse early, run the pipeline, check the books, write the manifest last."""

import datetime
import fcntl
import importlib.metadata
import re
import shutil
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import apache_beam as beam
import orjson
from apache_beam.options.pipeline_options import PipelineOptions, StandardOptions
from apache_beam.runners.runner import create_runner
from rich.console import Console

from pairsmith.pipelines.accounts import (
    ShardResult,
    Totals,
    add_up,
    check_failed,
    idle_augmenters,
    top_reasons,
)
from pairsmith.pipelines.card import card
from pairsmith.pipelines.inputs import Input, name_of, plan_inputs
from pairsmith.pipelines.progress import ProgressLine
from pairsmith.pipelines.recipe import Recipe
from pairsmith.pipelines.transforms import RESULTS, BuildDataset, Job
from pairsmith.schemas import Dataset, Manifest, UserError, put
from pairsmith.schemas.dataset import MANIFEST
from pairsmith.schemas.manifest import InputFile

UNFINISHED = "UNFINISHED"
_FOLDERS = ("shards", "dropped", "failed")
_LIBRARIES = (
    *("apache-beam", "numba", "numpy", "pairsmith", "pyarrow", "rjieba", "sentencepiece"),
    *("sentencex", "xxhash"),
)
_IN_PROCESS = "apache_beam.runners.portability.fn_api_runner.FnApiRunner"


def build(
    recipe: Recipe,
    name: str,
    inputs: Sequence[str],
    output: Path,
    *,
    max_failed: float = 0.01,
    min_changed: float = 0.05,
    warn_idle: bool = False,
    batch_rows: int = 4096,
    cache: Path | None = None,
    beam_flags: Sequence[str] = (),
    console: Console | None = None,
) -> Dataset:
    """Build the dataset folder `output` from the files that match `inputs`, and return it.

    name: what the card calls the recipe. beam_flags: `--runner=…` and other Beam options; without a
    runner, Beam's in-process one. min_changed: share of its texts that every augmenter must change;
    warn_idle: say so where one does not, instead of refusing. cache: folder of views that models
    made, by default `output` with `.cache` behind it. An unfinished build in `output` is begun
    anew.
    Raises UserError, and leaves nothing behind, for what the user can mend.
    """
    recipe.as_data()  # refuses what cannot be recorded before any work is done
    recipe.setup()
    files = plan_inputs(inputs, recipe.source)
    splits = [split for file in files for split in file.splits]
    console = console or Console(stderr=True, quiet=True)
    with _claimed(output):
        total = sum(split.bytes for split in splits)
        with ProgressLine(console, total, recipe.shards) as progress:
            cache = cache or output.with_name(f"{output.name}.cache")
            run = recipe.cached(str(cache.resolve())) if recipe.costly else recipe
            job = Job(run, str(output), batch_rows, progress.address)
            _run(job, splits, has_ids=any(file.has_ids for file in files), flags=beam_flags)
        results = orjson.loads((output / RESULTS).read_bytes())
        rows_read = sum(result["rows_read"] for result in results if "rows_read" in result)
        if not rows_read:
            raise UserError(f"the corpus is empty: no rows in {', '.join(map(repr, inputs))}")
        shards = [ShardResult.from_data(result) for result in results if "files" in result]
        totals = add_up(rows_read, shards)
        check_failed(totals, max_failed)
        if not totals.pairs["written"]:
            reasons = top_reasons(totals, "dropped", "failed")
            raise UserError(
                f"no pair is left of {rows_read:,} rows: {reasons}; "
                "look at the input or loosen the recipe's screens and gates"
            )
        if idle := idle_augmenters(totals, min_changed):
            idle += f", fewer than --min-changed {min_changed:g} asks"
            if not warn_idle:
                raise UserError(f"{idle}; mend the recipe, lower --min-changed, or --warn-idle")
            console.print(f"warning: {idle}", style="yellow", highlight=False)
        manifest = _manifest(recipe, name, files, shards, totals)
        dataset = Dataset(output, manifest)
        put(output / "README.md", card(dataset, name).encode())
        (output / RESULTS).unlink()
        put(output / MANIFEST, manifest.to_json().encode())
    return dataset


def _run(job: Job, splits: Sequence[object], *, has_ids: bool, flags: Sequence[str]) -> None:
    options = PipelineOptions(list(flags))
    named = options.view_as(StandardOptions).runner
    # DirectRunner would try an engine that may not be there, and fall back without a word.
    try:
        runner = create_runner(_IN_PROCESS if named in (None, "DirectRunner") else named)
    except (ImportError, ValueError) as error:
        raise UserError(f"--runner={named}: {error}") from error
    try:
        with beam.Pipeline(runner=runner, options=options) as pipeline:
            (
                pipeline
                | "Splits" >> beam.Create(splits)
                | "Spread" >> beam.Reshuffle()
                | "Build" >> BuildDataset(job, has_ids=has_ids)
            )
    except Exception as error:
        # Engines wrap what a worker raised in errors of their own, and only the text survives.
        if line := _mendable(error):
            raise UserError(line) from error
        raise


def _mendable(error: Exception) -> str | None:
    """Return the one line of a user's error that was raised on a worker."""
    text = str(error)
    if isinstance(error, UserError):
        return text.rsplit(" [while running", 1)[0]
    if found := re.search(r"UserError: (.+?)(?: \[while running|$)", text, re.MULTILINE):
        return found[1]
    return None


@contextmanager
def _claimed(output: Path) -> Iterator[None]:
    """Hold the folder for this build alone; leave it as it was when the build fails."""
    marker = output / UNFINISHED
    if output.exists() and not output.is_dir():
        raise UserError(f"{output} is a file; choose another --output")
    if output.exists() and not marker.exists() and any(output.iterdir()):
        what = "a finished dataset" if (output / MANIFEST).exists() else "files of something else"
        raise UserError(f"{output} already holds {what}; choose another --output or remove it")
    made = [folder for folder in (output, *output.parents) if not folder.exists()]
    with ExitStack() as undo:
        try:
            undo.callback(_remove_if_empty, made)
            output.mkdir(parents=True, exist_ok=True)
            lock = undo.enter_context(marker.open("a"))
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise UserError(f"another build is at work in {output}; wait for it") from error
        except OSError as error:
            raise UserError(
                f"cannot write to {output}: {error.strerror}; choose another --output"
            ) from error
        if not marker.exists():  # the build that held the lock has finished meanwhile
            raise UserError(f"{output} already holds a finished dataset; choose another --output")
        undo.callback(marker.unlink, missing_ok=True)
        undo.callback(_wipe, output)
        _wipe(output)
        yield
        marker.unlink()
        undo.pop_all()
        lock.close()


def _remove_if_empty(folders: Sequence[Path]) -> None:
    for folder in folders:
        with suppress(OSError):
            folder.rmdir()


def _wipe(output: Path) -> None:
    """Remove what a build writes, and nothing else."""
    for folder in _FOLDERS:
        shutil.rmtree(output / folder, ignore_errors=True)
    for name in (RESULTS, MANIFEST, "README.md"):
        for path in (output / name, *output.glob(f".{name}.*")):
            path.unlink(missing_ok=True)


def _manifest(
    recipe: Recipe, name: str, files: Sequence[Input], shards: Sequence[ShardResult], totals: Totals
) -> Manifest:
    listed = {
        folder: sorted((r.files[folder] for r in shards if folder in r.files), key=lambda f: f.path)
        for folder in _FOLDERS
    }
    return Manifest(
        recipe={"name": name, **recipe.as_data()},
        recipe_digest=recipe.digest,
        inputs=tuple(InputFile(name_of(file.path), file.bytes) for file in files),
        shards=tuple(listed["shards"]),
        dropped=tuple(listed["dropped"]),
        failed=tuple(listed["failed"]),
        counts=totals.as_data(),
        versions={library: _version(library) for library in _LIBRARIES},
        created=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
    )


def _version(library: str) -> str:
    try:
        return importlib.metadata.version(library)
    except importlib.metadata.PackageNotFoundError:
        return "absent"
