"""Fifty builds are killed, each somewhere else; each is run again and leaves the same bytes."""

import random
import shutil
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from pairsmith.schemas import UserError, open_dataset
from tests.pipelines.corpora import documents, everything, write_parquet
from tests.pipelines.forked import Ended, Fault, Forks, moments

WRITING = (
    "open /UNFINISHED",
    "os.mkdir /.work/new",
    "os.rename /.work/plan.json",
    "os.rename /.work/copies/#.parquet",
    "os.rename /.work/copies.done",
    "open /.work/spill/#/.blocks-#.arrow.#",
    "os.rename /.work/spill/#/blocks-#.arrow",
    "os.rename /.work/cut-#.json",
    "open /.work/new/shards/.#.parquet.#",
    "os.rename /.work/new/shards/#.parquet",
    "os.rename /.work/new/dropped/#.parquet",
    "os.rename /.work/wave-#.json",
    "os.rename /.work/replacing",
    "os.rename /shards",
    "os.rename /README.md",
    "os.rename /manifest.json",
)
"""Kinds of changes of the folder, before the first of which a build of a new dataset is killed."""
REPLACING = 14
HALF_WRITTEN = (100, 1_000, 4_000, 8_000)
RANDOM = 10
WORKERS = DRIVERS = 3


@dataclass(frozen=True)
class Bench:
    """A corpus, what its builds should give, and a folder to build in."""

    forks: Forks
    corpus: Path
    old: Path
    """A finished dataset of another seed."""
    new: Path
    """What every build should give."""
    output: Path

    def build(self, output: Path, *flags: object, fault: Fault | None = None) -> Ended:
        arguments = ("--shards", 4, "--waves", 2, "--input", self.corpus, "--output", output)
        return self.forks.run("quickstart", *arguments, *flags, fault=fault)

    def killed(self, fault: Fault, *flags: object) -> Ended:
        """Run a build with a fault, and be sure that nothing is accepted that is not whole."""
        ended = self.build(self.output, *flags, fault=fault)
        try:
            open_dataset(self.output)
        except UserError as error:
            assert "has no manifest.json" in str(error) or "no such folder" in str(error)  # noqa: PT017
        else:
            found = {
                name: data
                for name, data in everything(self.output).items()
                if not name.startswith((".", "UNFINISHED"))
            }
            assert found in (everything(self.old), everything(self.new))
        return ended

    def check_rerun(self) -> None:
        """Run the build again, and be sure that it ends well and leaves nothing behind."""
        again = self.build(self.output)
        assert again.code == 0, again.said
        assert open_dataset(self.output).rows
        assert everything(self.output) == everything(self.new)
        assert not list(self.output.glob(".*"))
        assert not list(self.forks.temporary.iterdir())


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, forks: Forks) -> Bench:
    folder = tmp_path_factory.mktemp("killed")
    rows = documents(40)
    corpus = write_parquet(folder / "in.parquet", [*rows, *rows[:7]], row_group=20)
    bench = Bench(forks, corpus, folder / "old", folder / "new", folder / "out")
    assert bench.build(bench.old, "--seed", 5).code == 0
    assert bench.build(bench.new).code == 0
    return bench


@pytest.fixture
def bench(finished: Bench) -> Bench:
    shutil.rmtree(finished.output, ignore_errors=True)
    return finished


def test_killed_before_every_kind_of_change(bench: Bench) -> None:
    listing = bench.build(bench.output, fault=Fault(folder=str(bench.output)))
    number = moments(listing.changes)
    for kind in WRITING:
        shutil.rmtree(bench.output, ignore_errors=True)
        assert bench.killed(Fault(folder=str(bench.output), at=number[kind])).killed, kind
        bench.check_rerun()


def test_killed_while_a_finished_dataset_is_replaced(bench: Bench) -> None:
    shutil.copytree(bench.old, bench.output)
    listing = bench.build(bench.output, fault=Fault(folder=str(bench.output)))
    first = moments(listing.changes)["os.rename /.work/old.#/manifest.json"]
    count = len(listing.changes) - first
    for turn in range(REPLACING):
        shutil.rmtree(bench.output)
        shutil.copytree(bench.old, bench.output)
        at = first + turn * count // (REPLACING - 1)
        assert bench.killed(Fault(folder=str(bench.output), at=at)).killed, at
        bench.check_rerun()


def test_killed_in_the_midst_of_writing_a_file(bench: Bench) -> None:
    for size in HALF_WRITTEN:
        shutil.rmtree(bench.output, ignore_errors=True)
        assert bench.killed(Fault(file_bytes=size)).code < 0
        assert any(path.stat().st_size == size for path in bench.output.rglob(".*.*"))
        bench.check_rerun()


def test_killed_at_random_moments(bench: Bench) -> None:
    started = time.monotonic()
    bench.build(bench.output)
    seconds = time.monotonic() - started
    moment = random.Random(11)
    early = 0
    for _ in range(RANDOM):
        shutil.rmtree(bench.output, ignore_errors=True)
        early += bench.killed(Fault(after=moment.uniform(0.05, 0.9) * seconds)).killed
        bench.check_rerun()
    assert early >= RANDOM // 2


def test_driver_killed_while_worker_processes_are_at_work(bench: Bench) -> None:
    for turn in range(DRIVERS):
        shutil.rmtree(bench.output, ignore_errors=True)
        fault = Fault(str(bench.output), after=0.05 * turn, when=".work/cut-*.json")
        ended = bench.killed(fault, "--workers", 2)
        assert ended.killed
        assert ended.workers
        bench.check_rerun()  # waits for those that have begun
        until = time.monotonic() + 60
        while any(map(_runs, ended.workers)):  # others end as soon as they have loaded
            assert time.monotonic() < until, "a worker outlives its driver"
            time.sleep(0.05)
        assert everything(bench.output) == everything(bench.new)


def test_worker_processes_killed(bench: Bench) -> None:
    for turn in range(WORKERS):
        shutil.rmtree(bench.output, ignore_errors=True)
        fault = Fault(str(bench.output), at=4 + 8 * turn, worker=True)
        ended = bench.killed(fault, "--workers", 2)
        assert ended.code == 2, ended.said
        (line,) = ended.said.strip().splitlines()
        assert "a worker process died" in line
        bench.check_rerun()


def _runs(process: int) -> bool:
    try:
        return Path("/proc", str(process), "stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
