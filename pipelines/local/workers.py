"""Worker processes of a build on one machine.

They load no Beam, unless what they are asked to do needs it: that is half of what a start costs.
"""

import fcntl
import os
import pickle
import signal
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pyarrow as pa

from pairsmith.pipelines.recipe.shipped import send_files
from pairsmith.pipelines.telling import Logging
from pairsmith.schemas import UserError

Call = tuple[Any, ...]
_CHOICE = "ARROW_DEFAULT_MEMORY_POOL"


@contextmanager
def workers(count: int, lock: Path, first: Call) -> Iterator[Callable[[Iterable[Call]], None]]:
    """Yield what runs calls in so many processes, of which this is one.

    first: a call that each of the others begins with, while this one goes on; they share the calls
    as soon as that is done. lock: file that each of them holds while it lives. They end within a
    second when this one is killed; the next build waits for the lock before it changes anything.
    """
    if count == 1:
        yield lambda calls: _run_here(deque(calls))
        return
    begin = (os.getpid(), str(lock), Logging.now())
    pool = ProcessPoolExecutor(count - 1, get_context("spawn"), initializer=_begin, initargs=begin)
    threads = ThreadPoolExecutor(count - 1)
    loaded = [pool.submit(_call, _pickled(first)) for _ in range(count - 1)]

    def run(calls: Iterable[Call]) -> None:
        todo = deque(calls)
        others = [threads.submit(_run_there, pool, one, todo) for one in loaded]
        _run_here(todo)
        for one, other in zip(loaded, others, strict=True):
            if one.done():  # else it has taken nothing, and there is nothing left
                other.result()

    try:
        yield run
    except BrokenProcessPool as error:
        raise UserError(
            "a worker process died, most likely for want of memory: lower --workers, and run the "
            "same command again; or raise --shards, which starts anew. A script that builds must "
            'do so below `if __name__ == "__main__":`'
        ) from error
    finally:
        for process in list((pool._processes or {}).values()):
            process.terminate()
        pool.shutdown(cancel_futures=True)
        threads.shutdown()


@contextmanager
def frugal_memory() -> Iterator[None]:
    """Have Arrow take its memory from jemalloc, unless the environment names an allocator.

    Arrow's own choice, mimalloc, keeps much of what is freed: builds peak 50 to 80 MB higher.
    """
    before = pa.default_memory_pool()
    _take_jemalloc()
    try:
        yield
    finally:
        pa.set_memory_pool(before)


def _take_jemalloc() -> None:
    if _CHOICE not in os.environ and "jemalloc" in pa.supported_memory_backends():
        pa.set_memory_pool(pa.jemalloc_memory_pool())


def _run_here(todo: deque[Call]) -> None:
    while call := _next(todo):
        function, *rest = call
        function(*rest)


def _run_there(pool: ProcessPoolExecutor, loaded: Future[None], todo: deque[Call]) -> None:
    """Have a process run calls, as soon as one has loaded what they need, until none are left."""
    try:
        loaded.result()
        while call := _next(todo):
            pool.submit(_call, _pickled(call)).result()
    except BaseException:
        todo.clear()  # no other process need go on
        raise


def _begin(driver: int, lock: str, log: Logging) -> None:
    """Prepare a worker process: it must not outlive its driver."""
    if os.getppid() != driver:  # killed while we were starting
        os._exit(1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the driver gets it, too, and ends us
    log.begin()
    _take_jemalloc()
    held = Path(lock).open("a+")  # noqa: SIM115 - held until this process ends; NFS wants "+"
    fcntl.flock(held, fcntl.LOCK_SH)

    def watch() -> None:
        with held:
            while os.getppid() == driver:
                time.sleep(0.2)
            os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _next(todo: deque[Call]) -> Call | None:
    try:
        return todo.popleft()
    except IndexError:  # another thread may have taken the last one
        return None


def _pickled(call: Call) -> bytes:
    """Return the call as pickle can load it, with what is defined in a script by value."""
    from apache_beam.internal.cloudpickle import cloudpickle

    send_files()
    return cloudpickle.dumps(call)  # type: ignore[no-any-return]


def _call(call: bytes) -> None:
    function, *rest = pickle.loads(call)  # noqa: S301 - from our own driver
    function(*rest)
