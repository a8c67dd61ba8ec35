"""Progress of a build: workers send small datagrams, the driver shows what has arrived.

Datagrams work across threads and local processes and cost nothing when nobody listens. Where
workers may be on other machines, the driver asks the engine for its counters (watch.py). Both are
for the eye only: every figure that is kept comes from the books (accounts.py).
"""

import json
import socket
import threading
import time
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from types import TracebackType

from pairsmith.pipelines.telling import Standing, Teller

Address = tuple[str, int]
_SECONDS = 0.2


def report(address: Address | None, **counts: int) -> None:
    """Send counts to the driver, if it listens."""
    if address:
        with suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            sender.sendto(json.dumps(counts).encode(), address)


class ProgressLine:
    """Has progress shown while it is entered; `address` is None when nobody wants to see it."""

    def __init__(self, teller: Teller, bytes_to_read: int, shards: int) -> None:
        self.address: Address | None = None
        self._teller = teller
        self._todo = {"bytes": bytes_to_read, "shards": shards}

    def __enter__(self) -> "ProgressLine":
        if self._teller.listens:
            self._receiver = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            self._receiver.bind(("127.0.0.1", 0))
            self._receiver.settimeout(self._teller.every or None)
            self.address = self._receiver.getsockname()
            self._thread = threading.Thread(target=self._listen, daemon=True)
            self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self.address:
            while self._thread.is_alive():  # a datagram is lost where many wait
                with suppress(OSError):
                    self._receiver.sendto(b'{"end": 1}', self.address)
                self._thread.join(_SECONDS)
            self._receiver.close()

    def _listen(self) -> None:
        counting = _Counting(self._todo)
        shown = 0.0
        with self._teller.showing() as show:
            while not counting.counts["end"]:
                with suppress(TimeoutError):
                    counting.add(json.loads(self._receiver.recv(65536)))
                now = time.monotonic()
                if counting.counts["end"] or now - shown >= self._teller.every:
                    show(counting.standing(now))
                    shown = now


class _Counting:
    """Adds up what workers report, and sees how fast they are.

    What a build that resumes need not do again is reported as `kept_bytes` and `kept_shards`.
    """

    def __init__(self, todo: Mapping[str, int]) -> None:
        self.counts: Counter[str] = Counter()
        self._todo = todo
        self._began = time.monotonic()
        self._read = self._began
        """When the last row was read."""
        self._pairing: float | None = None
        """When the first shard was filled."""

    def add(self, counts: Mapping[str, int]) -> None:
        self.counts.update(counts)
        if "rows" in counts or "bytes" in counts:
            self._read = time.monotonic()
        if self._pairing is None and counts.get("shards"):
            self._pairing = self._read

    def standing(self, now: float) -> Standing:
        counts = self.counts
        todo = {name: count - counts[f"kept_{name}"] for name, count in self._todo.items()}
        reading = (now if counts["bytes"] < todo["bytes"] else self._read) - self._began
        pairing = now - (now if self._pairing is None else self._pairing)
        left = todo["shards"] - counts["shards"]
        return Standing(
            seconds=now - self._began,
            rows=counts["rows"],
            pairs=counts["pairs"],
            dropped=counts["dropped"],
            failed=counts["failed"],
            bytes=counts["bytes"],
            of_bytes=todo["bytes"],
            shards=counts["shards"],
            of_shards=todo["shards"],
            rows_per_second=counts["rows"] / max(reading, 1e-3),
            pairs_per_second=counts["pairs"] / max(pairing, 1e-3),
            eta_seconds=pairing * left / counts["shards"] if counts["shards"] else None,
        )
