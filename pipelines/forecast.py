"""Foreseeing a build from a sample of its input: what comes out, how long it takes, what it costs.

The sample goes through the build's own functions, in a folder that is thrown away. Every stage is
timed by itself, after a first run that compiles and loads, and is taken to cost as much for every
row, byte or unit of the whole. What every build costs is measured apart, on a tiny one.
"""

import json
import math
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from apache_beam.internal.cloudpickle import cloudpickle

from pairsmith.pipelines.accounts import ShardResult, Totals, add_up
from pairsmith.pipelines.blocks import BLOCKS, segment_documents
from pairsmith.pipelines.duplicates import find_copies
from pairsmith.pipelines.engine import cores
from pairsmith.pipelines.inputs import plan_inputs
from pairsmith.pipelines.local import plan_work
from pairsmith.pipelines.recipe import Pair, Recipe, View
from pairsmith.pipelines.scan import Cost, Scan, Stopwatch, scan
from pairsmith.pipelines.shards import Tag, fill_shard
from pairsmith.pipelines.spill import Spill
from pairsmith.pipelines.transforms import scatter
from pairsmith.schemas import UserError, shard_numbers
from pairsmith.schemas.keys import UNITS_PER_BLOCK

_FIRST_BYTES = {False: 128 << 10, True: 2 << 10}
"""Of text in the first timed run, without and with a step that asks a model."""
_LAST_BYTES = 2 << 20
_FEW_UNITS = 8
"""Of each document, where a step asks a model: many documents tell more than many units."""
_FILE_BYTES = 200e6
"""Of a shard: what a disk and a network read well."""
_SPREAD_BYTES = 4e6
"""Of a shard, at least, when it is for work to spread that there are several."""
_SHARD_MEMORY = 2 << 30
_HELD = 4
"""How often the pairs of a shard are in memory while they are sorted and written."""
_TINY = """
import sys, time
from pathlib import Path
from apache_beam.internal.cloudpickle import cloudpickle
from pairsmith.pipelines.build import build
recipe, source = cloudpickle.loads(Path(sys.argv[1]).read_bytes()), sys.argv[2]
marks = []
for name in ("first", "second"):
    build(recipe, "", [source], Path(sys.argv[1]).with_name(name), max_failed=1, min_changed=0,
          workers=1, waves=1)
    marks += [time.process_time(), time.perf_counter()]
print(*marks)
"""


@dataclass(frozen=True)
class Fixed:
    """What a build costs whatever its size."""

    process: Cost
    """To start a process that can build."""
    pipeline: Cost
    """To run a pipeline that has nothing to do."""
    setup: Cost
    """To load the models of a recipe."""


@dataclass(frozen=True)
class Forecast:
    """What a build is expected to do; numbers of the whole input."""

    sources: dict[str, int]
    units: int
    pairs: dict[str, int]
    kinds: dict[str, int]
    reasons: dict[str, dict[str, int]]
    bytes: dict[str, int]
    """On disk, by folder."""
    cpu_seconds: float
    """On this machine, of all processes."""
    hours: float
    """On this machine, alone."""
    machines: int
    machines_hours: float
    """On so many machines like this one, without the time that a cluster takes to start."""
    cost: float | None
    """Of the machines' hours; None without a price."""
    workers: int
    """Processes on each machine."""
    shards: int
    """As the recipe says."""
    recommended_shards: int
    tasks: int
    waves: int
    """With the recommended shards."""
    sample: dict[str, Any]
    """How many rows were read, whether that is all, and how many units and pairs were tried."""

    def as_data(self) -> dict[str, Any]:
        """Return the forecast as JSON data."""
        return asdict(self)


@dataclass(frozen=True)
class _Tried:
    """What became of the sample."""

    totals: Totals
    documents: int
    text_bytes: int
    units: int
    filled_units: int
    files: dict[str, tuple[int, int]]
    """(rows, bytes) by folder."""
    pair_memory: float
    """Bytes of a pair in memory."""
    cut: Cost
    cut_bytes: int
    fill: Cost
    timed_units: int


