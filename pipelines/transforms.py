"""The Beam steps of a build. They only wire: what happens to rows is in the modules beside this.

Between shuffles the elements are Arrow batches; what goes to a shard is a part:
`(shard, (tag, batch serialised without its schema))`.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import apache_beam as beam
import numpy as np
import numpy.typing as npt
import orjson
import pyarrow as pa
import pyarrow.compute as pc
from apache_beam.pvalue import TaggedOutput

from pairsmith.pipelines.blocks import segment_documents
from pairsmith.pipelines.duplicates import Same, drop_copies
from pairsmith.pipelines.inputs import Split
from pairsmith.pipelines.progress import Address, report
from pairsmith.pipelines.read import DOCUMENTS, read_split
from pairsmith.pipelines.recipe import Recipe
from pairsmith.pipelines.shards import Tag, fill_shard
from pairsmith.schemas import put, shard_numbers
from pairsmith.schemas.keys import UNITS_PER_BLOCK

RESULTS = "results.json"
Keyed = tuple[int, bytes]
Part = tuple[int, tuple[Tag, bytes]]


@dataclass(frozen=True)
class Job:
    """What every step of one build must know."""

    recipe: Recipe
    output: str
    batch_rows: int
    """Rows read, and units augmented, at a time. Does not change the result."""
    progress: Address | None = None


class BuildDataset(beam.PTransform[Any, Any]):
    """Splits -> the files of a dataset but its manifest, and `results.json` to make that of.

    has_ids: whether rows may bring ids of their own. Else equal ids are equal texts, and one
    shuffle of the documents less finds the copies.
    """

    def __init__(self, job: Job, *, has_ids: bool) -> None:
        super().__init__()
        self.job = job
        self.has_ids = has_ids

    def expand(self, splits: beam.PCollection[Split]) -> beam.PCollection[None]:
        """Wire the steps."""
        read = splits | "Read" >> _with_parts(_Read(self.job), "results")
        documents, parts = read.documents, [read.parts]
        columns: tuple[Same, ...] = ("source_id", "text_id") if self.has_ids else ("text_id",)
        for same in columns:
            once = (
                documents
                | f"KeyBy_{same}" >> beam.ParDo(_KeyBy(self.job, same)).with_output_types(Keyed)
                | f"GroupBy_{same}" >> beam.GroupByKey()
                | f"DropCopies_{same}" >> _with_parts(_DropCopies(self.job, same))
            )
            documents = once.documents
            parts.append(once.parts)
        parts.append(documents | "Segment" >> beam.ParDo(_Segment(self.job)))
        results = (
            _together("Parts", parts, Part)
            | "GroupShards" >> beam.GroupByKey()
            | "FillShards" >> beam.ParDo(_FillShard(self.job))
        )
        written: beam.PCollection[None] = (
            _together("Results", [results, read.results], Keyed)
            | "GroupResults" >> beam.GroupByKey()
            | "WriteResults" >> beam.ParDo(_WriteResults(self.job))
        )
        return written


class _Step(beam.DoFn):
    def __init__(self, job: Job) -> None:
        self.job = job

    def parts(self, tag: Tag, batch: pa.RecordBatch) -> Iterator[Part]:
        """Yield rejected rows as parts: with their source's first unit, or spread by place."""
        if len(batch):
            places = [batch["path"], pc.cast(batch["position"], pa.string())]
            place = pc.binary_join_element_wise(*places, ":", null_handling="replace")
            owners = pc.coalesce(batch["source_id"], place)
            zeros = np.zeros(len(batch), np.int32)
            numbers = shard_numbers(owners, zeros, self.job.recipe.shards)
            for number, data in _scatter(batch, numbers):
                yield number, (tag, data)


