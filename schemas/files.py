"""Writing files that are there whole or not at all."""

import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

import pyarrow as pa

from pairsmith.schemas.errors import UserError


@contextmanager
def writing(path: Path) -> Iterator[BinaryIO]:
    """Yield a stream to what is there as a whole file after the block, or not at all.

    Two may write one path at once. Raises UserError when the disk is full or cannot be written to.
    """
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("wb") as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(path)
    except OSError as error:
        raise UserError(
            f"cannot write {path}: {error.strerror}; make room or choose another --output"
        ) from error
    finally:
        with suppress(OSError):
            temporary.unlink()


def put(path: Path, data: bytes | pa.Buffer) -> None:
    """Write a file so that it is there whole or not at all: `writing`, for what is in memory."""
    with writing(path) as stream:
        stream.write(data)
