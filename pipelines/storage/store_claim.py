"""Holding an output on an object store, as far as one can: there are no locks and no renames.

Two builds at work in one place at once are not kept apart. Before the manifest is put, the names
and sizes of all objects are compared with what the build wrote, so that a mix of both is refused
where those differ.
"""

import hashlib
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from pairsmith.pipelines.card import card
from pairsmith.pipelines.job import WORK, StepResult
from pairsmith.pipelines.storage.claim import (
    FOLDERS,
    README,
    UNFINISHED,
    Claim,
    check_whole,
    claimed,
)
from pairsmith.pipelines.storage.files import join, open_file, put_file
from pairsmith.pipelines.storage.stores import match, remove
from pairsmith.schemas import Manifest, UserError
from pairsmith.schemas.dataset import MANIFEST

_ANOTHER = (
    "a build for a store works in a cache on this machine: set XDG_CACHE_HOME to a folder with room"
)


class StoreClaim:
    """A place on an object store that a build writes to."""

    previous = ""
    """No dataset on a store is replaced."""
    replaces = ""

    def __init__(self, output: str) -> None:
        self.output = output
        self.staging = output
        self.work = join(output, WORK)

    def go_on(self, plan: str) -> None:
        """Begin anew: what an unfinished build has left on a store is never used."""
        del plan
        self.begin()

    def begin(self) -> None:
        """Begin anew, whatever is there."""
        _wipe(self.output)

    def check(self, manifest: Manifest) -> None:
        """Raise UserError unless the files are those that the build has told of, by their sizes."""
        check_whole(_told(self.output, manifest), _there(self.output), self.output)

    def complete(self, manifest: Manifest, name: str, results: Sequence[StepResult]) -> None:
        """Remove what only the build needed, and put the manifest last."""
        del results
        put_file(join(self.output, README), card(manifest, self.output, name).encode())
        remove([join(self.work, "")])
        put_file(join(self.output, MANIFEST), manifest.to_json().encode())

    def release(self) -> None:
        """Remove the mark of a build at work."""
        remove([join(self.output, UNFINISHED)])


@contextmanager
def claimed_on_store(output: str, detached: bool = False) -> Iterator[StoreClaim]:
    """Mark a place on an object store as being built in; all but the mark goes when that fails.

    detached: whether a job that nobody waits for finishes the dataset, and removes the mark.
    Raises UserError when something else, or a finished dataset, is there.
    """
    marker = join(output, UNFINISHED)
    there = {file.path for file in match(join(output, "**"))}
    if join(output, MANIFEST) in there and (marker not in there or _is_whole(output)):
        raise UserError(f"{output} already holds a finished dataset; choose another --output")
    if there and marker not in there:
        raise UserError(
            f"{output} already holds files of something else; choose another --output or remove it"
        )
    put_file(marker, b"pairsmith builds here, or was killed: build again, or remove this folder\n")
    claim = StoreClaim(output)
    try:
        yield claim
    except BaseException:
        # The mark stays: an upload that was given up may yet arrive; the next build removes it.
        with suppress(UserError):  # a store that stays away is the error that is shown already
            _wipe(output, attempts=1)
        raise
    if not detached:
        claim.release()


class StagedClaim(Claim):
    """A folder in which a dataset is built that is then put on an object store."""

    def __init__(self, output: Path, store: StoreClaim) -> None:
        super().__init__(output)
        self.store = store

    def complete(self, manifest: Manifest, name: str, results: Sequence[StepResult]) -> None:
        """Put all files on the store, the manifest last."""
        self.replace()
        self.store.begin()
        for file in (*manifest.shards, *manifest.dropped, *manifest.failed):
            put_file(join(self.store.output, file.path), (self.output / file.path).read_bytes())
        self.store.check(manifest)
        self.store.complete(manifest, name, results)


@contextmanager
def staged(output: str) -> Iterator[StagedClaim]:
    """Hold a folder in the user's cache, and the place on a store where its dataset is to go.

    The folder is the same for every build of that output, so an interrupted one goes on there.
    """
    folder = _builds() / hashlib.sha256(output.encode()).hexdigest()[:16]
    try:
        # The folder first: a build that is refused there must not touch what another is uploading.
        with claimed(folder, ()) as claim, claimed_on_store(output) as store:
            yield StagedClaim(claim.output, store)
    except UserError as error:
        what, _, mend = str(error).partition("; ")
        if str(folder) in what and "--output" in mend:  # which would be another folder there
            raise UserError(f"{what}; {_ANOTHER}") from error
        raise
    shutil.rmtree(folder, ignore_errors=True)


def _builds() -> Path:
    """Return the folder below which datasets for stores are built."""
    try:
        caches = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    except RuntimeError as error:
        raise UserError(f"there is no home folder; {_ANOTHER}") from error
    return Path(caches, "pairsmith", "builds")


def _is_whole(output: str) -> bool:
    """Return whether a manifest that lies beside the mark of a build is that of a whole dataset.

    The last upload of a build that was interrupted may arrive when all else has been removed.
    """
    path = join(output, MANIFEST)
    with open_file(path) as stream:
        manifest = Manifest.from_json(stream.read(), path)
    return _told(output, manifest) == _there(output)


def _told(output: str, manifest: Manifest) -> dict[str, str]:
    """Return the sizes of the files that a build wrote."""
    listed = (*manifest.shards, *manifest.dropped, *manifest.failed)
    return {join(output, file.path): f"{file.bytes:,} bytes" for file in listed}


def _there(output: str) -> dict[str, str]:
    """Return the sizes of the files that are there."""
    folders = tuple(join(output, folder, "") for folder in FOLDERS)
    return {
        file.path: f"{file.size_in_bytes:,} bytes"
        for file in match(join(output, "**"))
        if file.path.startswith(folders)
    }


def _wipe(output: str, attempts: int | None = None) -> None:
    """Remove what a build writes, and nothing else; first what makes a dataset of it."""
    remove([join(output, name) for name in (MANIFEST, README)], attempts)
    remove([join(output, folder, "") for folder in (*FOLDERS, WORK)], attempts)
