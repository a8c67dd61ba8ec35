"""Making the ids of a dataset: in parallel, in order, and each part whole or not at all."""

import json
import os
import signal
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from functools import lru_cache
from itertools import groupby
from multiprocessing import get_context
from pathlib import Path
from uuid import uuid4

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from tokenizers import Tokenizer

from pairsmith.schemas import Dataset, UserError, put, text_hashes
from pairsmith.training.token_cache import (
    FORMAT,
    KEY,
    MANIFEST,
    TEXT_IDS,
    Part,
    TokenCache,
    TokenConfig,
    draws,
    id_width,
    made_of,
    open_tokens,
    token_folder,
    tokenizer_digest,
)
from pairsmith.training.token_ids import TokenIds, cutter, to_bytes

_TOKENIZER = "tokenizer.json"
_POOL_BYTES = 8 << 20
"""Of shards; for less, starting processes costs more than they save."""
_ABANDONED = 3600
"""Seconds after which a temporary file that nobody writes to is what a killed process left."""
_IDS = pa.large_binary()
_NEGATIVES = (("negatives_ids", _IDS), ("negatives_hash", pa.uint64()))
_SCHEMA = pa.schema(
    [pa.field(name, _IDS, nullable=False) for name in TEXT_IDS]
    + [
        pa.field(name, pa.large_list(pa.field("element", kind, nullable=False)), nullable=False)
        for name, kind in _NEGATIVES
    ]
)


@dataclass(frozen=True)
class _Task:
    """One row group to make ids of."""

    shard: int
    path: str
    group: int
    tokenizer: str
    """Path of its file: one that is not serialised with every task."""
    encode_special: bool
    width: int


def token_cache(
    dataset: Dataset, tokenizer: Tokenizer, folder: Path | None = None, *, workers: int = 0
) -> TokenCache:
    """Return the ids of `dataset`, made now as far as they are not there.

    Parts that are whole and of the same shards are kept, so a killed run goes on where it was.
    Several processes may do this at once: they start at different shards and skip what is done.
    Memory holds a few row groups for each worker.
    Raises UserError when the folder cannot be written to.
    """
    try:
        return open_tokens(dataset, tokenizer, folder)
    except UserError:
        name, root = tokenizer_digest(tokenizer), token_folder(dataset, tokenizer, folder)
    file = root / _TOKENIZER
    _put(file, tokenizer.to_str().encode())
    job = _Job(dataset, root, name, id_width(tokenizer))
    if not workers:
        small = sum(shard.bytes for shard in dataset.manifest.shards) < _POOL_BYTES
        workers = 1 if small else _cores()
    tasks = job.tasks(str(file), tokenizer.encode_special_tokens)
    with _workers(workers) as run:
        for shard, made in groupby(run(tasks), key=lambda pair: pair[0].shard):
            job.write(shard, (table for _, table in made))
    job.finish()
    return open_tokens(dataset, tokenizer, folder)


def tokens_to_read(
    dataset: Dataset, tokenizer: Tokenizer, config: TokenConfig, epochs: float
) -> TokenCache | None:
    """Return the ids that a run of so many epochs reads, or None where it cuts texts itself.

    Unless the config says yes or no, ids are read where they are, and made for more than one epoch.
    Raises UserError when they cannot be made.
    """
    if config.token_cache is False:
        return None
    if config.token_cache is None and (epochs <= 1 or draws(tokenizer)):
        try:
            return open_tokens(dataset, tokenizer, config.token_folder)
        except UserError:  # there are none, which is no mistake
            return None
    return token_cache(dataset, tokenizer, config.token_folder, workers=config.token_workers)


