"""SIGTERM and Ctrl-C: the step is finished, a checkpoint is written, and the run can go on."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType


class Terminated(SystemExit):
    """Leaves the process as SIGTERM asks, with exit code 143; the command tells its `line`."""

    def __init__(self, line: str = "") -> None:
        super().__init__(128 + signal.SIGTERM)
        self.line = line


@dataclass
class Stop:
    """Which signal has asked to stop, if one has."""

    signal: int = 0


@contextmanager
def stop_signals(*, restore: bool) -> Iterator[Stop]:
    """Note SIGTERM and SIGINT instead of dying; a second SIGINT acts at once.

    A second SIGTERM does not: SLURM and systemd send it to torchrun and to its processes, to which
    torchrun passes it on.
    restore: put the former handlers back afterwards. Signals are for the main thread; in another
    one nothing is noted.
    """
    stop = Stop()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    noted = (signal.SIGTERM, signal.SIGINT)
    before = {number: signal.getsignal(number) for number in noted}

    def note(number: int, frame: FrameType | None) -> None:
        stop.signal = number
        if number == signal.SIGINT:
            signal.signal(number, signal.default_int_handler)

    for number in noted:
        signal.signal(number, note)
    try:
        yield stop
    finally:
        if restore:
            for number, handler in before.items():
                signal.signal(number, handler)


@contextmanager
def saying(line: str) -> Iterator[None]:
    """When a signal stops a run within, tell `line` in place of how to go on.

    For runs whose folder is then removed.
    """
    try:
        yield
    except KeyboardInterrupt as error:
        raise KeyboardInterrupt(line) from error
    except Terminated as error:
        raise Terminated(line) from error
