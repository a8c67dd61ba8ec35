"""Driving a build: refuse early, run the pipeline, check the books, write the manifest last."""

import json
import os
import tempfile
from collections.abc import Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from pairsmith.augmenters.cache import check_folder
from pairsmith.augmenters.settings import as_data
from pairsmith.pipelines.engines.asked import Asked, asked
from pairsmith.pipelines.increments import count_reused
from pairsmith.pipelines.job import Job, StepResult
from pairsmith.pipelines.local.waves import Work, build_here, plan_work
from pairsmith.pipelines.progress import Address, ProgressLine
from pairsmith.pipelines.reading.inputs import Input, absolute, check_unchanged, plan_inputs
from pairsmith.pipelines.reading.splits import Split, name_of
from pairsmith.pipelines.recipe.recipe import Recipe
from pairsmith.pipelines.recipe.shipped import sources_of
from pairsmith.pipelines.refused import RefusedUserError
from pairsmith.pipelines.settle import Terms, settle, versions
from pairsmith.pipelines.storage.claim import Claim, claimed
from pairsmith.pipelines.storage.files import check_output, use_options
from pairsmith.pipelines.telling import OnConsole, Teller
from pairsmith.schemas import Dataset, Manifest, UserError, heeding_interrupts
from pairsmith.schemas.manifest import InputFile, digest
from pairsmith.schemas.store import is_remote

if TYPE_CHECKING:
    from pairsmith.pipelines.storage.store_claim import StoreClaim

MAX_FAILED = 0.01
MIN_CHANGED = 0.05


@dataclass(frozen=True)
class BuildConfig:
    """How a build works, and what must hold of what it makes."""

    max_failed: float = MAX_FAILED
    """Share of the input rows, and of the pairs, that may fail."""
    min_changed: float = MIN_CHANGED
    """Share of its texts that every augmenter must change."""
    warn_idle: bool = False
    """Say so where one does not, instead of refusing the build."""
    batch_rows: int = 4096
    """Rows worked on at a time; does not change the result."""
    cache: Path | None = None
    """Folder of views that models made; by default the output with `.cache` behind it."""
    workers: int | None = None
    """Processes on this machine; by default one a core, and one for a small input."""
    waves: int | None = None
    """In how many the shards are filled; by default as many as the size of the input asks for."""
    replace: bool = False
    """Replace a dataset also where files that it was made of are not among the inputs."""
    beam_flags: Sequence[str] = ()
    """`--runner=…` and other Beam options; without a runner the build runs on this machine."""


_DEFAULTS = BuildConfig()
_NOBODY = OnConsole(Console(stderr=True, quiet=True))


def build(
    recipe: Recipe,
    name: str,
    inputs: Sequence[str],
    output: Path,
    config: BuildConfig = _DEFAULTS,
    console: Console | None = None,
) -> Dataset:
    """Build the dataset folder `output` from the files that match `inputs`, and return it.

    A build that was interrupted resumes; one over a finished dataset replaces it, and uses again
    what comes out the same. name: what the card calls the recipe, without folders. console: where
    progress and warnings are told; by default nowhere.
    Raises UserError for what the user can mend.
    """
    teller = OnConsole(console) if console else _NOBODY
    manifest = build_at(recipe, name, inputs, str(output), config, teller)
    if manifest is None:
        raise UserError(f"{output} is finished by a job that nobody waits for")
    return Dataset(output, manifest)


