"""A folder of bounded size that keeps what was read from an object store: row groups, as they are.

What is made of them, such as the ids of their texts, may be kept there, too.

Any number of processes may share it, and any may be killed: a file is written under another name by
the holder of a lock, which the system lets go of with the process, and then renamed.
"""

import fcntl
import io
import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import SupportsIndex

import pyarrow as pa
import pyarrow.parquet as pq

from pairsmith.schemas import UserError
from pairsmith.schemas.store import Store, persistently

_LOCKS = 256
_OURS = re.compile(r"(?P<key>[0-9a-f]{32}-(footer|\d{5,}(-[0-9a-f]{16})?))(?P<part>\.part)?")
"""Names of the cache's files: `RemoteShard.key`, with `.part` while one is written."""


@dataclass(frozen=True)
class ShardCache:
    """Files by key, of at most `most_bytes` together; those used longest ago go first."""

    folder: Path
    most_bytes: int

    def get(self, key: str, fetch: Callable[[], pa.Buffer]) -> pa.Buffer:
        """Return what is kept for `key`, after having fetched it where it is not there.

        Of several threads and processes that ask at once, one fetches. What is returned stays
        readable when the file is removed to make room.
        Raises UserError when the folder cannot be written to.
        """
        path = self.folder / key
        if (found := _mapped(path)) is not None:
            return found
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with _locked(self._lock_of(key)):
                if (found := _mapped(path)) is not None:  # fetched by another meanwhile
                    return found
                data = fetch()
                part = path.with_name(f"{key}.part")
                with part.open("wb") as stream:
                    stream.write(data)
                    stream.flush()
                    os.fsync(stream.fileno())
                part.replace(path)
            self._make_room(key)
        except OSError as error:
            raise UserError(
                f"cannot write {path}: {error.strerror}; make room or choose another --shard-cache"
            ) from error
        return data

    def _make_room(self, newest: str) -> None:
        with _locked(self.folder / "lock-room"):
            files = []
            for entry in os.scandir(self.folder):
                # Whatever else the folder holds is not ours to count, still less to remove.
                if _OURS.fullmatch(entry.name) and entry.is_file(follow_symlinks=False):
                    try:
                        status = entry.stat()
                    except FileNotFoundError:  # renamed a moment ago
                        continue
                    files.append((status.st_mtime_ns, status.st_size, entry.name))
            total = sum(size for _, size, _ in files)
            for _, size, name in sorted(files):
                if total <= self.most_bytes:
                    return
                if name != newest and self._removed(name):
                    total -= size

    def _removed(self, name: str) -> bool:
        """Remove a file, and tell whether that could be: not of one that is being written."""
        found = _OURS.fullmatch(name)
        if found and found["part"]:
            try:
                with _locked(self._lock_of(found["key"]), wait=False):
                    (self.folder / name).unlink(missing_ok=True)
            except BlockingIOError:
                return False
            return True
        (self.folder / name).unlink(missing_ok=True)
        return True

    def _lock_of(self, key: str) -> Path:
        return self.folder / f"lock-{hash_number(key):03d}"


@dataclass(frozen=True)
class RemoteShard:
    """A shard in an object store, of which a row group at a time is read and kept."""

    store: Store
    name: str
    sha256: str
    cache: ShardCache

    def open(self, row_group: int | None = None) -> pq.ParquetFile:
        """Return the file, of which nothing but `row_group` can be read.

        Raises UserError when the store does not give it.
        """
        footer = self.cache.get(self.key("footer"), self._fetch_footer)
        metadata = pq.read_metadata(pa.BufferReader(footer))
        if row_group is None:
            return pq.ParquetFile(pa.BufferReader(footer), metadata=metadata)
        start, end = _span(metadata.row_group(row_group))
        data = self.cache.get(
            self.key(f"{row_group:05d}"),
            lambda: self.store.read(self.name, start, end - start),
        )
        return pq.ParquetFile(pa.PythonFile(_Part(data, start), "r"), metadata=metadata)

    def key(self, part: str) -> str:
        """Return under which name a part of the shard, or what was made of it, is kept."""
        return f"{self.sha256[:32]}-{part}"

    def __str__(self) -> str:
        return f"{self.store.location}/{self.name}"

    def _fetch_footer(self) -> pa.Buffer:
        def attempt() -> pq.FileMetaData:
            with self.store.files.open_input_file(self.store.path(self.name)) as file:
                return pq.read_metadata(file)

        sink = pa.BufferOutputStream()
        persistently(attempt, str(self)).write_metadata_file(sink)
        return sink.getvalue()


class _Part(io.RawIOBase):
    """A file of which only the bytes from `start` on are there."""

    def __init__(self, data: pa.Buffer, start: int):
        self._data = data
        self._start = start
        self._at = 0

    def read(self, size: int | None = -1) -> bytes:
        first = self._at - self._start
        size = len(self._data) - first if size is None or size < 0 else size
        if first < 0 or first + size > len(self._data):
            raise OSError(f"bytes {self._at} to {self._at + size} are not of this row group")
        self._at += size
        return self._data.slice(first, size).to_pybytes()  # type: ignore[no-any-return]

    def seek(self, offset: SupportsIndex, whence: int = 0) -> int:
        base = (0, self._at, self._start + len(self._data))[whence]
        self._at = base + int(offset)
        return self._at

    def tell(self) -> int:
        return self._at

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True


def hash_number(key: str) -> int:
    """Return which of the locks is that of `key`; keys begin with a sha256 in hex."""
    return (int(key[:8], 16) + sum(key[32:].encode())) % _LOCKS


def _span(group: pq.RowGroupMetaData) -> tuple[int, int]:
    """Return where the bytes of a row group begin and end."""
    starts, ends = [], []
    for i in range(group.num_columns):
        column = group.column(i)
        start = column.data_page_offset
        if column.dictionary_page_offset is not None:
            start = min(start, column.dictionary_page_offset)
        starts.append(start)
        ends.append(start + column.total_compressed_size)
    return min(starts), max(ends)


def _mapped(path: Path) -> pa.Buffer | None:
    """Return a kept file's bytes, used now, if there is one."""
    try:
        os.utime(path)
        with pa.memory_map(str(path)) as file:
            return file.read_buffer()
    except FileNotFoundError:
        return None


@contextmanager
def _locked(path: Path, *, wait: bool = True) -> Iterator[None]:
    """Hold the lock `path` against all other threads and processes.

    Raises BlockingIOError where it is held and not to be waited for.
    """
    with path.open("ab") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
