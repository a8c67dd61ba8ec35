"""From dataset folders and settings to the order of samples: what is checked before a run."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import pyarrow.compute as pc

from pairsmith.schemas import Dataset, UserError, open_dataset
from pairsmith.schemas.store import RemoteDataset, is_remote, open_remote_dataset, shown
from pairsmith.training.losses.config import LossConfig
from pairsmith.training.settings import Above, AtLeast, AtMost, Free
from pairsmith.training.streaming.lookahead import Ints
from pairsmith.training.streaming.mix import shares
from pairsmith.training.streaming.order import LEAST_BATCHES, Order, Source
from pairsmith.training.streaming.row_groups import (
    RowGroup,
    Shard,
    local_shard,
    read,
    row_groups,
)
from pairsmith.training.streaming.shard_cache import RemoteShard, ShardCache
from pairsmith.training.streaming.weights import Weights, open_weights

_KINDS = "negative_info.list.element.kind"
_OTHER_TEXTS = {"random", "mined"}
"""Kinds of negatives that are not their anchor, changed."""
_SAMPLED = 8192
"""Pairs of each dataset whose negatives are looked at."""


@dataclass(frozen=True)
class StreamConfig:
    """Which pairs meet in a batch, how they are read, mixed and weighed."""

    batch_size: Annotated[int, AtLeast(2)] = 0
    """Pairs in a batch, over all processes, each contrasted with all others; 0: 1024 for static,
    else 64."""
    negatives: Annotated[int, AtLeast(0)] = 1
    """How many of a pair's stored hard negatives to use, where it has any: the first ones, changed
    copies before random ones."""
    checksums: Annotated[bool, Free()] = True
    """Check every shard against its sha256 before the first step."""
    window: Annotated[int, AtLeast(1)] = 16
    """Row groups of 8,192 pairs that are shuffled together, and held in memory."""
    mix: tuple[float, ...] = ()
    """A number for each dataset: how much of it there is in an epoch; none: all of each once."""
    mix_by: Literal["passes", "share"] = "passes"
    """What --mix counts: how often an epoch goes through a dataset, or its share of the epoch,
    which then has as many pairs as all datasets together."""
    batches: Literal["mixed", "single"] = "mixed"
    """Whether a batch holds pairs of several datasets, or of a single one."""
    weights: tuple[str, ...] = ()
    """Factors of pairs' weights, such as kind:dropout=0.5, view:passage+crop=2 or lang:zh=2; 0
    leaves the pairs out."""
    weigh: str = ""
    """FILE.py:FUNCTION or MODULE:FUNCTION that returns a factor for each row of a
    pyarrow.RecordBatch."""
    look_ahead: bool = True
    """Keep pairs of one document, or with a text in common, in different batches."""
    workers: Annotated[int, AtLeast(0), Free()] = 2
    """Threads that read and tokenise ahead of the steps; 0: none. Never changes a batch."""
    shard_cache: Annotated[Path, Free()] = Path("~/.cache/pairsmith/shards")
    """Folder that keeps what was read from object stores; processes may share it."""
    shard_cache_gb: Annotated[float, Above(0), AtMost(1e6), Free()] = 20.0
    """Gigabytes kept there at most; what was used longest ago goes first."""


def open_data(location: str | Path, *, checksums: bool = True) -> Dataset | RemoteDataset:
    """Open the dataset in a folder or at a URL, after checking it against its manifest.

    checksums: compare every shard's sha256; in an object store that reads all of it once.
    Raises UserError when it is not there, or not as its manifest says.
    """
    place = str(location).removeprefix("file://")
    if is_remote(place):
        return open_remote_dataset(place, checksums=checksums)
    return open_dataset(place, checksums=checksums)


def open_order(
    datasets: Sequence[Dataset | RemoteDataset], config: StreamConfig, batch_size: int, seed: int
) -> Order:
    """Return the order of samples in these datasets.

    Footers are read; and where some weights may be 0 or a rule is given, the columns that decide
    them, once, to know how many rows an epoch has.
    Raises UserError when settings do not suit the data, or a shard cannot be read.
    """
    mix = config.mix or (1.0,) * len(datasets)
    if len(mix) != len(datasets):
        raise UserError(f"--mix has {len(mix)} numbers for {len(datasets)} datasets; give one each")
    if not all(0 <= number < float("inf") for number in mix) or not sum(mix):
        raise UserError(f"--mix {' '.join(map(str, mix))}: numbers of at least 0, not all 0")
    weights = open_weights(config.weights, config.weigh)
    groups = [row_groups(shard_files(dataset, config)) for dataset in datasets]
    kept = _kept(groups, weights)
    rows = [int(counts.sum()) for counts in kept]
    taken = shares(rows, mix, config.mix_by)
    _check_mix(rows, mix, taken)
    largest = max((group.rows for each in groups for group in each), default=0)
    return Order(
        sources=tuple(map(Source, groups, kept, taken)),
        seed=seed,
        batch_size=batch_size,
        window=max(config.window * largest // batch_size, LEAST_BATCHES),
        weights=weights,
        mixed=config.batches == "mixed",
        look_ahead=config.look_ahead,
    )


def check_targets(order: Order, names: Sequence[str], losses: Sequence[LossConfig]) -> None:
    """Look for what a loss learns from: one loss for all datasets, or one for each.

    Raises UserError when no pair has a value in its column, or a negative for its margin.
    """
    for number, loss in enumerate(losses):
        here = slice(number, number + 1) if len(losses) > 1 else slice(None)
        groups = [group for source in order.sources[here] for group in source.groups]
        place, column = ", ".join(map(shown, names[here])), loss.column
        if column and all(
            read(group, [column])[column].null_count == group.rows for group in groups
        ):
            raise UserError(
                f"{place}: no pair has a {column}, which --loss {loss.loss} learns from; build "
                "pairs that have one, or choose another --loss"
            )
        if loss.bidirectional and not any(map(_has_negatives, groups)):
            raise UserError(
                f"{place}: no pair has a negative, which --bidirectional learns from; build pairs "
                "that have one, or leave it out"
            )


def _has_negatives(group: RowGroup) -> bool:
    lists = read(group, [_KINDS])["negative_info"]
    return bool(pc.any(pc.greater(pc.list_value_length(lists), 0)).as_py())


def notes_on_negatives(order: Order, used: int, losses: Sequence[LossConfig]) -> list[str]:
    """Return what is told of the stored negatives before a run: a line on each thing to know.

    By the first rows of each dataset, which stand in no order of their own. losses: one for all
    datasets, or one for each.
    """
    changed: set[str] = set()
    most = 0
    for number, source in enumerate(order.sources):
        loss = losses[number if len(losses) > 1 else 0]
        if not (used and source.groups and loss.uses_negatives):
            continue
        rows = read(source.groups[0], [_KINDS])["negative_info"][:_SAMPLED].to_pylist()
        most = max([most, *map(len, rows)])
        if loss.contrasts_negatives and loss.negative_weight == 1:
            changed |= {negative["kind"] for row in rows for negative in row[:used]}
    notes = []
    if changed := changed - _OTHER_TEXTS:
        notes.append(
            f"changed copies of anchors ({', '.join(sorted(changed))}) are negatives like any "
            "other, which made encoders worse where it was measured; give --negative-weight 0 and "
            "maybe --bidirectional 1, or --negatives 0 (docs/losses.md, hard negatives that hurt)"
        )
    if most > used:
        notes.append(
            f"pairs have up to {most} negatives, and --negatives {used} uses the first {used}"
        )
    return notes


def shard_files(dataset: Dataset | RemoteDataset, config: StreamConfig) -> list[Shard]:
    """Return the shards of a dataset, in manifest order.

    Raises UserError when one is no longer there.
    """
    if isinstance(dataset, Dataset):
        return [local_shard(path) for path in dataset.shards]
    return [*remote_shards(dataset, config)]


def remote_shards(dataset: RemoteDataset, config: StreamConfig) -> list[RemoteShard]:
    """Return the shards of a dataset in an object store, in manifest order."""
    folder = config.shard_cache.expanduser()
    cache = ShardCache(folder, int(config.shard_cache_gb * 1e9))
    store, listed = dataset.store, dataset.manifest.shards
    return [RemoteShard(store, shard.path, shard.sha256, cache) for shard in listed]


def _check_mix(rows: Sequence[int], mix: Sequence[float], taken: Sequence[int]) -> None:
    """Raise UserError for a dataset that is asked for and of which no row could ever come."""
    for number, (count, weight, share) in enumerate(zip(rows, mix, taken, strict=True), 1):
        if share and not count:
            raise UserError(
                f"--mix-by share: dataset {number} of {len(rows)} has no pair of weight above 0 to "
                "have a share of; leave it out, or give it 0 in --mix"
            )
        if weight and count and not share:
            raise UserError(
                f"--mix {weight:g} of the {count:,} pairs of dataset {number} is none in an epoch; "
                "give it more, or 0"
            )


def _kept(groups: Sequence[Sequence[RowGroup]], weights: Weights) -> list[Ints]:
    """Return how many rows of each row group have a weight above 0.

    Raises UserError when a rule is about none of all rows: its value must be misspelt.
    """
    matched = np.zeros(len(weights.rules), np.int64)

    def count(group: RowGroup) -> int:
        if not weights.change and group.least_weight > 0:
            return group.rows
        table = read(group, weights.columns)
        for i, rule in enumerate(weights.rules):
            matched[i] += np.count_nonzero(rule.matches(table))
        return int(np.count_nonzero(weights(table, group.shard)))

    kept = [np.array([count(group) for group in each], np.int64) for each in groups]
    for rule, found in zip(weights.rules, matched, strict=True):
        if not found:
            names = "/".join(rule.columns)
            raise UserError(
                f"--weights: no pair has {names} {rule.value or 'null'!r}; there are "
                f"{', '.join(_values(groups, rule.columns))}"
            )
    return kept


def _values(groups: Sequence[Sequence[RowGroup]], names: Sequence[str]) -> list[str]:
    """Return all values of some columns, in words, as a rule may name them."""
    found: set[str | None] = set()
    for group in (group for each in groups for group in each):
        for column in read(group, names).columns:
            found.update(*(chunk.unique().to_pylist() for chunk in column.chunks))
    return sorted(value or "null" for value in found)
