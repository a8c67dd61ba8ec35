"""`pairsmith vocabulary`: a corpus in, a sentencepiece model out."""

import logging
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro
from rich.console import Console

from pairsmith.commands.flags import check_beam_flags
from pairsmith.schemas import UserError, check_installed
from pairsmith.schemas.store import check_local

_DESCRIPTION = """Train a sentencepiece model on a corpus.

Reads what `pairsmith build` reads, cuts it into sentences, draws a sample of these by their hashes
and trains on it. The same sentences give the same model, byte for byte, in whatever files and order
they come. Ids 0 to 3 are <unk>, <s>, </s> and <pad>.

It reads and trains on this machine, whatever engine builds with the model. Flags of Apache Beam
that say how stores are reached, written with '=', are taken as by `pairsmith build`.

examples:
  pairsmith vocabulary --input 'corpus/*.parquet' --output corpus.model --size 16000
  pairsmith vocabulary --input zh.jsonl.gz --output zh.model --type bpe --symbols '[MASK]'
"""


@dataclass(frozen=True)
class Options:
    """What the command line says."""

    input: Annotated[tuple[str, ...], tyro.conf.arg(metavar="FILES…")]
    """Files to read; quoted globs are expanded on every file system that Beam knows."""
    output: Path
    """File to write. It must not exist."""
    size: int = 8000
    """Number of pieces."""
    type: Literal["unigram", "bpe"] = "unigram"
    """Unigram language model (arXiv 1804.10959), or byte pair encoding (arXiv 1508.07909)."""
    text: str = "text"
    """Column of the text."""
    sentences: int = 1_000_000
    """Train on at most so many sentences. A million takes one to five minutes, Chinese the longest,
    and about 3 GB of memory."""
    coverage: float = 0.9995
    """Share of the characters of the sample that the model knows; the rarest are left out."""
    byte_fallback: bool = False
    """Cut characters that the model does not know into bytes, instead of <unk>."""
    symbols: tuple[str, ...] = ()
    """Pieces that no text is cut into, such as '[MASK]' or '<extra_id_0>'."""
    max_failed: float = 0.01
    """Share of input rows that may fail before the training is refused."""
    verbose: bool = False
    """Show what Beam logs."""


def main(argv: Sequence[str]) -> int:
    """Run the command and return its exit code."""
    options, beam_flags = tyro.cli(
        Options,
        prog="pairsmith vocabulary",
        description=_DESCRIPTION,
        args=list(argv),
        return_unknown_args=True,
    )
    if not options.verbose:
        logging.disable()  # an error that Beam logs is also raised; the rest concerns no user
    check_installed("build", "apache_beam", "orjson", "sentencepiece")
    from pairsmith.pipelines.recipe import Documents
    from pairsmith.pipelines.vocabulary import Trainer, train_vocabulary

    _check(options)
    check_beam_flags(options, beam_flags)
    trainer = Trainer(
        options.size, options.type, options.coverage, options.byte_fallback, options.symbols
    )
    made = train_vocabulary(
        trainer,
        options.input,
        options.output,
        source=Documents(text=options.text),
        sentences=options.sentences,
        max_failed=options.max_failed,
        beam_flags=beam_flags,
        console=Console(stderr=True),
    )
    counts = made.counts
    print(f"rows: {counts.rows:,} read, {counts.dropped:,} dropped, {counts.failed:,} failed")
    print(f"sentences: {counts.sentences:,} read, {made.sampled:,} distinct ones trained on")
    if counts.reserved:
        print(
            f"warning: {counts.reserved:,} sentences left out: they hold U+0000 or U+2585",
            file=sys.stderr,
        )
    print(f"model: {made.output}  pieces: {made.pieces:,}  sha256: {made.sha256[:16]}")
    return 0


def _check(options: Options) -> None:
    for name, value in (("--size", options.size), ("--sentences", options.sentences)):
        if value < 1:
            raise UserError(f"{name} must be at least 1")
    if not 0.98 <= options.coverage <= 1:
        raise UserError("--coverage must be from 0.98 to 1, as sentencepiece has it")
    if not 0 <= options.max_failed <= 1:
        raise UserError("--max-failed is a share: between 0 and 1")
    if len(set(options.symbols)) < len(options.symbols) or "" in options.symbols:
        raise UserError("--symbols must be different and not empty")
    check_local(options.output, "--output")