@dataclass(frozen=True)
class _Job:
    """What one process does for a cache; others may do the same."""

    dataset: Dataset
    root: Path
    tokenizer: str
    width: int

    def tasks(self, tokenizer: str, encode_special: bool) -> Iterator[_Task]:
        """Yield the row groups of shards whose part is not there when it is their turn."""
        count = len(self.dataset.shards)
        for number in range(count):
            # Processes that work at once begin at different shards.
            shard = (number + os.getpid()) % count
            if self._found(shard):
                continue
            path = self.dataset.shards[shard]
            groups = _row_groups(path)
            if not groups:
                self.write(shard, iter(()))
            for group in range(groups):
                yield _Task(shard, str(path), group, tokenizer, encode_special, self.width)

    def write(self, shard: int, tables: Iterator[pa.Table]) -> None:
        """Write the part of a shard, whole or not at all, one row group for each table."""
        path = self._path(shard)
        temporary = path.with_name(f".{path.name}.{uuid4().hex}")
        tokens = 0
        try:
            with pq.ParquetWriter(
                temporary,
                _SCHEMA,
                compression="zstd",
                compression_level=3,
                use_dictionary=False,
                write_statistics=False,
                write_page_checksum=True,
            ) as writer:
                for table in tables:
                    tokens += int(table.schema.metadata[KEY])
                    writer.write_table(table.replace_schema_metadata(), max(1, table.num_rows))
                sha256 = self.dataset.manifest.shards[shard].sha256
                about = {"shard": sha256, "tokenizer": self.tokenizer, "tokens": tokens}
                writer.add_key_value_metadata({KEY: json.dumps(about).encode()})
            with temporary.open("rb") as stream:
                os.fsync(stream.fileno())
            temporary.replace(path)
        except OSError as error:
            raise _no_room(path, error) from error
        finally:
            with suppress(OSError):
                temporary.unlink()

    def finish(self) -> None:
        """Write the manifest, and remove what a killed process or another dataset left."""
        parts = []
        for shard in range(len(self.dataset.shards)):
            if (part := self._found(shard)) is None:
                raise UserError(f"{self._path(shard)} was removed; run the same command again")
            parts.append(asdict(part))
        data = {"format": FORMAT, "tokenizer": self.tokenizer, "width": self.width, "parts": parts}
        _put(self.root / MANIFEST, (json.dumps(data, indent=1) + "\n").encode())
        for path in self.root.glob("*.parquet"):
            if path.name not in {part["path"] for part in parts}:
                path.unlink(missing_ok=True)
        for path in self.root.glob(".*"):
            with suppress(FileNotFoundError):
                if path.stat().st_mtime < time.time() - _ABANDONED:
                    path.unlink()

    def _path(self, shard: int) -> Path:
        return self.root / self.dataset.shards[shard].name

    def _found(self, shard: int) -> Part | None:
        """Return the part of a shard if it is there, whole and of this very shard."""
        path, source = self._path(shard), self.dataset.manifest.shards[shard]
        try:
            with pq.ParquetFile(path) as file:
                if not made_of(file, source.sha256, self.tokenizer):
                    return None
                tokens = json.loads(file.metadata.metadata[KEY])["tokens"]
                size = path.stat().st_size
                return Part(path.name, source.sha256, file.metadata.num_rows, tokens, size)
        except (OSError, pa.ArrowException):
            return None


def _put(path: Path, data: bytes) -> None:
    try:
        put(path, data)
    except UserError as error:
        raise _no_room(path, error.__cause__ or error) from error


def _no_room(path: Path, error: BaseException) -> UserError:
    return UserError(
        f"cannot write {path}: {getattr(error, 'strerror', None) or error}; make room, choose "
        "another --token-folder, or train with --no-token-cache"
    )


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):  # what a container or scheduler leaves to us
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _row_groups(path: Path) -> int:
    try:
        return int(pq.read_metadata(path).num_row_groups)
    except (OSError, pa.ArrowException) as error:
        raise UserError(f"{path} cannot be read any more ({error})") from error


def _ids_of(task: _Task) -> pa.Table:
    """Return the ids of one row group; how many they are is in the metadata."""
    try:
        with pq.ParquetFile(task.path) as file:
            columns = ["anchor", "positive", "negatives"]
            table = file.read_row_group(task.group, columns=columns, use_threads=False)
    except (OSError, pa.ArrowException) as error:
        raise UserError(f"{task.path} cannot be read any more ({error})") from error
    lists = table["negatives"].combine_chunks().cast(pa.large_list(pa.large_string()))
    single = [
        table[name].combine_chunks().cast(pa.large_string()) for name in ("anchor", "positive")
    ]
    # A text stands in several pairs, and among the negatives of others: it is cut once.
    texts = pa.concat_arrays([*single, pc.list_flatten(lists)]).dictionary_encode()
    distinct = _cutter(task.tokenizer, task.encode_special)(texts.dictionary.to_pylist())
    ids = to_bytes(distinct, task.width).take(texts.indices)
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
    return pa.table(arrays, schema=_SCHEMA.with_metadata({KEY: str(tokens).encode()}))


@lru_cache(maxsize=1)
def _cutter(file: str, encode_special: bool) -> Callable[[list[str]], TokenIds]:
    tokenizer = Tokenizer.from_file(file)
    tokenizer.encode_special_tokens = encode_special
    return cutter(tokenizer)


Run = Callable[[Iterable[_Task]], Iterator[tuple[_Task, pa.Table]]]


@contextmanager
def _workers(count: int) -> Iterator[Run]:
    """Yield what carries tasks out, in their order: here for one worker, else in processes."""
    if count == 1:
        yield lambda tasks: ((task, _ids_of(task)) for task in tasks)
        return
    pool = ProcessPoolExecutor(count, get_context("spawn"), _begin, (os.getpid(),))

    def run(tasks: Iterable[_Task]) -> Iterator[tuple[_Task, pa.Table]]:
        waiting: deque[tuple[_Task, Future[pa.Table]]] = deque()
        for task in tasks:
            waiting.append((task, pool.submit(_ids_of, task)))
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
            "a process that makes ids died, most likely for want of memory; lower --token-workers "
            "and run the same command again"
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
