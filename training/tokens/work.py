"""Cutting the texts of row groups into ids: here, or by several processes, in order."""

import os
import signal
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from multiprocessing import get_context
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from tokenizers import Tokenizer

from pairsmith.schemas import UserError, text_hashes
from pairsmith.training.tokens.cache import KEY, TEXT_IDS
from pairsmith.training.tokens.ids import IdRows, cutter, to_bytes

SOURCES = ["anchor", "positive", "negatives"]
"""Columns of a shard that ids are made of."""
_IDS = pa.large_binary()
_NEGATIVES = (("negatives_ids", _IDS), ("negatives_hash", pa.uint64()))
SCHEMA = pa.schema(
    [pa.field(name, _IDS, nullable=False) for name in TEXT_IDS]
    + [
        pa.field(name, pa.large_list(pa.field("element", kind, nullable=False)), nullable=False)
        for name, kind in _NEGATIVES
    ]
)
WRITING: dict[str, Any] = {
    "compression": "zstd",
    "compression_level": 3,
    "use_dictionary": False,
    "write_statistics": False,
    "write_page_checksum": True,
}
"""How files of ids are written: Arrow's settings for Parquet."""


@dataclass(frozen=True)
class Task:
    """One row group to make ids of."""

    shard: int
    path: str
    group: int
    tokenizer: str
    """Path of its file: one that is not serialised with every task."""
    encode_special: bool
    width: int


def cores() -> int:
    """Return how many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):  # what a container or scheduler leaves to us
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _work(task: Task) -> pa.Table:
    try:
        with pq.ParquetFile(task.path) as file:
            table = file.read_row_group(task.group, columns=SOURCES, use_threads=False)
    except (OSError, pa.ArrowException) as error:
        raise UserError(f"{task.path} cannot be read any more ({error})") from error
    return ids_of(table, _cutter(task.tokenizer, task.encode_special), task.width)


def ids_of(table: pa.Table, cut: Callable[[list[str]], IdRows], width: int) -> pa.Table:
    """Return the ids of a row group's texts, by `SCHEMA`; how many they are is in the metadata.

    table: with the columns `SOURCES`. width: bytes of an id.
    """
    lists = table["negatives"].combine_chunks().cast(pa.large_list(pa.large_string()))
    single = [
        table[name].combine_chunks().cast(pa.large_string()) for name in ("anchor", "positive")
    ]
    # A text stands in several pairs, and among the negatives of others: it is cut once.
    texts = pa.concat_arrays([*single, pc.list_flatten(lists)]).dictionary_encode()
    distinct = cut(texts.dictionary.to_pylist())
    ids = to_bytes(distinct, width).take(texts.indices)
    rows = table.num_rows
    hashes = pa.array(text_hashes(texts.dictionary), pa.uint64())
    ends = pa.array(np.cumsum([0, *pc.list_value_length(lists).to_numpy()]), pa.int64())
    arrays = [
        ids.slice(0, rows),
        ids.slice(rows, rows),
        pa.LargeListArray.from_arrays(ends, ids.slice(2 * rows)),
        pa.LargeListArray.from_arrays(ends, hashes.take(texts.indices.slice(2 * rows))),
    ]
    tokens = int(distinct.lengths[texts.indices.to_numpy()].sum())
    return pa.table(arrays, schema=SCHEMA.with_metadata({KEY: str(tokens).encode()}))


@lru_cache(maxsize=1)
def _cutter(file: str, encode_special: bool) -> Callable[[list[str]], IdRows]:
    tokenizer = Tokenizer.from_file(file)
    tokenizer.encode_special_tokens = encode_special
    return cutter(tokenizer)


Run = Callable[[Iterable[Task]], Iterator[tuple[Task, pa.Table]]]


@contextmanager
def working(count: int) -> Iterator[Run]:
    """Yield what carries tasks out, in their order: here for one worker, else in processes."""
    if count == 1:
        yield lambda tasks: ((task, _work(task)) for task in tasks)
        return
    pool = ProcessPoolExecutor(count, get_context("spawn"), _begin, (os.getpid(),))

    def run(tasks: Iterable[Task]) -> Iterator[tuple[Task, pa.Table]]:
        waiting: deque[tuple[Task, Future[pa.Table]]] = deque()
        for task in tasks:
            waiting.append((task, pool.submit(_work, task)))
            if len(waiting) > 2 * count:
                first, future = waiting.popleft()
                yield first, future.result()
        while waiting:
            first, future = waiting.popleft()
            yield first, future.result()

    try:
        yield run
    except BrokenProcessPool as error:
        raise UserError(
            "a process that makes ids died, most likely for want of memory: lower --token-workers, "
            "and run the same command again. A script that trains must do so below "
            '`if __name__ == "__main__":`'
        ) from error
    finally:
        pool.shutdown(cancel_futures=True)


def _begin(parent: int) -> None:
    """Prepare a worker process: one thread, and it does not outlive its parent."""
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    pa.set_cpu_count(1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent gets it, too, and ends us

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(0.2)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
