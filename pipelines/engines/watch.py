"""Counters that an engine keeps for us: how a driver sees progress of workers elsewhere.

Engines may count a stage twice that they run twice, so these are for the eye only.
"""

import copy
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import apache_beam as beam
from apache_beam.metrics import Metrics, MetricsFilter

from pairsmith.pipelines.progress import Address, report

NAMESPACE = "pairsmith"
_SECONDS = 2.0


def count(address: Address | None, **counts: int) -> None:
    """Count on a worker: for the driver's ear if it hears us, and with the engine."""
    report(address, **counts)
    for name, number in counts.items():
        Metrics.counter(NAMESPACE, name).inc(number)


@contextmanager
def watched(pipeline: beam.Pipeline, address: Address | None) -> Iterator[None]:
    """Report to the address what the engine has counted, while the pipeline runs."""
    if address is None:
        yield
        return
    done = threading.Event()
    watcher = threading.Thread(target=_watch, args=(pipeline, address, done), daemon=True)
    watcher.start()
    try:
        yield
    finally:
        done.set()
        watcher.join()


def _watch(pipeline: beam.Pipeline, address: Address, done: threading.Event) -> None:
    known: Counter[str] = Counter()
    ended = False
    while not ended:
        ended = done.wait(_SECONDS)  # and one look after the end
        if (running := getattr(pipeline, "result", None)) is None:
            continue
        try:
            found = _counted(running)
        except Exception:  # noqa: BLE001 - no trouble with what is for the eye may end a build
            return
        if news := {name: number for name, number in (found - known).items() if number}:
            report(address, **news)
            known += Counter(news)


def _counted(running: Any) -> Counter[str]:
    """Return the sums of our counters over all steps, under whatever names the engine has them."""
    counts: Counter[str] = Counter()
    fresh = copy.copy(running)  # a portable result keeps for ever what it was told first
    query = fresh.metrics().query(MetricsFilter().with_namespace(NAMESPACE))
    for counter in query["counters"]:
        number = max(counter.committed or 0, counter.attempted or 0)
        counts[counter.key.metric.name] += number
    return counts
