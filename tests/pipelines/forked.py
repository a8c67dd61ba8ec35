"""Builds in forked processes, which need no second to load; and faults that are real.

Run as a script, it loads what a build needs and then forks one process for each request, a line of
JSON on its standard input; `Forks` is the other end.
"""

import json
import os
import re
import resource
import select
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

_FAULT = "PAIRSMITH_TEST_FAULT"
_SECONDS = 280
"""A build that takes longer dies."""
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT


@dataclass(frozen=True)
class Fault:
    """What befalls a build."""

    folder: str = ""
    """Changes of the files below it are counted: files opened to write, renamed, linked, removed,
    and folders made and removed."""
    at: int = 0
    """Number of the change, from 1, before which `what` happens; 0 for never."""
    path: str = ""
    """Instead of a number: pattern of the path that is opened or changed, in whatever folder."""
    what: str = "kill"
    """kill, stop (until SIGCONT comes), or some Python."""
    worker: bool = False
    """Whether it happens in worker processes instead of the driver."""
    after: float = -1.0
    """Seconds after which a signal comes from outside; to one of its workers if `worker`."""
    sent: int = signal.SIGKILL
    """That signal."""
    when: str = ""
    """Pattern of a file that must be there before these seconds begin."""
    file_bytes: int = 0
    """The process is killed in the midst of writing a file of more bytes; 0 for never."""


@dataclass(frozen=True)
class Ended:
    """How a build ended."""

    code: int
    """What it returned; negative for the signal that killed it."""
    said: str
    """On both outputs."""
    changes: list[str] = field(default_factory=list)
    """What was changed in the fault's folder, in order."""
    workers: list[int] = field(default_factory=list)
    """Process ids of its workers when the signal came from outside."""

    @property
    def killed(self) -> bool:
        return self.code == -signal.SIGKILL


