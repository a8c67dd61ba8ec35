"""Files of a dataset on whatever file system they lie: folders here, object stores by Beam."""

from pathlib import Path
from typing import BinaryIO

import pyarrow as pa
from apache_beam.io.filesystem import BeamIOError, CompressionTypes
from apache_beam.io.filesystems import FileSystems

from pairsmith.schemas import UserError, put


def is_remote(path: str) -> bool:
    """Return whether a path is a URL such as `gs://bucket/folder`."""
    return "://" in path


def join(folder: str, *names: str) -> str:
    """Return the path of something in a folder."""
    return (
        "/".join([folder.rstrip("/"), *names]) if is_remote(folder) else str(Path(folder, *names))
    )


def put_file(path: str, data: bytes | pa.Buffer) -> None:
    """Write a file so that it is there whole or not at all, even if two do it at once.

    An object store shows an object when its upload has ended. Raises UserError when it cannot.
    """
    if not is_remote(path):
        put(Path(path), data)
        return
    try:
        with FileSystems.create(
            path, "application/octet-stream", CompressionTypes.UNCOMPRESSED
        ) as f:
            f.write(bytes(data))
    except (BeamIOError, OSError, ValueError) as error:
        raise UserError(f"cannot write {path}: {' '.join(str(error).split())}") from error


def open_file(path: str) -> BinaryIO:
    """Return the bytes of a file as they are. Raises OSError when it cannot be read."""
    if not is_remote(path):
        return Path(path).open("rb")
    return FileSystems.open(path, compression_type=CompressionTypes.UNCOMPRESSED)


def exists(path: str) -> bool:
    """Return whether there is such a file."""
    return FileSystems.exists(path) if is_remote(path) else Path(path).is_file()
