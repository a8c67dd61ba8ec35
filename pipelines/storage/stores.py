"""Object stores, by Beam; and finding files on every file system that Beam knows.

What a store is asked for is asked patiently (`patience.ask`) and raises UserError.
"""

import io
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any, BinaryIO

from apache_beam.io.filesystem import BeamIOError, CompressionTypes, FileMetadata
from apache_beam.io.filesystems import FileSystems
from apache_beam.options.pipeline_options import PipelineOptions, S3Options

from pairsmith.pipelines.refused import RefusedUserError
from pairsmith.pipelines.storage.patience import StoreOptions, ask
from pairsmith.schemas import UserError, require
from pairsmith.schemas.errors import install_line
from pairsmith.schemas.store import is_remote

_READ_BYTES = 4 << 20
_AT_ONCE = 16
"""Objects that are looked up at a time."""
_EXTRAS = {"gs": "gcp", "s3": "aws"}


def set_options(flags: Sequence[str]) -> None:
    """Have stores reached as the Beam flags say.

    Raises UserError for a `--store_seconds` that is no length of time.
    """
    options = PipelineOptions(list(flags))
    if options.view_as(StoreOptions).store_seconds <= 0:
        raise UserError("--store_seconds must be above 0")
    FileSystems.set_options(options)


def store_flags(flags: Sequence[str]) -> tuple[str, ...]:
    """Return the Beam flags without those that choose an engine."""
    return tuple(flag for flag in flags if not flag.startswith(("--runner", "--direct_")))


def check_store(path: str) -> None:
    """Raise UserError when a path is on a store that this installation cannot reach."""
    scheme = path.split("://")[0]
    try:
        FileSystems.get_filesystem(path)
    except ValueError as error:
        if scheme in _EXTRAS:
            line = f"{path} needs more packages: {install_line(_EXTRAS[scheme])}"
        else:
            line = f"{path}: no file system {scheme}://; there are gs:// and s3://"
        raise UserError(line) from error
    if scheme == "s3":
        _check_s3_credentials()


def _check_s3_credentials() -> None:
    # Beam would ask again and again for ten minutes.
    options = FileSystems._pipeline_options or PipelineOptions()
    if options.view_as(S3Options).s3_access_key_id:
        return
    if require("boto3", "aws").session.Session().get_credentials() is None:
        raise UserError(
            "no credentials for s3://; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, "
            "or a profile with AWS_PROFILE"
        )


def put_object(path: str, content: bytes) -> None:
    """Write an object, even if two do it at once; it shows when its upload has ended."""

    def write() -> None:
        kind = "application/octet-stream"
        stream = FileSystems.create(path, kind, CompressionTypes.UNCOMPRESSED)
        try:
            stream.write(content)
            stream.close()
        except Exception:
            # Its end would close it, and wait for the store once more, in whatever thread that is.
            threading.Thread(target=_let_go, args=(stream,), daemon=True).start()
            raise

    ask(f"write {path}", write, len(content))


def _let_go(stream: BinaryIO) -> None:
    with suppress(Exception):
        stream.close()


def open_object(path: str) -> BinaryIO:
    """Return the bytes of an object."""
    return io.BufferedReader(_Stored(path), _READ_BYTES)


def object_exists(path: str) -> bool:
    """Return whether there is such an object."""
    return ask(f"look for {path}", lambda: bool(FileSystems.exists(path)))


def match(glob: str) -> list[FileMetadata]:
    """Return path, size and time of the files that match, here or on a store.

    Raises UserError where Beam cannot look.
    """
    try:
        if not is_remote(glob):
            return list(FileSystems.match([glob])[0].metadata_list)
        found = ask(f"look for {glob!r}", lambda: list(FileSystems.match([glob])[0].metadata_list))
    except (BeamIOError, ImportError, ValueError) as error:
        raise UserError(f"cannot look for {glob!r}: {' '.join(str(error).split())}") from error
    # Where one makes a folder, the stores' consoles put an empty object of that name.
    return [file for file in found if file.size_in_bytes or not file.path.endswith("/")]


def object_states(paths: Sequence[str]) -> dict[str, tuple[int, str]]:
    """Return size and checksum of the objects that are there, by their exact names.

    Not their times: some stores tell others in a list than of one object, and Beam tells others in
    other time zones.
    """
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        states = list(pool.map(_state, paths))
    return {path: state for path, state in zip(paths, states, strict=True) if state}


def _state(path: str) -> tuple[int, str] | None:
    if not object_exists(path):
        return None
    system, what = FileSystems.get_filesystem(path), f"look for {path}"
    # Asked one by one, as the time limit of an attempt is that of one request.
    size = ask(what, lambda: int(system.size(path)))
    return size, ask(what, lambda: str(system.checksum(path)))


def remove(paths: Sequence[str], attempts: int | None = None) -> None:
    """Remove objects that may be there, and all below those that end in a slash."""
    ask(f"remove {paths[0]}", lambda: FileSystems.delete(list(paths)), attempts=attempts)


class _Stored(io.RawIOBase):
    """An object that is opened anew where reading it broke."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._at = 0
        self._stream: Any = None
        self._stream, self._size = ask(f"read {path}", self._open)

    def _open(self) -> tuple[Any, int]:
        stream = FileSystems.open(self._path, compression_type=CompressionTypes.UNCOMPRESSED)
        return stream, stream.seek(0, io.SEEK_END)

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._at = offset + (0, self._at, self._size)[whence]
        return self._at

    def readinto(self, buffer: Any) -> int:
        wanted = min(len(buffer), max(self._size - self._at, 0))
        if not wanted:
            return 0
        data = ask(f"read {self._path}", lambda: self._read(wanted), wanted)
        buffer[: len(data)] = data
        self._at += len(data)
        return len(data)

    def _read(self, wanted: int) -> bytes:
        # Taken away while it is in use: what a request that hangs does to it concerns no other.
        stream, self._stream = self._stream, None
        if stream is None:
            stream, size = self._open()
            if size != self._size:
                raise RefusedUserError(f"{self._path} changed while it was read; build again")
        stream.seek(self._at)
        data: bytes = stream.read(wanted)
        if not data:
            raise OSError("the answer ended early")
        self._stream = stream
        return data

    def close(self) -> None:
        if not self.closed and self._stream is not None:
            self._stream.close()
            self._stream = None
        super().close()
