"""Negatives that need no model: other documents' positives from the same shard."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pairsmith.schemas import record_keys, subkeys
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


def add_negatives(pairs: pa.Table, rule: RandomNegatives, seed: int) -> pa.Table:
    """Return the rows with `negatives` and `negative_info` filled in.

    pairs: the whole shard in its final order, one chunk a column. A negative never shares its
    row's `group_id`, nor the text of its anchor, its positive or another of its negatives.
    """
    if pairs.num_rows == 0 or rule.count == 0:
        return pairs
    pairs = pairs.combine_chunks()
    picks = _pick(pairs, rule, seed)  # (rows, count), -1 where none was found
    found = picks >= 0
    flat = pa.array(picks[found])
    starts = np.concatenate([[0], np.cumsum(found.sum(axis=1))])
    offsets = pa.array(starts, pa.int32())
    texts = pairs["positive"].combine_chunks().take(flat)
    ranks = np.arange(len(flat)) - np.repeat(starts[:-1], np.diff(starts))
    columns = {
        "kind": pa.repeat(pa.scalar("random"), len(flat)),
        "source_id": pairs["source_id"].combine_chunks().take(flat),
        "rank": pa.array(ranks.astype(np.int32)),
        "score": pa.nulls(len(flat), pa.float32()),
        "teacher": pa.nulls(len(flat), pa.string()),
    }
    info = pa.StructArray.from_arrays(list(columns.values()), fields=list(NEGATIVE_INFO))
    for name, values in (("negatives", texts), ("negative_info", info)):
        index = pairs.schema.get_field_index(name)
        column = pa.ListArray.from_arrays(offsets, values, type=pairs.schema.field(name).type)
        pairs = pairs.set_column(index, pairs.schema.field(name), column)
    return pairs


def _pick(pairs: pa.Table, rule: RandomNegatives, seed: int) -> npt.NDArray[np.int64]:
    rows = pairs.num_rows
    groups = pairs["group_id"].to_numpy()
    hashes = pairs["positive_hash"].to_numpy()
    taken = [pairs["anchor_hash"].to_numpy(), hashes]
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
