"""Writing files that are there whole or not at all."""

import os
import uuid
from contextlib import suppress
from pathlib import Path

import pyarrow as pa

from pairsmith.schemas.errors import UserError


def put(path: Path, data: bytes | pa.Buffer) -> None:
    """Write a file so that it is there whole or not at all, even if two do it at once.

    Raises UserError when the disk is full or cannot be written to.
    """
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("wb") as stream:
            stream.write(data)
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
