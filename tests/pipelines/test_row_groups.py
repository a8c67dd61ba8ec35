"""Rows of a shard are put in order without a second copy of them."""

from itertools import pairwise

import numpy as np
import pyarrow as pa
import pytest

from pairsmith.pipelines.row_groups import merge_runs
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
