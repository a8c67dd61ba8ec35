"""Foreseeing a build from a sample of its input: what comes out, how long it takes, what it costs.

The sample goes through the build's own functions, in a folder that is thrown away. Every stage is
timed by itself, after a first run that compiles and loads, and is taken to cost as much for every
row, byte or unit of the whole. What every build costs is measured apart, on a tiny one.
"""

import math
import os
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pairsmith.pipelines.accounts import idle_augmenters
from pairsmith.pipelines.build import MAX_FAILED, MIN_CHANGED
from pairsmith.pipelines.engines.cloud import model_hints
from pairsmith.pipelines.engines.engine import check_engine
from pairsmith.pipelines.local.waves import cores, plan_work
from pairsmith.pipelines.planning.costs import Cost, Fixed, Stopwatch, fixed_costs
from pairsmith.pipelines.planning.sample import COPIES, Tried, copies_cost, try_out
from pairsmith.pipelines.planning.scan import Scan, scan
from pairsmith.pipelines.reading.inputs import plan_inputs
from pairsmith.pipelines.recipe.recipe import Recipe
from pairsmith.pipelines.storage.files import use_options
from pairsmith.schemas import UserError

_FILE_BYTES = 200e6
"""Of a shard: what a disk and a network read well."""
_SPREAD_BYTES = 4e6
"""Of a shard, at least, when it is for work to spread that there are several."""
_SHARD_MEMORY = 2 << 30
"""For the pairs of a shard, or half of what a worker's share of the memory is."""
_HELD = 4
"""How often the pairs of a shard are in memory while they are sorted and written."""


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
    """Processes at work here: one where the input is small."""
    machine_workers: int
    """Processes at work on each of several machines."""
    shards: int
    """As the recipe says."""
    recommended_shards: int
    tasks: int
    waves: int
    """With the recommended shards."""
    sample: dict[str, Any]
    """How many rows were read, whether that is all, and how many units and pairs were tried."""
    warnings: tuple[str, ...]
    """For what a build would refuse to finish."""

    def as_data(self) -> dict[str, Any]:
        """Return the forecast as JSON data."""
        return asdict(self)


def forecast(
    recipe: Recipe,
    inputs: Sequence[str],
    *,
    max_failed: float = MAX_FAILED,
    min_changed: float = MIN_CHANGED,
    seconds: float = 10,
    batch_rows: int = 4096,
    workers: int | None = None,
    waves: int | None = None,
    machines: int = 1,
    price: float | None = None,
    beam_flags: Sequence[str] = (),
) -> Forecast:
    """Return what a build of these inputs is expected to do. Writes nothing but temporary files.

    max_failed, min_changed: what the build is held to. seconds: about how long the sample may be
    worked on. price: of a machine for an hour. beam_flags: those of the build; they say how stores
    are reached.
    Raises UserError for what a build would refuse at its start.
    """
    recipe.as_data()
    use_options(beam_flags)
    check_engine(beam_flags)
    model_hints(beam_flags, recipe)
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
        tried = try_out(recipe, found, Path(folder), seconds, batch_rows)
        fixed = fixed_costs(recipe, found.documents, Path(folder), loading.cost)
    copies = copies_cost(found)
    processes = workers or cores()
    expected = _expected(found, tried, recipe.shards)
    shards = _recommended(expected, tried, processes, machines)
    plan = plan_work(splits, shards, workers, waves)
    asked = plan_work(splits, recipe.shards, workers, waves)
    costs = _Costs(found, tried, copies, fixed, recipe.costly)
    hours = [
        costs.wall(asked.workers if n == 1 else processes, len(asked.tasks), len(asked.waves), n)
        / 3600
        for n in (1, machines)
    ]
    return Forecast(
        **expected,
        cpu_seconds=costs.cpu(asked.workers, len(asked.tasks), len(asked.waves)),
        hours=hours[0],
        machines=machines,
        machines_hours=hours[1],
        cost=None if price is None else price * machines * hours[1],
        workers=asked.workers,
        machine_workers=processes,
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
        warnings=tuple(_warnings(expected, tried, max_failed, min_changed)),
    )


