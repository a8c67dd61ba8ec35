"""Progress on a terminal: workers send small datagrams, the driver draws what has arrived.

Datagrams work across threads and local processes and cost nothing when nobody listens. They are
for the eye only: every figure that is kept comes from the books (accounts.py).
"""

import json
import socket
import threading
from collections import Counter
from contextlib import suppress
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

Address = tuple[str, int]


def report(address: Address | None, **counts: int) -> None:
    """Send counts to the driver, if it listens."""
    if address:
        with suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            sender.sendto(json.dumps(counts).encode(), address)


class ProgressLine:
    """Draws progress on the console while it is entered; `address` is None when it does not."""

    def __init__(self, console: Console, bytes_to_read: int, shards: int) -> None:
        self.address: Address | None = None
        self._console = console
        self._todo = {"bytes": bytes_to_read, "shards": shards}

    def __enter__(self) -> "ProgressLine":
        if self._console.is_terminal:
            self._receiver = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            self._receiver.bind(("127.0.0.1", 0))
            self.address = self._receiver.getsockname()
            self._thread = threading.Thread(target=self._draw, daemon=True)
            self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self.address:
            report(self.address, end=1)
            self._thread.join()
            self._receiver.close()

    def _draw(self) -> None:
        counts: Counter[str] = Counter()
        columns = (
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            TaskProgressColumn(),
            TextColumn("{task.fields[note]}"),
            TimeRemainingColumn(),
        )
        with Progress(*columns, console=self._console, transient=True) as bars:
            reading = bars.add_task("reading", total=self._todo["bytes"], note="")
            pairing = bars.add_task("pairing", total=self._todo["shards"], note="", start=False)
            while not counts["end"]:
                counts.update(json.loads(self._receiver.recv(65536)))
                if counts["shards"] or counts["started"]:
                    bars.start_task(pairing)
                seconds = bars.tasks[0].elapsed or 1e-9
                rows_rate = counts["rows"] / (bars.tasks[0].finished_time or seconds)
                note = f"{counts['rows']:,} rows, {rows_rate:,.0f} rows/s"
                bars.update(reading, completed=counts["bytes"], note=note)
                pairs_rate = counts["pairs"] / (bars.tasks[1].elapsed or 1e-9)
                note = f"{counts['pairs']:,} pairs, {pairs_rate:,.0f} pairs/s, "
                note += f"{counts['dropped']:,} dropped, ETA"
                bars.update(pairing, completed=counts["shards"], note=note)
