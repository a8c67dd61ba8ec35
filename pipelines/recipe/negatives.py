"""Negatives: changed copies of the anchor, and other documents' positives from the same shard."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from pairsmith.augmenters import Augmenter
from pairsmith.schemas import record_keys, subkeys, text_hashes
from pairsmith.schemas.pair import NEGATIVE_INFO

_PROBES = 16


@dataclass(frozen=True)
class RandomNegatives:
    """Up to `count` positives of other rows of the shard, each of another group and text.

    A row gets fewer when the shard has too few rows that qualify.
    """

    count: int = 1
    version: ClassVar[int] = 1

    def __post_init__(self) -> None:
        if self.count < 0:
            raise ValueError("count must not be negative")


@dataclass(frozen=True, init=False)
class Perturbed:
    """A copy of the row's anchor that a chain of augmenters changed into something else.

    A row gets none when the chain makes no view of it, or one that reads like its anchor, its
    positive or another of its negatives.
    """

    steps: tuple[Augmenter, ...]
    version: ClassVar[int] = 1

    def __init__(self, *steps: Augmenter) -> None:
        """Take the augmenters, which must change the meaning.

        Raises TypeError for none, and ValueError for a chain that keeps the meaning.
        """
        if not steps or not all(isinstance(step, Augmenter) for step in steps):
            raise TypeError("Perturbed needs augmenters; see augmenters.from_function")
        if all(step.keeps_meaning for step in steps):
            raise ValueError(
                f"{'+'.join(step.name for step in steps)} keeps the meaning; "
                "a negative must not, so choose an augmenter that changes it"
            )
        object.__setattr__(self, "steps", steps)

    @property
    def name(self) -> str:
        """Return the kind of the negatives: the names of the steps, joined by `+`."""
        return "+".join(step.name for step in self.steps)

    def changed(self, change: Callable[[Augmenter], Augmenter]) -> "Perturbed":
        """Return the rule with every augmenter changed."""
        return Perturbed(*map(change, self.steps))


Negatives = RandomNegatives | Perturbed


class Given(NamedTuple):
    """Negatives for some rows of a table: arrays of one length, in the order of the rows."""

    rows: npt.NDArray[np.int64]
    texts: pa.StringArray
    source_ids: pa.StringArray
    kind: str


def add_random(pairs: pa.Table, rule: RandomNegatives, seed: int) -> pa.Table:
    """Return the rows of a whole shard in its final order with the negatives that the rule picks.

    A negative never shares its row's `group_id`, nor the text of its anchor, its positive or
    another of its negatives.
    """
    if not len(pairs):
        return pairs
    pairs = pairs.combine_chunks()
    picks = _pick(pairs, rule, seed)  # (rows, count), -1 where none was found
    rows, _ = np.nonzero(picks >= 0)
    flat = pa.array(picks[picks >= 0])
    texts, sources = (pairs[name].combine_chunks().take(flat) for name in ("positive", "source_id"))
    return append_negatives(pairs, [Given(rows, texts, sources, "random")])


def append_negatives(pairs: pa.Table, given: Sequence[Given]) -> pa.Table:
    """Return the rows with what they were given behind the `negatives` they have."""
    pairs = pairs.combine_chunks()
    if not sum(len(some.rows) for some in given):
        return pairs
    lists = [pairs[name].combine_chunks() for name in ("negatives", "negative_info")]
    lengths = pc.list_value_length(lists[0]).to_numpy()
    rows = np.concatenate([np.repeat(np.arange(len(pairs)), lengths), *(g.rows for g in given)])
    order = np.argsort(rows, kind="stable")
    counts = np.bincount(rows, minlength=len(pairs))
    offsets = pa.array(np.concatenate([[0], np.cumsum(counts)]), pa.int32())
    ranks = np.empty(len(rows), np.int32)
    ranks[order] = np.arange(len(rows)) - np.repeat(np.cumsum(counts) - counts, counts)
    old = pc.list_flatten(lists[1])
    kinds = pa.concat_arrays(
        [old.field("kind"), *(pa.repeat(pa.scalar(g.kind), len(g.rows)) for g in given)]
    )
    sources = pa.concat_arrays([old.field("source_id"), *(g.source_ids for g in given)])
    nothing = len(rows) - len(old)
    columns = [
        *(kinds, sources, pa.array(ranks)),
        pa.concat_arrays([old.field("score"), pa.nulls(nothing, pa.float32())]),
        pa.concat_arrays([old.field("teacher"), pa.nulls(nothing, pa.string())]),
    ]
    info = pa.StructArray.from_arrays(columns, fields=list(NEGATIVE_INFO))
    texts = pa.concat_arrays([pc.list_flatten(lists[0]), *(g.texts for g in given)])
    for name, values in (("negatives", texts), ("negative_info", info)):
        field = pairs.schema.field(name)
        column = pa.ListArray.from_arrays(offsets, values.take(pa.array(order)), type=field.type)
        pairs = pairs.set_column(pairs.schema.get_field_index(name), field, column)
    return pairs


def _pick(pairs: pa.Table, rule: RandomNegatives, seed: int) -> npt.NDArray[np.int64]:
    rows = pairs.num_rows
    groups = pairs["group_id"].to_numpy()
    hashes = pairs["positive_hash"].to_numpy()
    taken = [pairs["anchor_hash"].to_numpy(), hashes, *_negative_hashes(pairs)]
    zeros = np.zeros(rows, np.int32)
    keys = record_keys(seed, pairs["pair_id"].combine_chunks(), zeros, "negatives", 0)
    picks = np.full((rows, rule.count), -1, np.int64)
    for slot in range(rule.count):
        open_rows = np.arange(rows)
        for probe in range(_PROBES):
            stream = slot * _PROBES + probe
            drawn = (subkeys(keys[open_rows], stream) % np.uint64(rows)).astype(np.int64)
            good = groups[drawn] != groups[open_rows]
            for texts in taken:
                good &= hashes[drawn] != texts[open_rows]
            picks[open_rows[good], slot] = drawn[good]
            open_rows = open_rows[~good]
            if not len(open_rows):
                break
        chosen = np.where(picks[:, slot] >= 0, hashes[picks[:, slot]], taken[0])
        taken.append(chosen)
    return picks


def _negative_hashes(pairs: pa.Table) -> Iterator[npt.NDArray[np.uint64]]:
    """Yield the hash of each row's first negative, then second, …; its anchor's where none is."""
    lists = pairs["negatives"].combine_chunks()
    lengths = pc.list_value_length(lists).to_numpy()
    if not lengths.sum():
        return
    hashes = text_hashes(pc.list_flatten(lists))
    starts = np.cumsum(lengths) - lengths
    for slot in range(lengths.max()):
        at = np.minimum(starts + slot, len(hashes) - 1)
        yield np.where(slot < lengths, hashes[at], pairs["anchor_hash"].to_numpy())
