"""What a run will take, before anything is spent: nothing is trained and nothing is written."""

import json
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from rich.filesize import decimal

from pairsmith.schemas import UserError
from pairsmith.training.collate import Batch, Identities, collate, columns
from pairsmith.training.config import TrainConfig
from pairsmith.training.distributed import World, check_alone, open_device
from pairsmith.training.encoders.encoder import Encoder
from pairsmith.training.encoders.opening import open_encoder
from pairsmith.training.encoders.packing import CALL_TOKENS, token_count
from pairsmith.training.evaluation.scores import EvaluationConfig
from pairsmith.training.losses.tiles import strip_rows
from pairsmith.training.precision import resolve
from pairsmith.training.run import open_checked
from pairsmith.training.schedule import ScheduleConfig
from pairsmith.training.settings import change
from pairsmith.training.signals import saying
from pairsmith.training.streaming.loader import Stream, stream
from pairsmith.training.streaming.order import Order, permutation
from pairsmith.training.streaming.row_groups import RowGroup, read
from pairsmith.training.streaming.shuffle_quality import Quality
from pairsmith.training.streaming.shuffle_quality import measure as measure_shuffle
from pairsmith.training.streaming.window import Cursor
from pairsmith.training.telemetry.flops import token_counts
from pairsmith.training.telemetry.journal import LOG, TelemetryConfig, duration
from pairsmith.training.tokens.cache import id_width
from pairsmith.training.tokens.ids import cutter
from pairsmith.training.tokens.tokenizer import train_tokenizer
from pairsmith.training.tokens.work import SOURCES, WRITING, ids_of
from pairsmith.training.train import train

SAMPLE_ROWS = 16_384
WARM_UP = 2


@dataclass(frozen=True)
class Sample:
    """What the first batches of a run are like."""

    rows: int
    meeting: float
    """Share of rows that meet another of their group or text in their batch; masked in the loss."""
    texts_per_row: float
    tokens_per_text: float
    padding: float
    """Tokens computed by real tokens."""
    layout: str
    """How texts are computed: end to end, in runs of like length, or padded to the longest."""


@dataclass(frozen=True)
class Timing:
    """How some steps went that were taken for a trial."""

    rows: int
    """Pairs of each: what a rank computes."""
    step: float
    """Median seconds of a step."""
    wait: float
    """Share of them spent waiting for the batch."""


@dataclass(frozen=True)
class Plan:
    """What a run will take; bytes are estimates."""

    rows: int
    steps: int
    epochs: float
    batch_size: int
    rows_per_rank: tuple[int, int]
    """Fewest and most rows of a full batch that a rank computes."""
    sample: Sample
    shuffle: Quality
    own_tokenizer: bool
    """The tokenizer is yet to be trained: tokens are those of one trained on a part of the data."""
    cache_bytes: int
    """What the ids of all texts that the datasets have take when they are kept, by a sample."""
    parameters: int
    memory_bytes: int
    """Of a rank: weights, gradients, moments, activations, similarities."""
    timing: Timing | None

    def table(self) -> list[tuple[str, str]]:
        """Return the plan in words, one name and value a line."""
        low, high = self.rows_per_rank
        about = "about " if self.own_tokenizer else ""
        sample = self.sample
        lines = [
            ("pairs", f"{self.rows:,}"),
            ("steps", f"{self.steps:,} ({self.epochs:.3g} epochs)"),
            ("batch", f"{self.batch_size:,} pairs"),
            ("pairs a rank", f"{low:,}" if low == high else f"{low:,} to {high:,}"),
            ("meet their like in a batch", f"{sample.meeting:.2%} of {sample.rows:,} pairs"),
            ("shuffle", self.shuffle.in_short),
            ("tokens a text", f"{about}{sample.tokens_per_text:.1f}"),
            ("texts are computed", sample.layout),
            ("computed by real tokens", f"{sample.padding:.3f}"),
            ("token cache", f"about {_size(self.cache_bytes)}"),
            ("parameters", f"{self.parameters:,}"),
            ("memory a rank", f"about {_size(self.memory_bytes)}"),
        ]
        if self.timing:
            speed = self.batch_size / self.timing.step
            total = duration(self.steps * self.timing.step)
            where = "on this machine, evaluations apart"
            if self.timing.rows < self.batch_size:
                where = "if a rank is like this machine, evaluations and what ranks exchange apart"
            lines += [
                ("measured", f"steps of {self.timing.rows:,} pairs"),
                ("time", f"about {total} {where}"),
                ("speed", f"{speed:,.0f} pairs/s, {self.timing.wait:.0%} waiting for batches"),
            ]
        return lines


