"""The Beam steps of a build. They only wire: what happens to rows is in the modules beside this.

Between shuffles the elements are Arrow batches; what goes to a shard is a part (parts.py). Every
step may run twice, or in two places at once: what it writes has a name and a content that depend on
its input alone.
"""

from collections.abc import Iterable, Iterator
from typing import Any

import apache_beam as beam
import numpy as np
import pyarrow as pa
from apache_beam.pvalue import AsIter, TaggedOutput

from pairsmith.pipelines.batches import joined
from pairsmith.pipelines.engines.watch import count
from pairsmith.pipelines.job import Job, StepResult, as_array, progress_of
from pairsmith.pipelines.reading.cut import cut_documents, keep_documents
from pairsmith.pipelines.reading.duplicates import (
    COPIES,
    KEYS,
    Same,
    copies_file,
    find_copies,
    keys_of,
)
from pairsmith.pipelines.reading.read import read_split
from pairsmith.pipelines.reading.splits import Split
from pairsmith.pipelines.shards.fill import fill_shard
from pairsmith.pipelines.shards.parts import SCHEMAS, Keyed, Part, Tag, read_batch, scatter
from pairsmith.pipelines.storage.files import join, put_file, use_options
from pairsmith.schemas import shard_numbers

RESULTS = "results.json"
_BUCKETS = 64


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

    copies: what `FindCopies` yields, to wait for.
    """

    def __init__(self, job: Job, copies: beam.PCollection[int]) -> None:
        super().__init__()
        self.job = job
        self.copies = copies

    def expand(self, splits: beam.PCollection[Split]) -> Any:
        """Wire the steps."""
        read = splits | "Read" >> beam.ParDo(_Read(self.job), AsIter(self.copies)).with_outputs(
            "parts", "results", main="documents"
        )
        cut = read.documents | "Segment" >> beam.ParDo(_Segment(self.job))
        return _together("Parts", [read.parts, cut], Part), read.results


class BuildDataset(beam.PTransform[Any, Any]):
    """Splits -> the files of a dataset but its manifest, and its results.

    last: the step that gets all results at once; by default they go to `results.json`.
    """

    def __init__(self, job: Job, last: beam.DoFn | None = None) -> None:
        super().__init__()
        self.job = job
        self.last = last or _WriteResults(job)

    def expand(self, splits: beam.PCollection[Split]) -> beam.PCollection[None]:
        """Wire the steps."""
        copies = splits | "FindCopies" >> FindCopies(self.job)
        parts, read = splits | "Cut" >> CutDocuments(self.job, copies)
        fill = beam.ParDo(_Fill(self.job)).with_resource_hints(**dict(self.job.hints))
        filled = parts | "GroupShards" >> beam.GroupByKey() | "FillShards" >> fill
        results = _together("Results", [filled, read], Keyed)
        written: beam.PCollection[None] = (
            results | "GroupResults" >> beam.GroupByKey() | "Finish" >> beam.ParDo(self.last)
        )
        return written


class _Step(beam.DoFn):
    def __init__(self, job: Job) -> None:
        self.job = job

    def setup(self) -> None:
        use_options(self.job.store_flags)


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
    def process(self, split: Split, waited_for: Iterable[int]) -> Iterator[Any]:
        rows = 0
        for kept in keep_documents(self.job, split):
            rows += kept.rows
            count(self.job.progress, rows=kept.rows)
            if len(kept.documents):
                yield kept.documents
            for part in kept.parts:
                yield TaggedOutput("parts", part)
        count(self.job.progress, bytes=split.bytes)
        yield TaggedOutput("results", (0, StepResult(rows_read=rows).to_json()))


class _Segment(_Step):
    def process(self, documents: pa.RecordBatch) -> Iterator[Part]:
        yield from cut_documents(documents, self.job.recipe)


class _Fill(_Step):
    def setup(self) -> None:
        super().setup()
        self.job.recipe.setup()

    def process(self, group: tuple[int, Iterable[tuple[Tag, bytes]]]) -> Iterator[Keyed]:
        number, data = group
        parts = ((tag, read_batch(batch, SCHEMAS[tag])) for tag, batch in data)
        job = self.job
        result = fill_shard(number, parts, job.recipe, job.output, job.batch_rows)
        count(job.progress, **progress_of(result))
        yield 0, StepResult(shard=result).to_json()


class _WriteResults(_Step):
    def process(self, group: tuple[int, Iterable[bytes]]) -> None:
        put_file(join(self.job.work, RESULTS), as_array(group[1]))


def _read_all(data: Iterable[bytes], schema: pa.Schema) -> pa.RecordBatch:
    return joined([read_batch(one, schema) for one in data], schema)


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
