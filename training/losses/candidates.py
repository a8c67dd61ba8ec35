"""Who may be contrasted with whom: identity masks, found tile by tile and never held whole."""

from typing import NamedTuple

import torch
from torch import Tensor


class Marks(NamedTuple):
    """What tells rows, or columns, of the similarities apart; int64, shape (n,) each."""

    pair: Tensor
    """Number in the global batch of the pair it belongs to."""
    group: Tensor
    """Texts of equal group may say the same."""
    first: Tensor
    """Hash of a text that says what it says: the pair's anchor, or a hard negative."""
    second: Tensor
    """Hash of another such text: the pair's positive, or the hard negative again."""
    label: Tensor
    """Class of a supervised loss; 0 is none."""
    hard: Tensor
    """bool: a hard negative."""

    def at(self, which: slice | Tensor) -> "Marks":
        """Return those at `which`."""
        return Marks(*(column[which] for column in self))


class Hits(NamedTuple):
    """Places of one tile, as indices into it."""

    rows: Tensor
    columns: Tensor


class Candidates:
    """Rows x columns of similarities, and which of them are no negatives.

    A row's column is masked when it may say the same: a pair's text whose pair is of the same group
    or shares a text with the row's, a hard negative with the text of the row's anchor or positive,
    and another pair's hard negative that comes from the row's group (0: from an unknown one). A
    pair's own hard negatives are there on purpose and may come from its own document. Columns of
    the row's label are positives and not masked. The columns of the row's own pair are left out of
    the sum over negatives, but do not count as masked.
    """

    def __init__(self, rows: Marks, columns: Marks, own: Tensor, *, supervised: bool = False):
        """Find the few rows and columns that can have an equal at all: O(n log n).

        own: int64 (k, rows), the columns of each row's own pair. supervised: heed labels.
        """
        self.rows, self.columns, self.own = rows, columns, own
        self.supervised = supervised
        texts = torch.cat([columns.first, columns.second]).sort().values
        # A pair's own k columns show each of its texts k times, or 2k times where both are equal.
        seen = _count(texts, rows.first) + _count(texts, rows.second)
        mine = len(own) * (2 + 2 * (rows.first == rows.second))
        equal = (seen > mine) | (_count(columns.group.sort().values, rows.group) > len(own))
        self.suspects = equal.nonzero()[:, 0]
        among = rows.at(self.suspects)
        spoken = torch.cat([among.first, among.second])
        equal = torch.isin(columns.first, spoken) | torch.isin(columns.second, spoken)
        self.doubles = (equal | torch.isin(columns.group, among.group)).nonzero()[:, 0]

    def masked(self, rows: slice, columns: slice) -> Hits:
        """Return the places of a tile that may say the same as the row's pair."""
        up, across = _within(self.suspects, rows), _within(self.doubles, columns)
        if not (len(up) and len(across)):
            return Hits(up[:0], up[:0])
        r, c = self.rows.at(up), self.columns.at(across)
        own = r.pair[:, None] == c.pair
        known = ~c.hard | (c.group != 0)
        same = (r.group[:, None] == c.group) & known & ~own
        for text in (r.first[:, None], r.second[:, None]):
            same |= (text == c.first) | (text == c.second)
        same &= ~own | c.hard
        if self.supervised:
            same &= ~_same_label(r, c)
        places = same.nonzero()
        return Hits(up[places[:, 0]] - rows.start, across[places[:, 1]] - columns.start)

    def mine(self, rows: slice, columns: slice) -> Hits:
        """Return the places of a tile that belong to the row's own pair."""
        own = self.own[:, rows]
        places = ((own >= columns.start) & (own < columns.stop)).nonzero()
        return Hits(places[:, 1], own[places[:, 0], places[:, 1]] - columns.start)

    def positive(self, rows: slice, columns: slice) -> Tensor:
        """Return which places of a tile are of the row's label: bool."""
        return _same_label(self.rows.at(rows), self.columns.at(columns))


def _same_label(rows: Marks, columns: Marks) -> Tensor:
    return (rows.label[:, None] == columns.label) & (rows.label != 0)[:, None]


def _count(ordered: Tensor, values: Tensor) -> Tensor:
    """Return how often each of `values` occurs in `ordered`."""
    above = torch.searchsorted(ordered, values, right=True)
    return above - torch.searchsorted(ordered, values)


def _within(ordered: Tensor, part: slice) -> Tensor:
    ends = torch.searchsorted(ordered, torch.tensor([part.start, part.stop], device=ordered.device))
    low, high = ends.tolist()
    return ordered[low:high]
