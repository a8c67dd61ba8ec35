"""Driving a build: refuse early, run the pipeline, check the books, write the manifest last."""

import datetime
import importlib.metadata
import json
import tempfile
from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

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
from pairsmith.pipelines.claim import FOLDERS, Claim, claimed
from pairsmith.pipelines.cloud import check_cloud, engine_flags, is_detached, model_hints
from pairsmith.pipelines.engine import cores, run_pipeline, runs_elsewhere
from pairsmith.pipelines.increments import count_reused
from pairsmith.pipelines.inputs import Input, Split, check_unchanged, name_of, plan_inputs
from pairsmith.pipelines.local import Plan, build_here, plan_work
from pairsmith.pipelines.progress import ProgressLine
from pairsmith.pipelines.recipe import Recipe
from pairsmith.pipelines.shared import shared
from pairsmith.pipelines.storage import (
    check_output,
    is_remote,
    join,
    open_file,
    store_flags,
    use_options,
)
from pairsmith.pipelines.store_claim import StoreClaim, claimed_on_store, staged
from pairsmith.pipelines.transforms import RESULTS, BuildDataset, Job
from pairsmith.schemas import Dataset, Manifest, UserError
from pairsmith.schemas.manifest import InputFile, digest

_LIBRARIES = (
    *("apache-beam", "numba", "numpy", "pairsmith", "pyarrow", "rjieba", "sentencepiece"),
    *("sentencex", "xxhash"),
)


def build(
    recipe: Recipe, name: str, inputs: Sequence[str], output: Path, **settings: Any
) -> Dataset:
    """Build the dataset folder `output`, and return it: `build_at`, for folders."""
    manifest = build_at(recipe, name, inputs, str(output), **settings)
    assert manifest is not None  # noqa: S101 - folders are never built by a job on its own
    return Dataset(output, manifest)


def build_at(
    recipe: Recipe,
    name: str,
    inputs: Sequence[str],
    output: str,
    *,
    max_failed: float = 0.01,
    min_changed: float = 0.05,
    warn_idle: bool = False,
    batch_rows: int = 4096,
    cache: Path | None = None,
    workers: int | None = None,
    waves: int | None = None,
    beam_flags: Sequence[str] = (),
    console: Console | None = None,
) -> Manifest | None:
    """Build the dataset `output` from the files that match `inputs`, and return its manifest.

    None when the job goes on without this process, as a template's does.
    output: a folder, or a place on an object store such as `gs://bucket/pairs`. name: what the
    card calls the recipe. min_changed: share of its texts that every augmenter must change;
    warn_idle: say so where one does not, instead of refusing. cache: folder of views that models
    made, by default `output` with `.cache` behind it. beam_flags: `--runner=…` and other Beam
    options; without a runner the build runs on this machine, in so many worker processes (by
    default one a core), shards in so many waves (by default as many as the input's size asks for).
    A local build that was interrupted goes on where it was; one over a finished dataset replaces
    it, and uses again what comes out the same.
    Raises UserError for what the user can mend.
    """
    recipe.as_data()  # refuses what cannot be recorded before any work is done
    console = console or Console(stderr=True, quiet=True)
    use_options(beam_flags)
    check_output(output)
    check_cloud(beam_flags, inputs, output)
    hints = model_hints(beam_flags, recipe)
    files = plan_inputs(inputs, recipe.source)
    splits = [split for file in files for split in file.splits]
    plan = plan_work(splits, recipe.shards, workers or cores(), waves)
    elsewhere = runs_elsewhere(beam_flags)
    with ExitStack() as held:
        run = recipe
        if recipe.costly and (elsewhere or plan.workers > 1):
            run = held.enter_context(shared(recipe))
        run.setup()
        names = [name_of(file.path) for file in files]
        claim = held.enter_context(_claimed(output, names, elsewhere))
        if recipe.costly:
            run = run.cached(str(cache.resolve() if cache else _cache_beside(claim.output)))
        total = sum(split.bytes for split in splits)
        with ProgressLine(console, total, recipe.shards) as progress:
            if isinstance(claim, Claim) and not elsewhere:
                claim.go_on(_plan_text(recipe, files, plan))
            else:
                claim.begin()
            job = Job(
                recipe=run,
                output=str(claim.staging),
                work=str(claim.work),
                batch_rows=batch_rows,
                progress=progress.address,
                previous=claim.previous,
                stamp=digest([recipe.digest, _versions()]),
                store_flags=store_flags(beam_flags),
                hints=hints,
            )
            terms = _Terms(recipe, name, files, max_failed, min_changed, warn_idle)
            if isinstance(claim, StoreClaim) and is_detached(beam_flags):
                claim.detached = True
                last = FinishDataset(terms, output, job.store_flags)
                flags = engine_flags(beam_flags)
                run_pipeline(lambda pipeline: wire_build(pipeline, splits, job, last), flags)
                return None
            if elsewhere:
                results = _build_elsewhere(job, splits, beam_flags)
            else:
                results = build_here(job, splits, plan)
        claim.refused = True  # until it is found good: what is wrong now is the input or the recipe
        manifest = _settle(terms, results, console)
        claim.refused = False
        if reused := str(count_reused(results)):
            console.print(f"used again: {reused}", highlight=False)
        claim.finish(manifest, name, results)
    return manifest


