"""How several datasets share an epoch and each part of it."""

from collections.abc import Sequence
from fractions import Fraction


def shares(rows: Sequence[int], mix: Sequence[float], by: str) -> list[int]:
    """Return how many rows of each dataset an epoch takes.

    rows: of each dataset. mix: a number for each. by: `passes`, how often an epoch goes through
    the dataset (0.5: half of it, the other half in the next epoch); or `share`, the proportions
    in an epoch that has as many rows as all datasets together.
    """
    if by == "passes":
        return [round(Fraction(weight) * count) for weight, count in zip(mix, rows, strict=True)]
    return apportion(sum(rows), [Fraction(weight) for weight in mix])


def apportion(total: int, weights: Sequence[int | Fraction]) -> list[int]:
    """Return `total` shared out in proportion to `weights`, by Webster's method.

    Unlike rounding it gives `total` exactly, and unlike largest remainders none gets less when
    `total` grows: what was taken before a place is a prefix of what is taken before a later one.
    Source: Balinski and Young, Fair Representation, 1982.
    """
    due = [Fraction(weight) for weight in weights]
    # Too few by at most their number: a divisor's rounding is off by a half for each.
    scale = max(Fraction(0), Fraction(2 * total - len(due)) / (2 * sum(due)))
    taken = [int(scale * weight + Fraction(1, 2)) for weight in due]
    while sum(taken) < total:
        # The next one goes to whom it is most due: smallest (taken + 1/2) / weight.
        waits = [((2 * taken[i] + 1) / weight, i) for i, weight in enumerate(due) if weight]
        taken[min(waits)[1]] += 1
    return taken


def cut(rows: int, size: int, batches: int) -> int:
    """Return how many of `rows` rows come before batch `batches`, each of at most `size`.

    All batches are full but the last. Where that would be one row alone, which has nothing to be
    contrasted with, the batch before gives it one of its own.
    """
    last = -(-rows // size)
    if batches >= last:
        return rows
    if batches == last - 1 and rows % size == 1 and size > 2 and batches:
        return batches * size - 1
    return batches * size
