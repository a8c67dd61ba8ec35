"""`pairsmith plan`: what a build would give, take and cost, from a sample of its input."""

import json
import sys
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING

import tyro
from rich.filesize import decimal

from pairsmith.commands import build
from pairsmith.commands.flags import asks_json, raising_complaints
from pairsmith.pipelines.streams import only_json_lines
from pairsmith.pipelines.telling import Logging, emit
from pairsmith.schemas import UserError, check_installed
from pairsmith.training.telemetry.journal import duration

if TYPE_CHECKING:
    from pairsmith.pipelines.planning.forecast import Forecast

_DESCRIPTION = """Foresee a build from a sample of its input, without writing anything.

RECIPE is one that `pairsmith build` takes: a function of your own, or one that ships:
{recipes}

All its options are taken, so that its line becomes a plan by changing one word; those that do not
change a plan, such as --output, are ignored. Inputs up to 32 MiB are read whole, of larger ones 64
parts; then some of the documents become pairs in a temporary folder, timed stage by stage. A step
that asks a model or a service is asked for some of the sample; nothing is cached, and what a
service charges for that is charged.

Hours are those of machines like this one that do nothing else. A cluster takes some minutes to
start, and a disk or network may be slower than the processor: neither is counted.

Exit code 0; 1 above --max-hours or --max-cost; 2 for something to mend.

examples:
  pairsmith plan quickstart --input 'corpus/*.parquet'
  pairsmith plan my_recipes.py:mine --input a.jsonl --machines 20 --price 0.4 --max-cost 100
"""


@dataclass(frozen=True)
class Options(build.Options):
    """What the command line says."""

    output: str = ""
    """The build's; a plan looks at no output and writes none."""
    workers: int | None = None
    """Processes at work on each machine; by default one a core."""
    machines: int = 1
    """How many machines like this one would work."""
    price: float | None = None
    """What a machine costs an hour, with its graphics card if it has one, in any currency."""
    max_hours: float | None = None
    """Stop, with exit code 1, when the build would take longer on --machines."""
    max_cost: float | None = None
    """Stop, with exit code 1, when it would cost more; needs --price."""
    seconds: float = 10
    """About how long documents of the sample are turned into pairs, at most."""
    json: bool = False
    """Print one JSON object instead of tables."""


def main(argv: Sequence[str]) -> int:
    """Run the command and return its exit code."""
    with raising_complaints() if asks_json(argv) else nullcontext():
        options, beam_flags = tyro.cli(
            Options,
            prog="pairsmith plan",
            description=_DESCRIPTION.format(recipes=build.shipped_recipes()),
            args=list(argv),
            return_unknown_args=True,
        )
    Logging(options.verbose, options.log == "json").begin()
    with only_json_lines() if options.log == "json" else nullcontext():
        return _plan(options, beam_flags)


def _plan(options: Options, beam_flags: Sequence[str]) -> int:
    check_installed("build", "apache_beam", "numba", "orjson")
    from pairsmith.pipelines.planning.forecast import forecast

    build.check_options(options, beam_flags)
    _check(options)
    found = forecast(
        build.recipe_of(options),
        options.input,
        max_failed=options.max_failed,
        min_changed=options.min_changed,
        seconds=options.seconds,
        batch_rows=options.batch_rows,
        workers=options.workers,
        waves=options.waves,
        machines=options.machines,
        price=options.price,
        beam_flags=beam_flags,
    )
    if options.json:
        print(json.dumps(found.as_data()))
    else:
        _print(found)
    for limit in _over(options, found):
        if options.log == "json":
            emit("error", message=limit)
        else:
            print(f"pairsmith plan: {limit}", file=sys.stderr)
        return 1
    return 0


def _check(options: Options) -> None:
    if options.machines < 1:
        raise UserError("--machines must be at least 1")
    for name in ("max_cost", "max_hours", "price", "seconds"):
        if (value := getattr(options, name)) is not None and not value >= 0:
            raise UserError(f"--{name.replace('_', '-')} must not be negative")
    if options.max_cost is not None and options.price is None:
        raise UserError("--max-cost needs --price: what a machine costs an hour")


def _over(options: Options, found: "Forecast") -> Sequence[str]:
    """Return a line for a limit that the build would break."""
    on = f"on {options.machines} machine{'s' if options.machines > 1 else ''}"
    if options.max_hours is not None and found.machines_hours > options.max_hours:
        return [
            f"{found.machines_hours:,.3g} hours {on}, more than --max-hours "
            f"{options.max_hours:g}; take more machines, less input or fewer kinds of pairs"
        ]
    if options.max_cost is not None and (found.cost or 0) > options.max_cost:
        return [
            f"it would cost {found.cost:,.4g} {on}, more than --max-cost {options.max_cost:g}; "
            "take less input or fewer kinds of pairs"
        ]
    return []


def _print(found: "Forecast") -> None:
    build.print_counts(found.as_data(), "expected")
    sizes = ", ".join(f"{folder} {decimal(size)}" for folder, size in found.bytes.items() if size)
    print(f"on disk: {decimal(sum(found.bytes.values()))} ({sizes})")
    cpu = f"{found.cpu_seconds:,.0f} s of processor time"
    print(f"here: {duration(3600 * found.hours)} ({cpu}, processes: {found.workers})")
    if found.machines > 1:
        spread = f"{found.machines} machines of {found.machine_workers} processes"
        print(f"{spread}: {duration(3600 * found.machines_hours)}")
    if found.cost is not None:
        print(f"cost: {found.cost:,.2f}")
    print(f"shards: {found.shards} asked for, {found.recommended_shards} recommended ", end="")
    print(f"({found.tasks} tasks and {found.waves} waves then)")
    sample, rows = found.sample, "all" if found.sample["whole"] else "some"
    print(f"sample: {rows} {sample['rows']:,} rows read, {sample['pairs']:,} pairs tried")
    for warning in found.warnings:
        print(f"warning: {warning}")
