"""Making the ids of a dataset: in parallel, in order, and each part whole or not at all."""

import json
import os
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from itertools import groupby
from pathlib import Path
from uuid import uuid4

import pyarrow as pa
import pyarrow.parquet as pq
from tokenizers import Tokenizer

from pairsmith.schemas import Dataset, UserError, put
from pairsmith.training.tokens.cache import (
    FORMAT,
    KEY,
    MANIFEST,
    Part,
    TokenCache,
    id_width,
    made_of,
    open_tokens,
    token_folder,
    tokenizer_digest,
)
from pairsmith.training.tokens.work import SCHEMA, WRITING, Task, cores, working

_TOKENIZER = "tokenizer.json"
_POOL_BYTES = 8 << 20
"""Of shards; for less, starting processes costs more than they save."""
_ABANDONED = 3600
"""Seconds after which a temporary file that nobody writes to is what a killed process left."""


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
        beside = int(os.environ.get("LOCAL_WORLD_SIZE", 1))  # torchrun's, on this machine
        workers = 1 if small else max(1, cores() // beside)
    tasks = job.tasks(str(file), tokenizer.encode_special_tokens)
    with working(workers) as run:
        for shard, made in groupby(run(tasks), key=lambda pair: pair[0].shard):
            job.write(shard, (table for _, table in made))
    job.finish()
    return open_tokens(dataset, tokenizer, folder)


@dataclass(frozen=True)
class _Job:
    """What one process does for a cache; others may do the same."""

    dataset: Dataset
    root: Path
    tokenizer: str
    width: int

    def tasks(self, tokenizer: str, encode_special: bool) -> Iterator[Task]:
        """Yield the row groups of shards whose part is not there when it is their turn."""
        count = len(self.dataset.shards)
        # Processes that work at once begin at different shards, those of torchrun far apart.
        rank, world = (int(os.environ.get(name, 0)) for name in ("RANK", "WORLD_SIZE"))
        start = rank * count // world if world > 1 else os.getpid()
        for number in range(count):
            shard = (number + start) % count
            if self._found(shard):
                continue
            path = self.dataset.shards[shard]
            groups = _row_groups(path)
            if not groups:
                self.write(shard, iter(()))
            for group in range(groups):
                yield Task(shard, str(path), group, tokenizer, encode_special, self.width)

    def write(self, shard: int, tables: Iterator[pa.Table]) -> None:
        """Write the part of a shard, whole or not at all, one row group for each table."""
        path = self._path(shard)
        temporary = path.with_name(f".{path.name}.{uuid4().hex}")
        tokens = 0
        try:
            with pq.ParquetWriter(temporary, SCHEMA, **WRITING) as writer:
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
        "another --token-folder, or train with --token-cache False"
    )


def _row_groups(path: Path) -> int:
    try:
        return int(pq.read_metadata(path).num_row_groups)
    except (OSError, pa.ArrowException) as error:
        raise UserError(f"{path} cannot be read any more ({error})") from error
