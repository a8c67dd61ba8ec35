"""Views that cost much are kept by content: a run that finds them asks no model.

A cache is a folder of Parquet files, `<digest of the augmenter>/<hash of the rows>.parquet`, that
any number of processes add to and none changes. A row says which view a text with a key got. A text
that is there with another key gets a view that is there, unless views depend on keys; either way
the row is added under its own key, so the next run finds just what this one used.
"""

import functools
import os
import re
import threading
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
from xxhash import xxh3_128_digest, xxh3_128_hexdigest

from pairsmith.augmenters.augmenter import Augmenter, Costly, Keys, Views, views_of
from pairsmith.augmenters.compose import leaves, map_leaves
from pairsmith.augmenters.delegating import Delegating
from pairsmith.augmenters.settings import as_data
from pairsmith.augmenters.unfinished import UnfinishedUserError
from pairsmith.schemas import UserError, put
from pairsmith.schemas.manifest import digest

SCHEMA = pa.schema(
    [
        pa.field("text_hash", pa.binary(16), nullable=False),  # XXH3-128 of the text
        pa.field("key", pa.uint64(), nullable=False),
        pa.field("view", pa.string()),
        pa.field("reason", pa.string()),
        pa.field("details", pa.string()),
    ]
)
ROWS_PER_FILE = 1024
"""So many texts are lost at most, by each worker of a run, when it is killed."""
_OPEN_FILES = 16
_VIEW = ["view", "reason", "details"]
_KNOWING = threading.Lock()
Ids = npt.NDArray[np.bytes_]


@dataclass(frozen=True)
class Cached(Delegating):
    """An augmenter that looks into the cache folder first, and adds to it what was not there."""

    folder: str

    @property
    def index(self) -> "_Index":
        """Return what this process knows of the cache."""
        step = digest(as_data(self.augmenter))
        with _KNOWING:
            return _index(os.getpid(), self.folder, step)

    def setup(self) -> None:
        """Do nothing: the augmenter is set up by the first text that is not in the cache."""

    def views(self, texts: pa.StringArray, keys: Keys) -> Views:
        """Return the views with their reasons and details, kept or new."""
        rows = np.flatnonzero(texts.is_valid().to_numpy(zero_copy_only=False))
        index = self.index
        index.refresh()
        found: list[pa.Table] = []
        for start in range(0, len(rows), ROWS_PER_FILE):
            at = rows[start : start + ROWS_PER_FILE]
            found.append(self._some(index, texts.take(pa.array(at)), keys[at]))
        table = pa.concat_tables([SCHEMA.empty_table().select(_VIEW), *found])
        place = np.full(len(texts), -1, np.int64)
        place[rows] = np.arange(len(rows))
        taken = table.take(pa.array(place, mask=place < 0))
        return Views(*(_whole(column) for column in taken.columns))

    def _some(self, index: "_Index", texts: pa.StringArray, keys: Keys) -> pa.Table:
        """Return a row for each text; those that the cache lacked are added to it."""
        by_key = self.cache_by == "record"
        ids = _ids(texts, keys)
        exact = index.find(ids)
        lacking = np.flatnonzero(exact < 0)
        other = np.full(len(lacking), -1, np.int64)
        if not by_key:
            other = index.find(ids[lacking].astype("S16"))
        asked = lacking[other < 0]
        # Equal texts that are nowhere are asked about once.
        sames = ids[asked] if by_key else ids[asked].astype("S16")
        _, first, back = np.unique(sames, return_index=True, return_inverse=True)
        back = np.argsort(np.argsort(first))[back.reshape(-1)]
        first = np.sort(first)  # in the order of the texts, as a model would be asked without this
        try:
            made = self._make(texts.take(pa.array(asked[first])), keys[asked[first]])
        except UnfinishedUserError as error:
            # What was made until then was paid for: it is kept, and only the rest is asked again.
            done = np.flatnonzero(error.done)
            if len(done):
                views = pa.table(dict(zip(_VIEW, error.views, strict=True)))
                index.add(_rows(ids[asked[first]][done], views.take(pa.array(done))))
            raise UserError(str(error)) from error  # its rows are not those of this cache's caller
        index.count(Tally(len(ids) - len(asked), len(asked)))
        tables = [index.read(exact[exact >= 0]), index.read(other[other >= 0]), made]
        ends = np.cumsum([0, *map(len, tables)])
        source = np.empty(len(ids), np.int64)
        source[exact >= 0] = np.arange(ends[1])
        source[lacking[other >= 0]] = np.arange(ends[1], ends[2])
        source[asked] = ends[2] + back
        views = pa.concat_tables([table.select(_VIEW) for table in tables])
        views = views.take(pa.array(source))
        if len(lacking):
            index.add(_rows(ids[lacking], views.take(pa.array(lacking))))
        return views

    def _make(self, texts: pa.StringArray, keys: Keys) -> pa.Table:
        if not len(texts):
            return SCHEMA.empty_table()
        self.augmenter.setup()
        views = views_of(self.augmenter, texts, keys)
        if {len(column) for column in views} != {len(texts)}:
            raise UserError(f"augmenter {self.name!r} must return one view or null for each text")
        return pa.table(dict(zip(_VIEW, views, strict=True)))


