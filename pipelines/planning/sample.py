"""Putting a sample through the functions of a build, each stage timed by itself."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pairsmith.pipelines.accounts import ShardResult, Totals, add_up
from pairsmith.pipelines.pairing.rejected import NOTHING_REJECTED, rejected_batch
from pairsmith.pipelines.planning.costs import Cost, Stopwatch
from pairsmith.pipelines.planning.scan import Scan
from pairsmith.pipelines.reading.blocks import BLOCKS, segment_documents
from pairsmith.pipelines.reading.duplicates import find_all_copies
from pairsmith.pipelines.recipe.recipe import Recipe
from pairsmith.pipelines.shards.fill import fill_shard, write_parquet
from pairsmith.pipelines.shards.parts import Tag, block_parts, rejected_parts
from pairsmith.pipelines.shards.spill import Spill
from pairsmith.schemas import REJECTED

COPIES = "duplicates"
"""The stage that drops copies."""
_FIRST_BYTES = {False: 128 << 10, True: 2 << 10}
"""Of text in the first timed run, without and with a step that asks a model."""
_LAST_BYTES = 2 << 20
_FEW_UNITS = 8
"""Of each document, where a step asks a model: many documents tell more than many units."""
_ASKED_UNITS = 256
"""About how many units a model is asked for: what a service answers may cost money."""


@dataclass(frozen=True)
class Size:
    """What the files of a folder take on the disk."""

    a_file: float
    """Bytes of a file without rows."""
    a_row: float
    """Bytes that a row adds."""


@dataclass(frozen=True)
class Tried:
    """What became of the sample."""

    totals: Totals
    documents: int
    copies: int
    """Rows that stood for those which the whole input drops and fails before pairing."""
    text_bytes: int
    units: int
    filled_units: int
    sizes: dict[str, Size]
    """Of files, by folder."""
    pair_memory: float
    """Bytes of a pair in memory."""
    cut: Cost
    fill: Cost


def try_out(recipe: Recipe, found: Scan, folder: Path, seconds: float, batch_rows: int) -> Tried:
    """Put documents through the build's functions, ever more at a time, until time is over."""
    costly, documents = recipe.costly, found.documents
    rejected = sum(sum(counts.values()) for counts in found.rejected.values()) / found.kept
    nothing = NOTHING_REJECTED
    warm = _cut(recipe, documents[:2], nothing, folder / "warm")
    _fill(recipe, _few(warm), folder / "warm", batch_rows)
    results, cut, fill = list[ShardResult](), Stopwatch(), Stopwatch()
    used = copies = text_bytes = units = filled = memory = rows = 0
    ends = time.monotonic() + seconds
    for number, chunk in enumerate(_chunks(documents, _FIRST_BYTES[costly])):
        with cut:
            copied = _copied(chunk, round(len(chunk) * rejected))
            parts = _cut(recipe, chunk, copied, folder / f"spill-{number}")
        units += _own(parts)
        if costly:
            parts = _few(parts)
        output = folder / f"{number}"
        with fill:
            result = _fill(recipe, parts, output, batch_rows)
        results.append(result)
        used += len(chunk)
        copies += len(copied)
        text_bytes += sum(map(len, chunk["text"].cast(pa.binary()).to_pylist()))
        filled += result.units["made"]
        if file := result.files.get("shards"):
            memory += pq.read_table(output / file.path).nbytes
            rows += file.rows
        if time.monotonic() > ends or (costly and filled >= _ASKED_UNITS):
            break
    totals = add_up(used + copies, results)
    return Tried(
        totals=totals,
        documents=used,
        copies=copies,
        text_bytes=text_bytes,
        units=units,
        filled_units=filled,
        sizes=_sizes(results, recipe, folder),
        pair_memory=memory / max(1, rows),
        cut=cut.cost,
        fill=fill.cost,
    )


def _sizes(results: Sequence[ShardResult], recipe: Recipe, folder: Path) -> dict[str, Size]:
    sizes = {}
    for name, schema in (("shards", recipe.schema), ("dropped", REJECTED), ("failed", REJECTED)):
        empty = write_parquet([], schema, str(folder), name).bytes
        files = [result.files[name] for result in results if name in result.files]
        rows = sum(file.rows for file in files)
        sizes[name] = Size(empty, sum(file.bytes - empty for file in files) / max(1, rows))
    return sizes


Parts = list[tuple[Tag, pa.RecordBatch]]


def _cut(recipe: Recipe, documents: pa.RecordBatch, copied: pa.RecordBatch, folder: Path) -> Parts:
    """Cut documents and spill the parts, as a task does."""
    cut = segment_documents(documents, recipe.source.segment, recipe.margins)
    spill = Spill(folder)
    parts: Parts = [("blocks", cut.blocks), ("dropped", cut.dropped), ("failed", cut.failed)]
    parts.append(("dropped", copied))
    for tag, batch in parts:
        if tag == "blocks":
            found = block_parts(batch, recipe.shards)
        else:
            found = rejected_parts(tag, batch, recipe.shards)
        for part in found:
            spill.add(part)
    spill.flush()
    return parts


def _copied(documents: pa.RecordBatch, count: int) -> pa.RecordBatch:
    """Return rows like those which are dropped as copies, for their weight alone."""
    if not count:
        return NOTHING_REJECTED
    ids = documents["source_id"].take(pa.array(np.arange(count) % len(documents)))
    detail = pc.binary_join_element_wise("kept", ids, " ")
    told = {"stage": COPIES, "reason": "same text", "detail": detail}
    return rejected_batch(count, source_id=ids, **told)


def _own(parts: Parts) -> int:
    return sum(int(batch["own"].to_numpy().sum()) for tag, batch in parts if tag == "blocks")


def _few(parts: Parts) -> Parts:
    """Leave of every document the first few units of its first block."""
    blocks = pa.Table.from_batches([b for tag, b in parts if tag == "blocks"], BLOCKS).to_pylist()
    some = [
        {**block, "own": min(block["own"], _FEW_UNITS), "blocks": 1}
        for block in blocks
        if block["block"] == 0
    ]
    rest = [(tag, batch) for tag, batch in parts if tag != "blocks"]
    return [("blocks", pa.RecordBatch.from_pylist(some, BLOCKS)), *rest]


def _fill(recipe: Recipe, parts: Parts, output: Path, batch_rows: int) -> ShardResult:
    return fill_shard(0, parts, recipe, str(output), batch_rows)


def _chunks(documents: pa.RecordBatch, first: int) -> Iterator[pa.RecordBatch]:
    """Yield runs of documents that double in size."""
    sizes = [len(text) for text in documents["text"].cast(pa.binary()).to_pylist()]
    start, limit = 0, first
    while start < len(documents):
        stop, taken = start, 0
        while stop < len(documents) and (stop == start or taken + sizes[stop] <= limit):
            taken += sizes[stop]
            stop += 1
        yield documents[start:stop]
        start, limit = stop, min(2 * limit, _LAST_BYTES)


def copies_cost(found: Scan) -> Cost:
    """Return what finding copies costs a row."""
    with Stopwatch() as watch:
        find_all_copies([found.keys])
    return watch.cost * (1 / max(1, len(found.keys)))
