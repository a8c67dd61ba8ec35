"""Builds on an engine: with a time limit, and with a look at what they leave behind."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pairsmith.schemas import Manifest, open_dataset

SECONDS = 180
"""A build of some hundred rows takes less than ten; engines that hang are to fail, not to wait."""


@contextmanager
def started(
    recipe: object, corpus: object, output: Path, *flags: object
) -> Iterator[subprocess.Popen[str]]:
    """Run a build in a process group and a folder for temporary files of its own; kill the rest.

    No folder of this Python stands in PATH: a user need not have activated an environment.
    """
    temporary = output.with_name(f"{output.name}.tmp")
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir()
    bin_folder = Path(sys.executable).parent
    path = [folder for folder in os.environ["PATH"].split(":") if Path(folder) != bin_folder]
    process = subprocess.Popen(
        [
            bin_folder / "pairsmith",
            *("build", str(recipe), "--input", str(corpus), "--output", str(output)),
            *map(str, flags),
        ],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env={**os.environ, "TMPDIR": str(temporary), "PATH": ":".join(path)},
    )
    try:
        yield process
    finally:
        for pid in running(process):
            os.kill(pid, signal.SIGKILL)
        process.communicate()


def run(
    recipe: object, corpus: object, output: Path, *flags: object, seconds: float = SECONDS
) -> subprocess.CompletedProcess[str]:
    """Run a build to its end, and see that no process or temporary file is left."""
    with started(recipe, corpus, output, *flags) as process:
        printed = process.communicate(timeout=seconds)
        assert ended(process), f"still there: {running(process)}"
    temporary = output.with_name(f"{output.name}.tmp")
    # Beam leaves empty folders there, and a list of packages.
    left = {path.name for path in temporary.rglob("*") if not path.is_dir()}
    left -= {"submission_environment_dependencies.txt"}
    assert not left, f"left behind: {left}"
    return subprocess.CompletedProcess(process.args, process.returncode, *printed)


def built(
    recipe: object, corpus: object, output: Path, *flags: object, seconds: float = SECONDS
) -> Manifest:
    """Build, see that nothing but the dataset is there, and return its manifest.

    The manifest holds the sha256 of every file, and counts that balance; `open_dataset` checks it.
    """
    done = run(recipe, corpus, output, *flags, seconds=seconds)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    there = {path.name for path in output.iterdir()}
    files = {"manifest.json", "increments.json", "README.md"}
    assert there <= {"shards", "dropped", "failed", *files}
    return open_dataset(output).manifest


def running(leader: subprocess.Popen[str]) -> list[int]:
    """Return the processes of the session that this process was started to lead."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            state, _, _, session = (folder / "stat").read_text().rpartition(")")[2].split()[:4]
        except (FileNotFoundError, ProcessLookupError):  # it ended while we looked
            continue
        if int(session) == leader.pid and state != "Z":
            found.append(int(folder.name))
    return found


def ended(leader: subprocess.Popen[str], seconds: float = 30) -> bool:
    """Return whether all processes of the session come to their end in this time."""
    limit = time.monotonic() + seconds
    while running(leader):
        if time.monotonic() > limit:
            return False
        time.sleep(0.05)
    return True
