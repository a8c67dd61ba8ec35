"""Keeping what engines print off the terminal: their workers print every error as they raise it."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr
from typing import TextIO


@contextmanager
def only_ours() -> Iterator[TextIO]:
    """Yield a stream that goes where stderr went; what others write there goes nowhere meanwhile.

    Others are this process's threads and the processes that it starts.
    """
    sys.stderr.flush()
    with open(os.devnull, "w") as nowhere:  # noqa: PTH123 - not a file
        if sys.stderr is not sys.__stderr__:  # somebody keeps it already, with no descriptor
            ours = sys.stderr
            with redirect_stderr(nowhere):
                yield ours
            return
        kept = os.dup(2)
        with open(kept, "w", buffering=1) as ours, redirect_stderr(nowhere):  # noqa: PTH123
            os.dup2(nowhere.fileno(), 2)
            try:
                yield ours
            finally:
                os.dup2(kept, 2)
