"""Who meets whom: the rows of a window are dealt out so that no two of a batch may say the same.

A pure function of the window's identity columns and a key: nothing is carried from one window to
the next, so a cursor needs no history, and what is looked ahead at is bounded by the window.
"""

import numpy as np
import numpy.typing as npt

from pairsmith.schemas import subkeys

Ints = npt.NDArray[np.int64]
Hashes = npt.NDArray[np.uint64]
Mask = npt.NDArray[np.bool_]

ROUNDS = 12
_ONE = np.uint64(1)
_TEXT = np.uint64(0x9E3779B97F4A7C15)
"""Sets the hashes of texts apart from equal numbers among the groups."""


def shuffled(count: int, key: Hashes) -> Ints:
    """Return a random order of `count` things: the ranks of splitmix64 values of (key, i).

    key: uint64, shape (1,). The order is the same on every machine, whatever sorts.
    """
    numbers = np.arange(count, dtype=np.uint64)
    return _ranked(subkeys(key + numbers * _TEXT, 0))


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
    if not parted:
        rows = shuffled(count, key)
        batch[rows] = np.repeat(np.arange(batches), sizes)
        return rows, conflicts(group, anchor, positive, batch)
    # The rows of a group in a random order too: where all have two, one of each kind, and batches
    # are even, every other batch would be of one kind.
    rows = shuffled(count, key)
    rows = rows[_ranked(subkeys(group[rows] ^ subkeys(key, 1), 0))]
    batch[rows] = _turns(sizes, subkeys(key, 2))
    standing = conflicts(group, anchor, positive, batch)
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
        _swap(group, anchor, positive, batch, wrong, subkeys(key, 3 + number))
        standing = conflicts(group, anchor, positive, batch)
    place = np.empty(count, np.int64)
    place[rows] = np.arange(count)
    return np.argsort(batch * count + place), standing


def conflicts(group: Hashes, anchor: Hashes, positive: Hashes, batch: Ints) -> Mask:
    """Return which rows share a group or a text with a row before them of the same batch."""
    bits = np.uint64(max(1, len(group).bit_length()))
    marks, rows = _marks(group, anchor, positive, batch)
    # One sort of (hash, row): what is left of the hash parts any number of rows that fit in memory.
    ordered = np.sort((marks >> bits << bits) | rows)
    twice = np.flatnonzero(ordered[1:] >> bits == ordered[:-1] >> bits) + 1
    found = np.zeros(len(group), np.bool_)
    found[(ordered[twice] & ((_ONE << bits) - _ONE)).astype(np.int64)] = True
    return found


def _ranked(values: Hashes) -> Ints:
    """Return the order that sorts random `values`; equal ones stay together, the first first."""
    bits = np.uint64(max(1, len(values).bit_length()))
    numbers = np.arange(len(values), dtype=np.uint64)
    ordered = np.sort((values >> bits << bits) | numbers)
    return (ordered & ((_ONE << bits) - _ONE)).astype(np.int64)


def _turns(sizes: Ints, key: Hashes) -> Ints:
    """Return the batch that each card goes to: all that are not full, in a random order, again."""
    full = np.flatnonzero(sizes == sizes.max())
    turn = np.arange(len(sizes))
    turn[full] = full[shuffled(len(full), key)]
    place = np.empty(len(sizes), np.int64)
    place[turn] = np.arange(len(sizes))
    batch = np.repeat(np.arange(len(sizes)), sizes)
    level = np.arange(len(batch)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    # Cards of a batch that is smaller are spread over all levels, not dealt at its first ones.
    height = (2 * level + 1) * sizes.max() // (2 * np.repeat(sizes, sizes))
    return batch[np.argsort(height * len(sizes) + place[batch])]


def _marks(
    group: Hashes, anchor: Hashes, positive: Hashes, batch: Ints, rows: Ints | None = None
) -> tuple[Hashes, Hashes]:
    """Return hashes of (batch, what a row is known by), and the rows they belong to."""
    if rows is None:
        rows = np.arange(len(group))
    apart = np.flatnonzero(anchor != positive)  # a text twice in one row is no conflict
    place = subkeys(batch.astype(np.uint64), 0)
    marks = [group ^ place, (anchor + _TEXT) ^ place, (positive[apart] + _TEXT) ^ place[apart]]
    owners = [rows, rows, rows[apart]]
    return subkeys(np.concatenate(marks), 1), np.concatenate(owners).astype(np.uint64)


def _swap(
    group: Hashes, anchor: Hashes, positive: Hashes, batch: Ints, wrong: Ints, key: Hashes
) -> None:
    """Let rows change places with random others where neither then meets anything of its own."""
    right = np.ones(len(group), np.bool_)
    right[wrong] = False
    others = np.flatnonzero(right)
    others = others[shuffled(len(others), key)[: len(wrong)]]
    wrong = wrong[: len(others)]
    taken = np.sort(_marks(group, anchor, positive, batch)[0])
    free = np.ones(len(wrong), np.bool_)
    for rows, places in ((wrong, batch[others]), (others, batch[wrong])):
        identity = group[rows], anchor[rows], positive[rows]
        marks, owners = _marks(*identity, places)
        at = np.minimum(np.searchsorted(taken, marks), len(taken) - 1)
        free[owners[taken[at] == marks].astype(np.int64)] = False
    mine, theirs = wrong[free], others[free]
    batch[mine], batch[theirs] = batch[theirs], batch[mine]
