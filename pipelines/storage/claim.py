"""Holding an output folder: one build at a time; what one that failed leaves, and what not."""

import fcntl
import shutil
import uuid
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from pairsmith.pipelines.card import card
from pairsmith.pipelines.increments import INCREMENTS, write_increments
from pairsmith.pipelines.job import WORK, WORKERS, StepResult
from pairsmith.pipelines.refused import RefusedUserError
from pairsmith.schemas import Manifest, UserError, put, read_manifest
from pairsmith.schemas.dataset import MANIFEST, sha256_file
from pairsmith.schemas.locks import holding
from pairsmith.schemas.manifest import InputFile

UNFINISHED = "UNFINISHED"
FOLDERS = ("shards", "dropped", "failed")
README = "README.md"
_FILES = (MANIFEST, INCREMENTS, README)
_PLAN = "plan.json"
_REPLACING = "replacing"


class Claim:
    """A folder held for one build, which works in a folder below it until it is done."""

    def __init__(self, output: Path) -> None:
        self.output = output
        self.replaces = ""
        """What to tell of the finished dataset that the new one will replace; empty for none."""

    @property
    def work(self) -> Path:
        """Return the folder of what only the build needs."""
        return self.output / WORK

    @property
    def staging(self) -> Path:
        """Return the folder of the new dataset's files."""
        return self.work / "new"

    @property
    def previous(self) -> str:
        """Return the finished dataset that the new one will replace; empty for none."""
        return str(self.output) if (self.output / MANIFEST).is_file() else ""

    @property
    def keeps(self) -> bool:
        """Return whether a build that did not come to its end has left what the next can use."""
        return any(self.work.glob("wave-*.json"))

    def go_on(self, plan: str) -> None:
        """Keep what an unfinished build with this plan has left; begin anew without one."""
        kept = self.work / _PLAN
        if not kept.is_file() or kept.read_text("utf-8") != plan:
            self.begin()
            put(kept, plan.encode())
        for path in (*self.work.rglob(".*"), *_temporary(self.output)):
            with suppress(OSError):  # NFS keeps what is open, in what a build before has replaced
                path.unlink()

    def begin(self) -> None:
        """Begin anew, whatever an unfinished build has left."""
        wipe(self.output)
        self.staging.mkdir(parents=True)

    def check(self, manifest: Manifest) -> None:
        """Raise UserError unless the new files are those that workers elsewhere have told of."""
        listed = (*manifest.shards, *manifest.dropped, *manifest.failed)
        told = {str(self.staging / file.path): f"sha256 {file.sha256}" for file in listed}
        found = [path for folder in FOLDERS for path in (self.staging / folder).glob("[!.]*")]
        there = {str(path): f"sha256 {sha256_file(path)}" for path in found}
        check_whole(told, there, str(self.output))

    def replace(self) -> None:
        """Put the new files in the place of the old; until the manifest comes there is no dataset.

        A build that is killed in between does the rest when it goes on.
        Raises UserError where the old ones cannot be moved; they stay.
        """
        begun = self.work / _REPLACING
        if not begun.exists():
            self._move_away()
            put(begun, b"")
        for folder in FOLDERS:
            if (self.staging / folder).exists():
                (self.staging / folder).rename(self.output / folder)

    def complete(self, manifest: Manifest, name: str, results: Sequence[StepResult]) -> None:
        """Put the dataset in its place, the manifest last, and remove what only the build needed.

        name: what the card calls the recipe. results: of all steps.
        """
        self.replace()
        put(self.output / README, card(manifest, str(self.output), name).encode())
        write_increments(self.output, results)
        self.finish(manifest.to_json().encode())

    def finish(self, manifest: bytes) -> None:
        """Write the manifest, and remove what only the build needed."""
        for folder in FOLDERS:  # what workers were writing when they were killed
            for temporary in (self.output / folder).glob(".*"):
                temporary.unlink(missing_ok=True)
        put(self.output / MANIFEST, manifest)
        _remove_work(self.output)

    def _move_away(self) -> None:
        """Move the old files, first the manifest, to where they go with what only the build needed.

        Files that somebody has open can be moved, but on NFS leave something when they are removed.
        """
        old = self.work / f"old.{uuid.uuid4().hex}"  # another killed build may have left some
        old.mkdir()
        with ExitStack() as undo:
            for name in (MANIFEST, INCREMENTS, *FOLDERS):
                path = self.output / name
                if not path.exists():
                    continue
                try:
                    path.rename(old / name)
                except OSError as error:
                    raise UserError(
                        f"cannot move {path}, which is to be replaced: {error.strerror}; mend "
                        "that and run the same command again, or choose another --output"
                    ) from error
                undo.callback((old / name).rename, path)
            undo.pop_all()


