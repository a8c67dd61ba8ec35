"""Files that one process holds at a time; the system lets go of them with the process."""

import fcntl
import os
from pathlib import Path
from typing import TextIO


def lock_alone(path: Path, opened: TextIO) -> bool:
    """Lock the file that was opened at `path`; tell whether it is ours alone until it is closed.

    It is not where another process holds it, or has just let go of it and removed it.
    Raises OSError where the file system has no locks.
    """
    try:
        fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return os.path.samestat(path.stat(), os.fstat(opened.fileno()))
    except (BlockingIOError, FileNotFoundError):
        return False
