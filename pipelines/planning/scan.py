"""Looking through an input to foresee a build: its rows, its copies, and documents drawn from it.

A small input is read whole, so its copies are counted. Of a large one a part of every one of some
splits is read, and copies are estimated by how fast new texts still turn up.
"""

from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from apache_beam.io.filesystem import CompressionTypes
from apache_beam.io.filesystems import FileSystems

from pairsmith.pipelines.planning.costs import Cost, Stopwatch
from pairsmith.pipelines.reading.duplicates import KEYS, keys_of
from pairsmith.pipelines.reading.read import DOCUMENTS, Read, read_split
from pairsmith.pipelines.reading.splits import Split, codec_of, open_input
from pairsmith.pipelines.recipe.recipe import Documents
from pairsmith.schemas import group_ids

WHOLE_BYTES = 32 << 20
SOME_ROWS = 500_000
_SPLITS = 64
_DRAWN_BYTES = 4 << 20
_KEYS = 65_536
_PEEK_BYTES = 4 << 20
Hashes = npt.NDArray[np.uint64]
Numbers = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Scan:
    """What an input seems to hold; estimates unless it was read whole."""

    whole: bool
    seen: int
    """Rows read."""
    rows: float
    """Rows of the whole input."""
    kept: float
    """Documents of the whole input that are neither rejected nor copies of another."""
    bytes: float
    """Of their texts, in UTF-8."""
    rejected: dict[str, dict[str, float]]
    """Rows of the whole input by `dropped` or `failed`, and by `stage: reason`."""
    documents: pa.RecordBatch
    """DOCUMENTS drawn from those that are kept, each as likely as the other, in random order."""
    keys: pa.RecordBatch
    """KEYS of some rows."""
    read: Cost
    """Of reading the rows that were seen."""