class _Read(_Step):
    def process(self, split: Split) -> Iterator[Any]:
        rows = 0
        for read in read_split(split, self.job.recipe.source, self.job.batch_rows):
            rows += read.rows
            report(self.job.progress, rows=read.rows)
            yield read.documents
            for part in self.parts("dropped", read.dropped):
                yield TaggedOutput("parts", part)
            for part in self.parts("failed", read.failed):
                yield TaggedOutput("parts", part)
        report(self.job.progress, bytes=split.bytes)
        yield TaggedOutput("results", (0, orjson.dumps({"rows_read": rows})))


class _KeyBy(_Step):
    def __init__(self, job: Job, same: Same) -> None:
        super().__init__(job)
        self.same = same

    def process(self, documents: pa.RecordBatch) -> Iterator[Keyed]:
        zeros = np.zeros(len(documents), np.int32)
        yield from _scatter(
            documents, shard_numbers(documents[self.same], zeros, self.job.recipe.shards)
        )


class _DropCopies(_Step):
    def __init__(self, job: Job, same: Same) -> None:
        super().__init__(job)
        self.same = same

    def process(self, group: tuple[int, Iterable[bytes]]) -> Iterator[Any]:
        batches = [pa.ipc.read_record_batch(pa.py_buffer(data), DOCUMENTS) for data in group[1]]
        table = pa.Table.from_batches(batches, DOCUMENTS).combine_chunks()
        kept, copies = drop_copies(table.to_batches()[0], self.same)
        for start in range(0, len(kept), self.job.batch_rows):
            yield kept[start : start + self.job.batch_rows]
        for part in self.parts("dropped", copies):
            yield TaggedOutput("parts", part)


class _Segment(_Step):
    def process(self, documents: pa.RecordBatch) -> Iterator[Part]:
        recipe = self.job.recipe
        cut = segment_documents(documents, recipe.source.segment, recipe.margins)
        first_units = cut.blocks["block"].to_numpy() * UNITS_PER_BLOCK
        numbers = shard_numbers(cut.blocks["source_id"], first_units, recipe.shards)
        for number, data in _scatter(cut.blocks, numbers):
            yield number, ("blocks", data)
        yield from self.parts("dropped", cut.dropped)
        yield from self.parts("failed", cut.failed)


class _FillShard(_Step):
    def setup(self) -> None:
        self.job.recipe.setup()

    def process(self, group: tuple[int, Iterable[tuple[Tag, bytes]]]) -> Iterator[Keyed]:
        job = self.job
        result = fill_shard(*group, job.recipe, Path(job.output), job.batch_rows)
        pairs = result.pairs
        report(job.progress, shards=1, pairs=pairs["written"], dropped=pairs["dropped"])
        yield 0, orjson.dumps(result.as_data())


class _WriteResults(_Step):
    def process(self, group: tuple[int, Iterable[bytes]]) -> None:
        put(Path(self.job.output) / RESULTS, b"[%b]" % b",".join(group[1]))


def _with_parts(step: beam.DoFn, *others: str) -> Any:
    return beam.ParDo(step).with_outputs("parts", *others, main="documents")


def _together(label: str, collections: list[Any], kind: object) -> Any:
    """Return the union of collections whose element type Beam cannot see, as tagged outputs."""
    typed = [
        elements | f"{label}{i}" >> beam.Map(_same).with_output_types(kind)
        for i, elements in enumerate(collections)
    ]
    return typed | f"All{label}" >> beam.Flatten()


def _same(element: Any) -> Any:
    return element


def _scatter(batch: pa.RecordBatch, numbers: npt.NDArray[np.int64]) -> Iterator[Keyed]:
    """Yield the rows of each number, serialised without their schema."""
    if not len(batch):
        return
    order = np.argsort(numbers, kind="stable")
    ordered = batch.take(pa.array(order))
    found, starts = np.unique(numbers[order], return_index=True)
    for number, start, stop in zip(found, starts, [*starts[1:], len(batch)], strict=True):
        yield int(number), ordered[start:stop].serialize().to_pybytes()
