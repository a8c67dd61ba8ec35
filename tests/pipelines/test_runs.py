"""Rows of a shard are put in order, with no more than so much of them in memory."""

from collections import Counter
from contextlib import closing
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from pairsmith.pipelines.shards import runs
from pairsmith.pipelines.shards.row_groups import in_order
from pairsmith.schemas import ROW_GROUP_ROWS

SIZES = [[], [1], [0, 3, 0], [9000, 1, 8000], [100] * 200, [256, 512, 300]]


@pytest.mark.parametrize("kept_bytes", [2**40, 300_000, 0])
@pytest.mark.parametrize("sizes", SIZES)
def test_runs_of_any_size_become_row_groups_in_the_order_of_their_ids(
    sizes: list[int], kept_bytes: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(runs, "_KEPT_BYTES", kept_bytes)
    random = np.random.default_rng(0)
    ids = [f"{n:032x}" for n in random.permutation(sum(sizes)).tolist()]
    rows = pa.table(
        {
            "pair_id": pa.array(ids, pa.string()),
            "source_id": pa.array([f"s{i[-1]}" for i in ids], pa.string()),
            "kind": pa.array([f"k{i[-2]}" for i in ids], pa.string()),
            "positive": pa.array([f"of {i}" for i in ids], pa.string()),
        }
    )
    batches = [
        rows[a:b].sort_by("pair_id").combine_chunks().to_batches()
        for a, b in pairwise(np.cumsum([0, *sizes]).tolist())
    ]
    with closing(runs.Runs(rows.schema, str(tmp_path))) as kept:
        for some in batches:
            kept.take(some)
            assert not some
        groups = list(kept.merged())
    assert not list(tmp_path.iterdir())
    assert [len(group) for group in groups[:-1]] == [ROW_GROUP_ROWS] * (len(groups) - 1)
    merged = pa.concat_tables(groups).to_pylist() if groups else []
    assert merged == sorted(rows.to_pylist(), key=lambda row: row["pair_id"])
    assert kept.rows == sum(sizes)
    assert kept.kinds == Counter(rows["kind"].to_pylist())
    assert set(kept.source_ids.to_pylist()) == set(rows["source_id"].to_pylist())


def test_ids_whose_first_halves_are_equal_are_in_order_of_their_second() -> None:
    ids = ["0" * 16 + f"{n:016x}" for n in (3, 1, 2)] + ["f" * 32, "0" * 32]
    arrays = pa.array(["not an id", *ids])[1:4], pa.array(ids[3:])
    assert in_order(*arrays).tolist() == [4, 1, 2, 0, 3]
    assert in_order(*arrays[::-1]).tolist() == [1, 3, 4, 2, 0]
