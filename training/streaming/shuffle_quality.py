"""How good the shuffle is, and whom it keeps apart: measured on the batches themselves."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pairsmith.training.streaming.order import Order
from pairsmith.training.streaming.window import Window


@dataclass(frozen=True)
class Quality:
    """What a sample of an epoch's windows shows."""

    displacement: float
    """Mean distance between a row's places in the shards and in the epoch, by that of a full
    shuffle, which is a third of all rows: 1 is as good, 0 no shuffle."""
    company: float
    """How much likelier two rows of a batch come from one row group than in a full shuffle: 1 is
    as good; with windows of w of g row groups about g / w."""
    conflicts: float
    """Share of rows that share a group or a text with another row of their batch before them."""

    @property
    def in_short(self) -> str:
        """Return how it compares with a full shuffle."""
        return (
            f"rows move {self.displacement:.0%} as far as in a full one, and meet their row group "
            f"{self.company:.1f} times as often"
        )


def measure(order: Order, windows: int = 4) -> Quality:
    """Return the quality of the first epoch, from so many windows spread over it.

    Only the columns that tell rows apart are read, of these windows.
    Raises UserError when a shard cannot be read any more.
    """
    # From the middle of equal parts: rows at an end of the epoch come from farther away.
    numbers = np.unique((np.arange(windows) + 0.5) / windows * order.windows // 1).astype(int)
    plans = [order.plan(0, int(number)) for number in numbers]
    rows = sum(len(plan.order) for plan in plans)
    full = _full(order)
    met = together = 0
    for plan in plans:
        for batch in range(plan.batches):
            counts = np.bincount(plan.segment[plan.members(batch)])
            met += int((counts * (counts - 1)).sum())
            together += int(counts.sum() * (counts.sum() - 1))
    return Quality(
        displacement=float(np.mean(np.concatenate([_moved(order, plan) for plan in plans])) * 3),
        # Where every row is alone in its row group, no order lets it meet another.
        company=met / together / full if together and full else 1.0,
        conflicts=sum(int(plan.conflicts.sum()) for plan in plans) / rows,
    )


def _moved(order: Order, plan: Window) -> npt.NDArray[np.float64]:
    """Return how far each row of a window moved, as a share of the epoch."""
    before = np.cumsum([0, *(group.rows for group in order.groups)])
    of_source = np.cumsum([0, *(len(source.groups) for source in order.sources)])
    group = np.array([of_source[s.source] + s.group for s in plan.segments])
    stored = (before[group[plan.segment]] + plan.place)[plan.order] / before[-1]
    taken = (plan.start + np.arange(len(plan.order))) / order.rows
    distance: npt.NDArray[np.float64] = np.abs(stored - taken)
    return distance


def _full(order: Order) -> float:
    """Return how likely two rows of a full shuffle are of one row group."""
    parts = [s.kept / max(1, s.rows) * s.share / order.rows for s in order.sources]
    rows = np.concatenate(parts) * order.rows
    return float((rows * (rows - 1).clip(0)).sum() / (order.rows * (order.rows - 1)))
