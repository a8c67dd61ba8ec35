"""Pairs of a shard are put in order and cut into row groups, whatever tables they come in."""

from itertools import pairwise

import numpy as np
import pyarrow as pa
import pytest

from pairsmith.pipelines.shards.row_groups import cut_row_groups, in_order
from pairsmith.schemas import ROW_GROUP_ROWS

SIZES = [[], [0], [1], [0, 3, 0], [9000, 1, 8000], [100] * 200, [ROW_GROUP_ROWS] * 2, [30_000]]


@pytest.mark.parametrize("sizes", SIZES)
def test_tables_of_any_size_become_row_groups_of_one_size(sizes: list[int]) -> None:
    rows = pa.table({"pair_id": pa.array([f"{n:032x}" for n in range(sum(sizes))], pa.string())})
    groups = list(cut_row_groups(rows[a:b] for a, b in pairwise(np.cumsum([0, *sizes]).tolist())))
    assert [len(group) for group in groups[:-1]] == [ROW_GROUP_ROWS] * (len(groups) - 1)
    assert all(0 < len(group) <= ROW_GROUP_ROWS for group in groups)
    assert all(group["pair_id"].num_chunks == 1 for group in groups)
    assert pa.concat_tables([rows[:0], *groups]).to_pylist() == rows.to_pylist()


def test_ids_whose_first_halves_are_equal_are_in_order_of_their_second() -> None:
    ids = ["0" * 16 + f"{n:016x}" for n in (3, 1, 2)] + ["f" * 32, "0" * 32]
    arrays = pa.array(["not an id", *ids])[1:4], pa.array(ids[3:])
    assert in_order(*arrays).tolist() == [4, 1, 2, 0, 3]
    assert in_order(*arrays[::-1]).tolist() == [1, 3, 4, 2, 0]
