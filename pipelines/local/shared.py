"""One copy of a model's weights a machine: worker processes ask the one that holds it."""

import os
import stat
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
from apache_beam.utils import multi_process_shared

from pairsmith.augmenters import Augmenter, Views, views_of
from pairsmith.augmenters.augmenter import Costly, Keys
from pairsmith.augmenters.compose import map_leaves
from pairsmith.augmenters.delegating import Delegating
from pairsmith.augmenters.settings import as_data
from pairsmith.pipelines.recipe.recipe import Recipe
from pairsmith.schemas import UserError
from pairsmith.schemas.manifest import digest

_LOST = (ConnectionError, EOFError)
_HOSTS: dict[str, Any] = {}
"""What this process knows to hold an augmenter, by tag: settings need not be hashable."""


class Host:
    """Holds an augmenter that is set up; methods are called from other processes."""

    def __init__(self, augmenter: Augmenter) -> None:
        augmenter.setup()
        self._augmenter = augmenter

    def views(self, texts: pa.StringArray, keys: Keys) -> Views:
        """Return the views of the augmenter."""
        return views_of(self._augmenter, texts, keys)

    def process(self) -> int:
        """Return the id of the process that holds it."""
        return os.getpid()


@dataclass(frozen=True)
class Shared(Delegating):
    """An augmenter that is set up in one process of each machine, whichever comes first.

    When that process ends, the next one to ask holds it.
    """

    build: str
    """A secret of the processes of one build, which share; those of another have models of their
    own."""

    def setup(self) -> None:
        """Have the augmenter set up by whichever process holds it, this one if there is none."""
        _host(self)

    def views(self, texts: pa.StringArray, keys: Keys) -> Views:
        """Return the views that the process which holds the augmenter makes."""
        try:
            views = _host(self).views(texts, keys)
        except _LOST:
            _HOSTS.clear()
            views = _host(self).views(texts, keys)
        return Views(*views)


@contextmanager
def shared(recipe: Recipe) -> Iterator[Recipe]:
    """Yield the recipe with every augmenter shared that asks a model, while a build runs.

    Raises UserError when the folder in which processes find each other is not this user's alone.
    """
    build = uuid.uuid4().hex

    def share(leaf: Augmenter) -> Augmenter:
        if not isinstance(leaf, Costly):
            return leaf
        _folder()
        return Shared(leaf, build)

    try:
        yield recipe.changed(lambda step: map_leaves(step, share))
    finally:
        _HOSTS.clear()
        for path in _place().glob(f"{build}-*"):
            path.unlink(missing_ok=True)


def _host(shared: Shared) -> Any:
    augmenter = shared.augmenter
    tag = f"{shared.build}-{digest(as_data(augmenter))[:16]}"
    if tag in _HOSTS:
        return _HOSTS[tag]
    folder = str(_folder())
    # Whoever knows the key may have the process that holds the model run anything; Beam's own is
    # the same everywhere, and the port is open to every user of the machine.
    multi_process_shared.AUTH_KEY = shared.build.encode()
    held = multi_process_shared.MultiProcessShared(lambda: Host(augmenter), tag, path=folder)
    _HOSTS[tag] = held.acquire()
    return _HOSTS[tag]


def _place() -> Path:
    return Path(tempfile.gettempdir()) / f"pairsmith-{os.getuid()}"


def _folder() -> Path:
    folder = _place()
    with suppress(FileExistsError):
        folder.mkdir(mode=0o700)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o077:
        raise UserError(
            f"{folder} is not a folder of yours alone; remove it, or set TMPDIR to another place"
        )
    return folder