def with_cache(augmenter: Augmenter, folder: str) -> Augmenter:
    """Return the augmenter with a cache around each part of it that asks a model or a service."""
    return map_leaves(
        augmenter, lambda leaf: Cached(leaf, folder) if isinstance(leaf, Costly) else leaf
    )


def check_folder(folder: Path, here: bool = True) -> None:
    """Raise UserError for what is no folder, or, if it is of this machine, cannot be written to.

    It need not be there yet, and is not made.
    """
    if address := re.match(r"([A-Za-z][\w+.-]+):/", str(folder)):
        raise UserError(
            f"--cache must be a folder, not an address of {address[1]}://; mount the store, or "
            "choose another --cache"
        )
    if not here:
        return
    there = next(path for path in (folder, *folder.absolute().parents) if os.path.lexists(path))
    try:
        with TemporaryFile(dir=there):
            pass
    except OSError as error:
        why = f"{there} is a file" if there.is_file() else f"{there}: {error.strerror}"
        raise UserError(
            f"cannot write to the cache {folder}: {why}; choose another --cache"
        ) from error


class Tally(NamedTuple):
    """How many views came out of caches, and how many were made for them."""

    kept: int
    made: int

    def __add__(self, other: tuple[object, ...]) -> "Tally":
        """Return the sums."""
        kept, made = Tally(*other)  # type: ignore[arg-type]
        return Tally(self.kept + kept, self.made + made)

    def __sub__(self, other: "Tally") -> "Tally":
        """Return the differences."""
        return Tally(self.kept - other.kept, self.made - other.made)


def tally(augmenters: Iterable[Augmenter]) -> Tally:
    """Return what the caches of these augmenters have given and taken in this process."""
    # Several may share a cache, and settings of an augmenter need not be hashable.
    indexes = {leaf.index for a in augmenters for leaf in leaves(a) if isinstance(leaf, Cached)}
    return sum((index.tally for index in indexes), Tally(0, 0))


class _Run(NamedTuple):
    ids: Ids
    """Sorted: the text's hash, then the key, big-endian."""
    rows: npt.NDArray[np.int64]
    """Where each stands: number of the file << 32 | row."""


