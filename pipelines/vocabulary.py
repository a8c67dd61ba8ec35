"""Training a sentencepiece model: a sample of the corpus's sentences, then one deterministic run.

The sample are the sentences with the smallest hashes. It depends on which sentences the corpus has
and on nothing else: not on their order or number, or on names of files. One process draws it, in
memory that the sample bounds.
"""

import hashlib
import io
import re
import threading
import uuid
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from rich.console import Console
from xxhash import xxh3_128_digest

from pairsmith.pipelines.engines.asked import builds_elsewhere
from pairsmith.pipelines.reading.blocks import segment_documents
from pairsmith.pipelines.reading.inputs import plan_inputs
from pairsmith.pipelines.reading.read import Read, read_split
from pairsmith.pipelines.reading.splits import Split
from pairsmith.pipelines.recipe.recipe import Documents
from pairsmith.pipelines.storage.files import use_options
from pairsmith.schemas import UserError, put, require

_SAMPLE = pa.schema(
    [
        pa.field("hash", pa.binary(16), nullable=False),  # XXH3-128 of the sentence
        pa.field("sentence", pa.string(), nullable=False),
    ]
)
_BATCH_ROWS = 4096
# Characters that the trainer keeps for itself; it leaves out the sentences that hold them.
_RESERVED = "[\\x00\\t\\x{2585}]"


@dataclass(frozen=True)
class Counts:
    """What became of the corpus."""

    rows: int = 0
    """Read: dropped and failed ones, and documents."""
    dropped: int = 0
    """Null, blank, or without a sentence."""
    failed: int = 0
    """Not to be read or cut."""
    sentences: int = 0
    """Of all documents, each as often as it stands there."""
    reserved: int = 0
    """Left out, as they hold a character that the trainer keeps for itself."""

    def __add__(self, other: "Counts") -> "Counts":
        """Return the sums."""
        return Counts(*(a + b for a, b in zip(_values(self), _values(other), strict=True)))


class Vocabulary(NamedTuple):
    """A model that was trained, and what of."""

    output: Path
    counts: Counts
    sampled: int
    """Distinct sentences that it was trained on."""
    pieces: int
    sha256: str
    """Of the file, in hex: what datasets with ids of the model record."""


@dataclass(frozen=True)
class Trainer:
    """Settings of sentencepiece's trainer; ids 0 to 3 are `<unk>`, `<s>`, `</s>` and `<pad>`."""

    size: int = 8000
    """Number of pieces, with those four and the symbols."""
    type: Literal["unigram", "bpe"] = "unigram"
    """Unigram (arXiv 1804.10959) or byte pair encoding (arXiv 1508.07909)."""
    coverage: float = 0.9995
    """Share of the sample's characters that get pieces of their own; the rarest ones do not."""
    byte_fallback: bool = False
    """Cut other characters into bytes, instead of `<unk>`."""
    symbols: tuple[str, ...] = ()
    """Pieces that no text is cut into, such as `[MASK]`."""

    def train(self, sentences: Sequence[str]) -> bytes:
        """Return a model of the sentences, which must be neither none nor too long for memory.

        Equal sentences in equal order give equal bytes with one version of sentencepiece.
        Raises UserError for a size that the sentences cannot fill, or that holds too little.
        """
        sentencepiece = require("sentencepiece", extra="build")
        model = io.BytesIO()
        options: dict[str, Any] = {
            "vocab_size": self.size,
            "model_type": self.type,
            "character_coverage": self.coverage,
            "byte_fallback": self.byte_fallback,
            "control_symbols": list(self.symbols),
            "pad_id": 3,
            # It leaves out longer ones.
            "max_sentence_length": max(len(sentence.encode()) for sentence in sentences) + 1,
            # Sums of floats depend on how many threads share them; more are no faster (measured).
            "num_threads": 1,
            "minloglevel": 2,
        }
        try:
            sentencepiece.SentencePieceTrainer.train(
                sentence_iterator=iter(sentences), model_writer=model, **options
            )
        except (RuntimeError, OSError) as error:
            raise UserError(self._refusal(str(error), len(sentences))) from error
        return model.getvalue()

    def _refusal(self, message: str, sentences: int) -> str:
        if found := re.search(r"too high .* value <= (\d+)", message):
            return (
                f"--size {self.size} is more than {sentences:,} sentences can fill; "
                f"lower it to at most {found[1]}"
            )
        if found := re.search(r"required_chars\. \d+ vs (\d+)", message):
            return (
                f"--size {self.size} is too small for all single characters; "
                f"raise it to at least {found[1]}, or lower --coverage"
            )
        return f"sentencepiece cannot train on these sentences: {message}"


