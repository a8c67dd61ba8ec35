"""Who meets whom: the rows of a window are dealt out so that no two of a batch may say the same.

A pure function of the window's identity columns and a key: nothing is carried from one window to
the next, so a cursor needs no history, and what is looked ahead at is bounded by the window.
"""

import numpy as np
import numpy.typing as npt

from pairsmith.schemas import subkeys
from pairsmith.training.end_to_end import row_places

Ints = npt.NDArray[np.int64]
Hashes = npt.NDArray[np.uint64]
Mask = npt.NDArray[np.bool_]

ROUNDS = 12
_ONE = np.uint64(1)
_TEXT = np.uint64(0x9E3779B97F4A7C15)
"""Sets the hashes of texts apart from equal numbers among the groups."""
_ALL = slice(None)


def shuffled(count: int, key: Hashes, first: int | None = None) -> Ints:
    """Return a random order of `count` things: the ranks of splitmix64 values of (key, i).

    key: uint64, shape (1,). The order is the same on every machine, whatever sorts.
    first: return only so many, from its beginning.
    """
    numbers = np.arange(count, dtype=np.uint64)
    return _ranked(subkeys(key + numbers * _TEXT, 0), first)


def deal(
    group: Hashes,
    anchor: Hashes,
    positive: Hashes,
    sizes: Ints,
    key: Hashes,
    *,
    parted: bool = True,
) -> tuple[Ints, Mask]:
    """Return the rows in the order of their batches, and which rows stand in each other's way.

    group, anchor, positive: uint64, shape (n,); equal groups, or an equal text on either side, may
    say the same. sizes: rows of each batch, n in all; those smaller than the first come last.
    parted: without it rows are only shuffled.
    The second value, shape (n,), is true for a row of the window that shares a group or text with
    another of its batch before it: 0 of them wherever that is possible, but for a few texts that
    join many groups.

    Rows are sorted by a random number of their group, at random within it, and dealt to the batches
    in turns, as cards are: a group of s rows has at most ceil(s / batches) in one. Rows that share
    a text with another of their batch then change places with random ones that can take theirs.
    """
    count, batches = len(group), len(sizes)
    batch = np.empty(count, np.int64)
    rows = shuffled(count, key)
    if not parted:
        batch[rows] = np.repeat(np.arange(batches), sizes)
        return rows, conflicts(group, anchor, positive, batch)
    # The rows of a group in a random order too: where all have two, one of each kind, and batches
    # are even, every other batch would be of one kind.
    rows = rows[_ranked(subkeys(group[rows] ^ subkeys(key, 1), 0))]
    batch[rows] = _turns(sizes, subkeys(key, 2))
    seats = _Seats(group, anchor, positive, batch)
    standing = seats.conflicts()
    # Rows of a group that has more rows than there are batches would find no better place.
    ordered = group[rows]
    ends = np.flatnonzero(np.append(ordered[1:] != ordered[:-1], True)) + 1
    sizes_of_groups = np.diff(ends, prepend=0)
    free = np.empty(count, np.bool_)
    free[rows] = np.repeat(sizes_of_groups <= batches, sizes_of_groups)
    before = count
    for number in range(ROUNDS if batches > 1 else 0):
        wrong = np.flatnonzero(standing & free)
        if not len(wrong) or len(wrong) > 0.98 * before:
            break
        before = len(wrong)
        seats.swap(wrong, subkeys(key, 3 + number))
        standing = seats.conflicts()
    return rows[by(batch[rows], batches)], standing


def conflicts(group: Hashes, anchor: Hashes, positive: Hashes, batch: Ints) -> Mask:
    """Return which rows share a group or a text with a row before them of the same batch."""
    return _Seats(group, anchor, positive, batch).conflicts()


def by(numbers: Ints, limit: int) -> Ints:
    """Return the order that sorts numbers in [0, limit), equal ones as they stand."""
    # Numbers of one or two bytes are sorted by their digits, in a tenth of the time.
    return np.argsort(numbers.astype(np.min_scalar_type(limit)), kind="stable")


def _ranked(values: Hashes, first: int | None = None) -> Ints:
    """Return the order that sorts random `values`; equal ones stay together, the first first."""
    bits = np.uint64(max(1, len(values).bit_length()))
    codes = (values >> bits << bits) | np.arange(len(values), dtype=np.uint64)
    if first is not None and first < len(codes):
        codes = np.partition(codes, first)[:first]
    codes.sort()
    return (codes & ((_ONE << bits) - _ONE)).astype(np.int64)


