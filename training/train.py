"""The training loop: shards -> batches -> loss -> encoder, and back again after a kill."""

import math
import signal
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing
from dataclasses import replace

from torch import Tensor

from pairsmith.schemas import UserError
from pairsmith.training.checkpoint import (
    put_weights,
    read_tensors,
    save_checkpoint,
    seed_step,
    whole_weights,
)
from pairsmith.training.collate import Batch
from pairsmith.training.config import TrainConfig
from pairsmith.training.distributed import open_world, shared_encode
from pairsmith.training.encoders.opening import open_encoder
from pairsmith.training.encoders.packing import Features
from pairsmith.training.evaluation.scores import evaluate
from pairsmith.training.folder import (
    CHECKPOINTS,
    best_weights,
    forget_others,
    held,
    publish,
    save_best,
)
from pairsmith.training.losses.cache import cached_step
from pairsmith.training.losses.objective import Outcome
from pairsmith.training.optimizer import finish_gradients
from pairsmith.training.precision import computing
from pairsmith.training.run import Run, Watch, as_saved, chunks_of, open_run, open_stream
from pairsmith.training.schedule import drops, learning_rate, since_best
from pairsmith.training.signals import Stop, Terminated, stop_signals
from pairsmith.training.telemetry.flops import token_counts
from pairsmith.training.telemetry.journal import Step
from pairsmith.training.telemetry.reports import Reports


def train(config: TrainConfig, watch: Watch | None = None) -> dict[int, dict[str, float]]:
    """Train, save a sentence-transformers folder at `config.output`, return scores by step.

    Goes on with an unfinished run of the same settings and data, on any number of processes. On a
    CPU, and with the same number of threads and processes, the losses are those of an undisturbed
    run. watch: called with the step and the scores of every evaluation; what it raises ends the
    run. Raises UserError for everything the user can put right; OSError when the disk is full.
    Whatever is raised, `config.output` is either absent or whole. On SIGTERM and Ctrl-C, the step
    is finished and a checkpoint saved before SystemExit(143) or KeyboardInterrupt is raised.
    """
    with open_world(config) as world, ExitStack() as holding:
        config = config.resolved()  # which can, or there were no world
        with world.together():
            if world.leads:
                holding.enter_context(held(config.output))
        run = open_run(config, world)
        run.watch = watch
        progress = run.progress
        batches = open_stream(run)
        with world.together():
            reports = Reports(run.folder, world, progress.step, run.steps, config)
        # Processes of torchrun are told to stop while one of them still says why: not at once.
        signals = stop_signals(restore=world.size == 1)
        with signals as stop, closing(batches), reports:
            loop(run, batches, reports, stop)
        finish(run)
    return run.progress.scores


def loop(run: Run, batches: Iterator[Batch], reports: Reports, stop: Stop) -> None:
    """Take the steps that are left.

    Raises UserError when the loss or the gradient is no finite number; the last checkpoint is then
    whole. Raises KeyboardInterrupt or Terminated when a signal asked for it, after a checkpoint.
    """
    config, world, progress = run.config, run.world, run.progress
    evaluate_every = config.evaluation.evaluate_every or math.ceil(run.steps / 5)
    if progress.step == 0:
        score(run, reports)
    run.encoder.train()
    while not finished(run):
        started = time.monotonic()
        with world.together():
            batch = next(batches)
        waited = time.monotonic() - started
        lengths = token_counts(batch.features)
        batch = batch.to(world.device)
        seed_step(config.seed, progress.step, world.rank)
        rate = current_rate(run)
        for group in run.optimizer.param_groups:
            group["lr"] = rate
        run.optimizer.zero_grad()
        outcome = backward(run, batch)
        norm = finish_gradients(run.learner, config.optimizer.clip, progress.scale.scale)
        total, tokens = world.sum(outcome.loss.item(), int(lengths.sum()))
        value = total / world.size
        if math.isfinite(value) and not math.isfinite(norm) and run.precision == "fp16":
            with world.together():
                progress.scale.overflowed()
            norm = 0.0  # that of the step which is taken
        elif not (math.isfinite(value) and math.isfinite(norm)):
            raise not_finite(run, batch, value, norm)
        else:
            run.optimizer.step()
            if run.precision == "fp16":
                progress.scale.held()
        progress.step += 1
        progress.cursor = batch.cursor
        means, groups = reports.means(progress.step, batch, lengths, outcome)
        # Only now has a GPU done what it was given.
        seconds = time.monotonic() - started
        progress.seconds += seconds
        line = Step(
            step=progress.step,
            epoch=batch.cursor.epoch,
            position=batch.cursor.position,
            rows=batch.global_rows,
            batch=batch.digest,
            loss=value,
            gradient_norm=norm,
            learning_rate=rate,
            seconds=seconds,
            wait=waited,
            tokens=int(tokens),
            mfu=reports.mfu(run.encoder, lengths, seconds),
            temperature=None if outcome.temperature is None else outcome.temperature.item(),
            groups=groups,
            **means,
        )
        with world.together():
            reports.step(line)
        if progress.step == run.steps or progress.step % evaluate_every == 0:
            score(run, reports)
        signalled = int(world.most(stop.signal))
        if finished(run) or signalled or progress.step % config.running.checkpoint_every == 0:
            keep(run, reports)
        if signalled and not finished(run):
            leave(run, signalled)


