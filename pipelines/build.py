"""Driving a build: refuse early, run the pipeline, check the books, write the manifest last."""

import json
import os
import tempfile
from collections.abc import Sequence
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from rich.console import Console

from pairsmith.augmenters.cache import check_folder
from pairsmith.augmenters.settings import as_data
from pairsmith.pipelines.engines.asked import asked
from pairsmith.pipelines.increments import count_reused
from pairsmith.pipelines.job import Job
from pairsmith.pipelines.local.waves import Plan, build_here, plan_work
from pairsmith.pipelines.progress import ProgressLine
from pairsmith.pipelines.reading.inputs import Input, absolute, check_unchanged, plan_inputs
from pairsmith.pipelines.reading.splits import name_of
from pairsmith.pipelines.recipe.recipe import Recipe
from pairsmith.pipelines.recipe.shipped import sources_of
from pairsmith.pipelines.refused import RefusedUserError
from pairsmith.pipelines.settle import Terms, settle, versions
from pairsmith.pipelines.storage.claim import Claim, claimed
from pairsmith.pipelines.storage.files import check_output, use_options
from pairsmith.pipelines.telling import AsJson, OnConsole, Teller
from pairsmith.schemas import Dataset, Manifest, UserError, heeding_interrupts
from pairsmith.schemas.manifest import InputFile, digest
from pairsmith.schemas.store import is_remote

if TYPE_CHECKING:
    from pairsmith.pipelines.storage.store_claim import StoreClaim

MAX_FAILED = 0.01
"""Share of the rows that may fail."""
MIN_CHANGED = 0.05
"""Share of its texts that every augmenter must change."""


def build(
    recipe: Recipe, name: str, inputs: Sequence[str], output: Path, **settings: Any
) -> Dataset:
    """Build the dataset folder `output`, and return it: `build_at`, for folders."""
    manifest = build_at(recipe, name, inputs, str(output), **settings)
    if manifest is None:
        raise UserError(f"{output} is finished by a job that nobody waits for")
    return Dataset(output, manifest)


