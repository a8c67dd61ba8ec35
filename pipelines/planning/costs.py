"""What work costs in seconds, and what a build costs whatever its size."""

import os
import subprocess
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from apache_beam.internal.cloudpickle import cloudpickle

from pairsmith.pipelines.recipe.recipe import Pair, Recipe, View
from pairsmith.pipelines.recipe.shipped import send_files
from pairsmith.schemas import UserError

_TINY = """
import pickle, sys, time
from contextlib import suppress
from pathlib import Path
from pairsmith.pipelines.build import BuildConfig, build
from pairsmith.pipelines.refused import RefusedUserError
recipe, source = pickle.loads(Path(sys.argv[1]).read_bytes()), sys.argv[2]
config = BuildConfig(max_failed=1, min_changed=0, workers=1, waves=1)
marks = []
for name in ("first", "second"):
    output = Path(sys.argv[1]).with_name(name)
    with suppress(RefusedUserError):  # how long it takes is asked, not what comes out
        build(recipe, "", [source], output, config)
    marks += [time.process_time(), time.perf_counter()]
# Not printed, as a recipe may print, too.
Path(sys.argv[1]).with_name("marks").write_text(" ".join(map(str, marks)))
"""

_PLAIN = "This is a plain text of two sentences. It is there to be cut and paired."
_CHARS = 1000
_SECONDS = 600.0


@dataclass(frozen=True)
class Cost:
    """What work took."""

    cpu: float = 0.0
    """Seconds of processor time, of all threads."""
    wall: float = 0.0
    """Seconds."""

    def __add__(self, other: "Cost") -> "Cost":
        return Cost(self.cpu + other.cpu, self.wall + other.wall)

    def __mul__(self, times: float) -> "Cost":
        return Cost(self.cpu * times, self.wall * times)


class Stopwatch:
    """Takes the cost of what is done while it is entered."""

    def __init__(self) -> None:
        self.cost = Cost()

    def __enter__(self) -> "Stopwatch":
        self._start = (time.process_time(), time.perf_counter())
        return self

    def __exit__(self, *_: object) -> None:
        cpu, wall = self._start
        self.cost += Cost(time.process_time() - cpu, time.perf_counter() - wall)


@dataclass(frozen=True)
class Fixed:
    """What a build costs whatever its size."""

    process: Cost
    """To start a process that can build."""
    piece: Cost
    """To find copies, cut or fill where there is nothing to do."""
    setup: Cost
    """To load the models of a recipe."""


def fixed_costs(recipe: Recipe, documents: pa.RecordBatch, folder: Path, setup: Cost) -> Fixed:
    """Return what a build costs whatever its size, measured in a process of its own."""
    if recipe.costly:  # its models are timed in this process
        recipe = Recipe(pairs=(Pair("identity", View(), View()),), source=recipe.source)
    else:
        setup = Cost()
    # What refuses all pairs of the recipe must not spare the build the work of writing some.
    plain = Pair(f"not {[pair.kind for pair in recipe.pairs]}", View(), View(), gates=())
    recipe = replace(recipe, pairs=(*recipe.pairs, plain), screens=(), shards=1)
    source = recipe.source
    # Short, since what every build costs is asked; and a plain one that most recipes make pairs of.
    few = [{**row, "text": row["text"][:_CHARS]} for row in documents[:2].to_pylist()]
    few.append({"text": _PLAIN, "source_id": "plain", "lang": None})
    columns = {source.text: "text", source.id: "source_id", source.lang: "lang"}
    rows = [{name: row[column] for name, column in columns.items()} for row in few]
    schema = pa.schema([(name, pa.string()) for name in columns])
    pq.write_table(pa.Table.from_pylist(rows, schema), folder / "tiny.parquet")
    send_files()
    (folder / "recipe").write_bytes(cloudpickle.dumps(recipe))
    # -P: a file in the working folder must not stand for a module of that name.
    command = [sys.executable, "-P", "-c", _TINY]
    command += [str(folder / "recipe"), str(folder / "tiny.parquet")]
    # As in this process, where a recipe may have imported files from beside its own.
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    started = time.perf_counter()
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, timeout=_SECONDS, env=environment
        )
    except subprocess.TimeoutExpired as error:
        raise UserError(
            f"a build of three rows takes over {_SECONDS:g} s; look at what the recipe loads"
        ) from error
    wall = time.perf_counter() - started
    if done.returncode:
        raise UserError(f"a build of three rows failed: {(done.stderr.strip() or '?')[-500:]}")
    cpu, mark, cpu_twice, mark_twice = map(float, (folder / "marks").read_text().split())
    again = Cost(cpu_twice - cpu, mark_twice - mark)
    first = Cost(cpu, wall - again.wall)
    start = Cost(max(0.0, first.cpu - again.cpu), max(0.0, first.wall - again.wall))
    return Fixed(start, again * (1 / 3), setup)