def plan(config: TrainConfig, ranks: int = 1, measure: int = 0) -> Plan:
    """Return what `config` will take with `ranks` processes.

    measure: steps to take for a trial, each of a rank's share of a batch, in a folder that is then
    removed; 0: none.
    Raises UserError for all that would keep the run from its first step, but for an output that
    exists: the plan of a run that was made tells the same.
    """
    check_alone("--plan", "run it without torchrun, with --ranks for the processes to plan for")
    if ranks < 1:
        raise UserError(f"--ranks {ranks} is too small; give at least 1")
    if 0 < measure <= WARM_UP:
        raise UserError(f"--measure {measure} is too small; give at least {WARM_UP + 1}")
    config = config.resolved()
    device = open_device(config)
    checked = open_checked(config, World(device=device))
    order, steps = checked.order, checked.steps
    rows, batch_size = order.rows, config.stream.batch_size
    encoder = checked.encoder or _own_encoder(config, order.groups, device)
    runs = device.type == "cpu" and not (ranks > 1 and config.running.parallel == "fsdp")
    sample = _sample(order, config, encoder, CALL_TOKENS if runs else None)
    shares = [len(part) for part in np.array_split(np.arange(batch_size), ranks)]
    return Plan(
        rows=rows,
        steps=steps,
        epochs=steps / order.batches,
        batch_size=batch_size,
        rows_per_rank=(min(shares), max(shares)),
        sample=sample,
        shuffle=measure_shuffle(order),
        own_tokenizer=checked.encoder is None,
        cache_bytes=_cache_bytes(order.groups, encoder, config.seed),
        parameters=sum(p.numel() for p in encoder.parameters()),
        memory_bytes=memory(encoder, config, sample, max(shares), ranks),
        timing=_measured(config, measure, max(2, *shares)) if measure else None,
    )


def meeting(identities: Identities) -> npt.NDArray[np.bool_]:
    """Tell which rows share their group, or one of their texts, with another row: bool, (B,)."""
    met = _repeated(identities.group.numpy())
    rows = np.arange(len(met))
    texts = np.concatenate([identities.anchor.numpy(), identities.positive.numpy()])
    # Once for each row: one whose two texts are equal does not meet itself.
    texts, owners = np.unique(np.stack([texts, np.concatenate([rows, rows])]), axis=1)
    met[owners[_repeated(texts)]] = True
    return met


def memory(encoder: Encoder, config: TrainConfig, sample: Sample, rows: int, ranks: int = 1) -> int:
    """Return about how many bytes one of some ranks needs for a step of `rows` rows.

    16 bytes a trained weight (itself, gradient, two moments), 4 a frozen one; of several ranks with
    fsdp each holds its share of them, and whole, with the gradients, what is outside the blocks
    and the largest block, which FSDP gathers to compute with. A transformer layer
    keeps 34 bytes a token and unit of width (Korthikanti et al., arXiv 2205.05198, without the
    attention matrix, which fused attention does not keep), in float32 twice as much; with gradient
    checkpointing its input, 2 or 4 bytes, and one layer at a time all of that. With --chunk only
    the texts of a chunk. Vectors with their gradients, those of all ranks too. Similarities: a
    strip of the rows with all candidates in float32, which is all that the loss ever holds.
    """
    weights = list(encoder.parameters())
    total = _held(weights, 12)
    if ranks > 1 and config.running.parallel == "fsdp":
        blocks = [_held(list(block.parameters()), 4) for block in encoder.blocks()]
        outside = _held(weights, 4) - sum(blocks)
        total = total // ranks + outside + max(blocks, default=0)
    texts = int(rows * sample.texts_per_row)
    model: Any = getattr(encoder, "model", None)
    if model is not None:
        layers, width = int(model.config.num_hidden_layers), int(model.config.hidden_size)
        precision = resolve(config.running.precision, weights[0].device)
        number = 4 if precision == "fp32" else 2
        each = 17 * number * layers
        if config.encoder.gradient_checkpointing:
            each = number * layers + 17 * number
        at_once = min(texts, config.chunk or texts)
        total += int(each * width * at_once * sample.tokens_per_text * sample.padding)
    candidates = int(config.stream.batch_size * (sample.texts_per_row - 1))
    vectors = 8 * (texts + candidates) * encoder.dimension
    strip = min(rows, strip_rows(weights[0].device))
    return total + vectors + 4 * strip * candidates


