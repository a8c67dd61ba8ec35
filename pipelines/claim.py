"""Holding an output folder: one build at a time, nothing left behind by one that failed."""

import fcntl
import shutil
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from pairsmith.pipelines.transforms import RESULTS
from pairsmith.schemas import UserError
from pairsmith.schemas.dataset import MANIFEST

UNFINISHED = "UNFINISHED"
FOLDERS = ("shards", "dropped", "failed")


@contextmanager
def claimed(output: Path) -> Iterator[None]:
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
    for folder in FOLDERS:
        shutil.rmtree(output / folder, ignore_errors=True)
    for name in (RESULTS, MANIFEST, "README.md"):
        for path in (output / name, *output.glob(f".{name}.*")):
            path.unlink(missing_ok=True)
