"""Cutting input: rows become documents, documents become parts for the shards."""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import pyarrow as pa

from pairsmith.pipelines.job import Job, StepResult
from pairsmith.pipelines.progress import report
from pairsmith.pipelines.reading.blocks import segment_documents
from pairsmith.pipelines.reading.duplicates import drop_copies, open_copies
from pairsmith.pipelines.reading.read import read_split
from pairsmith.pipelines.reading.splits import Split
from pairsmith.pipelines.recipe.recipe import Recipe
from pairsmith.pipelines.shards.parts import Part, block_parts, rejected_parts


class Kept(NamedTuple):
    """What became of a run of rows."""

    rows: int
    documents: pa.RecordBatch
    """Those that are no copies: DOCUMENTS."""
    parts: list[Part]
    """All other rows."""


def keep_documents(job: Job, split: Split) -> Iterator[Kept]:
    """Yield what becomes of the rows of a split, at most `batch_rows` and some 8 MiB at a time."""
    shards = job.recipe.shards
    with open_copies(job.copies(split.file)) as known:
        for read in read_split(split, job.recipe.source, job.batch_rows):
            documents, copies = drop_copies(read.documents, known)
            parts = [
                *rejected_parts("dropped", read.dropped, shards),
                *rejected_parts("dropped", copies, shards),
                *rejected_parts("failed", read.failed, shards),
            ]
            yield Kept(read.rows, documents, parts)


def cut_documents(documents: pa.RecordBatch, recipe: Recipe) -> Iterator[Part]:
    """Yield the parts of documents (DOCUMENTS)."""
    cut = segment_documents(documents, recipe.source.segment, recipe.margins)
    yield from block_parts(cut.blocks, recipe.shards)
    yield from rejected_parts("dropped", cut.dropped, recipe.shards)
    yield from rejected_parts("failed", cut.failed, recipe.shards)


def cut_split(job: Job, split: Split, keep: Callable[[Part], None]) -> bytes:
    """Give all parts of a split to `keep`, and return the number of its rows as a result."""
    rows = 0
    for kept in keep_documents(job, split):
        rows += kept.rows
        report(job.progress, rows=kept.rows)
        for part in kept.parts:
            keep(part)
        if len(kept.documents):
            for part in cut_documents(kept.documents, job.recipe):
                keep(part)
    report(job.progress, bytes=split.bytes)
    return StepResult(rows_read=rows).to_json()
