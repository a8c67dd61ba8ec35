"""Driving a build: refuse early, run the pipeline, check the books, write the manifest last."""

import datetime
import importlib.metadata
import json
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Literal

import apache_beam as beam
import orjson
from rich.console import Console

from pairsmith.augmenters.settings import as_data
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
from pairsmith.pipelines.engine import cores, hears_workers, run_pipeline, runs_elsewhere
from pairsmith.pipelines.increments import count_reused, write_increments
from pairsmith.pipelines.inputs import Input, check_unchanged, name_of, plan_inputs
from pairsmith.pipelines.local import Plan, build_here, plan_work
from pairsmith.pipelines.progress import Address, ProgressLine
from pairsmith.pipelines.recipe import Recipe
from pairsmith.pipelines.shared import shared
from pairsmith.pipelines.storage import join, open_file
from pairsmith.pipelines.telling import AsJson, OnConsole, Teller
from pairsmith.pipelines.transforms import RESULTS, BuildDataset, Job
from pairsmith.schemas import Dataset, Manifest, UserError, heeding_interrupts, put
from pairsmith.schemas.manifest import InputFile, digest
from pairsmith.schemas.private import kept

_LIBRARIES = (
    *("apache-beam", "numba", "numpy", "pairsmith", "pyarrow", "rjieba", "sentencepiece"),
    *("sentencex", "xxhash"),
)

MAX_FAILED = 0.01
"""Share of the rows that may fail."""
MIN_CHANGED = 0.05
"""Share of its texts that every augmenter must change."""


def build(
    recipe: Recipe,
    name: str,
    inputs: Sequence[str],
    output: Path,
    *,
    max_failed: float = MAX_FAILED,
    min_changed: float = MIN_CHANGED,
    warn_idle: bool = False,
    batch_rows: int = 4096,
    cache: Path | None = None,
    workers: int | None = None,
    waves: int | None = None,
    beam_flags: Sequence[str] = (),
    console: Console | None = None,
    log: Literal["text", "json"] = "text",
) -> Dataset:
    """Build the dataset folder `output` from the files that match `inputs`, and return it.

    name: what the card calls the recipe, without folders. min_changed: share of its texts that
    every augmenter must change; warn_idle: say so where one does not, instead of refusing. cache:
    folder of views that models made, by default `output` with `.cache` behind it. beam_flags:
    `--runner=…` and other Beam options; without a runner the build runs on this machine, in so many
    worker processes (by default one a core), shards in so many waves (by default as many as the
    input's size asks for). A local build that was interrupted goes on where it was; one over a
    finished dataset replaces it, and uses again what comes out the same. console, log: where
    progress and warnings are told, or that JSON lines on standard error tell them.
    Raises UserError for what the user can mend.
    """
    recipe.as_data()  # refuses what cannot be recorded before any work is done
    name = name_of(name)
    teller: Teller = AsJson()
    if log == "text":
        teller = OnConsole(console or Console(stderr=True, quiet=True))
    files = plan_inputs(inputs, recipe.source)
    splits = [split for file in files for split in file.splits]
    plan = plan_work(splits, recipe.shards, workers or cores(), waves)
    elsewhere = runs_elsewhere(beam_flags)
    with ExitStack() as held:
        run = recipe
        if recipe.costly and (elsewhere or plan.workers > 1):
            run = held.enter_context(shared(recipe))
        with heeding_interrupts():
            run.setup()
        claim = held.enter_context(claimed(output, [name_of(file.path) for file in files]))
        if recipe.costly:
            cache = cache or output.with_name(f"{output.name}.cache")
            run = run.cached(str(cache.resolve()))
        total = sum(split.bytes for split in splits)
        with ProgressLine(teller, total, recipe.shards) as progress:
            if elsewhere:
                claim.begin()
            else:
                claim.go_on(_plan_text(recipe, files, plan))
            places = (str(claim.staging), str(claim.work))
            stamp = digest([recipe.digest, _versions()])
            heard = progress.address if hears_workers(beam_flags) else None
            job = Job(run, *places, batch_rows, heard, claim.previous, stamp)
            try:
                if elsewhere:
                    asked = None if heard else progress.address
                    results = _build_elsewhere(job, splits, beam_flags, asked)
                else:
                    results = build_here(job, splits, plan)
            except Exception:
                claim.refused = True
                check_unchanged(files)  # if they did change, that is why
                claim.refused = False
                raise
        claim.refused = True  # until it is found good: what is wrong now is the input or the recipe
        check_unchanged(files)
        rows_read = sum(result["rows_read"] for result in results if "rows_read" in result)
        if not rows_read:
            raise UserError(f"the corpus is empty: no rows in {', '.join(map(repr, inputs))}")
        shards = [ShardResult.from_data(r["result"]) for r in results if "result" in r]
        totals = add_up(rows_read, shards)
        _judge(totals, max_failed, min_changed, warn_idle, teller)
        claim.refused = False
        if reused := str(count_reused(results)):
            teller.say("reused", f"used again: {reused}")
        claim.replace()
        dataset = Dataset(output, _manifest(recipe, name, files, shards, totals))
        put(output / "README.md", card(dataset, name).encode())
        write_increments(output, results)
        claim.finish(dataset.manifest.to_json().encode())
    return dataset