class Forks:
    """The process that forks builds."""

    def __init__(self, temporary: Path) -> None:
        self.temporary = temporary
        """Folder of the temporary files of all builds."""
        self._server = subprocess.Popen(
            [sys.executable, __file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={
                **os.environ,
                "TMPDIR": str(temporary),
                "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
            },
            text=True,
        )

    def run(self, *arguments: object, fault: Fault | None = None) -> Ended:
        """Run `pairsmith build` with these arguments and return how it ended."""
        self.start(*arguments, fault=fault)
        return self.wait()

    def start(self, *arguments: object, fault: Fault | None = None) -> None:
        """Begin a build; `wait` must follow."""
        asked = {"arguments": [*map(str, arguments)], "fault": asdict(fault or Fault())}
        assert self._server.stdin
        self._server.stdin.write(json.dumps(asked) + "\n")
        self._server.stdin.flush()

    def wait(self) -> Ended:
        """Return how the build ended that was begun."""
        assert self._server.stdout
        ready, _, _ = select.select([self._server.stdout], [], [], _SECONDS + 20)
        assert ready, "the build neither ends nor dies"
        return Ended(**json.loads(self._server.stdout.readline()))

    def await_stop(self) -> None:
        """Wait until the build stops that was begun."""
        until = time.monotonic() + _SECONDS
        while not any(_status(child)[0] == "T" for child in _children(self._server.pid)):
            assert time.monotonic() < until, "the build does not stop"
            time.sleep(0.01)

    def go_on(self) -> None:
        """Let the build go on that was begun, and stopped."""
        (child,) = _children(self._server.pid)
        os.kill(child, signal.SIGCONT)

    def close(self) -> None:
        """End the process."""
        self._server.communicate(timeout=60)


def _serve() -> None:
    import coverage

    from pairsmith.commands.main import main
    from pairsmith.pipelines import build
    from pairsmith.pipelines.local import waves, workers
    from pairsmith.pipelines.recipe.shipped import quickstart

    quickstart().setup()
    assert build
    # What is forked ends without writing down what ran: to trace it would only cost time.
    if tracing := coverage.Coverage.current():
        tracing.stop()
    waves._TASK_BYTES = 1 << 12  # so that small inputs are cut in several tasks
    replies = os.fdopen(os.dup(1), "w")
    for line in sys.stdin:
        asked = json.loads(line)
        ended = _build(main, workers, asked["arguments"], Fault(**asked["fault"]))
        print(json.dumps(asdict(ended)), file=replies, flush=True)


def _build(main: Callable[..., int], pool: Any, arguments: list[str], fault: Fault) -> Ended:
    with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as changes:
        child = os.fork()
        if not child:
            signal.alarm(_SECONDS)
            for number in (1, 2):
                os.dup2(output.fileno(), number)
            os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
            if fault.worker:
                os.environ[_FAULT] = json.dumps(asdict(fault))
                pool._run_here = _leave_to_others
            else:
                _prepare(fault, changes.fileno())
            code = 70
            try:
                code = main(["build", *arguments])
            except BaseException:  # noqa: BLE001 - what a process ends with
                traceback.print_exc()
            finally:
                sys.stdout.flush()
                sys.stderr.flush()
                os._exit(code)
        workers = _kill(child, fault) if fault.after >= 0 else []
        _, status = os.waitpid(child, 0)
        texts = []
        for file in (output, changes):
            file.seek(0)
            texts.append(file.read().decode())
        return Ended(os.waitstatus_to_exitcode(status), texts[0], texts[1].splitlines(), workers)


def _leave_to_others(todo: deque[Any]) -> None:
    """Take no calls in the driver, which would have done them before a worker has loaded."""
    while todo:
        time.sleep(0.01)


def _kill(child: int, fault: Fault) -> list[int]:
    """Kill the process, or one of its workers, at its time; return its workers."""
    while fault.when and not list(Path(fault.folder).glob(fault.when)):
        if _ended(child):
            return []
        time.sleep(0.001)
    time.sleep(fault.after)
    workers = workers_of(child)
    if not _ended(child):
        with suppress(ProcessLookupError):
            os.kill(workers[-1] if fault.worker and workers else child, fault.sent)
    return workers


def _ended(child: int) -> bool:
    return os.waitid(os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


def workers_of(driver: int) -> list[int]:
    """Return the process ids of a driver's worker processes."""
    found = []
    for number in _children(driver):
        with suppress(OSError):
            if b"spawn_main" in Path("/proc", str(number), "cmdline").read_bytes():
                found.append(number)
    return found


def _children(process: int) -> list[int]:
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if int(_status(int(folder.name))[1]) == process:
                found.append(int(folder.name))
    return found


def _status(process: int) -> list[str]:
    """Return the fields of a process that follow its name: its state, its parent's id, ..."""
    return Path("/proc", str(process), "stat").read_text().rpartition(")")[2].split()


def _prepare(fault: Fault, changes: int) -> None:
    """Let the fault happen in this process."""
    if fault.file_bytes:
        signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
        resource.setrlimit(resource.RLIMIT_FSIZE, (fault.file_bytes, fault.file_bytes))
    if not fault.folder and not fault.path:
        return
    count = 0
    done = busy = False

    def hook(event: str, given: tuple[Any, ...]) -> None:
        nonlocal count, done, busy
        if busy or done or event not in _PATHS:
            return
        path = _path(event, given)
        if path is None:
            return
        if fault.path:
            now = fnmatch(path, fault.path)
        elif path.startswith(fault.folder) and _changes(event, given):
            count += 1
            os.write(changes, f"{event} {path.removeprefix(fault.folder)}\n".encode())
            now = count == fault.at
        else:
            return
        if now:
            done = busy = True
            _happen(fault.what)
            busy = False

    sys.addaudithook(hook)


_PATHS = ("open", "os.rename", "os.link", "os.remove", "os.rmdir", "os.mkdir")


def _path(event: str, given: tuple[Any, ...]) -> str | None:
    """Return the path that an event is about; of two, the new one."""
    path = given[1] if event in ("os.rename", "os.link") else given[0]
    if not isinstance(path, (str, bytes, os.PathLike)):
        return None
    path = os.fsdecode(path)
    if event in ("os.remove", "os.rmdir") and isinstance(given[-1], int) and given[-1] >= 0:
        path = str(Path(f"/proc/self/fd/{given[-1]}").readlink() / path)
    return path


def _changes(event: str, given: tuple[Any, ...]) -> bool:
    return event != "open" or bool(given[2] & _WRITING)


def _happen(what: str) -> None:
    signals = {"kill": signal.SIGKILL, "stop": signal.SIGSTOP}
    if what in signals:
        os.kill(os.getpid(), signals[what])
    else:
        exec(what, {"os": os, "Path": Path})


def moments(changes: Sequence[str]) -> dict[str, int]:
    """Return the number of the first change of each kind; numbers in names do not make a kind."""
    found: dict[str, int] = {}
    for number, change in enumerate(changes, 1):
        found.setdefault(re.sub(r"[0-9a-f]{32}|\d{5}", "#", change), number)
    return found


if __name__ == "__main__":
    _serve()
elif fault := os.environ.get(_FAULT):  # in a worker process
    _prepare(Fault(**json.loads(fault)), os.open(os.devnull, os.O_WRONLY))