def forecast(
    recipe: Recipe,
    inputs: Sequence[str],
    *,
    seconds: float = 10,
    batch_rows: int = 4096,
    workers: int | None = None,
    waves: int | None = None,
    machines: int = 1,
    price: float | None = None,
) -> Forecast:
    """Return what a build of these inputs is expected to do. Writes nothing but temporary files.

    seconds: about how long the sample may be worked on. price: of a machine for an hour.
    Raises UserError for what a build would refuse at its start.
    """
    recipe.as_data()
    files = plan_inputs(inputs, recipe.source)
    splits = [split for file in files for split in file.splits]
    with Stopwatch() as loading:
        recipe.setup()
    found = scan(splits, recipe.source, batch_rows)
    if not found.rows:
        raise UserError(f"the corpus is empty: no rows in {', '.join(map(repr, inputs))}")
    if not len(found.documents):
        raise UserError("no row of the sample has a text; look at the input")
    with tempfile.TemporaryDirectory(prefix="pairsmith-plan-") as folder:
        tried = _try(recipe, found.documents, Path(folder), seconds, batch_rows)
        fixed = _fixed(recipe, found.documents, Path(folder), loading.cost)
    copies = _copies_cost(found)
    processes = workers or cores()
    shards = _recommended(tried, found, processes, machines)
    plan = plan_work(splits, shards, processes, waves)
    asked = plan_work(splits, recipe.shards, processes, waves)
    costs = _Costs(found, tried, copies, fixed, recipe.costly)
    hours = [
        costs.wall(asked.workers if n == 1 else processes, len(asked.tasks), len(asked.waves), n)
        / 3600
        for n in (1, machines)
    ]
    return Forecast(
        **_expected(found, tried),
        cpu_seconds=costs.cpu(asked.workers, len(asked.tasks), len(asked.waves)),
        hours=hours[0],
        machines=machines,
        machines_hours=hours[1],
        cost=None if price is None else price * machines * hours[1],
        workers=processes if machines > 1 else asked.workers,
        shards=recipe.shards,
        recommended_shards=shards,
        tasks=len(plan.tasks),
        waves=len(plan.waves),
        sample={
            "rows": found.seen,
            "whole": found.whole,
            "units": tried.filled_units,
            "pairs": tried.totals.pairs["made"],
        },
    )


def _try(
    recipe: Recipe, documents: pa.RecordBatch, folder: Path, seconds: float, batch_rows: int
) -> _Tried:
    """Put documents through the build's functions, ever more at a time, until time is over."""
    costly = recipe.costly
    _fill(recipe, _cut(recipe, documents[:2], folder / "warm", True), folder / "warm", batch_rows)
    results, cut, fill = list[ShardResult](), Stopwatch(), Stopwatch()
    used = text_bytes = units = filled = memory = rows = 0
    ends = time.monotonic() + seconds
    for number, chunk in enumerate(_chunks(documents, _FIRST_BYTES[costly])):
        with cut:
            parts = _cut(recipe, chunk, folder / f"spill-{number}", False)
        units += _own(parts)
        if costly:
            parts = _few(parts)
        output = folder / f"{number}"
        with fill:
            result = _fill(recipe, parts, output, batch_rows)
        results.append(result)
        used += len(chunk)
        text_bytes += sum(map(len, chunk["text"].cast(pa.binary()).to_pylist()))
        filled += result.units["made"]
        if file := result.files.get("shards"):
            memory += pq.read_table(output / file.path).nbytes
            rows += file.rows
        if time.monotonic() > ends:
            break
    totals = add_up(used, results)
    sizes = {
        name: (sum(f.rows for f in of), sum(f.bytes for f in of))
        for name in ("shards", "dropped", "failed")
        for of in [[r.files[name] for r in results if name in r.files]]
    }
    return _Tried(
        totals=totals,
        documents=used,
        text_bytes=text_bytes,
        units=units,
        filled_units=filled,
        files=sizes,
        pair_memory=memory / max(1, rows),
        cut=cut.cost,
        cut_bytes=text_bytes,
        fill=fill.cost,
        timed_units=filled,
    )


Parts = list[tuple[Tag, pa.RecordBatch]]


def _cut(recipe: Recipe, documents: pa.RecordBatch, folder: Path, few: bool) -> Parts:
    """Cut documents and spill the parts, as a task does."""
    cut = segment_documents(documents, recipe.source.segment, recipe.margins)
    spill = Spill(str(folder))
    spill.setup()
    first = cut.blocks["block"].to_numpy() * UNITS_PER_BLOCK
    numbers = shard_numbers(cut.blocks["source_id"], first, recipe.shards)
    for shard, data in scatter(cut.blocks, numbers):
        spill.process((shard, ("blocks", data)))
    spill.finish_bundle()
    parts: Parts = [("blocks", cut.blocks), ("dropped", cut.dropped), ("failed", cut.failed)]
    return _few(parts) if few else parts


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


def _fixed(recipe: Recipe, documents: pa.RecordBatch, folder: Path, setup: Cost) -> Fixed:
    """Return what a build costs whatever its size, measured in a process of its own."""
    if recipe.costly:  # its models are timed in this process
        recipe = Recipe(pairs=(Pair("identity", View(), View()),), source=recipe.source)
    else:
        setup = Cost()
    source = recipe.source
    few = documents[:2].to_pylist()
    columns = {source.text: "text", source.id: "source_id", source.lang: "lang"}
    rows = [{name: row[column] for name, column in columns.items()} for row in few]
    schema = pa.schema([(name, pa.string()) for name in columns])
    pq.write_table(pa.Table.from_pylist(rows, schema), folder / "tiny.parquet")
    (folder / "recipe").write_bytes(cloudpickle.dumps(replace(recipe, shards=1)))
    command = [sys.executable, "-c", _TINY, str(folder / "recipe"), str(folder / "tiny.parquet")]
    started = time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=600)
    wall = time.perf_counter() - started
    if done.returncode:
        raise UserError(f"a build of two rows failed: {(done.stderr.strip() or '?')[-500:]}")
    cpu, mark, cpu_twice, mark_twice = map(float, done.stdout.split())
    again = Cost(cpu_twice - cpu, mark_twice - mark)
    first = Cost(cpu, wall - again.wall)
    start = Cost(max(0.0, first.cpu - again.cpu), max(0.0, first.wall - again.wall))
    return Fixed(start, again * (1 / 3), setup)


