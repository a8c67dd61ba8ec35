"""The Beam steps of a build. They only wire: what happens to rows is in the modules beside this.

Between shuffles the elements are Arrow batches; what goes to a shard is a part:
`(shard, (tag, batch serialised without its schema))`. Every step may run twice, or in two places
at once: what it writes has a name and a content that depend on its input alone.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import apache_beam as beam
import numpy as np
import numpy.typing as npt
import orjson
import pyarrow as pa
import pyarrow.compute as pc
from apache_beam.pvalue import AsIter, TaggedOutput

from pairsmith.pipelines.accounts import ShardResult
from pairsmith.pipelines.blocks import segment_documents
from pairsmith.pipelines.duplicates import (
    COPIES,
    KEYS,
    Same,
    copies_file,
    drop_copies,
    find_copies,
    keys_of,
    open_copies,
)
from pairsmith.pipelines.inputs import Split
from pairsmith.pipelines.progress import Address
from pairsmith.pipelines.read import read_split
from pairsmith.pipelines.recipe import Recipe
from pairsmith.pipelines.shards import SCHEMAS, Tag, fill_shard
from pairsmith.pipelines.storage import join, put_file, use_options
from pairsmith.pipelines.watch import count
from pairsmith.schemas import shard_numbers
from pairsmith.schemas.keys import UNITS_PER_BLOCK

RESULTS = "results.json"
WORK = ".work"
WORKERS = "workers"
"""In that folder: the lock that worker processes hold."""
_BUCKETS = 64
Keyed = tuple[int, bytes]
Part = tuple[int, tuple[Tag, bytes]]


@dataclass(frozen=True)
class Job:
    """What every step of one build must know."""

    recipe: Recipe
    output: str
    """Where the files of the dataset go."""
    work: str
    """Where the files go that only the build needs."""
    batch_rows: int
    """Rows read, and units augmented, at a time. Does not change the result."""
    progress: Address | None = None
    previous: str = ""
    """The finished dataset that this build replaces, whose shards may be used again."""
    stamp: str = ""
    """Digest of the recipe and of what else can change the bytes."""
    store_flags: tuple[str, ...] = ()
    """Beam flags that workers need to reach object stores; not every engine hands flags on."""
    hints: tuple[tuple[str, str], ...] = ()
    """Beam's resource hints for the step that makes pairs."""

    def copies(self, file: int) -> str:
        """Return the path of the COPIES of an input file."""
        return join(self.work, "copies", f"{file:05d}.parquet")


class FindCopies(beam.PTransform[Any, Any]):
    """Splits -> one file of COPIES for each input file that has some, and those files' numbers."""

    def __init__(self, job: Job) -> None:
        super().__init__()
        self.job = job

    def expand(self, splits: beam.PCollection[Split]) -> beam.PCollection[int]:
        """Wire the steps."""
        keys = splits | "ReadKeys" >> beam.ParDo(_ReadKeys(self.job))
        copies = []
        columns: tuple[Same, ...] = ("source_id", "text_id")
        for same in columns:
            found = (
                keys
                | f"KeyBy_{same}" >> beam.FlatMap(_by_value, same).with_output_types(Keyed)
                | f"GroupBy_{same}" >> beam.GroupByKey()
                | f"FindCopies_{same}"
                >> beam.ParDo(_FindCopies(same)).with_outputs("copies", main="kept")
            )
            keys = found.kept
            copies.append(found.copies)
        written: beam.PCollection[int] = (
            _together("Copies", copies, Keyed)
            | "GroupByFile" >> beam.GroupByKey()
            | "WriteCopies" >> beam.ParDo(_WriteCopies(self.job))
        )
        return written


class CutDocuments(beam.PTransform[Any, Any]):
    """Splits -> parts for the shards, and the number of rows read as results.

    copies: what `FindCopies` yields, to wait for; None when its files are there already.
    """

    def __init__(self, job: Job, copies: beam.PCollection[int] | None = None) -> None:
        super().__init__()
        self.job = job
        self.copies = copies

    def expand(self, splits: beam.PCollection[Split]) -> Any:
        """Wire the steps."""
        wait = () if self.copies is None else (AsIter(self.copies),)
        read = splits | "Read" >> beam.ParDo(_Read(self.job), *wait).with_outputs(
            "parts", "results", main="documents"
        )
        cut = read.documents | "Segment" >> beam.ParDo(_Segment(self.job))
        return _together("Parts", [read.parts, cut], Part), read.results


