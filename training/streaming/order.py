"""Which rows make up which global batch: a pure function of (seed, epoch, manifests, settings).

Each dataset is an endless sequence of rows: pass after pass through its row groups, in an order
drawn for the pass. An epoch takes so many rows of each, evenly spread, and is cut into windows of
whole batches; a window is shuffled and dealt to its batches (`window.py`). Windows know nothing
of each other, and a cursor (epoch, position) is found by arithmetic alone.
"""

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from pairsmith.schemas import UserError, subkeys
from pairsmith.training.end_to_end import row_places
from pairsmith.training.streaming.lookahead import Hashes, Ints, shuffled
from pairsmith.training.streaming.mix import apportion, cut
from pairsmith.training.streaming.row_groups import IDENTITY, RowGroup, read
from pairsmith.training.streaming.weights import Weights
from pairsmith.training.streaming.window import (
    Cursor,
    Segment,
    Window,
    by_segments,
    deal_mixed,
    deal_single,
)

LEAST_BATCHES = 4
"""In a window, however large batches are: with fewer there is no way to keep rows apart."""


@dataclass(frozen=True)
class Source:
    """One dataset: its row groups, and how many rows of each have a weight above 0."""

    groups: tuple[RowGroup, ...]
    kept: Ints
    share: int
    """Rows of it in an epoch."""

    @cached_property
    def rows(self) -> int:
        """Return how many rows one pass takes."""
        return int(self.kept.sum())

    @cached_property
    def shards(self) -> Ints:
        """Return the number of each row group's shard, from 0."""
        numbers = {shard: i for i, shard in enumerate(dict.fromkeys(g.shard for g in self.groups))}
        return np.array([numbers[group.shard] for group in self.groups], np.int64)


