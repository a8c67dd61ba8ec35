"""The training loop: shards -> batches -> loss -> encoder, and back again after a kill."""

import math
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.optim import AdamW, Optimizer

from pairsmith.schemas import UserError, open_dataset
from pairsmith.training.boards import open_boards
from pairsmith.training.checkpoint import (
    Progress,
    last_checkpoint,
    load_checkpoint,
    save_checkpoint,
)
from pairsmith.training.collate import Batch, collate
from pairsmith.training.config import TrainConfig
from pairsmith.training.encoder import Encoder, open_encoder, static_parts
from pairsmith.training.evaluation import Tasks, evaluate
from pairsmith.training.flops import peak_flops, step_flops, token_counts, utilisation
from pairsmith.training.folder import CHECKPOINTS, data_tokenizer, open_folder, publish
from pairsmith.training.leaks import check_leaks
from pairsmith.training.loader import (
    IDENTITY,
    NEGATIVES,
    TEXTS,
    Cursor,
    RowGroup,
    batches_per_epoch,
    prefetch,
    row_groups,
    stream,
)
from pairsmith.training.loss import false_negatives, info_nce
from pairsmith.training.telemetry import Journal, Meter, Step, say, scores_line

Watch = Callable[[int, Mapping[str, float]], None]


@dataclass
class Run:
    """What the loop works on."""

    config: TrainConfig
    steps: int
    identity: Mapping[str, Any]
    """Settings and data digests that must be equal on resumption."""
    tasks: Tasks
    encoder: Encoder
    optimizer: Optimizer
    progress: Progress
    folder: Path
    """Of the unfinished run."""
    watch: Watch | None = None


def train(config: TrainConfig, watch: Watch | None = None) -> dict[int, dict[str, float]]:
    """Train, save a sentence-transformers folder at `config.output`, return scores by step.

    Goes on with an unfinished run of the same settings and data. On a CPU, and with the same
    number of threads, the losses are those of an undisturbed run.
    watch: called with the step and the scores of every evaluation; what it raises ends the run.
    Raises UserError for everything the user can put right; OSError when the disk is full. Whatever
    is raised, `config.output` is either absent or whole.
    """
    config = config.resolved()
    if config.output.exists():
        raise UserError(f"{config.output} exists; choose another --output or remove it")
    device = open_device(config)
    tasks = config.evaluation
    tasks.check()
    datasets = [open_dataset(path, checksums=config.checksums) for path in config.data]
    groups = row_groups(datasets)
    rows = sum(group.rows for group in groups)
    if rows < 2:
        names = ", ".join(map(str, config.data))
        raise UserError(f"{names}: {rows} pairs are too few to train on; build more")
    check_leaks(datasets, config.evaluation)
    steps = config.steps or config.epochs * batches_per_epoch(rows, config.batch_size)
    identity = {**config.fingerprint(), "data": [d.manifest.digest for d in datasets]}

    # Only here is anything written, once all that can be wrong has been looked at.
    encoder = None if trains_tokenizer(config) else open_encoder(config)
    folder = open_folder(config.output, identity)
    if encoder is None:
        encoder = open_encoder(config, data_tokenizer(config, groups, folder))
    encoder = encoder.to(device)
    optimizer, progress = make_optimizer(encoder, config), Progress()
    if checkpoint := last_checkpoint(folder / CHECKPOINTS):
        progress = load_checkpoint(checkpoint, encoder, optimizer, identity)
        say(f"going on after step {progress.step} of {steps}")
    run = Run(config, steps, identity, tasks, encoder, optimizer, progress, folder, watch)
    batches = prefetch(make_batches(groups, progress.cursor, config, encoder))
    boards = open_boards(config.telemetry, folder, progress.step, config.as_data())
    journal = Journal(folder, progress.step, boards)
    with closing(batches), closing(journal), Meter(steps, progress.step) as meter:
        loop(run, batches, journal, meter)
    publish(folder, config, encoder, datasets, progress)
    return progress.scores


