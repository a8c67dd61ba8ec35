"""The training loop: shards -> batches -> loss -> encoder, and back again after a kill."""

import math
import signal
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer
from torch import Tensor
from torch.optim import Optimizer

from pairsmith.schemas import Dataset, UserError, open_dataset
from pairsmith.training.checkpoint import (
    Progress,
    last_checkpoint,
    load_checkpoint,
    put_weights,
    read_tensors,
    save_checkpoint,
    seed_step,
    whole_weights,
)
from pairsmith.training.collate import Batch, Features, collate
from pairsmith.training.config import TrainConfig
from pairsmith.training.distributed import (
    World,
    global_identities,
    global_rows,
    open_world,
    shared_encode,
    spread,
)
from pairsmith.training.encoder import Encoder, open_encoder, static_parts
from pairsmith.training.evaluation import Tasks, evaluate
from pairsmith.training.folder import (
    CHECKPOINTS,
    best_weights,
    data_tokenizer,
    forget_others,
    open_folder,
    publish,
    save_best,
)
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
from pairsmith.training.optimizer import finish_gradients, make_optimizer
from pairsmith.training.precision import FIRST_SCALE, LossScale, computing, resolve
from pairsmith.training.reports import Reports
from pairsmith.training.schedule import best_step, drops, learning_rate, since_best
from pairsmith.training.stopping import Stop, Terminated, stop_signals
from pairsmith.training.telemetry import Step, say


@dataclass
class Run:
    """What the loop works on."""

    config: TrainConfig
    world: World
    steps: int
    identity: Mapping[str, Any]
    """Settings and data digests that must be equal on resumption."""
    tasks: Tasks
    datasets: Sequence[Dataset]
    groups: Sequence[RowGroup]
    folder: Path
    """Of the unfinished run."""
    tokenizer: Tokenizer | None
    """Where it was trained from the data."""
    encoder: Encoder
    forward: Callable[[Features], Tensor]
    """The encoder as it is called in training, over all processes."""
    optimizer: Optimizer
    progress: Progress


def train(config: TrainConfig) -> dict[int, dict[str, float]]:
    """Train, save a sentence-transformers folder at `config.output`, return scores by step.

    Goes on with an unfinished run of the same settings and data, on any number of processes. On a
    CPU, and with the same number of threads and processes, the losses are those of an undisturbed
    run. Raises UserError for everything the user can put right; OSError when the disk is full.
    Whatever is raised, `config.output` is either absent or whole. On SIGTERM and Ctrl-C, the step
    is finished and a checkpoint saved before SystemExit(143) or KeyboardInterrupt is raised.
    """
    config = config.resolved()
    with open_world(config.running) as world:
        run = open_run(config, world)
        progress = run.progress
        batches = prefetch(make_batches(run.groups, progress.cursor, config, run.encoder, world))
        reports = Reports(
            *(run.folder, world, progress.step, run.steps), tensorboard=config.telemetry.tensorboard
        )
        # Processes of torchrun are told to stop while one of them still says why: not at once.
        signals = stop_signals(restore=world.size == 1)
        with signals as stop, closing(batches), reports:
            loop(run, batches, reports, stop)
        finish(run)
    return run.progress.scores


def open_run(config: TrainConfig, world: World) -> Run:
    """Return the run, new or at its last checkpoint.

    Nothing is written before all that can be wrong has been looked at. Raises UserError.
    """
    evaluation = config.evaluation
    tasks = Tasks(evaluation.sts, evaluation.intent, evaluation.retrieval, evaluation.split)
    with world.together():
        if world.leads and config.output.exists():
            raise UserError(f"{config.output} exists; choose another --output or remove it")
        tasks.check()
        checksums = config.batch.checksums and world.local == 0  # once on each machine
        datasets = [open_dataset(path, checksums=checksums) for path in config.data]
        groups = row_groups(datasets)
        rows = sum(group.rows for group in groups)
        if rows < 2:
            names = ", ".join(map(str, config.data))
            raise UserError(f"{names}: {rows} pairs are too few to train on; build more")
        from_data = config.encoder.is_static and not static_parts(config.encoder.model)[0]
        opened = None if from_data else open_encoder(config)
    steps = config.steps or config.epochs * batches_per_epoch(rows, config.batch.batch_size)
    identity = {**config.fingerprint(), "data": [d.manifest.digest for d in datasets]}
    first = world.broadcast(identity)
    with world.together():
        if identity != first:
            raise UserError(f"rank {world.rank} has not the data or settings of rank 0")
    with world.together():
        folder, tokenizer, checkpoint = Path(), None, None
        if world.leads:
            folder = open_folder(config.output, identity)
            tokenizer = data_tokenizer(config, groups, folder) if from_data else None
            checkpoint = last_checkpoint(folder / CHECKPOINTS)
    folder, checkpoint = world.broadcast((folder, checkpoint))
    if from_data:
        written = world.broadcast(tokenizer and tokenizer.to_str())
        tokenizer = Tokenizer.from_str(written)
    encoder = opened or open_encoder(config, tokenizer)
    forward = spread(encoder, world, config.running.parallel)
    optimizer, progress = make_optimizer(encoder, config.optimizer), Progress()
    if config.running.precision == "fp16":
        progress.scale = LossScale(FIRST_SCALE)
    if checkpoint:
        progress = load_checkpoint(checkpoint, encoder, optimizer, identity, world)
        if world.leads:
            say(f"going on after step {progress.step} of {steps}")
    return Run(
        *(config, world, steps, identity, tasks, datasets, groups, folder, tokenizer),
        *(encoder, forward, optimizer, progress),
    )