def _copies_cost(found: Scan) -> Cost:
    """Return what finding copies costs a row."""
    keys = found.keys
    with Stopwatch() as watch:
        for same in ("source_id", "text_id"):
            numbers = shard_numbers(keys[same], (keys["file"].to_numpy() * 0), 64)
            for _ in scatter(keys, numbers):
                pass
            keys, _ = find_copies(keys, same)  # type: ignore[arg-type]
    return watch.cost * (1 / max(1, len(found.keys)))


@dataclass(frozen=True)
class _Costs:
    """Costs of the stages of the whole build."""

    found: Scan
    tried: _Tried
    copies: Cost
    fixed: Fixed
    costly: bool

    @property
    def read(self) -> Cost:
        """Return the cost of reading the input once."""
        return self.found.read * (self.found.rows / max(1, self.found.seen))

    @property
    def cut(self) -> Cost:
        """Return the cost of cutting what is kept."""
        return self.tried.cut * (self.found.bytes / max(1, self.tried.cut_bytes))

    @property
    def fill(self) -> Cost:
        """Return the cost of filling all shards."""
        units = self.tried.units * self.found.bytes / max(1, self.tried.text_bytes)
        return self.tried.fill * (units / max(1, self.tried.timed_units))

    def cpu(self, workers: int, tasks: int, waves: int) -> float:
        """Return seconds of processor time of a build on this machine."""
        processes = 1 if workers == 1 else 1 + workers
        fixed = self.fixed.process.cpu * processes + self.fixed.setup.cpu
        fixed += self.fixed.pipeline.cpu * (1 + tasks + waves)
        copies = self.copies.cpu * self.found.rows
        return fixed + 2 * self.read.cpu + copies + self.cut.cpu + self.fill.cpu

    def wall(self, workers: int, tasks: int, waves: int, machines: int) -> float:
        """Return seconds of a build on machines that have nothing else to do."""
        at_once = workers * machines
        fixed = self.fixed.process.cpu * (1 if at_once == 1 else 2) + self.fixed.setup.wall
        fixed += self.fixed.pipeline.cpu * (1 + (tasks + waves) / at_once)
        keys = self.read.cpu + self.copies.cpu * self.found.rows  # one process does it here
        spread = (self.read.cpu + self.cut.cpu) / at_once + keys / machines
        # A model is held once a machine, and what asks a service waits for it.
        fill = self.fill.wall / machines if self.costly else self.fill.cpu / at_once
        return fixed + spread + fill


def _expected(found: Scan, tried: _Tried) -> dict[str, Any]:
    """Return the numbers of what comes out."""
    totals = tried.totals
    a_document = found.kept / max(1, tried.documents)
    units = tried.units * found.bytes / max(1, tried.text_bytes)
    a_unit = units / max(1, tried.filled_units)
    reasons = {folder: dict(found.rejected[folder]) for folder in ("dropped", "failed")}
    for folder, counts in totals.reasons.items():
        for reason, count in counts.items():
            times = a_document if reason.startswith("segment: ") else a_unit
            reasons[folder][reason] = reasons[folder].get(reason, 0) + count * times
    before = {folder: sum(found.rejected[folder].values()) for folder in ("dropped", "failed")}
    sources = {"read": found.rows, "written": totals.sources["written"] * a_document}
    for folder in ("dropped", "failed"):
        sources[folder] = totals.sources[folder] * a_document + before[folder]
    pairs = {name: count * a_unit for name, count in totals.pairs.items()}
    rows = {"shards": pairs["written"]}
    rows |= {folder: sum(counts.values()) for folder, counts in reasons.items()}
    sizes = {
        name: rows[name] * tried.files[name][1] / max(1, tried.files[name][0]) for name in rows
    }
    return {
        "sources": _rounded(sources),
        "units": round(units),
        "pairs": _rounded(pairs),
        "kinds": _rounded({kind: count * a_unit for kind, count in totals.kinds.items()}),
        "reasons": {
            folder: dict(sorted(_rounded(counts).items(), key=lambda item: -item[1]))
            for folder, counts in reasons.items()
        },
        "bytes": _rounded(sizes),
    }


def _rounded(counts: dict[str, float]) -> dict[str, int]:
    return {name: round(count) for name, count in counts.items()}


def _recommended(tried: _Tried, found: Scan, workers: int, machines: int) -> int:
    """Return how many shards give files of a good size, that memory holds, for all at work."""
    expected = _expected(found, tried)
    size, pairs = expected["bytes"]["shards"], expected["pairs"]["written"]
    by_size = size / _FILE_BYTES
    by_memory = pairs * tried.pair_memory * _HELD / _SHARD_MEMORY
    by_work = min(4 * workers * machines, size / _SPREAD_BYTES)
    return max(1, math.ceil(max(by_size, by_memory, by_work)))