def _turns(sizes: Ints, key: Hashes) -> Ints:
    """Return the batch that each card goes to: all that are not full, in a random order, again."""
    most = int(sizes.max())
    full = np.flatnonzero(sizes == most)
    turn = np.arange(len(sizes))
    turn[full] = full[shuffled(len(full), key)]
    of = sizes[turn]
    # Cards of a batch that is smaller are spread over all levels, not dealt at its first ones.
    height = (2 * row_places(of) + 1) * most // (2 * np.repeat(of, of))
    return np.repeat(turn, of)[by(height, most)]


class _Seats:
    """Which batch each row sits in, and by what it is known there.

    A mark is a hash of (batch, group or text). A code is the upper bits of a mark, and below them
    the row: what is left of the hash parts any number of rows that fit in memory.
    """

    def __init__(self, group: Hashes, anchor: Hashes, positive: Hashes, batch: Ints):
        """Seat the rows; `swap` changes `batch`."""
        self._known = (group, anchor + _TEXT, positive + _TEXT)
        self._batch = batch
        self._row = (_ONE << np.uint64(max(1, len(group).bit_length()))) - _ONE
        """The bits of a code that are the row."""
        self._rows = np.arange(len(group), dtype=np.uint64)
        self._marks = self._marked(_ALL, batch)
        """Shape (3, n)."""
        self._codes = self._coded(_ALL)
        """Shape (3 n,), sorted. Twice the same where both texts of a row are."""

    def conflicts(self) -> Mask:
        """Return which rows share a group or a text with a row before them of the same batch."""
        changes = self._codes[1:] ^ self._codes[:-1]
        changes -= _ONE  # equal codes are of one row: 0 becomes the largest number
        found = np.zeros(len(self._batch), np.bool_)
        found[self._codes[np.flatnonzero(changes < self._row) + 1] & self._row] = True
        return found

    def swap(self, wrong: Ints, key: Hashes) -> None:
        """Let rows change places with random others where neither then meets anything of its own.

        The places are as they are now: two rows that come to one batch may meet there.
        """
        right = np.ones(len(self._batch), np.bool_)
        right[wrong] = False
        others = np.flatnonzero(right)
        others = others[shuffled(len(others), key, len(wrong))]
        wrong = wrong[: len(others)]
        rows = np.stack([wrong, others])
        batch = self._batch[rows[::-1]]
        marks = self._marked(rows, batch)
        free = ~self._taken(marks).any(axis=(0, 1))
        rows, batch, marks = rows[:, free].ravel(), batch[:, free].ravel(), marks[..., free]
        old = self._coded(rows)
        at = np.searchsorted(self._codes, old), np.searchsorted(self._codes, old, "right") - 1
        self._batch[rows] = batch
        self._marks[:, rows] = marks.reshape(3, -1)
        new = self._coded(rows)
        kept = np.delete(self._codes, np.concatenate(at))
        self._codes = np.insert(kept, np.searchsorted(kept, new), new)

    def _marked(self, rows: Ints | slice, batch: Ints) -> Hashes:
        """Return the marks of `rows`, were they in these batches: shape (3, *batch.shape)."""
        place = subkeys(batch.astype(np.uint64), 0)
        marks = np.empty((3, *batch.shape), np.uint64)
        for kind, known in enumerate(self._known):
            marks[kind] = subkeys(known[rows] ^ place, 1)
        return marks

    def _coded(self, rows: Ints | slice) -> Hashes:
        """Return the codes of `rows`, sorted."""
        codes = self._marks[:, rows] & ~self._row
        codes |= self._rows[rows]
        codes = codes.ravel()
        codes.sort()
        return codes

    def _taken(self, marks: Hashes) -> Mask:
        """Return which of these marks a row has."""
        first = np.searchsorted(self._codes, marks & ~self._row)
        counts = np.searchsorted(self._codes, marks | self._row, "right") - first
        found = counts > 0
        first, counts = first[found], counts[found]
        near = np.repeat(first, counts) + row_places(counts)
        # Of those whose upper bits are the same.
        found[found] = np.isin(marks[found], self._marks[:, self._codes[near] & self._row])
        return found
