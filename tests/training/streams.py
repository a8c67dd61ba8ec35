"""Datasets for tests of the stream, and what a rank is given of them."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pairsmith.schemas import open_dataset
from pairsmith.training.streaming.corpus import StreamConfig, open_order
from pairsmith.training.streaming.loader import Cursor, Share, stream
from pairsmith.training.streaming.order import Order
from pairsmith.training.streaming.row_groups import ABOUT, TEXTS


def numbered(first: int, count: int, **more: Any) -> list[dict[str, Any]]:
    """Return rows that are told apart by their number."""
    return [{"anchor": f"a{i}", "positive": f"p{i}", **more} for i in range(first, first + count)]


def order_of(
    folders: Sequence[Path], batch_size: int = 8, seed: int = 1, window: int = 3, **settings: Any
) -> Order:
    """Return the order of samples in dataset folders."""
    config = StreamConfig(window=window, **settings)
    datasets = [open_dataset(folder, checksums=False) for folder in folders]
    return open_order(datasets, config, batch_size, seed)


def anchors(share: Share) -> list[str]:
    """Return the anchors of a share."""
    texts: list[str] = share.pairs["anchor"].to_pylist()
    return texts


def epoch(order: Order, cursor: Cursor | None = None, **options: Any) -> list[Share]:
    """Return what is left of the cursor's epoch."""
    cursor = cursor or Cursor()
    options = {"columns": TEXTS + ABOUT, **options}
    batches = stream(order, cursor, lambda share: share, **options)
    shares: list[Share] = []
    at = cursor
    while at != Cursor(cursor.epoch, order.rows):
        shares.append(next(batches))
        at = shares[-1].cursor
    batches.close()
    return shares
