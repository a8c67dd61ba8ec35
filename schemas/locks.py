"""Files that one process holds at a time; the system lets go of them with the process."""

import fcntl
import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TextIO

from pairsmith.schemas.errors import UserError


@contextmanager
def holding(path: Path, busy: str) -> Iterator[None]:
    """Hold a file, made with its folders, for this process alone.

    The file stays unless it is removed while it is held; of the folders that were made, those that
    are empty in the end are removed.
    Raises UserError: `busy` where another process holds it; or when it cannot be made or locked.
    """
    made = [folder for folder in path.parents if not folder.exists()]
    with ExitStack() as undo:
        undo.callback(_remove_if_empty, made)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            ours = _lock_alone(path, undo.enter_context(path.open("a")))
        except OSError as error:
            raise UserError(
                f"cannot write to {path.parent}: {error.strerror}; choose another --output"
            ) from error
        if not ours:
            raise UserError(busy)
        yield


def _lock_alone(path: Path, opened: TextIO) -> bool:
    """Lock the file that was opened at `path`; tell whether it is ours alone until it is closed.

    It is not where another process holds it, or has just let go of it and removed it.
    Raises OSError where the file system has no locks.
    """
    try:
        fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return os.path.samestat(path.stat(), os.fstat(opened.fileno()))
    except (BlockingIOError, FileNotFoundError):
        return False


def _remove_if_empty(folders: Sequence[Path]) -> None:
    for folder in folders:
        with suppress(OSError):
            folder.rmdir()
