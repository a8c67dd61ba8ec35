"""Builds on Prism, with the workers in the command's own process and in one of their own."""

import json
import os
import shutil
import signal
import sys
import time
from pathlib import Path

import pytest

from pairsmith.schemas import Manifest
from tests.engines.conftest import SHARDS
from tests.engines.runs import SECONDS, built, ended, run, running, started

SEPARATE = "--experiments=use_loopback_process_worker"
WORKERS = {"loopback": (), "process": (SEPARATE,)}
INSTALLED = Path(sys.executable).with_name("pairsmith-worker")
PROCESS = (
    "--environment_type=PROCESS",
    f"--environment_config={json.dumps({'command': str(INSTALLED)})}",
)


def flags(prism: Path, *more: str) -> tuple[str, ...]:
    """Return the flags for a Prism of the build's own."""
    own = "--experiments=disable_prism_server_singleton"
    return ("--runner=PrismRunner", f"--prism_location={prism}", own, *more)


@pytest.mark.parametrize(
    "workers", [*WORKERS.values(), PROCESS], ids=[*WORKERS, "pairsmith-worker"]
)
def test_same_bytes_and_books_as_without_an_engine(
    tmp_path: Path, prism: Path, corpus: Path, expected: Manifest, workers: tuple[str, ...]
) -> None:
    prism_flags = flags(prism, *workers)
    made = built("quickstart", corpus, tmp_path / "out", "--shards", SHARDS, *prism_flags)
    assert made.shards == expected.shards
    assert made == expected
    assert made.counts["sources"]["dropped"] > 0


def test_a_recipe_of_ones_own_reaches_a_worker_that_lacks_its_file(
    tmp_path: Path, prism: Path, corpus: Path, recipes: Path, loud: Manifest
) -> None:
    assert built(f"{recipes}:loud", corpus, tmp_path / "out", *flags(prism, SEPARATE)) == loud


@pytest.mark.parametrize("workers", WORKERS.values(), ids=WORKERS)
def test_an_error_in_a_recipe_is_one_line_and_leaves_nothing(
    tmp_path: Path, prism: Path, corpus: Path, recipes: Path, workers: tuple[str, ...]
) -> None:
    done = run(f"{recipes}:moody", corpus, tmp_path / "out", *flags(prism, *workers))
    assert done.returncode == 2
    assert done.stderr == ("pairsmith build: the rule Moody raised ArithmeticError: not today\n")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("victim", ["worker", "prism", "driver"])
def test_a_kill_ends_the_build_and_a_rerun_gives_the_same_bytes(
    tmp_path: Path,
    prism: Path,
    corpus: Path,
    recipes: Path,
    loud: Manifest,
    victim: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    hold = tmp_path / "hold"
    hold.touch()
    monkeypatch.setenv("PAIRSMITH_TEST_HOLD", str(hold))
    command = (f"{recipes}:loud", corpus, tmp_path / "out", *flags(prism, SEPARATE))
    with started(*command) as process:
        limit = time.monotonic() + SECONDS
        while not hold.read_text():
            assert process.poll() is None, process.stderr and process.stderr.read()
            assert time.monotonic() < limit
            time.sleep(0.05)
        of_prism = [p for p in running(process) if Path(f"/proc/{p}/exe").resolve() == prism]
        victims = {"worker": int(hold.read_text()), "prism": of_prism[0], "driver": process.pid}
        os.kill(victims[victim], signal.SIGKILL)
        _, printed = process.communicate(timeout=60)
        hold.unlink()  # what a worker is at, it may finish
        assert ended(process), f"still there: {running(process)}"
    if victim != "driver":
        (line,) = printed.splitlines()
        assert line.startswith("pairsmith build: PrismRunner failed: ")
        assert {"worker": "a worker process died", "prism": "connection"}[victim] in line
        assert not (tmp_path / "out").exists()
    assert built(*command) == loud


def test_a_prism_that_is_not_there_or_does_not_start_is_one_line(
    tmp_path: Path, corpus: Path
) -> None:
    missing = run("context", corpus, tmp_path / "out", *flags(tmp_path / "none"))
    assert "no such file; .ci/prism builds one" in missing.stderr
    quits = Path(shutil.which("false") or "")
    broken = run("context", corpus, tmp_path / "out", *flags(quits))
    assert "PrismRunner failed: RuntimeError: Service failed to start up" in broken.stderr
    for done in (missing, broken):
        assert done.returncode == 2
        assert len(done.stderr.splitlines()) == 1
    assert not (tmp_path / "out").exists()
    told = run("context", corpus, tmp_path / "out", "--verbose", *flags(quits))
    assert "Failed to start job service with" in told.stderr
    assert told.stderr.splitlines()[-1] == broken.stderr.strip()