def loop(run: Run, batches: Iterator[Batch], journal: Journal, meter: Meter) -> None:
    """Take the steps that are left.

    Raises UserError when the loss or the gradient is no finite number; the weights are then those
    of the step before, and the last checkpoint is whole.
    """
    config, encoder, progress = run.config, run.encoder, run.progress
    device = next(encoder.parameters()).device
    bf16 = device.type == "cuda" if config.bf16 is None else config.bf16
    peak = peak_flops(device, config.telemetry.peak_tflops)
    evaluate_every = config.evaluation.evaluate_every or math.ceil(run.steps / 5)
    if progress.step == 0:
        score(run, journal, meter)
    encoder.train()
    while progress.step < run.steps:
        started = time.monotonic()
        batch = next(batches)
        waited = time.monotonic() - started
        lengths = token_counts(batch.features)
        batch = batch.to(device)
        rate = learning_rate(progress.step, run.steps, config.learning_rate, config.warmup)
        for group in run.optimizer.param_groups:
            group["lr"] = rate
        with torch.autocast(device.type, torch.bfloat16, enabled=bf16):
            vectors = encoder(batch.features)
        anchors, candidates = vectors[: batch.rows], vectors[batch.rows :]
        masked = false_negatives(batch.identities)
        loss = info_nce(anchors, candidates, masked, batch.weight, config.temperature)
        run.optimizer.zero_grad()
        loss.backward()
        norm = clip_gradients(encoder, config.clip)
        value = loss.item()
        if not (math.isfinite(norm) and math.isfinite(value)):
            raise UserError(
                f"step {progress.step + 1} has loss {value} and gradient norm {norm}: delete "
                f"{run.folder} and train with a --learning-rate below {config.learning_rate}; the "
                f"checkpoint before is whole"
            )
        run.optimizer.step()
        progress.step += 1
        progress.cursor = batch.cursor
        seconds = time.monotonic() - started
        progress.seconds += seconds
        line = Step(
            step=progress.step,
            epoch=batch.cursor.epoch,
            position=batch.cursor.position,
            rows=batch.rows,
            batch=batch.digest,
            loss=value,
            gradient_norm=norm,
            learning_rate=rate,
            seconds=seconds,
            wait=waited,
            tokens=int(lengths.sum()),
            mfu=utilisation(step_flops(encoder, lengths), seconds, peak) if peak else None,
        )
        journal.step(line)
        meter.step(line)
        last = progress.step == run.steps
        if last or progress.step % evaluate_every == 0:
            score(run, journal, meter)
        if last or progress.step % config.checkpoint_every == 0:
            checkpoints = run.folder / CHECKPOINTS
            save_checkpoint(checkpoints, encoder, run.optimizer, progress, run.identity)


def score(run: Run, journal: Journal, meter: Meter) -> None:
    """Evaluate the encoder as it is, and keep the scores."""
    if run.tasks:
        scores = evaluate(run.encoder.encode, run.tasks)
        run.progress.scores[run.progress.step] = scores
        journal.scores(run.progress.step, scores)
        meter.say(scores_line(run.progress.step, scores))
        if run.watch:
            run.watch(run.progress.step, scores)


def learning_rate(step: int, steps: int, highest: float, warmup: float) -> float:
    """Return the rate of step `step` (from 0) of `steps`: a linear rise, then a cosine to 0.

    SGDR's half period without restarts (Loshchilov and Hutter, arXiv 1608.03983).
    """
    rising = math.ceil(warmup * steps)
    if step < rising:
        return highest * (step + 1) / rising
    return highest * 0.5 * (1 + math.cos(math.pi * (step - rising) / max(1, steps - rising)))


def make_optimizer(encoder: Encoder, config: TrainConfig) -> Optimizer:
    """Return AdamW (arXiv 1711.05101); biases and norms are not decayed."""
    matrices = [p for p in encoder.parameters() if p.ndim > 1]
    vectors = [p for p in encoder.parameters() if p.ndim <= 1]
    groups: list[dict[str, Any]]
    groups = [{"params": matrices}, {"params": vectors, "weight_decay": 0.0}]
    used = [group for group in groups if group["params"]]
    return AdamW(used, lr=config.learning_rate, weight_decay=config.weight_decay, fused=True)


def clip_gradients(encoder: Encoder, longest: float) -> float:
    """Scale gradients down to norm `longest` where they are longer (not if 0); return the norm."""
    gradients = [p.grad for p in encoder.parameters() if p.grad is not None]
    norm = nn.utils.get_total_norm(gradients)
    value = norm.item()
    if 0 < longest < value and math.isfinite(value):
        nn.utils.clip_grads_with_norm_(encoder.parameters(), longest, norm)
    return value


def open_device(config: TrainConfig) -> torch.device:
    """Return the device to train on; on a CPU, set the number of threads.

    Raises UserError when there is no such device.
    """
    name = config.device
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as error:
        raise UserError(f"--device {name} is not there; try --device cpu") from error
    if device.type == "cpu":
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
        torch.set_num_threads(config.threads or max(1, (cores or 1) - 1))
    return device


def trains_tokenizer(config: TrainConfig) -> bool:
    """Tell whether the tokenizer comes from the data."""
    return config.is_static and not static_parts(config.model)[0]


def make_batches(
    groups: Sequence[RowGroup], cursor: Cursor, config: TrainConfig, encoder: Encoder
) -> Iterator[Batch]:
    """Yield batches from the cursor on, without end."""
    pairs = stream(
        groups,
        cursor,
        seed=config.seed,
        batch_size=config.batch_size,
        window=config.window,
        columns=TEXTS + IDENTITY + (NEGATIVES if config.negatives else ()),
    )
    for batch, after in pairs:
        yield collate(batch, after, encoder.tokenise, config.negatives)