def _held(weights: Sequence[torch.nn.Parameter], trained: int) -> int:
    """Return the bytes of weights, with so many more of each that is trained."""
    return sum((4 + trained * p.requires_grad) * p.numel() for p in weights)


def _sample(
    order: Order, config: TrainConfig, encoder: Encoder, call_tokens: float | None
) -> Sample:
    rows = met = texts = tokens = computed = 0
    negatives = config.read_negatives
    batches: Stream[Batch] = stream(
        order,
        Cursor(),
        lambda share: collate(share, encoder.tokenise, negatives),
        columns=columns(negatives),
    )
    for batch in islice(batches, order.batches):
        counts = token_counts(batch.features)
        rows += batch.rows
        met += int(meeting(batch.identities).sum())
        texts += len(counts)
        tokens += int(counts.sum())
        computed += token_count(batch.features, call_tokens).computed
        if rows >= SAMPLE_ROWS:
            break
    tokens = max(tokens, 1)
    layout = "in runs of like length" if call_tokens is not None else "padded to the longest"
    if "attention_mask" not in batch.features:
        layout = "end to end, without padding"
    return Sample(rows, met / rows, texts / rows, tokens / texts, computed / tokens, layout)


def _own_encoder(config: TrainConfig, groups: Sequence[RowGroup], device: torch.device) -> Encoder:
    """Return an encoder whose tokenizer has seen enough of the data for an estimate."""
    ends = np.cumsum([group.rows for group in groups])
    some = groups[: int(np.searchsorted(ends, SAMPLE_ROWS)) + 1]
    tokenizer = train_tokenizer(some, config.encoder.vocabulary, config.seed)
    return open_encoder(config.encoder, config.seed, tokenizer, device)


def _cache_bytes(groups: Sequence[RowGroup], encoder: Encoder, seed: int) -> int:
    """Return about how many bytes of pages a token cache has, from row groups drawn by `seed`.

    It holds whole texts, all negatives among them, once for each row of the datasets, compressed.
    """
    tokenizer = encoder.subwords.tokenizer
    cut, width = cutter(tokenizer), id_width(tokenizer)
    rows = stored = 0
    for number in permutation(len(groups), seed, 0, 0):
        table = ids_of(read(groups[number], SOURCES), cut, width)
        file = pa.BufferOutputStream()
        pq.write_table(table, file, row_group_size=table.num_rows, **WRITING)
        written = pq.read_metadata(pa.BufferReader(file.getvalue())).row_group(0)
        stored += sum(written.column(i).total_compressed_size for i in range(written.num_columns))
        rows += table.num_rows
        if rows >= SAMPLE_ROWS:
            break
    return stored * sum(group.rows for group in groups) // rows


def _measured(config: TrainConfig, steps: int, rows: int) -> Timing:
    """Train for some steps with all that belongs to it, but for evaluations, and forget them.

    Raises UserError when the device has too little memory.
    """
    with tempfile.TemporaryDirectory(prefix="pairsmith-plan-") as folder:
        output = Path(folder) / "model"
        trial = replace(
            change(config, checksums=False, batch_size=rows),
            output=output,
            steps=steps,
            tokens=config.tokens.reading,
            # Without evaluations, a plateau has nothing to wait for.
            schedule=ScheduleConfig(schedule="constant"),
            evaluation=EvaluationConfig(),
            telemetry=TelemetryConfig(tensorboard=False, curves=False),
        )
        with saying("stopped; nothing is left of the steps that were measured"):
            try:
                train(trial)
            except torch.OutOfMemoryError as error:
                raise UserError(
                    f"the device has too little memory for steps of {rows:,} pairs; give a smaller "
                    "--batch-size, or --chunk"
                ) from error
        lines = [json.loads(line) for line in (output / LOG).read_text("utf-8").splitlines()]
    told = lines[WARM_UP:]
    seconds = sum(line["seconds"] for line in told)
    wait = sum(line["wait"] for line in told) / seconds
    return Timing(rows, median(line["seconds"] for line in told), wait)


def _repeated(values: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
    _, places, counts = np.unique(values, return_inverse=True, return_counts=True)
    repeated: npt.NDArray[np.bool_] = counts[places] > 1
    return repeated


def _size(count: float) -> str:
    return decimal(round(count))