def check_whole(told: Mapping[str, str], there: Mapping[str, str], output: str) -> None:
    """Raise UserError unless there are the files that a build has told of, and no others.

    told, there: what tells a file from others, by its path.
    """
    for path in sorted(told.keys() | there.keys()):
        if told.get(path) != there.get(path):
            raise UserError(
                f"{path} is not what this build wrote: {there.get(path, 'no file')} instead of "
                f"{told.get(path, 'no file')}; run one build at a time into {output}"
            )


@contextmanager
def claimed(output: Path, inputs: Sequence[InputFile], replace: bool = False) -> Iterator[Claim]:
    """Hold the folder for this build alone.

    A finished dataset is replaced by one of its own files and more, or by any if `replace`.
    A build that fails leaves it as it was, unless what it `keeps` helps the same command to resume;
    nothing does where the input or the outcome is refused.
    """
    marker = output / UNFINISHED
    with ExitStack() as held, ExitStack() as undo:
        try:
            _check_place(output, inputs, replace)
        except OSError as error:
            raise UserError(
                f"cannot look into {output}: {error.strerror}; choose another --output"
            ) from error
        held.enter_context(holding(marker, f"another build is at work in {output}; wait for it"))
        _await_workers(output / WORK / WORKERS)
        undo.callback(marker.unlink, missing_ok=True)
        # Again: another build may have finished before the folder was held.
        replaces = _check_place(output, inputs, replace)
        undo.callback(wipe, output)
        claim = Claim(output)
        claim.replaces = replaces
        try:
            yield claim
        except BaseException as error:
            if claim.keeps and not isinstance(error, RefusedUserError):
                undo.pop_all()
            raise
        marker.unlink()
        undo.pop_all()


def _check_place(output: Path, inputs: Sequence[InputFile], replace: bool) -> str:
    """Return a line that tells which finished dataset a build replaces; empty for none.

    Raises UserError where something else is than what a build of these inputs may replace.
    """
    if output.exists() and not output.is_dir():
        raise UserError(f"{output} is a file; choose another --output")
    finished = (output / MANIFEST).is_file()
    ours = (output / UNFINISHED).exists() or finished
    # A worker of an engine that was lost may write on when its driver has cleared up.
    if output.exists() and not ours and any(path.name != WORK for path in output.iterdir()):
        raise UserError(
            f"{output} already holds files of something else; choose another --output or remove it"
        )
    return _replaces(output, inputs, replace) if finished else ""


def _read_manifest(output: Path) -> Manifest:
    try:
        return read_manifest(output).manifest
    except UserError as error:
        raise UserError(f"{error}; to build in this place, remove {output} first") from error


def _replaces(output: Path, inputs: Sequence[InputFile], replace: bool) -> str:
    """Return a line that tells which finished dataset is replaced, and what differs in its input.

    Files are known by name and size, which is all that a manifest keeps of them.
    Raises UserError when files that it was made of are left out, unless `replace`.
    """
    before = _read_manifest(output).inputs
    old, new = (Counter(file.name for file in files) for files in (before, inputs))
    same = Counter(file.name for file in (Counter(before) & Counter(inputs)).elements())
    differences = {
        "left out": old - new,
        "new": new - old,
        "of another size": (old & new) - same,
    }
    told = ", ".join(
        f"{names.total():,} {what} ({_some(names)})" for what, names in differences.items() if names
    )
    if old - new and not replace:
        raise UserError(
            f"{output} already holds a finished dataset of other inputs: {told}; "
            "choose another --output, or replace it with --replace"
        )
    told = told or "the same names and sizes"
    return f"replaces the finished dataset in {output}; its input files now: {told}"


def _some(names: Counter[str]) -> str:
    """Return the first names of some, for a line."""
    first = sorted(names.elements())
    return ", ".join([*first[:3], *["…"] * (len(first) > 3)])


def wipe(output: Path) -> None:
    """Remove what a build has left that did not come to its end, but no finished dataset."""
    _remove_work(output)
    if (output / MANIFEST).is_file():
        return
    for folder in FOLDERS:
        shutil.rmtree(output / folder, ignore_errors=True)
    for path in (*(output / name for name in _FILES), *_temporary(output)):
        path.unlink(missing_ok=True)


def _temporary(output: Path) -> Iterator[Path]:
    """Yield files beside the manifest that were being written when a build was killed."""
    for name in _FILES:
        yield from output.glob(f".{name}.*")


def _remove_work(output: Path) -> None:
    """Remove what only a build needs, and first what would let another go on with a part of it."""
    (output / WORK / _PLAN).unlink(missing_ok=True)
    shutil.rmtree(output / WORK, ignore_errors=True)


def _await_workers(lock: Path) -> None:
    """Wait for the worker processes of a driver that was killed; they end within a second."""
    with suppress(FileNotFoundError), lock.open("r+") as alone:
        fcntl.flock(alone, fcntl.LOCK_EX)
