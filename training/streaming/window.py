"""A window: rows that are shuffled together and dealt to whole batches."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from pairsmith.schemas import subkeys
from pairsmith.training.streaming.lookahead import Hashes, Ints, Mask, by, deal, shuffled

Identity = tuple[Hashes, Hashes, Hashes]


@dataclass(frozen=True)
class Cursor:
    """A place in the endless order of samples: `position` rows of `epoch` have been taken."""

    epoch: int = 0
    position: int = 0


@dataclass(frozen=True)
class Segment:
    """Rows [first, last) of those of a row group that are kept, in the order of the shard."""

    source: int
    group: int
    first: int
    last: int


@dataclass(frozen=True)
class Window:
    """The batches of one window, as numbers of its rows."""

    epoch: int
    number: int
    start: int
    """Rows of the epoch before it."""
    segments: tuple[Segment, ...]
    order: Ints
    """Shape (rows,): the rows by batches, and in each by segments, those of all datasets evenly
    mixed; row i is the i-th of the segments, end to end."""
    ends: Ints
    """Shape (batches,): where each batch ends in `order`."""
    sources: Ints
    """Shape (batches,): the dataset of each batch, -1 for several."""
    segment: Ints
    """Shape (rows,): the segment of each row."""
    place: Ints
    """Shape (rows,): its number in its row group."""
    identity: dict[str, npt.NDArray[Any]]
    """`group_id`, `anchor_hash`, `positive_hash`, `weight` of each row."""
    conflicts: Mask
    """Shape (rows,): whether a row shares a group or text with another before it in its batch."""

    @property
    def batches(self) -> int:
        """Return their number."""
        return len(self.ends)

    def members(self, batch: int) -> Ints:
        """Return the rows of a batch."""
        start = self.ends[batch - 1] if batch else 0
        return self.order[start : self.ends[batch]]

    def after(self, batch: int) -> Cursor:
        """Return where the batch after this one begins."""
        return Cursor(self.epoch, self.start + int(self.ends[batch]))


@dataclass(frozen=True)
class Dealt:
    """Rows dealt to batches; `order`, `ends`, `sources` and `conflicts` as a window has them."""

    order: Ints
    ends: Ints
    sources: Ints
    conflicts: Mask


def deal_mixed(
    identity: Identity, sizes: Ints, datasets: int, key: Hashes, *, parted: bool
) -> Dealt:
    """Return all rows in batches of these sizes, whatever dataset they are of.

    identity: group, anchor and positive of each row, as `deal` has them.
    """
    order, conflicts = deal(*identity, sizes, subkeys(key, 0), parted=parted)
    source = 0 if datasets == 1 else -1
    return Dealt(order, np.cumsum(sizes), np.full(len(sizes), source), conflicts)


def deal_single(
    identity: Identity, dataset: Ints, sizes: Sequence[Ints], key: Hashes, *, parted: bool
) -> Dealt:
    """Return the rows in batches of a single dataset each, in a random order.

    identity: as in `deal_mixed`. dataset: of each row. sizes: of the batches of each dataset.
    """
    rows: list[Ints] = []
    conflicts = np.zeros(len(dataset), np.bool_)
    for i, own in enumerate(sizes):
        members = np.flatnonzero(dataset == i)
        if not len(members):
            continue
        group, anchor, positive = (column[members] for column in identity)
        order, conflicts[members] = deal(
            group, anchor, positive, own, subkeys(key, i), parted=parted
        )
        rows += np.split(members[order], np.cumsum(own)[:-1])
    turn = shuffled(len(rows), subkeys(key, len(sizes)))
    rows = [rows[i] for i in turn]
    order = np.concatenate(rows)
    ends = np.cumsum([len(members) for members in rows])
    return Dealt(order, ends, dataset[order[ends - 1]], conflicts)


def by_segments(order: Ints, ends: Ints, of: Ints, segments: Sequence[Segment]) -> Ints:
    """Return the rows of each batch by their segments: a rank then has few segments of a window.

    order, ends: as a window has them; of: the segment of each row. Segments of several datasets are
    mixed evenly, so that every rank has its share of each.
    """
    source = np.array([segment.source for segment in segments])
    counts = np.bincount(of, minlength=len(segments))
    totals = np.bincount(source, counts)[source]
    before = np.cumsum(counts) - counts
    before -= before[np.searchsorted(source, source)]  # of its own dataset; they stand in order
    turn = np.empty(len(segments), np.int64)
    turn[np.argsort((before + counts / 2) / totals, kind="stable")] = np.arange(len(segments))
    batch = np.repeat(np.arange(len(ends)), np.diff(ends, prepend=0))
    return order[by(batch * len(segments) + turn[of[order]], len(ends) * len(segments))]
