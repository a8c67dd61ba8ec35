"""What every step of one build must know, and what steps leave behind."""

from collections.abc import Iterable
from dataclasses import dataclass

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


def as_array(results: Iterable[bytes]) -> bytes:
    """Return results, JSON each, as a JSON array that does not depend on their order."""
    return b"[%b]" % b",".join(sorted(results))


def progress_of(result: ShardResult) -> dict[str, int]:
    """Return what the driver is told of a shard that is done."""
    pairs = result.pairs
    counts = {"pairs": pairs["written"], "dropped": pairs["dropped"], "failed": pairs["failed"]}
    return {"shards": 1, **counts}