@dataclass(frozen=True)
class _Costs:
    """Costs of the stages of the whole build."""

    found: Scan
    tried: Tried
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
        return self.tried.cut * (self.found.bytes / max(1, self.tried.text_bytes))

    @property
    def fill(self) -> Cost:
        """Return the cost of filling all shards."""
        units = self.tried.units * self.found.bytes / max(1, self.tried.text_bytes)
        return self.tried.fill * (units / max(1, self.tried.filled_units))

    def cpu(self, workers: int, tasks: int, waves: int) -> float:
        """Return seconds of processor time of a build on this machine."""
        fixed = self.fixed.process.cpu * workers + self.fixed.setup.cpu
        fixed += self.fixed.piece.cpu * (1 + tasks + waves)
        copies = self.copies.cpu * self.found.rows
        return fixed + 2 * self.read.cpu + copies + self.cut.cpu + self.fill.cpu

    def wall(self, workers: int, tasks: int, waves: int, machines: int) -> float:
        """Return seconds of a build on machines that have nothing else to do."""
        at_once = workers * machines
        # The first process is at work while the others load.
        fixed = self.fixed.process.cpu * (2 - 1 / at_once) + self.fixed.setup.wall
        fixed += self.fixed.piece.cpu * (1 + (tasks + waves) / at_once)
        keys = self.read.cpu + self.copies.cpu * self.found.rows  # one process does it here
        spread = (self.read.cpu + self.cut.cpu) / at_once + keys / machines
        # A model is held once a machine, and what asks a service waits for it.
        fill = self.fill.wall / machines if self.costly else self.fill.cpu / at_once
        return fixed + spread + fill


def _expected(found: Scan, tried: Tried, shards: int) -> dict[str, Any]:
    """Return the numbers of what comes out."""
    totals = tried.totals
    a_document = found.kept / max(1, tried.documents)
    units = tried.units * found.bytes / max(1, tried.text_bytes)
    a_unit = units / max(1, tried.filled_units)
    reasons = {folder: dict(found.rejected[folder]) for folder in ("dropped", "failed")}
    for folder, counts in totals.reasons.items():
        for reason, count in counts.items():
            if reason.startswith(f"{COPIES}: "):
                continue
            times = a_document if reason.startswith("segment: ") else a_unit
            reasons[folder][reason] = reasons[folder].get(reason, 0) + count * times
    before = {folder: sum(found.rejected[folder].values()) for folder in ("dropped", "failed")}
    sources = {"read": found.rows, "written": totals.sources["written"] * a_document}
    for folder in ("dropped", "failed"):
        own = totals.sources[folder] - (tried.copies if folder == "dropped" else 0)
        sources[folder] = own * a_document + before[folder]
    pairs = {name: count * a_unit for name, count in totals.pairs.items()}
    rows = {"shards": pairs["written"]}
    rows |= {folder: sum(counts.values()) for folder, counts in reasons.items()}
    sizes = {
        name: size.a_row * rows[name] + size.a_file * min(shards, rows[name])
        for name, size in tried.sizes.items()
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


def _warnings(
    expected: dict[str, Any], tried: Tried, max_failed: float, min_changed: float
) -> Iterator[str]:
    """Yield what would make a build stop at its end."""
    for noun, whole in (("sources", "read"), ("pairs", "made")):
        counts = expected[noun]
        if counts["failed"] > max_failed * counts[whole]:
            reasons = list(expected["reasons"]["failed"].items())[:3]
            told = ", ".join(f"{reason} ({count:,})" for reason, count in reasons)
            yield f"{counts['failed']:,} of {counts[whole]:,} {noun} would fail: {told}"
    if not expected["pairs"]["written"]:
        yield "no pair would be left; look at the input or loosen the recipe's screens and gates"
    if idle := idle_augmenters(tried.totals, min_changed):
        yield idle


def _rounded(counts: dict[str, float]) -> dict[str, int]:
    return {name: round(count) for name, count in counts.items()}


def _recommended(expected: dict[str, Any], tried: Tried, workers: int, machines: int) -> int:
    """Return how many shards give files of a good size, that memory holds, for all at work."""
    size, pairs = expected["bytes"]["shards"], expected["pairs"]["written"]
    by_size = size / _FILE_BYTES
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    by_memory = pairs * tried.pair_memory * _HELD / min(_SHARD_MEMORY, memory / 2 / workers)
    by_work = min(4 * workers * machines, size / _SPREAD_BYTES)
    return max(1, math.ceil(float(max(by_size, by_memory, by_work))))
