"""Evaluation files are read as they are meant, or refused in one line."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pairsmith.schemas import UserError
from pairsmith.training.evaluation.gold import judgements, similarities, translations


def parquet(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(rows), path)
    return path


def test_splits_may_be_numbers(tmp_path: Path) -> None:
    rows = [
        {"sentence1": "a", "sentence2": "b", "score": score, "split": split}
        for score, split in ((1.0, 1), (2.0, 1), (3.0, 2), (4.0, 2))
    ]
    file = parquet(tmp_path / "sts.parquet", rows)
    assert similarities(file, "2")[2].tolist() == [3, 4]
    with pytest.raises(UserError, match="no rows of split 'dev'; give --split one of: 1, 2"):
        similarities(file, "dev")
