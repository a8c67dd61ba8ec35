"""The quality of the shuffle is what theory says it is."""

from pathlib import Path

import pytest

from pairsmith.training.streaming.shuffle_quality import measure
from tests.training.pair_folders import write_dataset
from tests.training.streams import numbered, order_of

GROUPS = 40


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a dataset of 40 row groups of 25 rows, each text 4 times."""
    rows = [{**row, "source_id": f"doc{i // 4}"} for i, row in enumerate(numbered(0, 1000))]
    folder = tmp_path_factory.mktemp("shuffle") / "data"
    return write_dataset(folder, rows, shards=8, row_group_rows=25)


@pytest.mark.parametrize("look_ahead", [True, False])
def test_a_window_as_large_as_the_data_is_a_full_shuffle(folder: Path, look_ahead: bool) -> None:
    quality = measure(order_of([folder], 50, window=GROUPS, look_ahead=look_ahead))
    assert quality.displacement == pytest.approx(1, abs=0.1)
    assert quality.company == pytest.approx(1, abs=0.15)


def test_rows_of_a_small_window_meet_their_neighbours_more_often(folder: Path) -> None:
    quality = measure(order_of([folder], 5, window=4, look_ahead=False), windows=10)
    assert quality.displacement == pytest.approx(1, abs=0.15)
    # Two of 100 rows in 4 row groups of 25: 24 / 99; of all 1,000 rows: 24 / 999.
    assert quality.company == pytest.approx(999 / 99, rel=0.2)


def test_what_the_look_ahead_is_worth_is_told(folder: Path) -> None:
    plain = measure(order_of([folder], 50, window=GROUPS, look_ahead=False))
    # 3 others of 999 rows are of a row's document, 49 share its batch; half of them come before.
    assert plain.conflicts == pytest.approx(3 * 49 / 999 / 2, rel=0.3)
    assert measure(order_of([folder], 50, window=GROUPS)).conflicts == 0


@pytest.mark.parametrize("mix", [1, 0.5])
def test_rows_that_are_alone_in_their_row_groups_meet_none(tmp_path: Path, mix: float) -> None:
    folder = write_dataset(tmp_path / "data", numbered(0, 40), shards=2, row_group_rows=1)
    assert measure(order_of([folder], 5, window=4, mix=(mix,))).company == 1