@dataclass(frozen=True)
class Order:
    """The order of all epochs. Equal for equal data and settings, on every machine."""

    sources: tuple[Source, ...]
    seed: int
    batch_size: int
    window: int
    """At most so many batches are shuffled and their rows kept apart together."""
    weights: Weights = field(default_factory=Weights)
    mixed: bool = True
    """Whether a batch may hold rows of several datasets."""
    look_ahead: bool = True

    @cached_property
    def rows(self) -> int:
        """Return the rows of an epoch."""
        return sum(source.share for source in self.sources)

    @cached_property
    def batches(self) -> int:
        """Return the batches of an epoch."""
        return sum(-(-unit // self.batch_size) for unit in self._wholes)

    @property
    def groups(self) -> tuple[RowGroup, ...]:
        """Return the row groups of all sources."""
        return tuple(group for source in self.sources for group in source.groups)

    @property
    def windows(self) -> int:
        """Return the windows of an epoch."""
        return -(-self.batches // self.window)

    def segments(self, epoch: int, number: int) -> tuple[Segment, ...]:
        """Return what window `number` of `epoch` reads."""
        start, end = self._bounds(number), self._bounds(number + 1)
        found: list[Segment] = []
        for i, source in enumerate(self.sources):
            base = epoch * source.share
            found += self._between(i, base + start[i], base + end[i])
        return tuple(found)

    def plan(self, epoch: int, number: int) -> Window:
        """Return window `number` of `epoch`; only the columns that tell rows apart are read.

        Raises UserError when a shard cannot be read any more, or weights changed.
        """
        segments = self.segments(epoch, number)
        read_rows = [self._rows(segment) for segment in segments]
        counts = [len(places) for places, _ in read_rows]
        identity = {
            name: np.concatenate([columns[name] for _, columns in read_rows]) for name in IDENTITY
        }
        of = np.repeat(np.arange(len(segments)), counts)
        key = _key(self.seed, epoch, number)
        rows = (identity["group_id"], identity["anchor_hash"], identity["positive_hash"])
        sizes = [self._sizes(number, i) for i in range(len(self._wholes))]
        if self.mixed:
            dealt = deal_mixed(rows, sizes[0], len(self.sources), key, parted=self.look_ahead)
        else:
            dataset = np.array([segment.source for segment in segments])[of]
            dealt = deal_single(rows, dataset, sizes, key, parted=self.look_ahead)
        return Window(
            epoch=epoch,
            number=number,
            start=sum(self._bounds(number)),
            segments=segments,
            order=by_segments(dealt.order, dealt.ends, of, segments),
            ends=dealt.ends,
            sources=dealt.sources,
            segment=of,
            place=np.concatenate([places for places, _ in read_rows]),
            identity=identity,
            conflicts=dealt.conflicts,
        )

    def find(self, cursor: Cursor) -> tuple[int, int]:
        """Return the epoch and the window in which the batch after `cursor` is.

        Raises UserError when the epoch has no such position.
        """
        if not 0 <= cursor.position <= self.rows or cursor.epoch < 0:
            raise UserError(f"the order of samples has no place {cursor}; it is of other data")
        if cursor.position == self.rows:
            return cursor.epoch + 1, 0
        starts = range(self.windows)
        number = bisect_right(starts, cursor.position, key=lambda i: sum(self._bounds(i))) - 1
        return cursor.epoch, number

    @cached_property
    def _wholes(self) -> list[int]:
        """Return the rows of each whole that is cut into batches: all together, or each source."""
        shares = [source.share for source in self.sources]
        return [sum(shares)] if self.mixed else shares

    def _before(self, number: int) -> list[int]:
        """Return how many batches of each whole come before window `number`."""
        batches = number * self.batches // self.windows  # all windows are of one size, or nearly
        return apportion(batches, [-(-rows // self.batch_size) for rows in self._wholes])

    def _bounds(self, number: int) -> list[int]:
        """Return how many rows of each source come before window `number`."""
        pairs = zip(self._wholes, self._before(number), strict=True)
        rows = [cut(whole, self.batch_size, batches) for whole, batches in pairs]
        return apportion(rows[0], [s.share for s in self.sources]) if self.mixed else rows

    def _between(self, number: int, start: int, end: int) -> Iterator[Segment]:
        """Yield the rows [start, end) of the endless sequence of a source."""
        source = self.sources[number]
        while start < end:
            turn, position = divmod(start, source.rows)
            stop = min(end - turn * source.rows, source.rows)
            order = spread(source.shards, self.seed, turn, number)
            ends = np.cumsum(source.kept[order])
            at = int(np.searchsorted(ends, position, "right"))
            while position < stop:
                before = int(ends[at - 1]) if at else 0
                last = min(stop, int(ends[at]))
                if last > position:
                    yield Segment(number, int(order[at]), position - before, last - before)
                position, at = last, at + 1
            start = turn * source.rows + stop

    def _rows(self, segment: Segment) -> tuple[Ints, dict[str, npt.NDArray[Any]]]:
        """Return the numbers of a segment's rows in their row group, and what identifies them."""
        source = self.sources[segment.source]
        group = source.groups[segment.group]
        table = read(group, list(dict.fromkeys(IDENTITY + self.weights.columns)))
        weight = self.weights(table, group.shard)
        kept = np.flatnonzero(weight > 0)
        if len(kept) != source.kept[segment.group]:
            raise UserError(
                f"the weights of {group.shard} are not what they were when it was opened; a "
                "function that weighs rows must depend on nothing but the row"
            )
        places = kept[segment.first : segment.last]
        columns = {name: table[name].to_numpy()[places] for name in IDENTITY[:3]}
        return places, {**columns, "weight": weight[places]}

    def _sizes(self, number: int, whole: int) -> Ints:
        """Return the sizes of the batches that one whole has in a window; smaller ones are last."""
        batches = range(self._before(number)[whole], self._before(number + 1)[whole] + 1)
        return np.diff([cut(self._wholes[whole], self.batch_size, i) for i in batches])


def permutation(count: int, seed: int, epoch: int, number: int) -> Ints:
    """Return a random order of `count` things: the ranks of splitmix64 values, on every machine."""
    return shuffled(count, _key(seed, epoch, number))


def spread(shards: Ints, seed: int, epoch: int, number: int) -> Ints:
    """Return a random order of row groups in which those of one shard stand far apart.

    shards: the number of each row group's shard. A document's rows lie in one shard, and a shard's
    row groups are samples of it: a window with few of each has few rows of each document.
    The i-th of a shard's m row groups, in a random order, goes to a random place of the i-th m-th.
    """
    drawn = permutation(len(shards), seed, epoch, number)
    shard = shards[drawn]
    by_shard = np.argsort(shard, kind="stable")
    counts = np.bincount(shard)
    place = np.empty(len(shard), np.uint64)
    place[by_shard] = row_places(counts).astype(np.uint64) << np.uint64(32)
    numbers = np.arange(len(shard), dtype=np.uint64)
    place += subkeys(_key(seed, epoch, number) + numbers, 3) >> np.uint64(32)
    return drawn[np.argsort(place // counts[shard].astype(np.uint64), kind="stable")]


def _key(seed: int, epoch: int, number: int) -> Hashes:
    start = np.array([seed % 2**64], np.uint64)
    return subkeys(subkeys(start, epoch), number)