def backward(run: Run, batch: Batch) -> Outcome:
    """Add the gradient of the whole batch's loss to the parameters; return the loss."""
    config, scale = run.config, run.progress.scale.scale
    rows, texts = batch.rows, batch.texts
    objective = run.objectives[batch.source if config.losses else 0]

    def encode(features: Features) -> Tensor:
        with computing(run.precision, run.world.device):
            return run.forward(features)

    def contrast(vectors: Tensor) -> Outcome:
        parts = vectors[:texts].split((rows, rows, texts - 2 * rows))
        targets = (batch.identities, batch.weight, batch.label, batch.similarity)
        outcome: Outcome = objective(*parts, *targets, run.world.group)
        return outcome

    def go_back(loss: Tensor) -> None:
        (loss * scale).backward()

    if not config.chunk:
        outcome = contrast(encode(batch.features))
        go_back(outcome.loss)
        return outcome
    chunks, no_sync = chunks_of(batch, run), run.forward.no_sync
    return cached_step(encode, chunks, contrast, no_sync=no_sync, backward=go_back)


def score(run: Run, reports: Reports) -> None:
    """Evaluate the encoder as it would be saved; keep the scores, and the best weights."""
    world, step = run.world, run.progress.step
    if not run.config.evaluation:
        return
    with as_saved(run):
        encode = shared_encode(run.encoder, world, run.precision)
        # All see the same numbers, so that all stop at the same step.
        scores = world.broadcast(evaluate(encode, run.config.evaluation))
        run.progress.scores[step] = scores
        best = run.best == step
        # On a CPU these are the encoder's own, which are others again behind this block.
        weights = whole_weights(run.encoder, world) if best else {}
        with world.together():
            if best and world.leads:
                save_best(run.folder, step, weights)
            reports.scores(step, scores)
    if run.watch:
        run.watch(step, scores)


def keep(run: Run, reports: Reports) -> None:
    """Save a checkpoint, once the log of its steps is on the disk."""
    folder = run.folder / CHECKPOINTS
    with run.world.together():
        reports.flush()
    save_checkpoint(folder, run.learner, run.optimizer, run.progress, run.identity, run.world)
    with run.world.together():
        if run.world.leads and run.best is not None:
            forget_others(run.folder, run.best)


def finished(run: Run) -> bool:
    """Tell whether all steps are taken, or the watched evaluation has long not got better."""
    evaluation, progress = run.config.evaluation, run.progress
    if progress.step >= run.steps:
        return True
    stale = since_best(progress.scores, evaluation.stop_on) if evaluation.stop_on else 0
    return 0 < evaluation.patience <= stale


def finish(run: Run) -> None:
    """Make the model folder of the run's result."""
    config, world, best = run.config, run.world, run.best
    step = run.progress.step if best is None else best
    with as_saved(run):
        weights = None
        if best is None and world.size > 1 and config.running.parallel == "fsdp":
            weights = whole_weights(run.encoder, world)
        with world.together():
            if world.leads:
                encoder = run.encoder
                if best is not None:
                    weights = read_tensors(best_weights(run.folder, best))
                if weights is not None:  # into an encoder that is not spread over processes
                    plain = replace(config.encoder, packed=False)
                    encoder = open_encoder(plain, config.seed, run.tokenizer)
                    put_weights(encoder, weights)
                publish(run.folder, config, encoder, run.datasets, run.progress, step)


def current_rate(run: Run) -> float:
    """Return the learning rate of the next step."""
    config, progress = run.config, run.progress
    watched = config.evaluation.stop_on
    values = [scores[watched] for scores in progress.scores.values() if watched in scores]
    dropped = drops(values, config.schedule.drop_patience)
    highest = config.optimizer.learning_rate
    return learning_rate(progress.step, run.steps, highest, config.schedule, dropped)


def leave(run: Run, number: int) -> None:
    """Raise what ends the process after signal `number`; that of rank 0 tells how to resume."""
    name = signal.Signals(number).name
    steps = f"{run.progress.step} of {run.steps}"
    line = f"stopped by {name} after step {steps}; the same command resumes"
    if number == signal.SIGINT and run.world.leads:
        raise KeyboardInterrupt(line)
    raise Terminated(line if run.world.leads else "")


def not_finite(run: Run, batch: Batch, value: float, norm: float) -> BaseException:
    """Return the error of a step without a finite loss; the ids of its pairs are in a file."""
    config, step = run.config, run.progress.step + 1
    ids = run.world.gather(batch.about["pair_id"].to_pylist())
    if not run.world.leads:
        return SystemExit(2)
    file = run.folder / f"pairs-of-step-{step}.txt"
    file.write_text("\n".join(ids) + "\n", "utf-8")
    return UserError(
        f"step {step} has loss {value} and gradient norm {norm}, on the pairs {ids[0]} to "
        f"{ids[-1]}, all listed in {file}; the checkpoint before is whole: look at these pairs, or "
        f"delete {run.folder} and train with a --learning-rate below "
        f"{config.optimizer.learning_rate}"
    )
