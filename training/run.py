"""What a training run works on, and how it is opened: new, or where it was."""

import json
import math
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer
from torch import Tensor, nn
from torch.distributed.fsdp import FSDPModule
from torch.optim import Optimizer

from pairsmith.schemas import Dataset, UserError
from pairsmith.schemas.manifest import digest
from pairsmith.schemas.store import RemoteDataset, shown
from pairsmith.training.checkpoint import (
    Progress,
    last_checkpoint,
    load_checkpoint,
)
from pairsmith.training.collate import Batch, KeptIds, collate, columns
from pairsmith.training.config import Precision, TrainConfig
from pairsmith.training.distributed import Spread, World, spread
from pairsmith.training.encoders.encoder import Encoder
from pairsmith.training.encoders.opening import open_encoder
from pairsmith.training.encoders.packing import Features, in_chunks
from pairsmith.training.encoders.start import rarity
from pairsmith.training.encoders.static import StaticEncoder
from pairsmith.training.evaluation.leaks import check_leaks
from pairsmith.training.folder import (
    CHECKPOINTS,
    data_tokenizer,
    is_begun,
    open_folder,
)
from pairsmith.training.losses.objective import Objective
from pairsmith.training.optimizer import make_optimizer
from pairsmith.training.precision import FIRST_SCALE, LossScale, resolve
from pairsmith.training.schedule import best_step
from pairsmith.training.streaming.corpus import (
    check_targets,
    notes_on_negatives,
    open_data,
    open_order,
    shard_files,
)
from pairsmith.training.streaming.loader import Stream, stream
from pairsmith.training.streaming.order import Order
from pairsmith.training.telemetry.journal import say
from pairsmith.training.tokens.kept import open_tokens_of, tokenised
from pairsmith.training.tokens.tokenizer import count_tokens, special_tokenizer

Watch = Callable[[int, Mapping[str, float]], None]


@dataclass
class Run:
    """What the loop works on."""

    config: TrainConfig
    world: World
    precision: Precision
    """What the encoder computes in on this device."""
    steps: int
    identity: Mapping[str, Any]
    """Settings and data digests that must be equal on resumption."""
    datasets: Sequence[Dataset | RemoteDataset]
    order: Order
    folder: Path
    """Of the unfinished run."""
    tokenizer: Tokenizer | None
    """Where it was trained from the data."""
    encoder: Encoder
    forward: Spread
    """The encoder as it is called in training, over all processes."""
    start: Sequence[Tensor]
    """The encoder's parameters before the first step, where `interpolate` asks for them."""
    objectives: nn.ModuleList
    """What is learned: of all batches, or of those of each dataset."""
    optimizer: Optimizer
    progress: Progress
    watch: Watch | None = None

    @property
    def learner(self) -> nn.Module:
        """Return all that is trained."""
        return nn.ModuleDict({"encoder": self.encoder, "objectives": self.objectives})

    @property
    def best(self) -> int | None:
        """Return the step whose weights are the result so far; None: the last, whichever it is."""
        evaluation = self.config.evaluation
        if not evaluation.stop_on or evaluation.keep == "last":
            return None
        return best_step(self.progress.scores, evaluation.stop_on)


@dataclass(frozen=True)
class Checked:
    """What a run starts from, found good."""

    precision: Precision
    """What the encoder computes in on this device."""
    datasets: Sequence[Dataset | RemoteDataset]
    order: Order
    steps: int
    identity: Mapping[str, Any]
    """Settings and data digests that must be equal on resumption."""
    encoder: Encoder | None
    """As it starts; None: its tokenizer is yet to be trained from the data."""


def open_checked(config: TrainConfig, world: World) -> Checked:
    """Return what a run starts from, after a look at all that can be wrong; nothing is written.

    config: resolved. Called by every process. Raises UserError.
    """
    losses = config.losses or (config.loss,)
    with world.together():
        precision = resolve(config.running.precision, world.device)
        config.evaluation.check_files()
        watched = config.evaluation.watched()
        checksums = config.stream.checksums and world.local == 0  # once on each machine
        datasets = [open_data(name, checksums=checksums) for name in config.data]
        order = open_order(datasets, config.stream, config.stream.batch_size, config.seed)
        if order.rows < 2:
            names = ", ".join(map(shown, config.data))
            raise UserError(f"{names}: {order.rows} pairs are too few to train on; build more")
        check_targets(order, config.data, losses)
        if world.leads:
            shards = [s for d in datasets for s in shard_files(d, config.stream)]
            check_leaks(shards, config.evaluation)
            for note in notes_on_negatives(order, config.stream.negatives, losses):
                say(f"note: {note}")
        asked = config.encoder
        # What cannot be done is told before minutes go into a tokenizer.
        stand_in = special_tokenizer() if asked.trains_tokenizer else None
        encoder = open_encoder(asked, config.seed, stand_in, world.device)
        for loss in losses:
            loss.sizes(asked.projection or encoder.dimension)
    identity = {
        **config.fingerprint(),
        "data": [d.manifest.digest for d in datasets],
        "weights": order.weights.digest,
        **watched,
    }
    if stand_in is None:  # what the model's name stands for; one that is trained follows from data
        identity["tokenizer"] = digest(json.loads(encoder.subwords.tokenizer.to_str()))[:16]
    first = world.broadcast(identity)
    with world.together():
        if identity != first:
            raise UserError(f"rank {world.rank} has not the data or settings of rank 0")
        if world.leads:
            is_begun(config.output, identity)  # which may be another run
    steps = config.steps or config.epochs * order.batches
    return Checked(precision, datasets, order, steps, identity, None if stand_in else encoder)


