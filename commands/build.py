"""`pairsmith build`: a corpus and a recipe in, a dataset out."""

import dataclasses
import json
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, nullcontext, suppress
from dataclasses import dataclass
from inspect import getdoc
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated, Any, Literal

import tyro
from rich.console import Console
from rich.table import Table

from pairsmith.commands.flags import asks_json, check_beam_flags, raising_complaints
from pairsmith.commands.quiet import only_ours
from pairsmith.pipelines.streams import only_json_lines
from pairsmith.pipelines.telling import AsJson, Logging, OnConsole, Teller, emit
from pairsmith.schemas import Manifest, UserError, check_installed, heeding_interrupts

if TYPE_CHECKING:
    from pairsmith.pipelines.recipe import Recipe

_DESCRIPTION = """Make pairs from a corpus.

RECIPE is a function of your own that returns a Recipe, as my_recipes.py:my_recipe or
my_package.recipes:my_recipe, or one that ships:
{recipes}

These read the column `text` of Parquet, JSONL and CSV files, or the lines of text files (also .gz
and .zst), and use `doc_id` where there is one. A null or blank text is dropped; a row that
cannot be read has failed. Both are kept, with the reason, beside the pairs.

Flags that are not listed here go to Apache Beam, written with '='; --runner=PrismRunner chooses
another engine.

examples:
  pairsmith build quickstart --input 'corpus/*.parquet' --output pairs
  pairsmith build context --input a.jsonl.gz b.csv --output pairs --shards 64 --seed 1
"""


@dataclass(frozen=True)
class Options:
    """What the command line says; `pairsmith plan` takes all of it, too."""

    recipe: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="RECIPE")]
    """Name of the recipe."""
    input: Annotated[tuple[str, ...], tyro.conf.arg(metavar="FILES…")]
    """Files to read; quoted globs are expanded on every file system that Beam knows."""
    output: str
    """Folder to make, or a place on an object store, as gs://bucket/pairs. A build of a folder that
    was ended half-way resumes; a finished dataset of these files, or of some of them, is replaced,
    and what comes out the same is used again. What is on a store is never replaced."""
    replace: bool = False
    """Replace a finished dataset also where files that it was made of are not among FILES."""
    seed: int | None = None
    """Instead of the recipe's seed; another seed gives other pairs."""
    shards: int | None = None
    """Number of files, instead of the recipe's. Aim at 50 to 500 MB each."""
    max_failed: float = 0.01
    """Share of input rows, and of pairs, that may fail before the build is refused."""
    min_changed: float = 0.05
    """Share of its texts, if 100 or more, that every augmenter must change, or the build is
    refused."""
    warn_idle: bool = False
    """Warn of an augmenter that changed too little, instead of refusing the build."""
    cache: Path | None = None
    """Folder that keeps what models made, so that no later build asks them again; by default
    OUTPUT.cache. It may be shared by builds and removed at any time."""
    workers: int | None = None
    """Processes at work on this machine; by default one a core, one for small inputs."""
    waves: int | None = None
    """In how many runs the shards are filled, instead of one for every 4 MiB of input (64 at most),
    or four for each process if that is more; a run fills one shard at least. A build that was
    interrupted resumes with the next one."""
    batch_rows: int = 4096
    """Rows worked on at a time. Changes memory and speed, never the result."""
    verbose: bool = False
    """Show what Beam and its workers log and print."""
    log: Literal["text", "json"] = "text"
    """`json` tells progress every few seconds, warnings, errors and the final counts as JSON lines
    on standard error, and nothing else, whether that is a terminal or not."""


def main(argv: Sequence[str]) -> int:
    """Run the command and return its exit code."""
    with raising_complaints() if asks_json(argv) else nullcontext():
        options, beam_flags = tyro.cli(
            Options,
            prog="pairsmith build",
            description=_DESCRIPTION.format(recipes=shipped_recipes()),
            args=list(argv),
            return_unknown_args=True,
        )
    # An error that Beam logs is also raised; the rest concerns no user.
    Logging(options.verbose, options.log == "json").begin()
    with only_json_lines() if options.log == "json" else nullcontext():
        return _build(options, beam_flags)


