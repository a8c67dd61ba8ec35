"""Datasets in object stores: `s3://`, `gs://` and what else `pyarrow.fs` opens by a URL."""

import hashlib
import re
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import pyarrow as pa
from pyarrow import fs

from pairsmith.schemas.dataset import MANIFEST
from pairsmith.schemas.errors import UserError
from pairsmith.schemas.manifest import Manifest, ShardFile

Item = TypeVar("Item")
ATTEMPTS = 6
FIRST_PAUSE = 0.2
"""Seconds before the second attempt; each later pause is twice as long: 6 s in all."""
_AT_ONCE = 8
_PIECE = 4 << 20
_WAS_URL = re.compile(r"[\w+.-]+:/")
"""How a URL begins once it is a Path, which has one slash where it had two."""


@dataclass(frozen=True)
class Store:
    """A folder in an object store."""

    location: str
    """Its URL as `shown`."""
    files: fs.FileSystem = field(compare=False)
    root: str

    def path(self, name: str) -> str:
        """Return how the file system calls a file of the folder."""
        return f"{self.root}/{name}"

    def read(self, name: str, start: int = 0, size: int | None = None) -> pa.Buffer:
        """Return a file's bytes, or `size` of them from `start` on.

        Raises UserError when there is no such file, or it cannot be read in `ATTEMPTS` attempts.
        """

        def attempt() -> pa.Buffer:
            with self.files.open_input_file(self.path(name)) as file:
                wanted = file.size() - start if size is None else size
                data = file.read_at(wanted, start)
            if len(data) != wanted:
                raise OSError(f"{len(data):,} bytes came instead of {wanted:,}")
            return pa.py_buffer(data)

        return persistently(attempt, f"{self.location}/{name}")


@dataclass(frozen=True)
class RemoteDataset:
    """A finished dataset in an object store, and its manifest."""

    store: Store
    manifest: Manifest

    @property
    def rows(self) -> int:
        """Return the number of pairs."""
        return sum(shard.rows for shard in self.manifest.shards)


def is_remote(location: str) -> bool:
    """Return whether `location` is a URL such as `gs://bucket/folder`."""
    return "://" in location


def check_local(path: Path, option: str) -> None:
    """Raise UserError for a path that was a URL; as a folder, it would be called `s3:`.

    option: what the command line calls it.
    """
    if _WAS_URL.match(str(path)):
        url = shown(re.sub(":/+", "://", str(path), count=1))
        raise UserError(
            f"{option} {url} is a URL; give a path on this machine or on a shared file system"
        )


def shown(location: str | Path) -> str:
    """Return a folder or URL as others may see it: without query, user and password."""
    place = str(location)
    if not is_remote(place):
        return place
    scheme, _, rest = place.partition("?")[0].partition("://")
    host, slash, path = rest.partition("/")
    return f"{scheme}://{host.rpartition('@')[2]}{slash}{path}"


def open_store(url: str) -> Store:
    """Return the folder at a URL such as `s3://bucket/folder`.

    Credentials come from where the store's own tools look for them; settings may stand in the query
    (`?endpoint_override=…&region=…`, see pyarrow's `FileSystem.from_uri`).
    Raises UserError when the URL is of no known kind.
    """
    try:
        files, root = fs.FileSystem.from_uri(url)
    except (pa.ArrowException, OSError, ValueError) as error:
        said = str(error).replace(url, shown(url))
        raise UserError(f"cannot open {shown(url)}: {said}") from error
    return Store(shown(url).rstrip("/"), files, root.rstrip("/"))


def open_remote_dataset(url: str, *, checksums: bool = True) -> RemoteDataset:
    """Open the dataset at `url` after checking it against its manifest.

    checksums: read every shard once and compare its sha256; without it only names and sizes.
    Raises UserError, one line, when the manifest or a shard is missing, was cut or changed, or
    cannot be read.
    """
    store = open_store(url)
    where = f"{store.location}/{MANIFEST}"
    manifest = Manifest.from_json(store.read(MANIFEST).to_pybytes(), where)

    def check(shard: ShardFile) -> None:
        name = f"{store.location}/{shard.path}"
        if shard.path.startswith("/") or ".." in shard.path.split("/"):
            raise UserError(f"{name} lies outside of the dataset; build it anew or fetch it again")
        info = persistently(lambda: store.files.get_file_info(store.path(shard.path)), name)
        if info.type != fs.FileType.File:
            raise UserError(f"{name} is missing; build the dataset anew or fetch it again")
        if info.size != shard.bytes:
            raise UserError(
                f"{name} has {info.size:,} bytes, its manifest says {shard.bytes:,}; build the "
                "dataset anew or fetch it again"
            )
        if checksums and persistently(lambda: _sha256(store, shard), name) != shard.sha256:
            raise UserError(
                f"{name} differs from its sha256 in the manifest; build the dataset anew or fetch "
                "it again"
            )

    with ThreadPoolExecutor(_AT_ONCE, "checks") as pool:
        for _ in pool.map(check, manifest.shards):
            pass
    return RemoteDataset(store, manifest)


def persistently(work: Callable[[], Item], what: str) -> Item:
    """Return what `work` returns, tried `ATTEMPTS` times with ever longer pauses.

    Raises UserError that names `what` when it is not there or all attempts failed.
    """
    for attempt in range(ATTEMPTS):
        try:
            return work()
        except FileNotFoundError as error:
            raise UserError(f"there is no {what}; see whether the dataset is finished") from error
        except OSError as error:
            if attempt + 1 == ATTEMPTS:
                said = " ".join(str(error).split())
                raise UserError(
                    f"cannot read {what} after {ATTEMPTS} attempts: {said}; look at the "
                    "credentials and the network, then run the same command to resume"
                ) from error
            time.sleep(FIRST_PAUSE * 2**attempt)
    raise AssertionError("unreachable")


def _sha256(store: Store, shard: ShardFile) -> str:
    digest = hashlib.sha256()
    with store.files.open_input_stream(store.path(shard.path)) as stream:
        while piece := stream.read(_PIECE):
            digest.update(piece)
    return digest.hexdigest()
