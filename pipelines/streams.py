"""Standard error with nothing on it but JSON lines, whatever libraries and engines write there."""

import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from pairsmith.pipelines.telling import emit

_OURS = '{"event": '


@contextmanager
def only_json_lines() -> Iterator[None]:
    """Have every other line on standard error, also of child processes, become a `log` event."""
    sys.stderr.flush()
    before, kept = sys.stderr, os.dup(2)
    read, write = os.pipe()
    os.dup2(write, 2)
    os.close(write)
    reader = threading.Thread(target=_relay, args=(read,), daemon=True)
    with os.fdopen(kept, "w", encoding="utf-8", buffering=1) as sys.stderr:
        reader.start()
        try:
            yield
        finally:
            os.dup2(kept, 2)  # the last end to write to the pipe, but for children that live on
            reader.join(1)
            sys.stderr.flush()
            sys.stderr = before


def _relay(read: int) -> None:
    with os.fdopen(read, encoding="utf-8", errors="replace") as lines:
        for line in lines:
            if line.startswith(_OURS):  # of a worker process
                sys.stderr.write(line)
            elif line.strip():
                emit("log", message=line.rstrip())
