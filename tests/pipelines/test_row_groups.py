"""Rows of a shard are put in order without a second copy of them."""

from itertools import pairwise

import numpy as np
import pyarrow as pa
import pytest

from pairsmith.pipelines.row_groups import in_order, merge_runs
from pairsmith.schemas import ROW_GROUP_ROWS


@pytest.mark.parametrize("sizes", [[], [1], [0, 3, 0], [9000, 1, 8000], [100] * 200])
def test_batches_of_any_size_become_row_groups_in_the_order_of_their_ids(sizes: list[int]) -> None:
    random = np.random.default_rng(0)
    ids = [f"{n:032x}" for n in random.permutation(sum(sizes)).tolist()]
    rows = pa.table({"pair_id": pa.array(ids, pa.string()), "text": [f"of {i}" for i in ids]})
    starts = np.cumsum([0, *sizes]).tolist()
    runs = [
        pa.record_batch({name: rows[name].combine_chunks()[a:b] for name in rows.column_names})
        for a, b in pairwise(starts)
    ]
    groups = list(merge_runs([run.sort_by("pair_id") for run in runs]))
    assert [len(group) for group in groups[:-1]] == [ROW_GROUP_ROWS] * (len(groups) - 1)
    merged = pa.concat_tables(groups).to_pylist() if groups else []
    assert merged == [{"pair_id": i, "text": f"of {i}"} for i in sorted(ids)]


def test_ids_whose_first_halves_are_equal_are_in_order_of_their_second() -> None:
    ids = ["0" * 16 + f"{n:016x}" for n in (3, 1, 2)] + ["f" * 32, "0" * 32]
    arrays = pa.array(["not an id", *ids])[1:4], pa.array(ids[3:])
    assert in_order(*arrays).tolist() == [4, 1, 2, 0, 3]
    assert in_order(*arrays[::-1]).tolist() == [1, 3, 4, 2, 0]
