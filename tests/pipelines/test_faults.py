"""What goes wrong around a build is one clear line, spoils nothing, and the build can be run again.

The faults are real: a file system that is full or read-only, inputs that change, a second build.
"""

import os
import shutil
import signal
import subprocess
from pathlib import Path

import pytest

from pairsmith.commands.main import main
from pairsmith.pipelines.reading.inputs import plan_inputs
from pairsmith.pipelines.recipe import Documents
from pairsmith.pipelines.storage.store_claim import staged
from pairsmith.schemas import UserError, open_dataset
from tests.pipelines.corpora import documents, everything, sums, write_jsonl, write_parquet
from tests.pipelines.forked import Ended, Fault, Forks

FLAGS = ("--shards", 3, "--waves", 3)
RECIPES = """
import signal

from pairsmith.pipelines.recipe import Pair, Recipe, View
from tests.augmenters.fakes import Model

try:
    if PRESSED:
        signal.raise_signal(signal.SIGINT)
except BaseException:  # as some libraries do
    pass


def modelled():
    return Recipe((Pair("modelled", View(), View(Model())),))
"""
FILL = """
with open({!r}, "wb") as filler:
    try:
        while True:
            filler.write(bytes(65536))
            filler.flush()
    except OSError:
        pass
"""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, forks: Forks) -> Path:
    """Return a folder with a corpus and two datasets of it: `new`, and of another seed, `old`."""
    folder = tmp_path_factory.mktemp("made")
    rows = documents(40)
    corpus = write_parquet(folder / "in.parquet", [*rows, *rows[:7]], row_group=20)
    for name, seed in (("new", 17), ("old", 5)):
        ended = forks.run(*quickstart(corpus, folder / name), "--seed", seed)
        assert ended.code == 0, ended.said
    return folder


@pytest.fixture
def corpus(made: Path) -> Path:
    return made / "in.parquet"


def quickstart(corpus: Path, output: Path) -> tuple[object, ...]:
    return ("quickstart", "--input", corpus, *FLAGS, "--output", output)


@pytest.fixture
def disk(small_disk: Path) -> Path:
    """Return a folder that is a real file system of two MiB."""
    subprocess.run(["mount", "-o", "remount,size=2m", str(small_disk)], check=True)
    return small_disk


def line_of(ended: Ended) -> str:
    """Return the one line that a build said which the user must mend."""
    assert ended.code == 2, ended.said
    told = "replaces the finished dataset in "  # what a build over one begins with
    (line,) = (said for said in ended.said.strip().splitlines() if not said.startswith(told))
    return line


@pytest.mark.parametrize(
    ("place", "over"),
    [
        (".work/spill/*/.blocks-*", False),
        (".work/new/shards/.*", True),
        (".README.md.*", True),
        (".manifest.json.*", False),
    ],
)
def test_a_disk_that_fills(
    forks: Forks, made: Path, corpus: Path, disk: Path, place: str, over: bool
) -> None:
    output = disk / "out"
    if over:
        shutil.copytree(made / "old", output)
    fault = Fault(path=str(output / place), what=FILL.format(str(disk / "filler")))
    line = line_of(forks.run(*quickstart(corpus, output), fault=fault))
    assert "cannot write" in line
    assert "No space left on device; make room" in line
    if over and "shards" in place:
        assert everything(output) == everything(made / "old")
    else:
        with pytest.raises(UserError, match=r"no manifest\.json|no such folder"):
            open_dataset(output)
    (disk / "filler").unlink()
    again = forks.run(*quickstart(corpus, output))
    assert again.code == 0, again.said
    assert everything(output) == everything(made / "new")
    assert not list(output.glob(".*"))


