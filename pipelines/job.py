"""What every step of one build must know, and what steps leave behind."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import orjson

from pairsmith.augmenters.cache import Tally
from pairsmith.pipelines.accounts import ShardResult
from pairsmith.pipelines.progress import Address
from pairsmith.pipelines.recipe.recipe import Recipe
from pairsmith.pipelines.storage.files import join

WORK = ".work"
WORKERS = "workers"
"""In that folder: the lock that worker processes hold."""


@dataclass(frozen=True)
class Job:
    """What every step of one build must know."""

    recipe: Recipe
    output: str
    """Where the files of the dataset go."""
    work: str
    """Where the files go that only the build needs."""
    batch_rows: int
    """Rows read, and units augmented, at a time. Does not change the result."""
    progress: Address | None = None
    previous: str = ""
    """The finished dataset that this build replaces, whose shards may be used again."""
    stamp: str = ""
    """Digest of the recipe and of what else can change the bytes."""
    store_flags: tuple[str, ...] = ()
    """Beam flags that workers need to reach object stores; not every engine hands flags on."""
    hints: tuple[tuple[str, str], ...] = ()
    """Beam's resource hints for the step that makes pairs."""

    def copies(self, file: int) -> str:
        """Return the path of the COPIES of an input file."""
        return join(self.work, "copies", f"{file:05d}.parquet")


@dataclass(frozen=True)
class Increment:
    """What is known of a shard that this machine filled, beside what it holds."""

    number: int
    made_from: str
    """Hash of all that decides its files."""
    reused: bool
    """Whether its files are those of the dataset before."""
    views: Tally
    """By models."""
    similarities: Tally
    """By the encoders of gates."""


@dataclass(frozen=True)
class StepResult:
    """What a step leaves behind: how many rows it read, or what the shard holds that it filled."""

    rows_read: int = 0
    increment: Increment | None = None
    shard: ShardResult | None = None

    def to_json(self) -> bytes:
        """Return it as JSON."""
        return orjson.dumps(self, default=list)  # which a named tuple would not become by itself

    @staticmethod
    def from_data(data: dict[str, Any]) -> "StepResult":
        """Return the result that became this JSON data."""
        known, shard = data["increment"], data["shard"]
        if known:
            tallies = {what: Tally(*known[what]) for what in ("views", "similarities")}
            known = Increment(**{**known, **tallies})
        return StepResult(data["rows_read"], known, shard and ShardResult.from_data(shard))


def as_array(results: Iterable[bytes]) -> bytes:
    """Return results, JSON each, as a JSON array that does not depend on their order."""
    return b"[%b]" % b",".join(sorted(results))


def progress_of(result: ShardResult) -> dict[str, int]:
    """Return what the driver is told of a shard that is done."""
    pairs = result.pairs
    counts = {"pairs": pairs["written"], "dropped": pairs["dropped"], "failed": pairs["failed"]}
    return {"shards": 1, **counts}
