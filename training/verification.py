"""The check of a run's own loss and gradients before it is trained: `pairsmith train --verify`."""

import tempfile
from contextlib import closing
from dataclasses import replace
from pathlib import Path

from pairsmith.training.config import TrainConfig
from pairsmith.training.distributed import open_world
from pairsmith.training.losses.verify import verify
from pairsmith.training.run import chunks_of, open_run, open_stream


def verify_run(config: TrainConfig) -> list[str]:
    """Return how far loss and gradients of the first batch are from the plain formula in float64.

    One line for each path; nothing is trained, and what is made is removed. Raises UserError when
    one is off by more than rounding makes it.
    """
    with (
        tempfile.TemporaryDirectory(prefix="pairsmith-verify-") as place,
        open_world(config) as world,
    ):
        config = config.resolved()
        config = replace(config, output=Path(place) / "model", tokens=config.tokens.reading)
        run = open_run(config, world)
        with closing(open_stream(run)) as batches, world.together():
            batch = next(batches)
        batch = batch.to(world.device)
        run.encoder.train()
        chunks = chunks_of(batch, run) if config.chunk else [batch.features]
        targets = (batch.identities, batch.weight, batch.label, batch.similarity)
        loss = config.losses[batch.source] if config.losses else config.loss
        return verify(loss, run.encoder, chunks, run.encoder.parameters(), *targets, world.group)
