"""Progress is for the eye: whatever becomes of it, a build ends."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from pairsmith.pipelines.progress import ProgressLine, report
from pairsmith.pipelines.telling import Show, Standing


class Staring:
    """Shows nothing until it is let go."""

    listens = True
    every = 0.0

    def __init__(self) -> None:
        self.looks, self.let_go = threading.Event(), threading.Event()

    @contextmanager
    def showing(self) -> Iterator[Show]:
        def show(now: Standing) -> None:
            self.looks.set()
            self.let_go.wait()

        yield show

    def say(self, event: str, text: str) -> None:
        pass


def test_a_build_ends_though_the_word_of_its_end_is_lost() -> None:
    teller = Staring()
    line = ProgressLine(teller, bytes_to_read=1, shards=1)
    line.__enter__()
    report(line.address, rows=1)
    assert teller.looks.wait(60)
    for _ in range(5_000):  # more than may wait
        report(line.address, rows=1)
    ending = threading.Thread(target=line.__exit__, args=(None, None, None), daemon=True)
    ending.start()
    ending.join(0.5)
    assert ending.is_alive()
    teller.let_go.set()
    ending.join(60)
    assert not ending.is_alive(), "it waits for ever"