def test_a_disk_that_fills_with_the_cache(
    forks: Forks, corpus: Path, disk: Path, tmp_path: Path
) -> None:
    (tmp_path / "my.py").write_text(RECIPES.replace("PRESSED", "False"))
    arguments = (f"{tmp_path}/my.py:modelled", "--input", corpus, "--output", tmp_path / "out")
    cache = ("--cache", disk / "cache")
    fault = Fault(path=str(disk / "cache/*/.*"), what=FILL.format(str(disk / "filler")))
    line = line_of(forks.run(*arguments, *cache, fault=fault))
    assert f"cannot write to the cache {disk}/cache/" in line
    assert "No space left on device" in line
    assert not (tmp_path / "out").exists()
    (disk / "filler").unlink()
    assert forks.run(*arguments, *cache).code == 0
    assert open_dataset(tmp_path / "out").rows
    assert not list(disk.rglob(".*"))


def test_an_output_without_permission_to_write(
    forks: Forks, corpus: Path, disk: Path, tmp_path: Path
) -> None:
    arguments = ("context", "--input", corpus, *FLAGS, "--output", disk / "out")
    assert forks.run(*arguments).code == 0
    before = everything(disk / "out")
    subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
    line = line_of(forks.run(*arguments))
    assert f"cannot write to {disk / 'out'}: Read-only file system; choose another" in line
    line = line_of(forks.run(*arguments[:-1], disk / "new"))
    assert f"cannot write to {disk / 'new'}: Read-only file system; choose another" in line
    assert everything(disk / "out") == before
    subprocess.run(["mount", "-o", "remount,rw", str(disk)], check=True)
    assert forks.run(*arguments).code == 0
    assert everything(disk / "out") == before


def test_an_input_in_a_folder_that_may_not_be_searched(tmp_path: Path) -> None:
    corpus = tmp_path / "closed" / "in.jsonl"
    corpus.parent.mkdir(mode=0)
    us = os.geteuid()
    try:
        if us == 0:
            os.seteuid(65534)  # root may search every folder
        with pytest.raises(UserError, match=f"cannot look for '{corpus}': Permission denied"):
            plan_inputs([str(corpus)], Documents())
    finally:
        os.seteuid(us)


GROWS = "open({0!r}, 'ab').write(open({0!r}, 'rb').read(900))"
CUT = "os.truncate({0!r}, os.path.getsize({0!r}) // 2)"
REPLACED = "os.replace({0!r} + '.other', {0!r})"
GONE = "os.remove({0!r})"
FINISHED = "import shutil; shutil.copytree({!r}, {!r}, dirs_exist_ok=True)"
READING, PAIRING = ".work/copies.done", ".work/new/shards/.*"


@pytest.mark.parametrize(
    ("kind", "moment", "change"),
    [
        ("jsonl", READING, GROWS),
        ("jsonl", READING, CUT),
        ("jsonl", READING, GONE),
        ("jsonl", PAIRING, GROWS),
        ("parquet", READING, CUT),
        ("parquet", READING, REPLACED),
    ],
)
def test_an_input_that_changes_while_it_is_read(
    forks: Forks, tmp_path: Path, kind: str, moment: str, change: str
) -> None:
    write = {"jsonl": write_jsonl, "parquet": write_parquet}[kind]
    corpus = write(tmp_path / f"in.{kind}", documents(20))
    write(tmp_path / f"in.{kind}.other", documents(3))
    fault = Fault(path=str(tmp_path / "out" / moment), what=change.format(str(corpus)))
    arguments = ("context", "--input", corpus, *FLAGS, "--output", tmp_path / "out")
    line = line_of(forks.run(*arguments, fault=fault))
    assert f"{corpus} changed while it was read; build again when it is whole" in line
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("moment", "over"),
    [
        (".work/wave-00001.json", False),
        (".work/wave-00001.json", True),
        (".work/old.*/dropped", True),
    ],
)
def test_a_second_build_into_the_same_folder_is_refused(
    forks: Forks,
    made: Path,
    corpus: Path,
    tmp_path: Path,
    moment: str,
    over: bool,
    capsys: pytest.CaptureFixture[str],
) -> None:
    output = tmp_path / "out"
    if over:
        shutil.copytree(made / "old", output)
    forks.start(*quickstart(corpus, output), fault=Fault(path=str(output / moment), what="stop"))
    forks.await_stop()
    arguments = ["build", *map(str, quickstart(corpus, output)), "--seed", "6"]
    assert main(arguments) == 2
    assert f"another build is at work in {output}" in capsys.readouterr().err
    if over and "old" not in moment:
        assert everything(made / "old").items() <= everything(output).items()
    forks.go_on()
    ended = forks.wait()
    assert ended.code == 0, ended.said
    assert everything(output) == everything(made / "new")


