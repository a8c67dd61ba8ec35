"""Builds on Prism, with the workers in the command's own process and in one of their own."""

import json
import shutil
import sys
from pathlib import Path

import pytest

from pairsmith.schemas import Manifest
from tests.engines.conftest import SHARDS
from tests.engines.notes import cuts, kill_and_let_go, most_at_once, wait_for_hold
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


@pytest.mark.parametrize("workers", [(), PROCESS], ids=["loopback", "pairsmith-worker"])
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
    made = built(f"{recipes}:loud", corpus, tmp_path / "out", *flags(prism, SEPARATE))
    assert made.shards == loud.shards
    assert made.counts == loud.counts


def test_one_file_is_read_by_several_workers_at_once(
    tmp_path: Path, prism: Path, corpus: Path, recipes: Path
) -> None:
    built(f"{recipes}:slow", corpus, tmp_path / "out", *flags(prism))
    spans = cuts(recipes)
    assert len(spans) == 60
    assert most_at_once(spans) > 1


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
    tmp_path: Path, prism: Path, corpus: Path, recipes: Path, loud: Manifest, victim: str
) -> None:
    recipes.with_name("hold").touch()
    command = (f"{recipes}:held", corpus, tmp_path / "out", *flags(prism, SEPARATE))
    with started(*command) as process:
        worker = wait_for_hold(recipes, process, SECONDS)
        engine = next(p for p in running(process) if Path(f"/proc/{p}/exe").resolve() == prism)
        victims = {"worker": worker, "prism": engine, "driver": process.pid}
        kill_and_let_go(recipes, victims[victim])
        _, printed = process.communicate(timeout=60)
        assert ended(process), f"still there: {running(process)}"
    if victim != "driver":
        (line,) = printed.splitlines()
        assert line.startswith("pairsmith build: PrismRunner failed: ")
        assert {"worker": "a worker process died", "prism": "connection"}[victim] in line
    if victim == "worker":
        assert not (tmp_path / "out").exists()
    # A worker that has lost its Prism may write on while the driver clears up.
    assert not (tmp_path / "out/manifest.json").exists()
    assert built(*command).shards == loud.shards
    assert not (tmp_path / "out/.work").exists()


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