def wire_build(
    pipeline: beam.Pipeline,
    splits: Sequence[Split],
    job: Job,
    last: beam.PTransform[Any, Any] | None = None,
) -> None:
    """Add a whole build to a pipeline; last: what becomes of the results, instead of a file."""
    spread = pipeline | "Splits" >> beam.Create(splits) | "Spread" >> beam.Reshuffle()
    _ = spread | "Build" >> BuildDataset(job, last)


class FinishDataset(beam.PTransform[Any, Any]):
    """Results -> the manifest of a dataset on a store, put by the worker that has them all."""

    def __init__(self, terms: "_Terms", output: str, store_flags: Sequence[str]) -> None:
        super().__init__()
        self.terms = terms
        self.output = output
        self.store_flags = store_flags

    def expand(self, results: beam.PCollection[Any]) -> beam.PCollection[None]:
        """Wire the steps."""
        grouped = results | "Group" >> beam.GroupByKey()
        done: beam.PCollection[None] = grouped | "Finish" >> beam.ParDo(
            _Finish(self.terms, self.output, self.store_flags)
        )
        return done


class _Finish(beam.DoFn):
    def __init__(self, terms: "_Terms", output: str, store_flags: Sequence[str]) -> None:
        self.terms = terms
        self.output = output
        self.store_flags = store_flags

    def setup(self) -> None:
        use_options(self.store_flags)

    def process(self, group: tuple[int, Iterable[bytes]]) -> None:
        results = [orjson.loads(result) for result in sorted(group[1])]
        manifest = _settle(self.terms, results, Console(stderr=True, quiet=True))
        claim = StoreClaim(self.output)
        claim.finish(manifest, self.terms.name, results)
        claim.release()


@dataclass(frozen=True)
class _Terms:
    """What a build is judged by when all is written, and what its manifest says of it."""

    recipe: Recipe
    name: str
    files: tuple[Input, ...]
    max_failed: float
    min_changed: float
    warn_idle: bool


def _settle(terms: _Terms, results: Sequence[dict[str, Any]], console: Console) -> Manifest:
    """Return the manifest of what the steps wrote; raises UserError when it is not worth one."""
    check_unchanged(terms.files)
    rows_read = sum(result["rows_read"] for result in results if "rows_read" in result)
    if not rows_read:
        names = ", ".join(repr(file.path) for file in terms.files)
        raise UserError(f"the corpus is empty: no rows in {names}")
    shards = [ShardResult.from_data(r["result"]) for r in results if "result" in r]
    totals = add_up(rows_read, shards)
    _judge(totals, terms.max_failed, terms.min_changed, terms.warn_idle, console)
    return _manifest(terms.recipe, terms.name, terms.files, shards, totals)


def _claimed(
    output: str, inputs: Sequence[str], elsewhere: bool
) -> AbstractContextManager[Claim | StoreClaim]:
    """Hold the output; on a store, a build of this machine is made in a folder and then put there.

    Only in a folder can an interrupted build go on. inputs: names of the input files.
    """
    if not is_remote(output):
        return claimed(Path(output), inputs)
    return claimed_on_store(output) if elsewhere else staged(output, inputs)


def _cache_beside(output: Path | str) -> Path:
    """Return where views that models made are kept; without a shared folder, on each worker."""
    if isinstance(output, Path):
        return output.with_name(f"{output.name}.cache").resolve()
    return Path(tempfile.gettempdir(), "pairsmith.cache")


def _build_elsewhere(job: Job, splits: Sequence[Split], flags: Sequence[str]) -> list[Any]:
    """Run the whole build as one pipeline on the engine that the flags name."""
    run_pipeline(lambda pipeline: wire_build(pipeline, splits, job), engine_flags(flags))
    with open_file(join(job.work, RESULTS)) as stream:
        return orjson.loads(stream.read())  # type: ignore[no-any-return]


def _judge(
    totals: Totals, max_failed: float, min_changed: float, warn_idle: bool, console: Console
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
        console.print(f"warning: {idle}", style="yellow", highlight=False)


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
        recipe={"name": name, **recipe.as_data()},
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