def open_run(config: TrainConfig, world: World) -> Run:
    """Return the run, new or at its last checkpoint.

    Nothing is written before all that can be wrong has been looked at. Raises UserError.
    """
    with world.together():
        if world.leads and os.path.lexists(config.output):  # a link to nothing, too
            raise UserError(f"{config.output} exists; choose another --output or remove it")
    checked = open_checked(config, world)
    order, steps, identity = checked.order, checked.steps, checked.identity
    with world.together():
        folder, tokenizer, checkpoint = Path(), None, None
        if world.leads:
            folder = open_folder(config.output, identity)
            if checked.encoder is None:
                tokenizer = data_tokenizer(config, order.groups, folder)
            checkpoint = last_checkpoint(folder / CHECKPOINTS)
    folder, checkpoint = world.broadcast((folder, checkpoint))
    encoder = checked.encoder
    if encoder is None:
        written = world.broadcast(tokenizer and tokenizer.to_str())
        tokenizer = Tokenizer.from_str(written)
        with world.together():
            encoder = open_encoder(config.encoder, config.seed, tokenizer, world.device)
    if not checkpoint:  # which has the factors, too
        weigh_by_rarity(encoder, order, config)
    forward = spread(encoder, world, config.running.parallel, checked.precision)
    objectives = nn.ModuleList(map(Objective, config.losses or (config.loss,))).to(world.device)
    learner = nn.ModuleDict({"encoder": encoder, "objectives": objectives})
    start = [p.detach().clone() for p in encoder.parameters()] if config.interpolate < 1 else []
    optimizer, progress = make_optimizer(learner, config.optimizer), Progress()
    if config.running.precision == "fp16":
        progress.scale = LossScale(FIRST_SCALE)
    if checkpoint:
        progress = load_checkpoint(checkpoint, learner, optimizer, identity, world)
        if world.leads:
            say(f"resumed after step {progress.step} of {steps}")
    return Run(
        config=config,
        world=world,
        precision=checked.precision,
        steps=steps,
        identity=identity,
        datasets=checked.datasets,
        order=order,
        folder=folder,
        tokenizer=tokenizer,
        encoder=encoder,
        forward=forward,
        start=start,
        objectives=objectives,
        optimizer=optimizer,
        progress=progress,
    )


def weigh_by_rarity(encoder: Encoder, order: Order, config: TrainConfig) -> None:
    """Let a new static encoder begin with long vectors for rare subwords, on every process."""
    if not (isinstance(encoder, StaticEncoder) and config.encoder.rarity):
        return
    size = encoder.embedding.num_embeddings
    counts = count_tokens(order.groups, encoder.subwords, size, config.seed)
    encoder.weigh(rarity(counts, config.encoder.rarity))


def open_stream(run: Run) -> Stream[Batch]:
    """Return this process's shares of the batches from where the run is, without end."""
    config, world, encoder = run.config.stream, run.world, run.encoder
    negatives = run.config.read_negatives
    order, kept = run.order, None
    with world.together():
        epochs = run.steps / order.batches
        tokenizer = encoder.subwords.tokenizer
        caches = open_tokens_of(run.datasets, tokenizer, run.config.tokens, config, epochs)
    if caches:
        order = tokenised(order, run.datasets, caches, config)
        kept = KeptIds(caches[0].width, encoder.kept_features)
    return stream(
        order,
        run.progress.cursor,
        lambda share: collate(share, encoder.tokenise, negatives, kept),
        columns=columns(negatives, kept=kept is not None),
        rank=world.rank,
        world=world.size,
        workers=config.workers,
    )


def chunks_of(batch: Batch, run: Run) -> list[Features]:
    """Return the batch's features in runs of at most `chunk` texts, as many on every process.

    A process with fewer texts than another may have runs whose vectors come behind those of its
    texts.
    """
    most = run.world.most(max(1, batch.texts))
    return in_chunks(batch.features, max(1, batch.texts), math.ceil(most / run.config.chunk))


@contextmanager
def as_saved(run: Run) -> Iterator[None]:
    """Give the encoder the weights that a model is saved with and judged by, for a while.

    These lie `interpolate` of the way from the start to what is trained.
    """
    share = run.config.interpolate
    parameters = list(run.encoder.parameters()) if share < 1 else []
    trained = [p.detach().clone() for p in parameters]
    with torch.no_grad():
        for parameter, start in zip(parameters, run.start, strict=True):
            parameter.copy_(start + share * (parameter - start))
    try:
        yield
    finally:
        if isinstance(run.encoder, FSDPModule):
            # It keeps the root's weights gathered for the backward pass, which none follows here.
            run.encoder.reshard()
        with torch.no_grad():
            for parameter, value in zip(parameters, trained, strict=True):
                parameter.copy_(value)
