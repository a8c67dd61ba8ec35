"""Driving a build: refuse early, run the pipeline, check the books, write the manifest last."""

import datetime
import importlib.metadata
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import apache_beam as beam
import orjson
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
from pairsmith.pipelines.claim import FOLDERS, claimed
from pairsmith.pipelines.engine import has_worker_processes, run_pipeline
from pairsmith.pipelines.inputs import Input, name_of, plan_inputs
from pairsmith.pipelines.progress import ProgressLine
from pairsmith.pipelines.recipe import Recipe
from pairsmith.pipelines.shared import shared
from pairsmith.pipelines.transforms import RESULTS, BuildDataset, Job
from pairsmith.schemas import Dataset, Manifest, UserError, put
from pairsmith.schemas.dataset import MANIFEST
from pairsmith.schemas.manifest import InputFile

_LIBRARIES = (
    *("apache-beam", "numba", "numpy", "pairsmith", "pyarrow", "rjieba", "sentencepiece"),
    *("sentencex", "xxhash"),
)


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
    with ExitStack() as held:
        run = recipe
        if recipe.costly and has_worker_processes(beam_flags):
            run = held.enter_context(shared(recipe))
        run.setup()
        files = plan_inputs(inputs, recipe.source)
        splits = [split for file in files for split in file.splits]
        console = console or Console(stderr=True, quiet=True)
        held.enter_context(claimed(output))
        total = sum(split.bytes for split in splits)
        if recipe.costly:
            cache = cache or output.with_name(f"{output.name}.cache")
            run = run.cached(str(cache.resolve()))
        with ProgressLine(console, total, recipe.shards) as progress:
            job = Job(run, str(output), batch_rows, progress.address)
            step = BuildDataset(job, has_ids=any(file.has_ids for file in files))

            def wire(pipeline: beam.Pipeline) -> None:
                spread = pipeline | "Splits" >> beam.Create(splits) | "Spread" >> beam.Reshuffle()
                _ = spread | "Build" >> step

            run_pipeline(wire, beam_flags)
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


def _manifest(
    recipe: Recipe, name: str, files: Sequence[Input], shards: Sequence[ShardResult], totals: Totals
) -> Manifest:
    listed = {
        folder: sorted((r.files[folder] for r in shards if folder in r.files), key=lambda f: f.path)
        for folder in FOLDERS
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
