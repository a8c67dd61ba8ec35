"""Any number of ranks and threads takes up a run at any step and gives the very same samples.

Real gloo processes, started once: four, of which a case uses the first one, two, three or four.
"""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest
import torch
import torch.distributed as dist

from pairsmith.training.streaming.loader import Cursor, Share, stream
from pairsmith.training.streaming.order import Order
from pairsmith.training.streaming.row_groups import TEXTS
from tests.training.pair_folders import write_dataset
from tests.training.ranks import FORKS
from tests.training.streams import anchors, numbered, order_of

PROCESSES = 4
SECONDS = 120
Leg = tuple[int, int, int]
"""Steps, world size, workers."""


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Return uneven shards: 151 and 40 rows, some of weight 0, in row groups of 5 to 64 rows."""
    folder = tmp_path_factory.mktemp("elastic")
    rows = [{**row, "weight": float(i % 13 > 0)} for i, row in enumerate(numbered(0, 151))]
    grouped = [{**row, "group_id": i // 4} for i, row in enumerate(numbered(151, 40))]
    one = write_dataset(folder / "one", rows, shards=3, row_group_rows=5)
    return [one, write_dataset(folder / "two", grouped, row_group_rows=64)]


def made(folders: list[Path], way: str) -> Order:
    return order_of(folders, batch_size=10, window=3, mix=(1, 1.6), batches=way)


def run(order: Order, cursor: Cursor, steps: int, rank: int, world: int, workers: int) -> list[Any]:
    """Return what a rank gets in so many steps: anchors, digest, and the cursor after each."""

    def prepare(share: Share) -> tuple[list[str], str, int, Cursor]:
        return anchors(share), share.digest, share.global_rows, share.cursor

    options: dict[str, Any] = {"columns": TEXTS, "rank": rank, "world": world, "workers": workers}
    batches = stream(order, cursor, prepare, **options)
    taken = [next(batches) for _ in range(steps)]
    batches.close()
    return taken


def rank_process(
    rank: int, meeting: str, folders: list[Path], cases: list[tuple[str, list[Leg]]], results: Any
) -> None:
    torch.set_num_threads(1)
    limit = timedelta(seconds=SECONDS)
    store = dist.FileStore(meeting, PROCESSES)
    dist.init_process_group("gloo", store=store, rank=rank, world_size=PROCESSES, timeout=limit)
    worlds = {n: dist.new_group(list(range(n)), timeout=limit) for n in range(1, PROCESSES + 1)}
    orders = {way: made(folders, way) for way in ("mixed", "single")}
    for number, (way, legs) in enumerate(cases):
        cursor = Cursor()
        whole: list[Any] = []
        for steps, world, workers in legs:
            if rank < world:
                mine = run(orders[way], cursor, steps, rank, world, workers)
                # A collective at every step, as in training: it hangs if one has fewer steps.
                for _, digest, rows, _ in mine:
                    told = torch.tensor([int(digest, 16) % 2**31, rows])
                    most = told.clone()
                    dist.all_reduce(most, dist.ReduceOp.MAX, group=worlds[world])
                    assert torch.equal(most, told), "ranks are at different batches"
                shares: list[Any] = [None] * world
                dist.all_gather_object(shares, mine, group=worlds[world])
                for step in zip(*shares, strict=True):
                    assert len({cursor for *_, cursor in step}) == 1
                    sizes = [len(each[0]) for each in step]
                    assert sizes == [len(x) for x in np.array_split(range(sum(sizes)), world)]
                    whole.append(([a for each in step for a in each[0]], *step[0][1:]))
                cursor = mine[-1][-1] if mine else cursor
            told_all: list[Any] = [cursor]
            dist.broadcast_object_list(told_all, src=0)
            cursor = told_all[0]
        if rank == 0:
            results.put((number, whole))
    dist.destroy_process_group()


def on_ranks(tmp_path: Path, folders: list[Path], cases: list[tuple[str, list[Leg]]]) -> Iterator:
    """Yield what the ranks took in each case, all ranks' shares put together."""
    results = FORKS.Queue()
    given = (str(tmp_path / "meeting"), folders, cases, results)
    processes = [FORKS.Process(target=rank_process, args=(i, *given)) for i in range(PROCESSES)]
    for process in processes:
        process.start()
    try:
        for number in range(len(cases)):
            told, whole = results.get(timeout=SECONDS)
            assert told == number
            yield whole
        for process in processes:
            process.join(SECONDS)
            assert process.exitcode == 0
    finally:
        for process in processes:
            process.kill()


def interchanged() -> list[tuple[str, list[Leg]]]:
    """Return runs that are ended and taken up with other worlds and workers, 50 times and more."""
    random = Random(5)
    cases: list[tuple[str, list[Leg]]] = []
    for number in range(18):
        legs = [
            (random.randint(1, 12), random.choice([1, 2, 4]), random.randint(0, 4))
            for _ in range(4)
        ]
        cases.append((("mixed", "single")[number % 2], legs))
    assert sum(len(legs) - 1 for _, legs in cases) >= 50
    return cases


def to_the_end(folders: list[Path]) -> list[tuple[str, list[Leg]]]:
    """Return runs of one epoch with 2, 3 and 4 ranks."""
    steps = {way: made(folders, way).batches for way in ("mixed", "single")}
    return [(way, [(steps[way], world, world - 1)]) for way in steps for world in (2, 3, 4)]


@pytest.fixture(scope="module")
def taken(tmp_path_factory: pytest.TempPathFactory, folders: list[Path]) -> list[Any]:
    """Return what the ranks took in all cases of this file."""
    cases = interchanged() + to_the_end(folders)
    return list(on_ranks(tmp_path_factory.mktemp("ranks"), folders, cases))


def test_any_worlds_and_workers_interchanged_give_the_undisturbed_run(
    folders: list[Path], taken: list[Any]
) -> None:
    plain = {way: run(made(folders, way), Cursor(), 48, 0, 1, 0) for way in ("mixed", "single")}
    for (way, legs), whole in zip(interchanged(), taken, strict=False):
        assert whole == plain[way][: sum(steps for steps, _, _ in legs)], (way, legs)


def test_uneven_shards_and_worlds_of_2_and_3_end_their_epochs_together(
    folders: list[Path], taken: list[Any]
) -> None:
    cases = to_the_end(folders)
    for (way, _), whole in zip(cases, taken[-len(cases) :], strict=True):
        order = made(folders, way)
        assert whole[-1][-1] == Cursor(0, order.rows)
        rows = [anchor for step in whole for anchor in step[0]]
        assert len(rows) == order.rows
        first = [anchor for anchor in rows if int(anchor[1:]) < 151]
        assert sorted(first, key=lambda a: int(a[1:])) == [f"a{i}" for i in range(151) if i % 13]
