"""Every loss over 1, 2 and 4 gloo processes: the gradients of the whole batch in one."""

import datetime
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.distributed as dist
from torch import nn
from torch.distributed import ProcessGroup
from torch.multiprocessing import start_processes
from torch.nn.parallel import DistributedDataParallel

from pairsmith.training.collate import Identities
from pairsmith.training.losses.cache import cached_step
from pairsmith.training.losses.config import LossConfig
from pairsmith.training.losses.objective import Objective, Outcome
from pairsmith.training.losses.plain import Pairs
from pairsmith.training.losses.verify import verify
from tests.training.losses.batches import error, made, plainly, settings, slope, vectors
from tests.training.ranks import FORKS

EXACT = 1e-5
# Rows of each rank: even, uneven, none on one, all on one.
SPREADS = ([21], [11, 10], [0, 21], [6, 5, 5, 5], [1, 0, 17, 3])


def share(pairs: Pairs, rows: np.ndarray[tuple[int], np.dtype[np.int64]]) -> Pairs:
    """Return some consecutive rows of a batch, with their hard negatives."""
    first, ids = int(rows[0]) if len(rows) else 0, pairs.identities
    which = slice(first, first + len(rows))
    mine = ((ids.owner >= which.start) & (ids.owner < which.stop)).nonzero()[:, 0]
    return Pairs(
        pairs.anchors[which],
        pairs.positives[which],
        pairs.negatives[mine],
        Identities(
            ids.group[which],
            ids.anchor[which],
            ids.positive[which],
            ids.negative[mine],
            ids.negative_group[mine],
            ids.owner[mine] - first,
        ),
        pairs.weight[which],
        pairs.label[which],
        pairs.similarity[which],
    )


def ask(objective: Objective, parts: object, mine: Pairs, group: ProcessGroup) -> Outcome:
    told = mine.identities, mine.weight, mine.label, mine.similarity
    outcome: Outcome = objective(*parts, *told, group)  # type: ignore[misc]
    return outcome


def one_spread(
    config: LossConfig,
    pairs: Pairs,
    wanted: tuple[torch.Tensor, list[torch.Tensor], torch.Tensor],
    spread: list[int],
    group: ProcessGroup,
) -> None:
    rank, count = dist.get_rank(group), len(spread)
    mine = share(pairs, np.split(np.arange(sum(spread)), np.cumsum(spread)[:-1])[rank])
    value_wanted, slopes, to_temperature = wanted
    leaves, objective = vectors(mine), Objective(config)
    outcome = ask(objective, leaves, mine, group)
    outcome.loss.backward()
    value = outcome.loss.detach().clone()
    dist.all_reduce(value, group=group)
    place = f"{config} {spread} rank {rank}"
    assert error([value / count], [value_wanted]) <= EXACT, place
    # DDP divides by the number of ranks what each finds.
    whole = replace(pairs, anchors=slopes[0], positives=slopes[1], negatives=slopes[2])
    part = share(whole, np.split(np.arange(sum(spread)), np.cumsum(spread)[:-1])[rank])
    expected = [part.anchors * count, part.positives * count, part.negatives * count]
    assert error(map(slope, leaves), expected) <= EXACT, place
    if objective.log_scale is not None:
        assert error([slope(objective.log_scale)], [to_temperature]) <= EXACT, place


class Linear(nn.Module):
    """From the vectors of a made batch to others, with dropout."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(4)
        self.inner = nn.Linear(24, 24)
        self.drop = nn.Dropout(0.1)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        return nn.functional.normalize(self.drop(self.inner(features)), dim=-1)


def through_ddp(pairs: Pairs, spread: list[int], group: ProcessGroup) -> None:
    """Check a cached step's averaged gradient against a reference over all rows in one process."""
    rank, config = dist.get_rank(group), LossConfig(matryoshka=(8,), loss="ntxent")
    mine = share(pairs, np.split(np.arange(sum(spread)), np.cumsum(spread)[:-1])[rank])
    model = Linear().eval()
    lone = Linear().eval()
    together = torch.cat([pairs.anchors, pairs.positives, pairs.negatives])
    graph = lone(together)
    rows = len(pairs.weight)
    encoded = graph.detach()
    parts = encoded[:rows], encoded[rows : 2 * rows], encoded[2 * rows :]
    whole = replace(pairs, anchors=parts[0], positives=parts[1], negatives=parts[2])
    graph.backward(torch.cat(plainly(config, whole)[1]).float())
    ddp = DistributedDataParallel(model, process_group=group, broadcast_buffers=False)
    count, own = len(mine.weight), torch.cat([mine.anchors, mine.positives, mine.negatives])
    # A rank without rows encodes something, and takes none of it.
    chunks = list(own.split(8)) if len(own) else [together[:1]]

    def encode(chunk: torch.Tensor) -> torch.Tensor:
        vectors: torch.Tensor = ddp(chunk)
        return vectors if len(own) else vectors[:0]

    objective = Objective(config)
    cached_step(
        encode,
        chunks,
        lambda v: ask(objective, (v[:count], v[count : 2 * count], v[2 * count :]), mine, group),
        no_sync=ddp.no_sync,
    )
    found = [slope(p) for p in model.parameters()]
    assert error(found, [slope(p) for p in lone.parameters()]) <= EXACT, f"{spread} rank {rank}"


def check_all(rank: int, folder: str) -> None:
    torch.set_num_threads(1)
    limit = datetime.timedelta(seconds=120)
    dist.init_process_group(
        "gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=4, timeout=limit
    )
    groups = {n: dist.new_group(list(range(n)), timeout=limit) for n in (1, 2, 4)}
    pairs = made(21)
    spreads = [spread for spread in SPREADS if rank < len(spread)]
    for number, config in enumerate(settings()):
        wanted = plainly(config, pairs)
        for spread in spreads:
            # Everything on the hardest, a sixth on each of the others.
            if spread == [1, 0, 17, 3] or (number + spread[0]) % 6 == 0:
                one_spread(config, pairs, wanted, spread, groups[len(spread)])
    for spread in spreads:
        through_ddp(pairs, spread, groups[len(spread)])
    model, mine = Linear(), share(pairs, np.array_split(np.arange(21), 4)[rank])
    chunks = list(torch.cat([mine.anchors, mine.positives, mine.negatives]).split(5))
    told = mine.identities, mine.weight, mine.label, mine.similarity
    config = LossConfig(loss="symmetric", consistency=0.5, learn_temperature=True)
    lines = verify(config, model, chunks, model.parameters(), *told, group=groups[4])
    assert len(lines) == 6
    dist.destroy_process_group()


@pytest.mark.skipif(not dist.is_gloo_available(), reason="needs gloo to talk between processes")
def test_ranks_together_have_the_gradients_of_the_whole_batch(tmp_path: Path) -> None:
    options = {"nprocs": 4, "join": False, "start_method": FORKS.get_start_method()}
    context = start_processes(check_all, (str(tmp_path),), **options)
    deadline = datetime.datetime.now() + datetime.timedelta(seconds=400)
    while not context.join(timeout=5):
        if datetime.datetime.now() > deadline:
            for process in context.processes:
                process.kill()
            pytest.fail("the ranks wait for each other")
