"""Tiles of a similarity matrix: running sums over them, and gradients from them."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from pairsmith.training.losses.candidates import Candidates

# Stands for minus infinity, where that times 0 must be 0.
EXCLUDED = -1e30
NOTHING = -1e20  # EXCLUDED times any scale is below.


@dataclass(frozen=True)
class Levels:
    """The L products of a pass: of the vectors' first `dims[l]` numbers, scaled.

    logits[l, i, j] = (rows[i, :d] . columns[j, :d]) row_scale[l, i] column_scale[l, j] + bias[j].
    """

    dims: tuple[int, ...]
    """Ascending; Matryoshka sizes. Levels of equal size, but another scale, are computed once."""
    row_scale: Tensor | None = None
    """(L, n), above 0; None is 1."""
    column_scale: Tensor | None = None
    """(L, m), above 0; None is 1. Needs a row scale."""
    bias: Tensor | None = None
    """(m,): log of each column's weight among the negatives; None is 0. No gradient."""

    @property
    def blocks(self) -> list[slice]:
        """Return the numbers that each level adds to the one before."""
        return [slice(a, b) for a, b in zip((0, *self.dims[:-1]), self.dims, strict=True)]


@dataclass(frozen=True)
class Problem:
    """Rows (n, D) against columns (m, D)."""

    rows: Tensor
    columns: Tensor
    candidates: Candidates
    levels: Levels

    def strips(self) -> Iterator[slice]:
        """Yield the rows in parts, few enough that a strip takes less than the columns' vectors."""
        most = strip_rows(self.rows.device)
        return parts(len(self.rows), max(64, most // len(self.levels.dims)))

    def tiles(self) -> Iterator[slice]:
        """Yield the columns in parts, few enough for a tile to stay in a CPU's cache."""
        return parts(len(self.columns), 16384 if self.rows.is_cuda else 2048)

    def products(self, r: slice, c: slice) -> Iterator[Tensor]:
        """Yield the tile's products at each level: one tensor, added to."""
        rows, columns = self.rows[r], self.columns[c]
        raw = None
        for block in self.levels.blocks:
            if raw is None:
                raw = rows[:, block] @ columns[:, block].T
            elif block.stop > block.start:
                raw.addmm_(rows[:, block], columns[:, block].T)
            yield raw

    def again(self, r: slice, c: slice) -> list["Kept"]:
        """Return a tile as gradients need it, computed anew."""
        kept: list[Kept] = []
        last = len(self.levels.dims) - 1
        for level, raw in enumerate(self.products(r, c)):
            if level == 0:
                raw[self.candidates.masked(r, c)] = EXCLUDED
                raw[self.candidates.mine(r, c)] = EXCLUDED
            kept.append(Kept(raw if level == last else raw.clone(), None))
        return kept

    def logits(self, raw: Tensor, level: int, r: slice, c: slice) -> Tensor:
        """Return the tile's logits at a level: `raw` itself without scales and bias."""
        levels = self.levels
        if levels.row_scale is not None:
            raw = raw * levels.row_scale[level, r, None]
        if levels.column_scale is not None:
            raw *= levels.column_scale[level, c]
        if levels.bias is not None:
            raw = raw + levels.bias[c]
        return raw


@dataclass(frozen=True)
class Kept:
    """A tile at one level, as gradients need it."""

    values: Tensor
    """exp(logits - reference); without a reference, the products."""
    reference: Tensor | None


class Scan:
    """Sums over the tiles seen so far (online, Milakov and Gimelshein, arXiv 1805.02867)."""

    def __init__(self, problem: Problem, *, across: bool = False, index: bool = False):
        """across: sum over columns too. index: also find each row's highest logit at each level."""
        self.problem, self.across, self.index = problem, across, index
        rows, depth = problem.rows, len(problem.levels.dims)
        self.most = rows.new_full((depth, len(rows)), 2 * EXCLUDED)
        self.sums = torch.zeros_like(self.most)
        self.where = torch.zeros_like(self.most, dtype=torch.int64)
        wide = len(problem.columns) if across else 0
        self.column_most = rows.new_full((depth, wide), 2 * EXCLUDED)
        self.column_sums = torch.zeros_like(self.column_most)
        self.hardest = rows.new_full((len(rows),), EXCLUDED)
        self.masked = torch.zeros(len(rows), dtype=torch.int64, device=rows.device)
        self.removed = rows.new_zeros(len(rows))

    def tile(self, r: slice, c: slice, *, keep: bool = False) -> list[Kept]:
        """Add a tile; return it if it is to be kept."""
        problem, last = self.problem, len(self.problem.levels.dims) - 1
        kept: list[Kept] = []
        for level, raw in enumerate(problem.products(r, c)):
            if level == 0:
                self._exclude(raw, r, c)
            logits = problem.logits(raw, level, r, c)
            if self.index:
                high, where = logits.max(1)
                better = high > self.most[level, r]
                self.where[level, r] = torch.where(better, where + c.start, self.where[level, r])
            else:
                high = logits.amax(1)
            if level == last:
                self._rank(raw, high if logits is raw else None, r, c)
            if self.across:
                _add(
                    self.column_most[level, c], self.column_sums[level, c], logits.T, logits.amax(0)
                )
            if keep and logits is not raw:
                kept.append(Kept(raw if level == last else raw.clone(), None))
            spare = None if logits is raw and level < last else logits
            done = _add(self.most[level, r], self.sums[level, r], logits, high, spare)
            if keep and logits is raw:
                kept.append(done)
        return kept

    def row_sums(self, r: slice = slice(None)) -> Tensor:
        """Return the log-sum-exp of rows, (L, n); -inf of nothing."""
        return _log(self.most[:, r], self.sums[:, r])

    def columns(self) -> Tensor:
        """Return the log-sum-exp of columns, (L, m); -inf of nothing."""
        return _log(self.column_most, self.column_sums)

    def _exclude(self, raw: Tensor, r: slice, c: slice) -> None:
        candidates, bias = self.problem.candidates, self.problem.levels.bias
        hits, own = candidates.masked(r, c), candidates.mine(r, c)
        raw[hits], raw[own] = EXCLUDED, EXCLUDED
        self.masked[r] += torch.bincount(hits.rows, minlength=len(raw))
        for places in (hits, own):
            share = torch.ones_like(places.columns, dtype=raw.dtype)
            if bias is not None:
                share = bias[c][places.columns].exp()
            self.removed[r].index_add_(0, places.rows, share)

    def _rank(self, raw: Tensor, high: Tensor | None, r: slice, c: slice) -> None:
        if self.problem.candidates.supervised:
            positive = self.problem.candidates.positive(r, c)
            high = raw.masked_fill(positive, EXCLUDED).amax(1)
        elif high is None:
            high = raw.amax(1)
        self.hardest[r] = torch.maximum(self.hardest[r], high)


class Slopes:
    """Gradients that tiles have added up to so far."""

    def __init__(self, problem: Problem):
        self.problem, levels = problem, problem.levels
        self.rows = torch.zeros_like(problem.rows)
        self.columns = torch.zeros_like(problem.columns)
        self.row_scale = zeros_like(levels.row_scale)
        self.column_scale = zeros_like(levels.column_scale)

    def tile(
        self,
        r: slice,
        c: slice,
        kept: list[Kept],
        rows: tuple[Tensor, Tensor],
        columns: tuple[Tensor, Tensor] | None = None,
    ) -> None:
        """Add a tile's, which is used up.

        rows, columns: the tile's log-sum-exps, (L, rows) or (L, columns), and their gradients.
        """
        levels = self.problem.levels
        slopes = []
        for level, tile in enumerate(kept):
            lse, slope = rows[0][level], rows[1][level]
            if tile.reference is not None:
                slopes.append(tile.values.mul_(((tile.reference - lse).exp_() * slope)[:, None]))
                continue
            logits = self.problem.logits(tile.values, level, r, c)
            part = (logits - lse[:, None]).exp_().mul_(slope[:, None])
            if columns is not None:
                lse, slope = columns[0][level], columns[1][level]
                part += (logits - lse).exp_().mul_(slope)
            slopes.append(self._unscaled(part, tile.values, level, r, c))
        total = None
        for part, block in zip(reversed(slopes), reversed(levels.blocks), strict=True):
            total = part if total is None else total.add_(part)
            if block.stop > block.start:
                self.rows[r, block].addmm_(total, self.problem.columns[c, block])
                self.columns[c, block].addmm_(total.T, self.problem.rows[r, block])

    def _unscaled(self, part: Tensor, raw: Tensor, level: int, r: slice, c: slice) -> Tensor:
        """Return gradients of products, from those of logits; add those of scales."""
        levels = self.problem.levels
        if levels.row_scale is None or self.row_scale is None:
            return part
        up = levels.row_scale[level, r]
        if levels.column_scale is None or self.column_scale is None:
            self.row_scale[level, r] += (part * raw).sum(1)
        else:
            across, both = levels.column_scale[level, c], part * raw
            self.row_scale[level, r] += both @ across
            self.column_scale[level, c] += up @ both
            part *= across
        return part.mul_(up[:, None])


def strip_rows(device: torch.device) -> int:
    """Return how many rows meet all columns at once, levels of a row counted each."""
    return 4096 if device.type == "cuda" else 512


def parts(count: int, size: int) -> Iterator[slice]:
    """Yield consecutive slices of at most `size`."""
    for start in range(0, count, size):
        yield slice(start, min(count, start + size))


def zeros_like(tensor: Tensor | None) -> Tensor | None:
    """Return zeros, if there is a tensor."""
    return None if tensor is None else torch.zeros_like(tensor)


def _add(
    most: Tensor, sums: Tensor, logits: Tensor, high: Tensor, out: Tensor | None = None
) -> Kept:
    """Add a tile to running maxima and sums, in place. out: may be overwritten."""
    new = torch.maximum(most, high)
    values = torch.sub(logits, new[:, None], out=out).exp_()
    sums.mul_((most - new).exp_()).add_(values.sum(1))
    most.copy_(new)
    return Kept(values, new)


def _log(most: Tensor, sums: Tensor) -> Tensor:
    return torch.where(most <= NOTHING, -math.inf, most + sums.log())
