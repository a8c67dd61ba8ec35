"""Several datasets in one epoch, and rows that count more, less, or not at all."""

from collections import Counter
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pairsmith.schemas import UserError
from pairsmith.training.streaming.loader import Cursor
from pairsmith.training.streaming.mix import apportion, cut
from tests.training.pair_folders import write_dataset
from tests.training.streams import anchors, epoch, numbered, order_of

quick = settings(max_examples=60, deadline=None)


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Return datasets of 60, 25 and 7 rows."""
    folder = tmp_path_factory.mktemp("mix")
    large = write_dataset(folder / "large", numbered(0, 60), shards=3, row_group_rows=7)
    small = write_dataset(folder / "small", numbered(60, 25), shards=2, row_group_rows=5)
    return [large, small, write_dataset(folder / "tiny", numbered(85, 7))]


@quick
@given(weights=st.lists(st.integers(0, 50), min_size=1, max_size=6).filter(any))
def test_what_is_shared_out_is_all_and_never_shrinks(weights: list[int]) -> None:
    whole = sum(weights)
    before = [0] * len(weights)
    for total in range(whole + 1):
        taken = apportion(total, weights)
        assert sum(taken) == total
        assert all(a <= b for a, b in zip(before, taken, strict=True))
        fair = [Fraction(total * weight, whole) for weight in weights]
        assert all(abs(t - f) <= len(weights) / 2 for t, f in zip(taken, fair, strict=True))
        before = taken
    assert before == weights


@pytest.mark.parametrize("way", ["mixed", "single"])
def test_an_epoch_has_every_row_as_often_as_the_mix_says(folders: list[Path], way: str) -> None:
    order = order_of(folders, mix=(1, 0.4, 3), batches=way)
    assert order.rows == 60 + 10 + 21
    seen: list[Counter[str]] = []
    for number in range(5):
        seen.append(Counter(a for share in epoch(order, Cursor(number)) for a in anchors(share)))
        numbers = Counter(int(a[1:]) // 60 + (int(a[1:]) >= 85) for a in seen[-1].elements())
        assert numbers == {0: 60, 1: 10, 2: 21}
    # Five epochs of two fifths are two passes: none more often than another.
    total = sum(seen, Counter())
    assert {total[f"a{i}"] for i in range(60)} == {5}
    assert {total[f"a{i}"] for i in range(60, 85)} == {2}
    assert {total[f"a{i}"] for i in range(85, 92)} == {15}


def test_shares_are_proportions_of_an_epoch_as_long_as_the_data(folders: list[Path]) -> None:
    order = order_of(folders, mix=(1, 1, 2), mix_by="share")
    assert [source.share for source in order.sources] == [23, 23, 46]


def test_a_dataset_of_weight_0_does_not_come(folders: list[Path]) -> None:
    order = order_of(folders, mix=(1, 0, 1))
    assert order.rows == 67
    assert {d for s in epoch(order) for d in s.pairs["dataset"].to_pylist()} == {0, 2}


def test_mixed_batches_hold_all_datasets_in_proportion(folders: list[Path]) -> None:
    shares = epoch(order_of(folders, batch_size=23, window=2))
    assert {share.source for share in shares} == {-1}
    for share in shares:
        counts = Counter(share.pairs["dataset"].to_pylist())
        assert 10 <= counts[0] <= 20  # 15 of 23 expected


def test_single_batches_hold_one_dataset_and_take_turns(folders: list[Path]) -> None:
    order = order_of(folders, batch_size=6, window=4, batches="single")
    shares = epoch(order)
    for share in shares:
        assert set(share.pairs["dataset"].to_pylist()) == {share.source}
    assert len(shares) == order.batches == 10 + 5 + 2
    sources = [share.source for share in shares]
    assert sources != sorted(sources)
    # Its last batch has the one row that is left and one of the batch before it.
    assert sorted(s.global_rows for s in shares if s.source == 2) == [2, 5]


def test_one_dataset_is_told_as_such(folders: list[Path]) -> None:
    assert {share.source for share in epoch(order_of(folders[:1]))} == {0}


@quick
@given(rows=st.integers(1, 200), size=st.integers(2, 20))
def test_batches_are_full_but_the_last_and_none_is_one_row(rows: int, size: int) -> None:
    count = -(-rows // size)
    ends = [cut(rows, size, i) for i in range(count + 1)]
    sizes = [b - a for a, b in pairwise(ends)]
    assert sum(sizes) == rows
    assert max(sizes) <= size
    assert sizes[:-2] == [size] * (count - 2) if count > 1 else True
    if rows > 1 and size > 2:
        assert min(sizes) > 1


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"mix": (1.0,)}, "--mix has 1 numbers for 3 datasets"),
        ({"mix": (1.0, -1.0, 1.0)}, "--mix 1.0 -1.0 1.0"),
        ({"mix": (0.0, 0.0, 0.0)}, "not all 0"),
        ({"weights": ("kind=2",)}, "WHAT:VALUE=FACTOR"),
        ({"weights": ("colour:red=2",)}, "WHAT:VALUE=FACTOR"),
        ({"weights": ("kind:test=-2",)}, "must be a number of at least 0"),
        ({"weights": ("kind:test=much",)}, "must be a number of at least 0"),
        ({"weights": ("kind:tset=2",)}, "no pair has kind 'tset'"),
        ({"weigh": "nowhere.py:f"}, "--weigh nowhere.py:f: no file nowhere.py"),
    ],
)
def test_settings_that_do_not_suit_the_data_are_refused(
    folders: list[Path], settings: dict[str, Any], message: str
) -> None:
    with pytest.raises(UserError, match=message):
        order_of(folders, **settings)


def test_a_dataset_that_is_asked_for_and_could_never_come_is_refused(
    folders: list[Path], tmp_path: Path
) -> None:
    empty = write_dataset(tmp_path / "empty", [])
    assert order_of([*folders, empty]).rows == 92  # all of nothing
    assert order_of([*folders, empty], mix=(1, 1, 1, 0), mix_by="share").rows == 92
    with pytest.raises(UserError, match="dataset 4 of 4 has no pair of weight above 0"):
        order_of([*folders, empty], mix_by="share")
    odd = write_dataset(tmp_path / "odd", numbered(92, 20, kind="odd"))
    with pytest.raises(UserError, match="dataset 2 of 2 has no pair of weight above 0"):
        order_of([folders[0], odd], mix_by="share", weights=("kind:odd=0",))
    with pytest.raises(UserError, match=r"--mix 0\.01 of the 25 pairs of dataset 2 is none"):
        order_of(folders, mix=(1, 0.01, 1))
    with pytest.raises(UserError, match=r"--mix 0\.001 of the 7 pairs of dataset 3 is none"):
        order_of(folders, mix=(1, 1, 0.001), mix_by="share")


@pytest.fixture(scope="module")
def kinds(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a dataset of three kinds, some rows in Chinese, some of weight 0."""
    rows: list[dict[str, Any]] = []
    for i, row in enumerate(numbered(0, 90)):
        more = {"kind": ("dropout", "context", "crop")[i % 3], "lang": ("zh", "en", None)[i // 30]}
        more |= {"weight": 0.0 if i % 10 == 9 else 0.5, "positive_view": f"view{i % 2}"}
        rows.append({**row, **more})
    folder = tmp_path_factory.mktemp("kinds") / "data"
    return write_dataset(folder, rows, shards=2, row_group_rows=8)


def weights(folder: Path, **settings: Any) -> dict[int, float]:
    """Return the weight of each row that comes, by its number."""
    return {
        int(row["anchor"][1:]): row["weight"]
        for share in epoch(order_of([folder], **settings))
        for row in share.pairs.to_pylist()
    }


def test_rows_of_weight_0_do_not_come(kinds: Path) -> None:
    assert weights(kinds) == {i: 0.5 for i in range(90) if i % 10 != 9}


@pytest.mark.parametrize("weight", [-1.0, float("nan"), float("inf")])
def test_a_stored_weight_that_is_none_is_named(tmp_path: Path, weight: float) -> None:
    rows = numbered(0, 20)
    rows[7]["weight"] = weight
    folder = write_dataset(tmp_path / "data", rows)
    with pytest.raises(UserError, match="negative, NaN or infinite; build the dataset anew"):
        epoch(order_of([folder]))
    with pytest.raises(UserError, match="negative, NaN or infinite; mend --weights or --weigh"):
        epoch(order_of([folder], weights=("kind:test=2",)))


def test_rules_multiply_the_weights_of_what_they_name(kinds: Path) -> None:
    rules = ("kind:dropout=0.5", "lang:zh=2", "lang:=3", "view:view1=4", "kind:crop=0")
    expected = {}
    for i in range(90):
        factor = {0: 0.5, 1: 1, 2: 0}[i % 3] * {0: 2, 1: 1, 2: 3}[i // 30] * (4 if i % 2 else 1)
        if factor and i % 10 != 9:
            expected[i] = 0.5 * factor
    assert weights(kinds, weights=rules) == expected


def test_a_value_that_no_row_has_is_refused_with_those_that_are_there(kinds: Path) -> None:
    for rule, message in (
        ("view:crop=2", "anchor_view/positive_view 'crop'; there are view, view0, view1$"),
        ("lang:fr=2", "no pair has lang 'fr'; there are en, null, zh$"),
    ):
        with pytest.raises(UserError, match=message):
            weights(kinds, weights=(rule,))


def test_a_function_weighs_whole_rows_or_the_columns_it_names(kinds: Path, tmp_path: Path) -> None:
    (tmp_path / "beside_mine.py").write_text(
        "def numbered(pairs):\n"
        "    return [int(anchor[1:]) for anchor in pairs['anchor'].to_pylist()]\n"
    )
    file = tmp_path / "mine.py"
    file.write_text(
        "import numpy as np\n"
        "import pyarrow.compute as pc\n"
        "from beside_mine import numbered\n"
        "def even(pairs):\n"
        "    numbers = numbered(pairs)\n"
        "    return np.array([2.0 if n % 2 == 0 else 0.0 for n in numbers], np.float32)\n"
        "def named(pairs):\n"
        "    assert set(pairs.schema.names) == {'weight', 'lang'}\n"
        "    return pc.equal(pairs['lang'], 'zh').fill_null(False).to_numpy(zero_copy_only=False)\n"
        "named.columns = ('lang',)\n"
        "def broken(pairs):\n"
        "    raise KeyError('nothing')\n"
        "def short(pairs):\n"
        "    return [1.0]\n"
        "def negative(pairs):\n"
        "    return -np.ones(len(pairs))\n"
    )
    assert weights(kinds, weigh=f"{file}:even") == {i: 1.0 for i in range(0, 90, 2) if i % 10 != 9}
    assert set(weights(kinds, weigh=f"{file}:named")) == {i for i in range(30) if i % 10 != 9}
    for name, message in (
        ("broken", "failed on .*KeyError: 'nothing'"),
        ("short", r"returned shape \(1,\) for 8 rows"),
        ("negative", "negative, NaN or infinite"),
        ("absent", "has no function 'absent'"),
    ):
        with pytest.raises(UserError, match=message):
            order_of([kinds], weigh=f"{file}:{name}")


def test_what_can_be_called_weighs_as_a_function_does_and_is_known_by_its_file(
    kinds: Path, tmp_path: Path
) -> None:
    file = tmp_path / "callables.py"
    source = (
        "from functools import partial\n"
        "import numpy as np\n"
        "class Constant:\n"
        "    columns = ('lang',)\n"
        "    def __call__(self, pairs):\n"
        "        return np.full(len(pairs), 3.0)\n"
        "constant = Constant()\n"
        "def power(exponent, pairs):\n"
        "    return np.full(len(pairs), 2.0**exponent)\n"
        "squared = partial(power, 2)\n"
    )
    file.write_text(source)
    for name, factor in (("constant", 3.0), ("squared", 4.0)):
        expected = {i: 0.5 * factor for i in range(90) if i % 10 != 9}
        assert weights(kinds, weigh=f"{file}:{name}") == expected
    before = order_of([kinds], weigh=f"{file}:squared").weights.digest
    file.write_text(source.replace("power, 2", "power, 3"))
    assert order_of([kinds], weigh=f"{file}:squared").weights.digest != before


def test_a_function_that_changes_its_mind_is_found_out(kinds: Path, tmp_path: Path) -> None:
    file = tmp_path / "moody.py"
    file.write_text(
        "import itertools\n"
        "import numpy as np\n"
        "calls = itertools.count()\n"
        "def moody(pairs):\n"
        "    return np.arange(len(pairs)) >= next(calls) % 5\n"
    )
    with pytest.raises(UserError, match="not what they were when it was opened"):
        epoch(order_of([kinds], weigh=f"{file}:moody"))