def _build_elsewhere(
    job: Job, splits: Sequence[object], flags: Sequence[str], progress: Address | None
) -> list[Any]:
    """Run the whole build as one pipeline on the engine that the flags name.

    progress: where to report what the engine counts; None not to ask it.
    """

    def wire(pipeline: beam.Pipeline) -> None:
        spread = pipeline | "Splits" >> beam.Create(splits) | "Spread" >> beam.Reshuffle()
        _ = spread | "Build" >> BuildDataset(job)

    run_pipeline(wire, flags, progress)
    with open_file(join(job.work, RESULTS)) as stream:
        return orjson.loads(stream.read())  # type: ignore[no-any-return]


def _judge(
    totals: Totals, max_failed: float, min_changed: float, warn_idle: bool, teller: Teller
) -> None:
    """Raise UserError when what was made is not worth a manifest."""
    check_failed(totals, max_failed)
    if not totals.pairs["written"]:
        reasons = top_reasons(totals, "dropped", "failed")
        raise UserError(
            f"no pair is left of {totals.sources['read']:,} rows: {reasons}; "
            "look at the input or loosen the recipe's screens and gates"
        )
    if idle := idle_augmenters(totals, min_changed):
        idle += f", fewer than --min-changed {min_changed:g} asks"
        if not warn_idle:
            raise UserError(f"{idle}; mend the recipe, lower --min-changed, or --warn-idle")
        teller.say("warning", idle)


def _plan_text(recipe: Recipe, files: Sequence[Input], plan: Plan) -> str:
    """Return what must be equal for a build to go on with what another has left."""
    data = {
        "recipe": recipe.digest,
        "inputs": [[file.path, file.bytes, file.changed] for file in files],
        "tasks": [[as_data(split) for split in task] for task in plan.tasks],
        "waves": plan.waves,
        "versions": _versions(),
    }
    return json.dumps(data)


def _manifest(
    recipe: Recipe, name: str, files: Sequence[Input], shards: Sequence[ShardResult], totals: Totals
) -> Manifest:
    listed = {
        folder: sorted((r.files[folder] for r in shards if folder in r.files), key=lambda f: f.path)
        for folder in FOLDERS
    }
    return Manifest(
        recipe=kept({"name": name, **recipe.as_data()}),
        recipe_digest=recipe.digest,
        inputs=tuple(InputFile(name_of(file.path), file.bytes) for file in files),
        shards=tuple(listed["shards"]),
        dropped=tuple(listed["dropped"]),
        failed=tuple(listed["failed"]),
        counts=totals.as_data(),
        versions=_versions(),
        created=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
    )


def _versions() -> dict[str, str]:
    return {library: _version(library) for library in _LIBRARIES}


def _version(library: str) -> str:
    try:
        return importlib.metadata.version(library)
    except importlib.metadata.PackageNotFoundError:
        return "absent"