class BuildDataset(beam.PTransform[Any, Any]):
    """Splits -> the files of a dataset but its manifest, and its results.

    last: what becomes of the results; by default they go to `results.json`.
    """

    def __init__(self, job: Job, last: beam.PTransform[Any, Any] | None = None) -> None:
        super().__init__()
        self.job = job
        self.last = last or WriteResults(join(job.work, RESULTS), job.store_flags)

    def expand(self, splits: beam.PCollection[Split]) -> beam.PCollection[None]:
        """Wire the steps."""
        copies = splits | "FindCopies" >> FindCopies(self.job)
        parts, read = splits | "Cut" >> CutDocuments(self.job, copies)
        fill = beam.ParDo(_Fill(self.job)).with_resource_hints(**dict(self.job.hints))
        filled = parts | "GroupShards" >> beam.GroupByKey() | "FillShards" >> fill
        results = _together("Results", [filled, read], Keyed)
        written: beam.PCollection[None] = results | "WriteResults" >> self.last
        return written


class WriteResults(beam.PTransform[Any, Any]):
    """Results -> one file that holds them as a JSON array."""

    def __init__(self, path: str, store_flags: Sequence[str] = ()) -> None:
        super().__init__()
        self.path = path
        self.store_flags = store_flags

    def expand(self, results: beam.PCollection[Keyed]) -> beam.PCollection[None]:
        """Wire the steps."""
        grouped = results | "Group" >> beam.GroupByKey()
        written: beam.PCollection[None] = grouped | "Write" >> beam.ParDo(
            _WriteResults(self.path, self.store_flags)
        )
        return written


class _Step(beam.DoFn):
    def __init__(self, job: Job) -> None:
        self.job = job

    def setup(self) -> None:
        use_options(self.job.store_flags)

    def parts(self, tag: Tag, batch: pa.RecordBatch) -> Iterator[Part]:
        """Yield rejected rows as parts: with their source's first unit, or spread by place."""
        if len(batch):
            places = [batch["path"], pc.cast(batch["position"], pa.string())]
            place = pc.binary_join_element_wise(*places, ":", null_handling="replace")
            owners = pc.coalesce(batch["source_id"], place)
            zeros = np.zeros(len(batch), np.int32)
            numbers = shard_numbers(owners, zeros, self.job.recipe.shards)
            for number, data in scatter(batch, numbers):
                yield number, (tag, data)


class _ReadKeys(_Step):
    def process(self, split: Split) -> Iterator[pa.RecordBatch]:
        for read in read_split(split, self.job.recipe.source, self.job.batch_rows):
            if len(read.documents):
                yield keys_of(read.documents, split.file)


class _FindCopies(beam.DoFn):
    def __init__(self, same: Same) -> None:
        self.same = same

    def process(self, group: tuple[int, Iterable[bytes]]) -> Iterator[Any]:
        kept, copies = find_copies(_read_all(group[1], KEYS), self.same)
        yield kept
        for file, data in scatter(copies, copies["file"].to_numpy().astype(np.int64)):
            yield TaggedOutput("copies", (file, data))


class _WriteCopies(_Step):
    def process(self, group: tuple[int, Iterable[bytes]]) -> Iterator[int]:
        file, data = group
        copies = pa.Table.from_batches([_read_all(data, COPIES)])
        put_file(self.job.copies(file), copies_file(copies))
        yield file


class _Read(_Step):
    def process(self, split: Split, waited_for: Iterable[int] = ()) -> Iterator[Any]:
        rows = 0
        with open_copies(self.job.copies(split.file)) as known:
            for read in read_split(split, self.job.recipe.source, self.job.batch_rows):
                rows += read.rows
                count(self.job.progress, rows=read.rows)
                documents, copies = drop_copies(read.documents, known)
                if len(documents):
                    yield documents
                rejected: list[tuple[Tag, pa.RecordBatch]] = [
                    *(("dropped", read.dropped), ("dropped", copies), ("failed", read.failed))
                ]
                for tag, batch in rejected:
                    for part in self.parts(tag, batch):
                        yield TaggedOutput("parts", part)
        count(self.job.progress, bytes=split.bytes)
        yield TaggedOutput("results", (0, orjson.dumps({"rows_read": rows})))