class _Index:
    """Where each row of a cache stands: sorted runs, each at least twice as long as the next.

    Threads of a process share it. The list of runs is replaced, not changed: `find` needs no lock.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.files: list[Path] = []
        self.runs: list[_Run] = []
        self.open: OrderedDict[int, pa.Table] = OrderedDict()
        self.tally = Tally(0, 0)
        self.lock = threading.Lock()

    def count(self, tally: Tally) -> None:
        """Add to the tally."""
        with self.lock:
            self.tally += tally

    def refresh(self) -> None:
        """Take in the files that were added since, by whichever process."""
        with self.lock:
            known = set(self.files)
            for path in sorted(self.folder.glob("*.parquet")):
                if path not in known:
                    table = _read(path, columns=["text_hash", "key"])
                    hashes, keys = table["text_hash"].to_pylist(), table["key"].to_pylist()
                    self._enter(path, _joined(hashes, keys))

    def find(self, ids: Ids) -> npt.NDArray[np.int64]:
        """Return where a row of each of these ids, or prefixes of ids, stands; -1 for nowhere."""
        found = np.full(len(ids), -1, np.int64)
        whole = ids.astype("S24")  # a prefix stands before all ids that begin with it
        for run in self.runs:
            at = np.minimum(np.searchsorted(run.ids, whole), len(run.ids) - 1)
            found = np.where(run.ids[at].astype(ids.dtype) == ids, run.rows[at], found)
        return found

    def read(self, rows: npt.NDArray[np.int64]) -> pa.Table:
        """Return the rows that stand there, in this order."""
        numbers, back = np.unique(rows >> 32, return_inverse=True)
        with self.lock:
            tables = [SCHEMA.empty_table(), *map(self._table, numbers.tolist())]
        starts = np.cumsum([len(table) for table in tables])
        at = starts[back.reshape(-1)] + (rows & 0xFFFFFFFF)
        return pa.concat_tables(tables).take(pa.array(at))

    def _table(self, number: int) -> pa.Table:
        table = self.open.pop(number, None)
        if table is None:
            table = _read(self.files[number], schema=SCHEMA)
        self.open[number] = table
        if len(self.open) > _OPEN_FILES:
            self.open.popitem(last=False)
        return table

    def add(self, table: pa.Table) -> None:
        """Write the rows as a file of the cache, whole or not at all."""
        sink = pa.BufferOutputStream()
        pq.write_table(table, sink, compression="zstd")
        data = sink.getvalue()
        path = self.folder / f"{xxh3_128_hexdigest(data)}.parquet"
        try:
            put(path, data)
        except UserError as error:
            raise UserError(
                f"cannot write to the cache {path.parent}: {error.__cause__}; "
                "make room or choose another --cache"
            ) from error
        ids = _joined(table["text_hash"].to_pylist(), table["key"].to_pylist())
        with self.lock:
            self._enter(path, ids)

    def _enter(self, path: Path, ids: Ids) -> None:
        rows = np.arange(len(ids)) | len(self.files) << 32
        self.files.append(path)
        runs = list(self.runs)
        while runs and len(runs[-1].ids) < 2 * len(ids):
            run = runs.pop()
            ids, rows = np.concatenate([run.ids, ids]), np.concatenate([run.rows, rows])
        order = np.argsort(ids, kind="stable")
        self.runs = [*runs, _Run(ids[order], rows[order])]


def _read(path: Path, **options: Any) -> pa.Table:
    """Return a file of the cache. Raises UserError when it is damaged or has gone."""
    try:
        return pq.read_table(path, **options)
    except FileNotFoundError as error:
        raise UserError(
            f"{path} of the cache was removed while it was in use; run the command again"
        ) from error
    except (pa.ArrowException, OSError) as error:
        said = " ".join(str(error).split())
        raise UserError(f"{path} of the cache is damaged: {said}; remove it") from error


@functools.cache
def _index(process: int, folder: str, step: str) -> _Index:
    """Return the cache as this process knows it: a forked one must not share its lock."""
    return _Index(Path(folder) / step[:32])


def _ids(texts: pa.StringArray, keys: Keys) -> Ids:
    return _joined(map(xxh3_128_digest, texts.cast(pa.binary()).to_pylist()), keys.tolist())


def _joined(hashes: Iterable[bytes], keys: Iterable[int]) -> Ids:
    return np.array(
        [text + key.to_bytes(8, "big") for text, key in zip(hashes, keys, strict=True)], "S24"
    )


def _rows(ids: Ids, views: pa.Table) -> pa.Table:
    """Return rows of SCHEMA."""
    raw = np.ascontiguousarray(ids).view("u1").reshape(-1, 24)
    hashes = pa.array(map(bytes, raw[:, :16]), pa.binary(16))
    keys = pa.array(raw[:, 16:].copy().view(">u8").reshape(-1).astype(np.uint64))
    return pa.table([hashes, keys, *views.columns], schema=SCHEMA).combine_chunks()


def _whole(column: pa.ChunkedArray) -> pa.StringArray:
    """Return a column as one array."""
    return pa.concat_arrays(column.chunks) if column.num_chunks else pa.array([], pa.string())
