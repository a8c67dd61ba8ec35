"""Worker processes of a build on one machine. Beam is only loaded when they are set up."""

import fcntl
import os
import signal
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pyarrow as pa

from pairsmith.pipelines.telling import Logging
from pairsmith.schemas import UserError

Call = tuple[Any, ...]
_CHOICE = "ARROW_DEFAULT_MEMORY_POOL"


@contextmanager
def workers(count: int, lock: Path) -> Iterator[Callable[[Iterable[Call]], None]]:
    """Yield what runs calls, in this process for one worker, else in as many processes.

    lock: file that each of these processes holds while it lives. They end within a second when
    this one is killed; the next build waits for the lock before it changes anything.
    """
    if count == 1:
        yield _run_here
        return
    begin = (os.getpid(), str(lock), Logging.now())
    pool = ProcessPoolExecutor(count, get_context("spawn"), initializer=_begin, initargs=begin)

    def run(calls: Iterable[Call]) -> None:
        from apache_beam.internal.cloudpickle import cloudpickle

        futures: list[Future[None]] = [pool.submit(_call, cloudpickle.dumps(c)) for c in calls]
        for future in as_completed(futures):
            future.result()

    try:
        yield run
    except BrokenProcessPool as error:
        raise UserError(
            "a worker process died, most likely for want of memory; "
            "lower --workers or raise --shards, and run the same command again"
        ) from error
    finally:
        for process in list((pool._processes or {}).values()):
            process.terminate()
        pool.shutdown(cancel_futures=True)


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


def _run_here(calls: Iterable[Call]) -> None:
    for function, *rest in calls:
        function(*rest)


def _begin(driver: int, lock: str, log: Logging) -> None:
    """Prepare a worker process: it must not outlive its driver."""
    if os.getppid() != driver:  # killed while we were starting
        os._exit(1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the driver gets it, too, and ends us
    log.begin()
    _take_jemalloc()
    held = Path(lock).open("a")  # noqa: SIM115 - held until this process ends
    fcntl.flock(held, fcntl.LOCK_SH)

    def watch() -> None:
        with held:
            while os.getppid() == driver:
                time.sleep(0.2)
            os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _call(call: bytes) -> None:
    from apache_beam.internal.cloudpickle import cloudpickle

    function, *rest = cloudpickle.loads(call)
    function(*rest)