def scan(
    splits: Sequence[Split],
    source: Documents,
    batch_rows: int,
    whole_bytes: int = WHOLE_BYTES,
    some_rows: int = SOME_ROWS,
) -> Scan:
    """Return what the splits hold.

    whole_bytes: up to which size on the disk they are read whole. some_rows: how many rows are read
    of larger ones, an equal share of every split that is looked at.
    """
    size = sum(split.bytes for split in splits)
    whole = size <= whole_bytes
    chosen = splits if whole else _spread(splits, _SPLITS)
    limit = None if whole else max(1, some_rows // len(chosen))
    batch_rows = min(batch_rows, limit or batch_rows)
    seen, rows = _Seen(), 0.0
    for split in chosen:
        before = seen.rows
        last = seen.read(split, source, batch_rows, limit)
        share = 1.0 if last is None else _share(split, seen.rows - before, last)
        rows += (seen.rows - before) / share
    rows *= size / (sum(split.bytes for split in chosen) or 1) if not whole else 1
    return seen.scanned(max(rows, seen.rows), whole)


class _Seen:
    """What has been seen of an input so far."""

    def __init__(self) -> None:
        self.rows = 0
        self._rejected: dict[str, Counter[str]] = {"dropped": Counter(), "failed": Counter()}
        self._hashes: list[tuple[Hashes, Hashes, Numbers]] = []
        self._drawn: list[pa.RecordBatch] = []
        self._drawn_bytes = 0
        self._threshold = np.uint64(2**64 - 1)
        self._keys: list[pa.RecordBatch] = []
        self._watch = Stopwatch()

    def read(
        self, split: Split, source: Documents, batch_rows: int, limit: int | None
    ) -> int | None:
        """Read rows of a split; return the position of the last, None when it is read to the end.

        limit: about how many rows; None for all.
        """
        reads, start = read_split(split, source, batch_rows), self.rows
        while True:
            with self._watch:
                read = next(reads, None)
            if read is None:
                return None
            self._take(read, split.file)
            if limit is not None and self.rows - start >= limit:
                reads.close()  # type: ignore[attr-defined]
                batches = (read.documents, read.dropped, read.failed)
                return max(pc.max(b["position"]).as_py() or 0 for b in batches if len(b))

    def _take(self, read: Read, file: int) -> None:
        self.rows += read.rows
        for folder, batch in (("dropped", read.dropped), ("failed", read.failed)):
            reasons = pc.binary_join_element_wise(batch["stage"], batch["reason"], ": ")
            for found in reasons.value_counts().to_pylist():
                self._rejected[folder][found["values"]] += found["counts"]
        documents = read.documents
        if not len(documents):
            return
        if sum(map(len, self._keys)) < _KEYS:
            self._keys.append(keys_of(documents, file))
        ids, texts = group_ids(documents["source_id"]), _in_order(documents["text_id"])
        sizes = pc.binary_length(documents["text"]).to_numpy().astype(np.int64)
        self._hashes.append((ids, texts, sizes))
        drawn = texts <= self._threshold
        self._drawn.append(documents.filter(pa.array(drawn)))
        self._drawn_bytes += int(sizes[drawn].sum())
        if self._drawn_bytes > 2 * _DRAWN_BYTES:
            self._draw()

    def _draw(self) -> pa.RecordBatch:
        """Keep those documents whose texts have the least ids, one of each text and id.

        The copy of an id that a build keeps has the least text id, so it is here if any is.
        """
        table = pa.Table.from_batches(self._drawn, DOCUMENTS).combine_chunks()
        documents = table.to_batches()[0]
        hashes = _in_order(documents["text_id"])
        order = pc.sort_indices(
            table.select(["text_id", "source_id"]),
            sort_keys=[("text_id", "ascending"), ("source_id", "ascending")],
        ).to_numpy()
        for values in (group_ids(documents["source_id"]), hashes):
            _, first = np.unique(values[order], return_index=True)
            order = order[np.sort(first)]
        sizes = np.cumsum(pc.binary_length(documents["text"]).to_numpy()[order])
        keep = max(1, int(np.searchsorted(sizes, _DRAWN_BYTES)))
        if keep < len(order):
            self._threshold = hashes[order[keep]]
        drawn = documents.take(pa.array(order[:keep]))
        self._drawn = [drawn]
        self._drawn_bytes = int(sizes[keep - 1])
        return drawn

    def scanned(self, rows: float, whole: bool) -> Scan:
        """Return what the input holds if it has so many rows."""
        scale = rows / max(1, self.rows)
        rejected = {
            folder: {reason: count * scale for reason, count in counts.items()}
            for folder, counts in self._rejected.items()
        }
        none = pa.RecordBatch.from_pylist([], DOCUMENTS)
        if not self._hashes:
            no_keys = pa.RecordBatch.from_pylist([], KEYS)
            return Scan(whole, self.rows, rows, 0, 0, rejected, none, no_keys, self._watch.cost)
        kept, size, copies = _settle(self._hashes, scale, whole)
        for reason, count in copies.items():
            if count >= 0.5:
                rejected["dropped"][f"duplicates: {reason}"] = count
        keys = pa.Table.from_batches(self._keys).combine_chunks().to_batches()[0]
        documents = self._draw()
        return Scan(whole, self.rows, rows, kept, size, rejected, documents, keys, self._watch.cost)


def _settle(
    batches: Sequence[tuple[Hashes, Hashes, Numbers]], scale: float, whole: bool
) -> tuple[float, float, dict[str, float]]:
    """Return how many documents stay, the bytes of their texts, and the copies by reason.

    batches: hashes of ids and of texts, and sizes, for each batch of rows. Ids are settled before
    texts, as in a build.
    """
    ids, texts, sizes = (np.concatenate(columns) for columns in zip(*batches, strict=True))
    batch = np.repeat(np.arange(len(batches)), [len(first) for first, *_ in batches])
    order = np.lexsort((texts, ids))
    new = np.r_[True, ids[order][1:] != ids[order][:-1]]
    first = np.maximum.accumulate(np.where(new, np.arange(len(order)), 0))
    same_text = int((texts[order] == texts[order[first]])[~new].sum())
    same_id = int((~new).sum()) - same_text
    survivors = order[new]
    _, at = np.unique(texts[survivors], return_index=True)
    stay = survivors[at]
    same_text += len(survivors) - len(stay)
    if whole:
        return len(stay), float(sizes[stay].sum()), {"same text": same_text, "same id": same_id}
    rows = len(ids) * scale
    of_ids = distinct(ids, batch, rows)
    kept = distinct(texts[survivors], batch[survivors], of_ids)
    told = same_text + same_id or 1
    copies = rows - kept
    shares = {"same id": copies * same_id / told, "same text": copies * (1 - same_id / told)}
    return kept, float(sizes[stay].mean()) * kept, shares


def distinct(values: Hashes, batch: Numbers, rows: float) -> float:
    """Return about how many distinct values there are among `rows`, of which these are a part.

    batch: which run of rows each comes from. The number grows as a power of the rows read (Heaps'
    law), whose exponent is the share of values that one run alone has: so values that repeat next
    to each other and values that repeat everywhere are both told. On real texts this is nearer than
    estimators that take rows for drawn one by one (GEE, Chao1, the jackknife). Copies that lie far
    apart in an input of which little is read are not seen.
    """
    _, value = np.unique(values, return_inverse=True)
    found = int(value.max()) + 1
    places = np.unique(value * (int(batch.max()) + 1) + batch) // (int(batch.max()) + 1)
    alone = int((np.bincount(places, minlength=found) == 1).sum())
    growth = float(rows / len(values))
    return min(rows, found * float(growth ** (alone / found)))


def _in_order(text_ids: pa.StringArray) -> Hashes:
    """Return the first half of each text id as a number, so that numbers are in its order."""
    digits = bytes.fromhex("".join(text_ids.to_pylist()))
    return np.frombuffer(digits, ">u8")[::2].astype(np.uint64)


def _spread(splits: Sequence[Split], count: int) -> Sequence[Split]:
    """Return at most `count` of the splits, evenly spread."""
    if len(splits) <= count:
        return splits
    return [splits[number * len(splits) // count] for number in range(count)]


def _share(split: Split, rows: int, last: int) -> float:
    """Return about what share of a split was read when `last` is the position of its last row."""
    if split.format == "parquet":
        with open_input(split.path) as stream, pq.ParquetFile(stream) as file:
            groups = range(split.start, split.stop)
            share = rows / max(1, sum(file.metadata.row_group(g).num_rows for g in groups))
    elif split.stop >= 0:
        share = (last - split.start) / max(1, split.bytes)
    else:
        lines = last if split.format == "csv" else rows  # positions of CSV are lines
        share = lines * _bytes_a_line(split.path) / max(1, split.bytes)
    return min(1.0, max(float(share), 1e-9))


def _bytes_a_line(path: str) -> float:
    """Return how many bytes on the disk a line of a file takes that cannot be cut."""
    raw = FileSystems.open(path, compression_type=CompressionTypes.UNCOMPRESSED)
    codec = codec_of(path)
    lines = 0
    with raw, suppress(pa.ArrowException):
        stream = raw if codec is None else pa.CompressedInputStream(pa.PythonFile(raw, "r"), codec)
        left = _PEEK_BYTES
        while left > 0 and (data := stream.read(1 << 20)):
            lines += bytes(data).count(b"\n")
            left -= len(data)
        return float(raw.tell()) / max(1, lines)
    return 1.0