def build_at(
    recipe: Recipe,
    name: str,
    inputs: Sequence[str],
    output: str,
    *,
    max_failed: float = MAX_FAILED,
    min_changed: float = MIN_CHANGED,
    warn_idle: bool = False,
    batch_rows: int = 4096,
    cache: Path | None = None,
    workers: int | None = None,
    waves: int | None = None,
    replace: bool = False,
    beam_flags: Sequence[str] = (),
    console: Console | None = None,
    log: Literal["text", "json"] = "text",
) -> Manifest | None:
    """Build the dataset `output` from the files that match `inputs`, and return its manifest.

    None when the job goes on without this process, as a template's does.
    output: a folder, or a place on an object store such as `gs://bucket/pairs`. name: what the
    card calls the recipe, without folders. min_changed: share of its texts that every augmenter
    must change; warn_idle: say so where one does not, instead of refusing. cache: folder of views
    that models made, by default `output` with `.cache` behind it. beam_flags: `--runner=…` and
    other Beam options; without a runner the build runs on this machine, in so many worker processes
    (by default one a core), shards in so many waves (by default as many as the input's size asks
    for). A local build that was interrupted resumes; one over a finished dataset replaces it, and
    uses again what comes out the same. replace: also where files that the dataset was made of are
    not among the inputs. console, log: where progress and warnings
    are told, or that JSON lines on standard error tell them.
    Raises UserError for what the user can mend.
    """
    recipe.as_data()  # refuses what cannot be recorded before any work is done
    sources = sources_of(recipe)
    name = name_of(name)
    teller: Teller = AsJson()
    if log == "text":
        teller = OnConsole(console or Console(stderr=True, quiet=True))
    if replace and is_remote(output):
        raise UserError("--replace is for folders: what is on a store is never replaced")
    use_options(beam_flags)
    check_output(output)
    engine = asked(beam_flags, recipe, inputs, output)
    elsewhere = engine.elsewhere
    if cache:
        check_folder(cache, here=not elsewhere)
    elif recipe.costly and not is_remote(output):
        _check_beside(Path(output), here=not elsewhere)
    files = plan_inputs(inputs, recipe.source)
    if elsewhere:  # workers may have another working folder
        files = tuple(map(absolute, files))
        output = output if is_remote(output) else str(Path(output).absolute())
    splits = [split for file in files for split in file.splits]
    plan = plan_work(splits, recipe.shards, workers, waves)
    terms = Terms(recipe, name, files, max_failed, min_changed, warn_idle)
    with ExitStack() as held:
        run = recipe
        if recipe.costly and (elsewhere or plan.workers > 1):
            from pairsmith.pipelines.local.shared import shared

            run = held.enter_context(shared(recipe))
        with heeding_interrupts():
            # Where workers are on other machines, they have the GPU and the packages.
            run.setup(models=engine.hears_workers)
        read = [InputFile(name_of(file.path), file.bytes) for file in files]
        claim = held.enter_context(_claimed(output, read, elsewhere, replace))
        if claim.replaces:
            teller.say("replacing", claim.replaces)
        if recipe.costly:
            run = run.cached(str(cache.resolve() if cache else _cache_beside(claim.output)))
        total = sum(split.bytes for split in splits)
        with ProgressLine(teller, total, recipe.shards) as progress:
            if isinstance(claim, Claim) and not elsewhere:
                claim.go_on(_plan_text(recipe, sources, files, plan))
            else:
                claim.begin()
            heard = progress.address if engine.hears_workers else None
            job = Job(
                recipe=run,
                output=str(claim.staging),
                work=str(claim.work),
                batch_rows=batch_rows,
                progress=heard,
                previous=claim.previous,
                stamp=digest([recipe.digest, sources, versions(recipe)]),
                store_flags=engine.store_flags,
                hints=engine.hints,
            )
            if engine.detached and not isinstance(claim, Claim):
                from pairsmith.pipelines.engines.elsewhere import hand_over

                claim.detached = True
                hand_over(job, splits, beam_flags, terms, output)
                return None
            try:
                if elsewhere:
                    from pairsmith.pipelines.engines.elsewhere import build_elsewhere

                    counted = None if heard else progress.address
                    results = build_elsewhere(job, splits, beam_flags, counted)
                else:
                    results = build_here(job, splits, plan)
            except Exception:
                _blame_inputs(files)
                raise
        manifest = settle(terms, results, teller)
        if reused := str(count_reused(results)):
            teller.say("reused", f"used again: {reused}")
        if elsewhere and isinstance(claim, Claim):
            claim.check(manifest)
        claim.complete(manifest, name, results)
    return manifest


def _claimed(
    output: str, inputs: Sequence[InputFile], elsewhere: bool, replace: bool
) -> "AbstractContextManager[Claim | StoreClaim]":
    """Hold the output; on a store, a build of this machine is made in a folder and then put there.

    Only in a folder can an interrupted build resume.
    """
    if not is_remote(output):
        return claimed(Path(output), inputs, replace)
    from pairsmith.pipelines.storage.store_claim import claimed_on_store, staged

    return claimed_on_store(output) if elsewhere else staged(output)


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


def _check_beside(output: Path, here: bool) -> None:
    """Check the cache beside an output; one that is yet to be made can be where the output can."""
    if os.path.lexists(place := _cache_beside(output)):
        check_folder(place, here)


def _plan_text(recipe: Recipe, sources: Sequence[str], files: Sequence[Input], plan: Plan) -> str:
    """Return what must be equal for a build to resume with what another has left."""
    data = {
        "recipe": recipe.digest,
        "sources": sources,
        "inputs": [[file.path, file.bytes, file.changed] for file in files],
        "tasks": [[as_data(split) for split in task] for task in plan.tasks],
        "waves": plan.waves,
        "versions": versions(recipe),
    }
    return json.dumps(data)