def test_a_dataset_of_other_inputs_that_is_finished_before_the_folder_is_held_is_kept(
    forks: Forks, made: Path, corpus: Path, tmp_path: Path
) -> None:
    output = tmp_path / "out"
    other = shutil.copy(corpus, tmp_path / "other.parquet")
    finished = FINISHED.format(str(made / "old"), str(output))
    fault = Fault(path=f"{output}/UNFINISHED", what=finished)
    line = line_of(forks.run(*quickstart(Path(other), output), fault=fault))
    assert "already holds a finished dataset of other inputs" in line
    assert everything(output) == everything(made / "old")


@pytest.mark.parametrize("flags", [(), ("--runner=BundleBasedDirectRunner",)], ids=["here", "Beam"])
def test_a_finished_dataset_that_cannot_be_moved_away_stays(
    forks: Forks, made: Path, corpus: Path, tmp_path: Path, flags: tuple[str, ...]
) -> None:
    output = tmp_path / "out"
    shutil.copytree(made / "old", output)
    arguments = ("quickstart", "--input", corpus, "--shards", 3, "--output", output, *flags)
    mounted = str(output / "shards")
    if subprocess.run(["mount", "--bind", mounted, mounted], capture_output=True).returncode:
        pytest.skip("needs to mount (CAP_SYS_ADMIN), for a folder that cannot be moved")
    try:
        line = line_of(forks.run(*arguments))
    finally:
        subprocess.run(["umount", mounted], check=True)
    assert f"cannot move {mounted}, which is to be replaced: Device or resource busy; mend" in line
    assert everything(made / "old").items() <= everything(output).items()
    again = forks.run(*arguments)
    assert again.code == 0, again.said
    assert sums(output) == sums(made / "new")


def test_a_place_for_builds_that_go_to_a_store(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    mend = "works in a cache on this machine: set XDG_CACHE_HOME to a folder with room$"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    told = rf"^cannot write to {tmp_path}/file/\S+: Not a directory; a build for a store {mend}"
    with pytest.raises(UserError, match=told), staged("gs://pairs/out"):
        pass
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.delenv("HOME")
    monkeypatch.setattr("pwd.getpwuid", lambda user: {}[user])
    told = f"^there is no home folder; a build for a store {mend}"
    with pytest.raises(UserError, match=told), staged("gs://pairs/out"):
        pass


def test_ctrl_c_within_a_step_is_no_error_of_beam(
    forks: Forks, corpus: Path, tmp_path: Path
) -> None:
    output = tmp_path / "out"
    pressed = Fault(path=f"{output}/.work/new/shards/*", what="os.kill(os.getpid(), 2)")
    line = line_of(forks.run(*quickstart(corpus, output), fault=pressed))
    assert line == "pairsmith build: interrupted; the same command resumes"
    assert not output.exists()


def test_ctrl_c_is_heeded_when_a_library_loses_it(
    forks: Forks, corpus: Path, tmp_path: Path
) -> None:
    (tmp_path / "my.py").write_text(RECIPES.replace("PRESSED", "True"))
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    arguments = ("--input", corpus, "--output", tmp_path / "out")
    line = line_of(forks.run(f"{tmp_path}/my.py:modelled", *arguments))
    assert line == "pairsmith build: interrupted; the same command starts again"
    assert not (tmp_path / "out").exists()
