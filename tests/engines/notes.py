"""Reading what recipes that misbehave have left beside their file."""

import os
import signal
import subprocess
import time
from pathlib import Path


def wait_for_hold(recipes: Path, process: subprocess.Popen[str], seconds: float) -> int:
    """Return the process that waits in the recipe `held`, whose build this is."""
    hold = recipes.with_name("hold")
    limit = time.monotonic() + seconds
    while not (told := hold.read_text()):
        assert process.poll() is None, process.stderr and process.stderr.read()
        assert time.monotonic() < limit
        time.sleep(0.05)
    return int(told)


def kill_and_let_go(recipes: Path, pid: int) -> None:
    """Kill a process, then let whatever else waits in the recipe `held` go on."""
    os.kill(pid, signal.SIGKILL)
    recipes.with_name("hold").unlink()


def cuts(recipes: Path) -> list[tuple[str, float, float]]:
    """Return who cut each document of the recipe `slow`, from when to when."""
    lines = [
        line.split()
        for path in recipes.parent.glob("cut-*")
        for line in path.read_text().splitlines()
    ]
    return [(who, float(begun), float(ended)) for who, begun, ended in lines]


def most_at_once(spans: list[tuple[str, float, float]]) -> int:
    """Return how many of them went on at the same time, at most."""
    moments = sorted([(b, 1) for _, b, _ in spans] + [(e, -1) for _, _, e in spans])
    now = most = 0
    for _, change in moments:
        now += change
        most = max(most, now)
    return most