class _Segment(_Step):
    def process(self, documents: pa.RecordBatch) -> Iterator[Part]:
        recipe = self.job.recipe
        cut = segment_documents(documents, recipe.source.segment, recipe.margins)
        first_units = cut.blocks["block"].to_numpy() * UNITS_PER_BLOCK
        numbers = shard_numbers(cut.blocks["source_id"], first_units, recipe.shards)
        for number, data in scatter(cut.blocks, numbers):
            yield number, ("blocks", data)
        yield from self.parts("dropped", cut.dropped)
        yield from self.parts("failed", cut.failed)


class _Fill(_Step):
    def setup(self) -> None:
        super().setup()
        self.job.recipe.setup()

    def process(self, group: tuple[int, Iterable[tuple[Tag, bytes]]]) -> Iterator[Keyed]:
        number, parts = group
        batches = ((tag, read_batch(data, SCHEMAS[tag])) for tag, data in parts)
        yield 0, fill(self.job, number, batches)


class _WriteResults(beam.DoFn):
    def __init__(self, path: str, store_flags: Sequence[str]) -> None:
        self.path = path
        self.store_flags = store_flags

    def setup(self) -> None:
        use_options(self.store_flags)

    def process(self, group: tuple[int, Iterable[bytes]]) -> None:
        put_file(self.path, as_array(group[1]))


def cut_split(job: Job, split: Split, keep: Callable[[Part], None]) -> bytes:
    """Do what `CutDocuments` does to a split: give its parts to `keep` and return its result."""
    result, segment = b"", _Segment(job)
    for read in _Read(job).process(split):
        if not isinstance(read, TaggedOutput):
            for part in segment.process(read):
                keep(part)
        elif read.tag == "parts":
            keep(read.value)
        else:
            _, result = read.value
    return result


def as_array(results: Iterable[bytes]) -> bytes:
    """Return results, JSON each, as a JSON array that does not depend on their order."""
    return b"[%b]" % b",".join(sorted(results))


def fill(job: Job, number: int, parts: Iterable[tuple[Tag, pa.RecordBatch]]) -> bytes:
    """Make the files of a shard and return its result as JSON."""
    result = fill_shard(number, parts, job.recipe, job.output, job.batch_rows)
    report_shard(job, result)
    return orjson.dumps({"result": result.as_data()})


def report_shard(job: Job, result: ShardResult) -> None:
    """Tell the driver of a shard that is done."""
    pairs = result.pairs
    outcomes = {"dropped": pairs["dropped"], "failed": pairs["failed"]}
    count(job.progress, shards=1, pairs=pairs["written"], **outcomes)


def read_batch(data: bytes, schema: pa.Schema) -> pa.RecordBatch:
    """Return a batch that was serialised without its schema."""
    return pa.ipc.read_record_batch(pa.py_buffer(data), schema)


def _read_all(data: Iterable[bytes], schema: pa.Schema) -> pa.RecordBatch:
    batches = [read_batch(one, schema) for one in data]
    return pa.Table.from_batches(batches, schema).combine_chunks().to_batches()[0]


def _by_value(keys: pa.RecordBatch, same: Same) -> Iterator[Keyed]:
    zeros = np.zeros(len(keys), np.int32)
    yield from scatter(keys, shard_numbers(keys[same], zeros, _BUCKETS))


def _together(label: str, collections: list[Any], kind: object) -> Any:
    """Return the union of collections whose element type Beam cannot see, as tagged outputs."""
    typed = [
        elements | f"{label}{i}" >> beam.Map(_same).with_output_types(kind)
        for i, elements in enumerate(collections)
    ]
    return typed | f"All{label}" >> beam.Flatten()


def _same(element: Any) -> Any:
    return element


def scatter(batch: pa.RecordBatch, numbers: npt.NDArray[np.int64]) -> Iterator[Keyed]:
    """Yield the rows of each number, serialised without their schema."""
    if not len(batch):
        return
    order = np.argsort(numbers, kind="stable")
    ordered = batch.take(pa.array(order))
    found, starts = np.unique(numbers[order], return_index=True)
    for number, start, stop in zip(found, starts, [*starts[1:], len(batch)], strict=True):
        yield int(number), ordered[start:stop].serialize().to_pybytes()
