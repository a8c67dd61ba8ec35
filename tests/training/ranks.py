"""Runs of `pairsmith train` over several real processes that talk over gloo, with time limits."""

import multiprocessing
import os
import socket
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from multiprocessing.process import BaseProcess
from pathlib import Path

from pairsmith.commands.main import main

LIMIT = 120
"""Seconds after which a process that has not ended is taken to hang."""

# Each rank is a process of its own; they are forked from one that has done the slow imports.
FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(["tests.training.loaded"])


@dataclass(frozen=True)
class Ended:
    """What became of one rank."""

    code: int | None
    said: str
    """On standard error."""
    printed: str
    """On standard output."""


def start(arguments: Sequence[Sequence[str]], folder: Path) -> list[BaseProcess]:
    """Start `pairsmith train`, one rank with each list of arguments."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    size, processes = len(arguments), []
    for rank, argv in enumerate(arguments):
        place = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": size, "LOCAL_WORLD_SIZE": size}
        place |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
        told = folder / f"said-{rank}", folder / f"printed-{rank}"
        process = FORKS.Process(target=_rank, args=(place, list(argv), *told))
        process.start()
        processes.append(process)
    return processes


def finish(processes: Sequence[BaseProcess], folder: Path) -> list[Ended]:
    """Wait for all ranks."""
    for process in processes:
        process.join(LIMIT)
    hanging = [process for process in processes if process.is_alive()]
    for process in hanging:
        process.kill()
    assert not hanging, f"{len(hanging)} of {len(processes)} processes hang"
    return [
        Ended(
            process.exitcode,
            *((folder / f"{name}-{rank}").read_text() for name in ("said", "printed")),
        )
        for rank, process in enumerate(processes)
    ]


def run(size: int, argv: Sequence[str], folder: Path) -> list[Ended]:
    """Run over `size` ranks to the end."""
    return finish(start([argv] * size, folder), folder)


def once(condition: Callable[[], bool], processes: Sequence[BaseProcess]) -> None:
    """Wait until `condition` holds, while all ranks are at work."""
    while not condition():
        for process in processes:
            process.join(0.002)
            assert process.is_alive(), f"a rank ended with code {process.exitcode}"


def _rank(place: dict[str, object], argv: list[str], said: Path, printed: Path) -> None:
    os.environ.update({name: str(value) for name, value in place.items()})
    sys.stderr, sys.stdout = (path.open("w", buffering=1) for path in (said, printed))
    os.dup2(sys.stderr.fileno(), 2)
    os.dup2(sys.stdout.fileno(), 1)
    sys.exit(main(["train", *argv]))
