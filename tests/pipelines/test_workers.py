"""Processes of a build on one machine share its work, and start without what they do not need."""

import fcntl
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pairsmith.pipelines.local.workers import workers
from pairsmith.schemas import UserError, open_dataset

CALLS = 12


def leave(folder: Path, number: int) -> None:
    """Leave a file named by the call and the process; the first call waits for another process."""
    (folder / f"{number}-{os.getpid()}").touch()
    until = time.monotonic() + 60
    while number == 0 and len(processes(folder)) == 1 and time.monotonic() < until:
        time.sleep(0.01)


def processes(folder: Path) -> set[str]:
    return {path.name.split("-")[1] for path in folder.iterdir()}


def refuse() -> None:
    raise UserError("mend this")


def test_every_call_is_made_once_and_processes_share_them(tmp_path: Path) -> None:
    made = tmp_path / "made"
    made.mkdir()
    with workers(2, tmp_path / "lock", (os.getpid,)) as run:
        run((leave, made, number) for number in range(CALLS))
        assert sorted(int(path.name.split("-")[0]) for path in made.iterdir()) == [*range(CALLS)]
        found = processes(made)
    assert str(os.getpid()) in found
    assert len(found) == 2


@pytest.mark.parametrize("count", [1, 2])
def test_what_a_call_raises_ends_the_work(tmp_path: Path, count: int) -> None:
    with (
        pytest.raises(UserError, match="mend this"),
        workers(count, tmp_path / "lock", (os.getpid,)) as run,
    ):
        run([(refuse,)])


def test_worker_processes_hold_the_lock_on_nfs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """There a lock is one of bytes, and a shared one is for who may read them."""
    (tmp_path / "sitecustomize.py").write_text("""
import errno, fcntl, os
flock = fcntl.flock
def of_bytes(file, operation):
    mode = fcntl.fcntl(file, fcntl.F_GETFL) & os.O_ACCMODE
    if operation & fcntl.LOCK_SH and mode == os.O_WRONLY:
        raise OSError(errno.EBADF, "Bad file descriptor")
    flock(file, operation)
fcntl.flock = of_bytes
""")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=os.pathsep)
    made = tmp_path / "made"
    made.mkdir()
    with workers(2, tmp_path / "lock", (os.getpid,)) as run:
        run((leave, made, number) for number in range(CALLS))
        assert len(processes(made)) == 2
        with (tmp_path / "lock").open("r+") as alone, pytest.raises(BlockingIOError):
            fcntl.flock(alone, fcntl.LOCK_EX | fcntl.LOCK_NB)


def test_a_script_that_starts_itself_again_is_told_how_to_be_mended(tmp_path: Path) -> None:
    script = tmp_path / "mine.py"
    script.write_text(
        "import time\n"
        "from pathlib import Path\n"
        "from pairsmith.pipelines.local.workers import workers\n"
        f"with workers(2, Path({str(tmp_path / 'lock')!r}), (time.time,)) as run:\n"
        "    run([(time.sleep, 0.1)] * 600)\n"
    )
    done = subprocess.run([sys.executable, script], check=False, capture_output=True, text=True)
    (line,) = [line for line in done.stderr.splitlines() if "errors.UserError:" in line]
    assert 'below `if __name__ == "__main__":`' in line


def test_worker_processes_load_no_beam() -> None:
    assert loads_no_beam("import pairsmith.pipelines.local.tasks")


def test_a_build_of_folders_by_one_process_loads_no_beam(tmp_path: Path) -> None:
    texts = [f"Sentence number {i} says something of its own." for i in range(50)]
    (tmp_path / "texts.txt").write_text("\n".join(texts))
    (tmp_path / "mine.py").write_text(
        "from pairsmith.pipelines.recipe.shipped import dropout as noisy\n"
    )
    given = ["build", "mine.py:noisy", "--input", "texts.txt", "--output", "out"]
    assert loads_no_beam(f"import pairsmith.commands.main as m; m.main({given})", tmp_path)
    assert open_dataset(tmp_path / "out").manifest.counts["pairs"]["written"]


def loads_no_beam(code: str, folder: Path | None = None) -> bool:
    ask = f"{code}\nimport sys; sys.exit('apache_beam' in sys.modules)"
    return subprocess.run([sys.executable, "-c", ask], check=False, cwd=folder).returncode == 0