def train_vocabulary(
    trainer: Trainer,
    inputs: Sequence[str],
    output: Path,
    *,
    source: Documents | None = None,
    sentences: int = 1_000_000,
    max_failed: float = 0.01,
    beam_flags: Sequence[str] = (),
    console: Console | None = None,
) -> Vocabulary:
    """Train a sentencepiece model on the files that match `inputs` and write it to `output`.

    source: which column holds the text, and how it is cut into sentences. sentences: size of the
    sample. max_failed: share of rows that may fail. beam_flags: they say how stores are reached.
    Raises UserError, and leaves nothing behind, for what the user can mend.
    """
    if output.exists():
        raise UserError(f"{output} is there already; choose another --output or remove it")
    if builds_elsewhere(beam_flags):
        raise UserError(
            "a vocabulary is trained in this process, whatever engine builds with it; leave out "
            "--runner, and flags for its workers"
        )
    use_options(beam_flags)
    source = source or Documents()
    splits = [split for file in plan_inputs(inputs, source) for split in file.splits]
    console = console or Console(stderr=True, quiet=True)
    reading = output.with_name(f".{output.name}.{uuid.uuid4().hex}.reading")
    made = [folder for folder in output.parents if not folder.exists()]
    try:
        put(reading, b"")  # a place that cannot be written to is better found out now
        with console.status("reading"):
            counts, sample = _draw(splits, source, sentences)
        reading.unlink()
        _check(counts, len(sample), inputs, max_failed)
        with console.status(f"training on {len(sample):,} sentences"):
            model = _in_background(trainer, sample["sentence"].to_pylist())
        put(output, model)
    except BaseException:
        _remove(reading, *made)
        raise
    processor = require("sentencepiece", extra="build").SentencePieceProcessor(model_proto=model)
    sha256 = hashlib.sha256(model).hexdigest()
    return Vocabulary(output, counts, len(sample), processor.get_piece_size(), sha256)


def _draw(splits: Sequence[Split], source: Documents, most: int) -> tuple[Counts, pa.RecordBatch]:
    """Return what became of the rows, and the `most` sentences of the smallest hashes (_SAMPLE)."""
    counts, kept, more = Counts(), _smallest([], most), list[pa.RecordBatch]()
    for split in splits:
        for read in read_split(split, source, _BATCH_ROWS):
            counted, sentences = _sentences(read, source)
            counts += counted
            more.append(_smallest([sentences], most))
            # Sorted now and then only, so that each sentence is sorted few times.
            if sum(map(len, more)) > max(most, len(kept)):
                kept, more = _smallest([kept, *more], most), []
    return counts, _smallest([kept, *more], most)


def _sentences(read: Read, source: Documents) -> tuple[Counts, pa.RecordBatch]:
    """Return what became of a run of rows, and the sentences to draw from (_SAMPLE)."""
    cut = segment_documents(read.documents, source.segment, (0, 0))
    units = pc.list_flatten(cut.blocks["units"])
    good = units.filter(pc.invert(pc.match_substring_regex(units, _RESERVED)))
    dropped = len(read.dropped) + len(cut.dropped)
    failed = len(read.failed) + len(cut.failed)
    counts = Counts(read.rows, dropped, failed, len(units), len(units) - len(good))
    hashes = pa.array(map(xxh3_128_digest, good.cast(pa.binary()).to_pylist()), pa.binary(16))
    return counts, pa.RecordBatch.from_arrays([hashes, good], schema=_SAMPLE)


def _smallest(batches: Sequence[pa.RecordBatch], most: int) -> pa.RecordBatch:
    """Return the distinct sentences with the smallest hashes, in order of these; at most `most`."""
    table = pa.Table.from_batches(batches, _SAMPLE).combine_chunks()
    if not len(table):
        return pa.RecordBatch.from_pylist([], _SAMPLE)
    hashes = np.array(table["hash"].to_pylist(), "S16")
    # numpy drops zero bytes at the end, which does not change the order.
    _, first = np.unique(hashes, return_index=True)
    (batch,) = table.take(pa.array(first[:most])).combine_chunks().to_batches()
    return batch


def _in_background(trainer: Trainer, sentences: Sequence[str]) -> bytes:
    """Return the trained model; Ctrl-C need not wait for the trainer, which does not hear it."""
    done: list[bytes | Exception] = []

    def train() -> None:
        try:
            done.append(trainer.train(sentences))
        except Exception as error:  # noqa: BLE001 - raised again where it is waited for
            done.append(error)

    thread = threading.Thread(target=train, daemon=True)
    thread.start()
    thread.join()
    (result,) = done
    if isinstance(result, Exception):
        raise result
    return result


def _check(counts: Counts, sampled: int, inputs: Sequence[str], max_failed: float) -> None:
    if counts.failed > max_failed * counts.rows:
        raise UserError(
            f"{counts.failed:,} of {counts.rows:,} rows cannot be read, more than "
            f"--max-failed {max_failed:g} allows; mend them or raise it"
        )
    if not sampled:
        raise UserError(
            f"the corpus is empty: no sentence in {', '.join(map(repr, inputs))} "
            f"({counts.rows:,} rows read)"
        )


def _remove(file: Path, *folders: Path) -> None:
    """Remove the file if it is there, and the folders that are empty then."""
    with suppress(OSError):
        file.unlink()
    for folder in folders:
        with suppress(OSError):
            folder.rmdir()


def _values(counts: Counts) -> tuple[int, ...]:
    return (counts.rows, counts.dropped, counts.failed, counts.sentences, counts.reserved)
