"""Building over a finished dataset: what would come out the same is not made again.

A shard comes out the same when its parts, the recipe, the user's own code in it and the libraries
are the same; then its files are those of the dataset before. What models made is found in the
cache, whatever else has changed. The rest is made anew, since a kernel makes a row faster than a
file gives it back.
"""

import functools
import hashlib
import os
import shutil
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

import orjson
import pyarrow as pa

from pairsmith.augmenters.cache import Tally, tally
from pairsmith.pipelines.accounts import ShardResult
from pairsmith.pipelines.batches import column_bytes
from pairsmith.pipelines.job import Increment, Job, StepResult, progress_of
from pairsmith.pipelines.progress import report
from pairsmith.pipelines.recipe.recipe import Recipe
from pairsmith.pipelines.shards.fill import check_size, fill_shard
from pairsmith.pipelines.shards.parts import SCHEMAS, Tag
from pairsmith.schemas import put
from pairsmith.schemas.dataset import sha256_file

INCREMENTS = "increments.json"
"""Beside the manifest: what the next build over this dataset needs. It may be removed."""


class Reused(NamedTuple):
    """What a build did not make again."""

    shards: int
    of_shards: int
    views: Tally
    """By models."""
    similarities: Tally
    """By the encoders of gates."""

    def __str__(self) -> str:
        """Return it as one line; empty when there was nothing to use again."""
        told = [f"{self.shards:,} of {self.of_shards:,} shards"] * bool(self.shards)
        for count, what in ((self.views, "views by models"), (self.similarities, "similarities")):
            if count.kept:
                told.append(f"{count.kept:,} of {sum(count):,} {what}, from the cache")
        return " and ".join(told)


def fill_or_reuse(job: Job, number: int, parts: list[tuple[Tag, pa.RecordBatch]]) -> bytes:
    """Make the files of a shard, or take those there are; return the result as JSON.

    Takes the parts out of the list, which would keep a second copy.
    """
    made_from = _digest(job, number, parts)
    before = _tallies(job.recipe)
    known = _known(job.previous).get(str(number), {}) if job.previous else {}
    result = None
    if known.get("made_from") == made_from:
        result = _reuse(job, ShardResult.from_data(known["result"]))
    reused = result is not None
    if result is None:
        taken = (parts.pop() for _ in range(len(parts)))
        result = fill_shard(number, taken, job.recipe, job.output, job.batch_rows)
    report(job.progress, **progress_of(result))
    tallies = {what: now - before[what] for what, now in _tallies(job.recipe).items()}
    increment = Increment(number, made_from, reused, **tallies)
    return StepResult(increment=increment, shard=result).to_json()


def write_increments(folder: Path, results: Iterable[StepResult]) -> None:
    """Keep what the next build over this dataset needs."""
    kept = {
        str(known.number): {"made_from": known.made_from, "result": asdict(step.shard)}
        for step in results
        if (known := step.increment) and step.shard
    }
    if kept:
        put(folder / INCREMENTS, orjson.dumps(kept, option=orjson.OPT_SORT_KEYS))


def count_reused(results: Iterable[StepResult]) -> Reused:
    """Return what the shards of a build did not make again."""
    known = [step.increment for step in results if step.increment]
    return Reused(
        shards=sum(shard.reused for shard in known),
        of_shards=len(known),
        views=sum((shard.views for shard in known), Tally(0, 0)),
        similarities=sum((shard.similarities for shard in known), Tally(0, 0)),
    )


def _tallies(recipe: Recipe) -> dict[str, Tally]:
    """Return what the caches of a recipe have given and taken in this process."""
    return {"views": tally(recipe.steps), "similarities": tally(recipe.scorers)}


def _digest(job: Job, number: int, parts: Sequence[tuple[Tag, pa.RecordBatch]]) -> str:
    """Return a hash of all that decides the files of a shard."""
    total = hashlib.sha256(f"{job.stamp} {number}".encode())
    for tag, schema in SCHEMAS.items():
        batches = [batch for other, batch in parts if other == tag]
        check_size(number, column_bytes(batches), job.recipe.shards)
        table = pa.Table.from_batches(batches, schema)
        order = [(f.name, "ascending") for f in schema if not pa.types.is_nested(f.type)]
        total.update(tag.encode())
        # Sorting makes buffers anew, so that no chunk or offset of before is seen.
        for batch in table.sort_by(order).combine_chunks().to_batches():
            total.update(batch.serialize())
    return total.hexdigest()


def _reuse(job: Job, result: ShardResult) -> ShardResult | None:
    """Link the files of the previous shard to their new place; None when they are not as listed."""
    for file in result.files.values():
        old, new = Path(job.previous, file.path), Path(job.output, file.path)
        if not old.is_file() or sha256_file(old) != file.sha256:
            return None
        new.parent.mkdir(parents=True, exist_ok=True)
        with suppress(FileNotFoundError):
            new.unlink()
        try:
            os.link(old, new)
        except OSError:  # another file system, or one without links
            shutil.copyfile(old, new)
    return result


@functools.cache
def _known(previous: str) -> dict[str, Any]:
    path = Path(previous) / INCREMENTS
    with suppress(OSError, orjson.JSONDecodeError):
        known = orjson.loads(path.read_bytes())
        return known if isinstance(known, dict) else {}
    return {}
