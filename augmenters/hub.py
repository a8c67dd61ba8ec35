"""Models of the Hugging Face hub, and what tells the files of a model from others."""

import functools
import hashlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pairsmith.augmenters.memory import first_line
from pairsmith.schemas import UserError, require


@contextmanager
def asking_hub(lacking: str, extra: str, argument: str = "") -> Iterator[Any]:
    """Give the package huggingface_hub, to ask for a model that is no folder here.

    Raises UserError that begins with `lacking` when the hub, or its cache here, has no such model.
    extra: that brings the package. argument: in which the user can name a folder.
    """
    hub = require("huggingface_hub", extra=extra)
    # The hub's own error is also one of its HTTP client's, which is another in every version.
    client_errors = hub.errors.HfHubHTTPError.__bases__
    try:
        yield hub
    except (OSError, ValueError, *client_errors) as error:
        raise UserError(
            f"{lacking}: there is no such folder here, and the Hugging Face hub gave none "
            f"({first_line(error)}); download it where there is a network and name its "
            f"folder{f' as {argument}' if argument else ''}"
        ) from error


def fetch(name: str, what: str, files: Sequence[str], weights: Sequence[str], extra: str) -> Path:
    """Return the folder of a model of the hub, downloaded unless its cache here has it.

    what: as the error calls the model. files, weights: patterns of what is wanted; the last of the
    weights only where there are none of the others. Raises UserError when there is no such model.
    """
    *first, last = weights
    with asking_hub(f"no {what} {name!r}", extra) as hub:
        folder = Path(hub.snapshot_download(name, allow_patterns=[*files, *first]))
        if not any(path for pattern in first for path in folder.glob(pattern)):
            folder = Path(hub.snapshot_download(name, allow_patterns=[*files, last]))
    return folder


def recorded(name: str, folder: Path, sha256: str) -> dict[str, str]:
    """Return what is recorded of a model: its name without its place, and its files' sha256.

    name: as the user gave it, of the hub or a folder. folder: where it is.
    """
    local = Path(name).expanduser().is_dir()
    return {"name": folder.resolve().name if local else name, "sha256": sha256}


def files_sha256(files: Iterable[Path]) -> str:
    """Return the sha256 of files, names and contents, in hex; they are read when they changed."""
    stats = [(path, path.stat()) for path in files]
    return _sha256(tuple((str(path), stat.st_size, stat.st_mtime_ns) for path, stat in stats))


def folder_sha256(folder: Path) -> str:
    """Return `files_sha256` of all files of a folder and of those in it."""
    return files_sha256(sorted(path for path in folder.rglob("*") if path.is_file()))


@functools.lru_cache(maxsize=64)
def _sha256(files: tuple[tuple[str, int, int], ...]) -> str:
    """Return the sha256 over files; sizes and times are there to notice that they changed."""
    total = hashlib.sha256()
    for path, size, _ in files:
        total.update(f"{Path(path).name}\x1f{size}\x1f".encode())
        with Path(path).open("rb") as stream:
            total.update(hashlib.file_digest(stream, "sha256").digest())
    return total.hexdigest()
