"""Holding an output folder: one build at a time; what one that failed leaves, and what not."""

import fcntl
import shutil
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from pairsmith.pipelines.transforms import WORK
from pairsmith.schemas import Manifest, UserError, put
from pairsmith.schemas.dataset import MANIFEST

UNFINISHED = "UNFINISHED"
FOLDERS = ("shards", "dropped", "failed")
_PLAN = "plan.json"


class Claim:
    """A folder held for one build."""

    def __init__(self, output: Path) -> None:
        self.output = output
        self.refused = False
        """Whether the build was done, and found wanting: then nothing of it is kept."""

    @property
    def keeps(self) -> bool:
        """Return whether a build that did not come to its end has left what the next can use."""
        return not self.refused and any((self.output / WORK).glob("wave-*.json"))

    def go_on(self, plan: str) -> None:
        """Keep what an unfinished build with this plan has left; begin anew without one."""
        kept = self.output / WORK / _PLAN
        if not kept.is_file() or kept.read_text("utf-8") != plan:
            self.begin()
            put(kept, plan.encode())

    def begin(self) -> None:
        """Begin anew, whatever is there."""
        _wipe(self.output)

    def finish(self, manifest: Manifest, card: str) -> None:
        """Write the card, remove what only the build needed, and write the manifest."""
        put(self.output / "README.md", card.encode())
        shutil.rmtree(self.output / WORK)
        put(self.output / MANIFEST, manifest.to_json().encode())


@contextmanager
def claimed(output: Path) -> Iterator[Claim]:
    """Hold the folder for this build alone.

    A build that fails leaves it as it was, unless what it `keeps` helps the same command to go on.
    """
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
        (output / MANIFEST).unlink(missing_ok=True)
        claim = Claim(output)
        try:
            yield claim
        except BaseException:
            if claim.keeps:
                undo.pop_all()
                lock.close()
            raise
        marker.unlink()
        undo.pop_all()
        lock.close()


def _remove_if_empty(folders: Sequence[Path]) -> None:
    for folder in folders:
        with suppress(OSError):
            folder.rmdir()


def _wipe(output: Path) -> None:
    """Remove what a build writes, and nothing else."""
    for folder in (*FOLDERS, WORK):
        shutil.rmtree(output / folder, ignore_errors=True)
    for name in (MANIFEST, "README.md"):
        for path in (output / name, *output.glob(f".{name}.*")):
            path.unlink(missing_ok=True)
