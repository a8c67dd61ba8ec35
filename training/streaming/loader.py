"""The stream: global batches in order, a rank's share of each, made ahead by threads.

What is in a batch is settled by `order.py` alone; here is only when it is read and who does it.
"""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import Any

import numpy as np
import pyarrow as pa

from pairsmith.schemas import UserError
from pairsmith.training.streaming.lookahead import Ints
from pairsmith.training.streaming.order import Order
from pairsmith.training.streaming.row_groups import TEXTS, RowGroup, read
from pairsmith.training.streaming.shares import Item, Share, Stream, share_of
from pairsmith.training.streaming.window import Cursor, Window

__all__ = ["Cursor", "Share", "Stream", "stream"]

_BLOCK = 16384
"""Rows that are gathered at once where batches are smaller."""


def stream(
    order: Order,
    cursor: Cursor,
    prepare: Callable[[Share], Item],
    *,
    columns: Sequence[str] = TEXTS,
    rank: int = 0,
    world: int = 1,
    workers: int = 0,
    ahead: int = 0,
) -> Stream[Item]:
    """Return this rank's share of every global batch from the cursor on, without end, prepared.

    Of a batch of B rows, rank r has rows `np.array_split(range(B), world)[r]`, maybe none. All
    ranks get the same number of batches with the same cursors, whatever `world` and `workers`.
    prepare: makes what is yielded of a share, such as `collate`; it is called in the threads.
    workers: threads that read, gather and prepare; 0: all is done when the next item is asked for.
    ahead: items made ahead; 0: two for each worker, and two more.
    Raises UserError, in its turn, when a shard cannot be read any more.
    """
    if order.rows < 2:
        raise UserError("the data has fewer than 2 pairs of weight above 0; build a larger dataset")
    pool = ThreadPoolExecutor(workers, "stream") if workers else None
    reader = _Reader(order, columns, rank, world, pool)
    depth = (ahead or 2 * workers + 2) if workers else 0
    return Stream(_items(reader, cursor, prepare, depth), pool)


def _items(
    reader: "_Reader", cursor: Cursor, prepare: Callable[[Share], Item], depth: int
) -> Iterator["Future[Item]"]:
    """Yield results to come, in order, `depth` of them ahead of what is asked for."""
    order = reader.order
    epoch, number = order.find(cursor)
    window = order.plan(epoch, number)
    done = cursor.position - window.start if epoch == cursor.epoch else 0
    opened = _Opened(reader, window, _first(window, done))
    waiting: deque[Future[Item]] = deque()
    while True:
        epoch, number = (epoch, number + 1) if number + 1 < order.windows else (epoch + 1, 0)
        coming: Future[Window] | None = None
        following: _Opened | None = None
        opened.read(1.0)
        for batch in range(opened.first, opened.window.batches):
            waiting.append(reader.submit(opened.sharing(batch), prepare))
            if coming is None and depth:
                coming = reader.submit(_plan, waiting[-1], order, epoch, number)
            if following is None and coming is not None and _made(coming):
                following = _Opened(reader, coming.result(), 0)
            if following is not None:
                following.read((batch + 1) / opened.window.batches)
            while len(waiting) > depth:
                yield waiting.popleft()
        # A row group that two windows share is decoded once; all others are let go.
        wanted = {(segment.source, segment.group) for segment in order.segments(epoch, number)}
        for key in reader.shelf.keys() - wanted:
            del reader.shelf[key]
        # What is ready waits neither for the next window nor for the error that planning it raises.
        while coming is not None and waiting and not _made(coming):
            yield waiting.popleft()
        if following is None:
            window = coming.result() if coming is not None else order.plan(epoch, number)
            following = _Opened(reader, window, 0)
        opened = following


def _plan(first: "Future[Item]", order: Order, epoch: int, number: int) -> Window:
    """Return a window, planned once the first batch before it is there: that one is waited for."""
    wait([first])
    return order.plan(epoch, number)


def _made(coming: "Future[Window]") -> bool:
    return coming.done() and coming.exception() is None


def _first(window: Window, done: int) -> int:
    """Return the batch before which `done` rows of the window come."""
    if done == 0:
        return 0
    at = int(np.searchsorted(window.ends, done))
    if window.ends[at] != done:
        raise UserError("the cursor is not where a batch begins; it is of a run of other settings")
    return at + 1