def loop(run: Run, batches: Iterator[Batch], reports: Reports, stop: Stop) -> None:
    """Take the steps that are left.

    Raises UserError when the loss or the gradient is no finite number; the last checkpoint is then
    whole. Raises KeyboardInterrupt or Terminated when a signal asked for it, after a checkpoint.
    """
    config, world, progress = run.config, run.world, run.progress
    precision = resolve(config.running.precision, world.device)
    evaluate_every = config.evaluation.evaluate_every or math.ceil(run.steps / 5)
    if progress.step == 0:
        score(run, reports)
    run.encoder.train()
    while not finished(run):
        started = time.monotonic()
        with world.together():
            batch = next(batches).to(world.device)
        seed_step(config.seed, progress.step, world.rank)
        rate = current_rate(run)
        for group in run.optimizer.param_groups:
            group["lr"] = rate
        with computing(precision, world.device):
            vectors = run.forward(batch.features)
        loss = contrast(vectors, batch, config, world)
        run.optimizer.zero_grad()
        # The mean of the processes' gradients is that of the whole batch: each has its own rows'.
        (loss * world.size * progress.scale.scale).backward()
        norm = finish_gradients(run.encoder, config.optimizer.clip, progress.scale.scale)
        value = loss.item()
        if math.isfinite(value) and not math.isfinite(norm) and precision == "fp16":
            progress.scale.overflowed()
            norm = 0.0  # that of the step which is taken
        elif not (math.isfinite(value) and math.isfinite(norm)):
            raise not_finite(run, value, norm)
        else:
            run.optimizer.step()
            if precision == "fp16":
                progress.scale.held()
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
        )
        reports.step(line)
        if progress.step == run.steps or progress.step % evaluate_every == 0:
            score(run, reports)
        signalled = int(world.most(stop.signal))
        if finished(run) or signalled or progress.step % config.running.checkpoint_every == 0:
            keep(run)
        if signalled and not finished(run):
            leave(run, signalled)


def contrast(vectors: Tensor, batch: Batch, config: TrainConfig, world: World) -> Tensor:
    """Return the loss of the whole batch, of which this process has computed `vectors`."""
    rows, negatives = batch.rows, len(batch.identities.owner)  # both may be 0
    anchors, candidates = vectors[:rows], vectors[rows : 2 * rows + negatives]
    if world.size > 1:
        anchors = global_rows(anchors, world)
        parts = (candidates[:rows], candidates[rows:])
        candidates = torch.cat([global_rows(part, world) for part in parts])
    masked = false_negatives(global_identities(batch.identities, world))
    weight = global_rows(batch.weight, world)
    return info_nce(anchors, candidates, masked, weight, config.loss.temperature)


def score(run: Run, reports: Reports) -> None:
    """Evaluate the encoder as it is, and keep the scores, and the weights if they are the best.

    Raises UserError when the evaluation to watch is not among them.
    """
    watched, step = run.config.stopping.stop_on, run.progress.step
    scores: dict[str, float] = {}
    if run.tasks:
        # All see the same numbers, so that all stop at the same step.
        scores = run.world.broadcast(evaluate(shared_encode(run.encoder, run.world), run.tasks))
        run.progress.scores[step] = scores
        reports.scores(step, scores)
    if watched and watched not in scores:
        have = ", ".join(scores) or "none; give --sts, --intent or --retrieval"
        raise UserError(f"--stop-on {watched} is not among the evaluations, which are: {have}")
    if keeps_best(run) and best_step(run.progress.scores, watched) == step:
        weights = whole_weights(run.encoder, run.world)
        with run.world.together():
            if run.world.leads:
                save_best(run.folder, step, weights)