def build_at(
    recipe: Recipe,
    name: str,
    inputs: Sequence[str],
    output: str,
    config: BuildConfig = _DEFAULTS,
    teller: Teller = _NOBODY,
) -> Manifest | None:
    """Build the dataset `output` as `build` does, and return its manifest.

    None when the job goes on without this process, as a template's does.
    output: a folder, or a place on an object store such as `gs://bucket/pairs`, where no dataset is
    replaced.
    """
    recipe.as_data()  # refuses what cannot be recorded before any work is done
    sources = sources_of(recipe)
    if config.replace and is_remote(output):
        raise UserError("--replace is for folders: what is on a store is never replaced")
    use_options(config.beam_flags)
    check_output(output)
    engine = asked(config.beam_flags, recipe, inputs, output)
    _check_cache(recipe, config.cache, output, here=not engine.elsewhere)
    files = plan_inputs(inputs, recipe.source)
    if engine.elsewhere:  # workers may have another working folder
        files = tuple(map(absolute, files))
        output = output if is_remote(output) else str(Path(output).absolute())
    terms = Terms(
        recipe=recipe,
        name=name_of(name),
        files=files,
        max_failed=config.max_failed,
        min_changed=config.min_changed,
        warn_idle=config.warn_idle,
    )
    splits = [split for file in files for split in file.splits]
    work = plan_work(splits, recipe.shards, config.workers, config.waves)
    with ExitStack() as held:
        run = recipe
        if recipe.costly and (engine.elsewhere or work.workers > 1):
            from pairsmith.pipelines.local.shared import shared

            run = held.enter_context(shared(recipe))
        with heeding_interrupts():
            # Where workers are on other machines, they have the GPU and the packages.
            run.setup(models=engine.hears_workers)
        claim = held.enter_context(_claimed(output, files, engine, config.replace))
        if claim.replaces:
            teller.say("replacing", claim.replaces)
        if recipe.costly:
            cache = config.cache.resolve() if config.cache else _cache_beside(claim.output)
            run = run.cached(str(cache))
        total = sum(split.bytes for split in splits)
        with ProgressLine(teller, total, recipe.shards) as progress:
            if engine.elsewhere:
                claim.begin()
            else:
                claim.go_on(_plan_text(recipe, sources, files, work))
            job = Job(
                recipe=run,
                output=str(claim.staging),
                work=str(claim.work),
                batch_rows=config.batch_rows,
                progress=progress.address if engine.hears_workers else None,
                previous=claim.previous,
                stamp=digest([recipe.digest, sources, versions(recipe)]),
                store_flags=engine.store_flags,
                hints=engine.hints,
            )
            if engine.detached:
                _hand_over(job, splits, config.beam_flags, terms, output)
                return None
            try:
                if engine.elsewhere:
                    # Workers that this process does not hear are heard of by their engine.
                    counted = None if engine.hears_workers else progress.address
                    results = _build_elsewhere(job, splits, config.beam_flags, counted)
                else:
                    results = build_here(job, splits, work)
            except Exception:
                _blame_inputs(files)
                raise
        return _complete(claim, terms, results, teller, check=engine.elsewhere)


def _hand_over(
    job: Job, splits: Sequence[Split], flags: Sequence[str], terms: Terms, output: str
) -> None:
    """Leave all else to a job that goes on without this process."""
    from pairsmith.pipelines.engines.elsewhere import hand_over

    hand_over(job, splits, flags, terms, output)


def _build_elsewhere(
    job: Job, splits: Sequence[Split], flags: Sequence[str], counted: Address | None
) -> list[StepResult]:
    """Return the results of all steps on the engine that the flags name; only this loads Beam."""
    from pairsmith.pipelines.engines.elsewhere import build_elsewhere

    return build_elsewhere(job, splits, flags, counted)


def _complete(
    claim: "Claim | StoreClaim",
    terms: Terms,
    results: Sequence[StepResult],
    teller: Teller,
    check: bool,
) -> Manifest:
    """Judge what all steps made, put the dataset in its place, and return its manifest.

    check: whether others than this process wrote the files.
    """
    manifest = settle(terms, results, teller)
    if reused := str(count_reused(results)):
        teller.say("reused", f"used again: {reused}")
    if check:
        claim.check(manifest)
    claim.complete(manifest, terms.name, results)
    return manifest


def _claimed(
    output: str, files: Sequence[Input], engine: Asked, replace: bool
) -> "AbstractContextManager[Claim | StoreClaim]":
    """Hold the output; on a store, a build of this machine is made in a folder and then put there.

    Only in a folder can an interrupted build resume.
    """
    if not is_remote(output):
        read = [InputFile(name_of(file.path), file.bytes) for file in files]
        return claimed(Path(output), read, replace)
    from pairsmith.pipelines.storage.store_claim import claimed_on_store, staged

    return claimed_on_store(output, engine.detached) if engine.elsewhere else staged(output)


def _blame_inputs(files: Sequence[Input]) -> None:
    """Raise RefusedUserError when a file changed: that is why a build broke, whatever it said."""
    try:
        check_unchanged(files)
    except RefusedUserError:
        raise
    except (OSError, UserError):  # one cannot look: then what it said stands
        return


def _cache_beside(output: Path | str) -> Path:
    """Return where views that models made are kept; without a shared folder, on each worker."""
    if isinstance(output, Path):
        if output.name in ("", ".."):
            output = output.resolve()
        return (output.parent / f"{output.name}.cache").resolve()
    return Path(tempfile.gettempdir(), "pairsmith.cache")


def _check_cache(recipe: Recipe, cache: Path | None, output: str, here: bool) -> None:
    """Check the folder of views that models made; one beside the output may be yet to be made."""
    if cache:
        check_folder(cache, here)
    elif recipe.costly and not is_remote(output):
        beside = _cache_beside(Path(output))
        if os.path.lexists(beside):
            check_folder(beside, here)


def _plan_text(recipe: Recipe, sources: Sequence[str], files: Sequence[Input], work: Work) -> str:
    """Return what must be equal for a build to resume with what another has left."""
    data = {
        "recipe": recipe.digest,
        "sources": sources,
        "inputs": [[file.path, file.bytes, file.changed] for file in files],
        "tasks": [[as_data(split) for split in task] for task in work.tasks],
        "waves": work.waves,
        "versions": versions(recipe),
    }
    return json.dumps(data)