class _Reader:
    """What is read how: one process's part of the order."""

    def __init__(
        self,
        order: Order,
        columns: Sequence[str],
        rank: int,
        world: int,
        pool: ThreadPoolExecutor | None,
    ):
        self.order = order
        self.columns = tuple(columns)
        self.rank, self.world = rank, world
        self.pool = pool
        self.shelf: dict[tuple[int, int], Future[pa.Table]] = {}
        """Row groups that lie partly in one window and partly in another."""

    def submit(self, work: Callable[..., Item], *given: Any) -> "Future[Item]":
        """Return the result to come; without threads, of work done at once.

        Threads take work first come, first served, and work is submitted after all that it waits
        for: that has been done or has a thread, so nothing waits for ever.
        """
        if self.pool is not None:
            return self.pool.submit(work, *given)
        done: Future[Item] = Future()
        try:
            done.set_result(work(*given))
        except Exception as error:  # noqa: BLE001  raised again by whoever takes the result
            done.set_exception(error)
        return done

    def own(self, rows: Ints) -> Ints:
        """Return this rank's rows of a batch: those that np.array_split gives it."""
        each, more = divmod(len(rows), self.world)
        start = self.rank * each + min(self.rank, more)
        return rows[start : start + each + (self.rank < more)]


class _Opened:
    """A window whose texts are being read."""

    def __init__(self, reader: _Reader, window: Window, first: int):
        self.reader = reader
        self.window = window
        self.first = first
        shares = [reader.own(window.members(i)) for i in range(first, window.batches)]
        counts = np.bincount(window.segment, minlength=len(window.segments))
        self._starts = np.cumsum(counts) - counts
        self._counts = counts
        # A window of which this rank has no row at all still needs the types of the columns.
        needed = np.bincount(window.segment[np.concatenate(shares)])
        self._needed: list[int] = np.flatnonzero(needed).tolist() or [0]
        self._pieces: list[Future[pa.Table]] = []
        self._table: Future[pa.RecordBatch] | None = None
        self._block: Future[pa.RecordBatch] | None = None
        self._block_end = first
        self._block_start = 0
        self._shares = shares
        self._groups = np.array([(s.source, s.group) for s in window.segments], np.int32)

    def read(self, part: float) -> None:
        """Have at least this part of the row groups read that are needed; 1: all, put together."""
        while len(self._pieces) < part * len(self._needed):
            self._pieces.append(self._piece(self._needed[len(self._pieces)]))
        if part >= 1 and self._table is None:
            self._table = self.reader.submit(_together, self._pieces)

    def sharing(self, batch: int) -> "Callable[[Callable[[Share], Item]], Item]":
        """Return what makes a batch's share and prepares it; batches must be asked for in turn."""
        if batch >= self._block_end:
            self._gather(batch)
        block, start = self._block, self._block_start
        own = self._shares[batch - self.first]
        self._block_start += len(own)
        window, groups = self.window, self._groups
        assert block is not None  # noqa: S101

        def share(prepare: Callable[[Share], Item]) -> Item:
            pairs = block.result().slice(start, len(own))
            return prepare(share_of(window, groups, batch, own, pairs))

        return share

    def _piece(self, number: int) -> "Future[pa.Table]":
        """Return the rows of a segment, to come."""
        reader, segment = self.reader, self.window.segments[number]
        source = reader.order.sources[segment.source]
        start = self._starts[number]
        places = self.window.place[start : start + self._counts[number]]
        group = source.groups[segment.group]
        if segment.last - segment.first == source.kept[segment.group]:
            return reader.submit(_rows, group, reader.columns, places)
        key = segment.source, segment.group
        if key not in reader.shelf:
            reader.shelf[key] = reader.submit(read, group, reader.columns)
        return reader.submit(_chosen, reader.shelf[key], places)

    def _gather(self, batch: int) -> None:
        """Have the rows of so many batches gathered as are worth the call."""
        end, rows = batch, 0
        while end < self.window.batches and (end == batch or rows < _BLOCK):
            rows += len(self._shares[end - self.first])
            end += 1
        own = np.concatenate(self._shares[batch - self.first : end - self.first])
        segment = self.window.segment[own]
        shift = np.zeros(len(self._counts), np.int64)
        held = self._counts[self._needed]
        shift[self._needed] = np.cumsum(held) - held
        places = own - self._starts[segment] + shift[segment]
        self._block = self.reader.submit(_taken, self._table, places)
        self._block_end, self._block_start = end, 0


def _rows(group: RowGroup, columns: Sequence[str], places: Ints) -> pa.Table:
    return _select(read(group, columns), places)


def _chosen(table: "Future[pa.Table]", places: Ints) -> pa.Table:
    return _select(table.result(), places)


def _select(table: pa.Table, places: Ints) -> pa.Table:
    """Return rows of a table, without a copy where they are a run; `places` rise."""
    if places[-1] - places[0] + 1 == len(places):
        return table.slice(places[0], len(places))
    return table.take(places)


def _together(pieces: Sequence["Future[pa.Table]"]) -> pa.RecordBatch:
    table = pa.concat_tables([piece.result() for piece in pieces]).unify_dictionaries()
    return table.combine_chunks().to_batches()[0]


def _taken(table: "Future[pa.RecordBatch]", places: Ints) -> pa.RecordBatch:
    return table.result().take(pa.array(places))