def keep(run: Run) -> None:
    """Save a checkpoint."""
    folder = run.folder / CHECKPOINTS
    save_checkpoint(folder, run.encoder, run.optimizer, run.progress, run.identity, run.world)
    if run.world.leads and keeps_best(run):
        best = best_step(run.progress.scores, run.config.stopping.stop_on)
        forget_others(run.folder, best or 0)


def finished(run: Run) -> bool:
    """Tell whether all steps are taken, or the watched evaluation has long not got better."""
    stopping, progress = run.config.stopping, run.progress
    if progress.step >= run.steps:
        return True
    stale = since_best(progress.scores, stopping.stop_on) if stopping.stop_on else 0
    return 0 < stopping.patience <= stale


def finish(run: Run) -> None:
    """Make the model folder of the run's result."""
    step, world = run.progress.step, run.world
    weights = None
    if keeps_best(run):
        step = best_step(run.progress.scores, run.config.stopping.stop_on) or 0
    elif world.size > 1 and run.config.running.parallel == "fsdp":
        weights = whole_weights(run.encoder, world)
    with world.together():
        if world.leads:
            encoder = run.encoder
            if keeps_best(run):
                weights = read_tensors(best_weights(run.folder, step))
            if weights is not None:  # into an encoder that is not spread over processes
                encoder = open_encoder(run.config, run.tokenizer)
                put_weights(encoder, weights)
            publish(run.folder, run.config, encoder, run.datasets, run.progress, step)


def keeps_best(run: Run) -> bool:
    """Tell whether the result is what had the best evaluation."""
    return bool(run.config.stopping.stop_on) and run.config.stopping.keep == "best"


def current_rate(run: Run) -> float:
    """Return the learning rate of the next step."""
    config, progress = run.config, run.progress
    watched = config.stopping.stop_on
    values = [scores[watched] for scores in progress.scores.values() if watched in scores]
    dropped = drops(values, config.schedule.drop_patience)
    highest = config.optimizer.learning_rate
    return learning_rate(progress.step, run.steps, highest, config.schedule, dropped)


def leave(run: Run, number: int) -> None:
    """Raise what ends the process after signal `number`; rank 0 tells how to go on."""
    name = signal.Signals(number).name
    line = (
        f"stopped by {name} after step {run.progress.step} of {run.steps}; the same command goes "
        "on from there"
    )
    if number == signal.SIGINT and run.world.leads:
        raise KeyboardInterrupt(line)
    if run.world.leads:
        say(line)
    raise Terminated


def not_finite(run: Run, value: float, norm: float) -> BaseException:
    """Return the error of a step without a finite loss; the ids of its pairs are in a file."""
    config, step = run.config, run.progress.step + 1
    if not run.world.leads:
        return SystemExit(2)
    pairs = read_batches(run.groups, run.progress.cursor, config, ("pair_id",))
    ids = next(pairs)[0]["pair_id"].to_pylist()
    file = run.folder / f"pairs-of-step-{step}.txt"
    file.write_text("\n".join(ids) + "\n", "utf-8")
    return UserError(
        f"step {step} has loss {value} and gradient norm {norm}, on the pairs {ids[0]} to "
        f"{ids[-1]}, all listed in {file}; the checkpoint before is whole: look at these pairs, or "
        f"delete {run.folder} and train with a --learning-rate below "
        f"{config.optimizer.learning_rate}"
    )


def make_batches(
    groups: Sequence[RowGroup],
    cursor: Cursor,
    config: TrainConfig,
    encoder: Encoder,
    world: World,
) -> Iterator[Batch]:
    """Yield this process's shares of the batches from the cursor on, without end."""
    negatives = config.batch.negatives
    columns = TEXTS + IDENTITY + (NEGATIVES if negatives else ())
    for pairs, after in read_batches(groups, cursor, config, columns):
        start, rows = world.share(pairs.num_rows)
        # Without a row of its own, a process computes on another's, for nothing: all must compute.
        mine = pairs.slice(start, rows) if rows else pairs.slice(0, 1)
        batch = collate(mine, after, encoder.tokenise, negatives)
        yield batch if rows else _emptied(batch)


def read_batches(
    groups: Sequence[RowGroup], cursor: Cursor, config: TrainConfig, columns: Sequence[str]
) -> Iterator[tuple[Any, Cursor]]:
    """Yield columns of the batches from the cursor on, each with the cursor after it."""
    return stream(
        groups,
        cursor,
        seed=config.seed,
        batch_size=config.batch.batch_size,
        window=config.stream.window,
        columns=columns,
    )


def _emptied(batch: Batch) -> Batch:
    identities = {name: value[:0] for name, value in vars(batch.identities).items()}
    return replace(batch, identities=type(batch.identities)(**identities), weight=batch.weight[:0])
