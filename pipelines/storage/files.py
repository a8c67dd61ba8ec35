"""Files of a dataset on whatever file system they lie: folders here, object stores by `stores`.

Beam is only loaded where a path is on a store, so that builds of folders start without it.
"""

import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import pyarrow as pa

from pairsmith.schemas import UserError, put, writing
from pairsmith.schemas.store import is_remote


def join(folder: str, *names: str) -> str:
    """Return the path of something in a folder."""
    return (
        "/".join([folder.rstrip("/"), *names]) if is_remote(folder) else str(Path(folder, *names))
    )


def use_options(flags: Sequence[str]) -> None:
    """Have stores reached as the Beam flags say; without flags, as they were.

    Raises UserError for a `--store_seconds` that is no length of time.
    """
    if flags:
        from pairsmith.pipelines.storage.stores import set_options

        set_options(flags)


def check_place(path: str) -> None:
    """Raise UserError when a path is on a store that this installation cannot reach."""
    if is_remote(path):
        from pairsmith.pipelines.storage.stores import check_store

        check_store(path)


def check_output(output: str) -> None:
    """Raise UserError for an output that cannot be written to, or not be found again."""
    check_place(output)
    if is_remote(output) and (odd := set(output) & set("*?[]\\")):
        raise UserError(f"{output}: an output must not hold {' '.join(sorted(odd))}; rename it")


def put_file(path: str, data: bytes | pa.Buffer) -> None:
    """Write a file so that it is there whole or not at all, even if two do it at once.

    An object store shows an object when its upload has ended. Raises UserError when it cannot.
    """
    if not is_remote(path):
        put(Path(path), data)
        return
    from pairsmith.pipelines.storage.stores import put_object

    put_object(path, bytes(data))


@contextmanager
def write_file(path: str) -> Iterator[BinaryIO]:
    """Yield a stream to what is there as a whole file after the block, or not at all: `put_file`.

    For a store it is kept in memory until then.
    """
    if not is_remote(path):
        with writing(Path(path)) as stream:
            yield stream
        return
    kept = io.BytesIO()
    yield kept
    put_file(path, kept.getvalue())


def open_file(path: str) -> BinaryIO:
    """Return the bytes of a file as they are.

    Raises OSError when a local file cannot be read, UserError when one on a store cannot.
    """
    if not is_remote(path):
        return Path(path).open("rb")
    from pairsmith.pipelines.storage.stores import open_object

    return open_object(path)


def exists(path: str) -> bool:
    """Return whether there is such a file."""
    if not is_remote(path):
        return Path(path).is_file()
    from pairsmith.pipelines.storage.stores import object_exists

    return object_exists(path)