def _build(options: Options, beam_flags: Sequence[str]) -> int:
    started = time.monotonic()
    with heeding_interrupts():
        check_installed("build", "apache_beam", "numba", "orjson")
        from pairsmith.pipelines.build import BuildConfig, build_at
        from pairsmith.pipelines.engines.asked import builds_elsewhere

        check_options(options, beam_flags)
        recipe = recipe_of(options)
    elsewhere = builds_elsewhere(beam_flags)
    config = BuildConfig(
        max_failed=options.max_failed,
        min_changed=options.min_changed,
        warn_idle=options.warn_idle,
        batch_rows=options.batch_rows,
        cache=options.cache,
        workers=options.workers,
        waves=options.waves,
        replace=options.replace,
        beam_flags=beam_flags,
    )
    with ExitStack() as held:
        teller: Teller = AsJson()
        if options.log == "text":
            quiet = elsewhere and not options.verbose
            file = held.enter_context(only_ours()) if quiet else None
            teller = OnConsole(Console(file=file, stderr=True))
        if not elsewhere:
            held.enter_context(_telling_sigterm(options.log == "json"))
            held.enter_context(_telling_ctrl_c())
        manifest = build_at(recipe, options.recipe, options.input, options.output, config, teller)
    if options.log == "json":
        _emit_summary(manifest, options.output, time.monotonic() - started)
    elif manifest is None:
        print(f"the job goes on; {options.output} is a dataset when its manifest.json is there")
    else:
        print_counts(manifest.counts)
        output = options.output.rstrip("/")
        print(f"dataset: {output}  card: {output}/README.md")
    return 0


@contextmanager
def _telling_sigterm(as_json: bool) -> Iterator[None]:
    """Have SIGTERM say that the same command resumes before it ends the process, at once.

    What is finished is kept, and workers end by themselves.
    """
    line = "stopped by SIGTERM; the same command resumes"
    told = (
        json.dumps({"event": "error", "message": line}) if as_json else f"pairsmith build: {line}"
    )

    def end(number: int, frame: FrameType | None) -> None:
        with suppress(OSError):
            # Not by the stream, which this may have interrupted.
            os.write(sys.stderr.fileno(), f"{told}\n".encode())
        os._exit(128 + number)

    ours = threading.current_thread() is threading.main_thread()
    if not ours or signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
        yield
        return
    signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


@contextmanager
def _telling_ctrl_c() -> Iterator[None]:
    """Have Ctrl-C say that the same command resumes."""
    try:
        yield
    except KeyboardInterrupt as error:
        raise KeyboardInterrupt("interrupted; the same command resumes") from error


def shipped_recipes() -> str:
    """Return a line for each recipe that ships: its name, and what it makes."""
    from pairsmith.pipelines.recipe.shipped import SHIPPED

    width = max(len(recipe.__name__) for recipe in SHIPPED)
    return "\n".join(f"  {recipe.__name__:<{width}}  {getdoc(recipe)}" for recipe in SHIPPED)


def recipe_of(options: Options) -> "Recipe":
    """Return the recipe that is named, with the seed and the number of shards that are given."""
    from pairsmith.pipelines.recipe.shipped import find_recipe

    recipe = find_recipe(options.recipe)
    return dataclasses.replace(
        recipe,
        seed=recipe.seed if options.seed is None else options.seed,
        shards=recipe.shards if options.shards is None else options.shards,
    )


def check_options(options: Options, beam_flags: Sequence[str]) -> None:
    """Raise UserError for a value that cannot be meant."""
    from pairsmith.pipelines.engines.asked import builds_elsewhere
    from pairsmith.schemas.store import check_local

    for name in ("batch_rows", "shards", "workers", "waves"):
        if (value := getattr(options, name)) is not None and value < 1:
            raise UserError(f"--{name.replace('_', '-')} must be at least 1")
    if not 0 <= options.max_failed <= 1:
        raise UserError("--max-failed is a share: between 0 and 1")
    if not 0 <= options.min_changed <= 1:
        raise UserError("--min-changed is a share: between 0 and 1")
    if options.cache:
        check_local(options.cache, "--cache")
    check_beam_flags(options, beam_flags)
    for name in ("workers", "waves"):
        if getattr(options, name) is not None and builds_elsewhere(beam_flags):
            raise UserError(
                f"--{name} is for builds without --runner; leave it out, or give the engine's own "
                "flags for its workers"
            )


def _emit_summary(manifest: Manifest | None, output: str, seconds: float) -> None:
    if manifest is None:
        emit("submitted", output=output, seconds=round(seconds, 1))
        return
    files = [*manifest.shards, *manifest.dropped, *manifest.failed]
    emit(
        "done",
        output=output,
        digest=manifest.digest,
        seconds=round(seconds, 1),
        shards=len(manifest.shards),
        bytes=sum(file.bytes for file in files),
        counts=manifest.counts,
    )


def print_counts(counts: Mapping[str, Any], title: str = "") -> None:
    """Print what became of sources and pairs, and why; under a title, if there is one."""
    table = Table(box=None, header_style="bold")
    table.add_column(title)
    for column in ("read / tried", "written", "dropped", "failed"):
        table.add_column(column, justify="right")
    for noun, first in (("sources", "read"), ("pairs", "made")):
        names = (first, "written", "dropped", "failed")
        table.add_row(noun, *(f"{counts[noun][name]:,}" for name in names))
    Console(file=sys.stdout).print(table)
    kinds = ", ".join(f"{kind} {count:,}" for kind, count in counts["kinds"].items())
    print(f"pairs by kind: {kinds}")
    for folder, reasons in counts["reasons"].items():
        for reason, count in list(reasons.items())[:5]:
            print(f"{folder}: {count:,} × {reason}")
