"""The books must balance, and too many failures stop a build."""

import dataclasses

import orjson
import pytest

from pairsmith.augmenters.cache import Tally
from pairsmith.pipelines.accounts import ShardResult, add_up, check_failed
from pairsmith.pipelines.job import Increment, StepResult
from pairsmith.schemas import ShardFile, UserError

RESULT = ShardResult(
    files={
        "shards": ShardFile("shards/0", 5, 1, ""),
        "dropped": ShardFile("dropped/0", 3, 1, ""),
        "failed": ShardFile("failed/0", 2, 1, ""),
    },
    sources={"written": 4, "dropped": 2, "failed": 1},
    spread=[("long", "dropped"), ("longer", "failed")],
    units={"made": 7, "dropped": 1},
    pairs={"made": 7, "written": 5, "dropped": 1, "failed": 1},
    reasons={
        "dropped": {"read: null text": 2, "gate: x": 1},
        "failed": {"pair: y": 1, "read: z": 1},
    },
    kinds={"k": 5},
    changes={},
)


def test_a_source_that_lies_in_several_shards_counts_once_by_its_best_outcome() -> None:
    other = dataclasses.replace(RESULT, spread=[("long", "written"), ("longer", "dropped")])
    totals = add_up(16, [RESULT, other])
    assert totals.sources == {"read": 16, "written": 9, "dropped": 4, "failed": 3}


@pytest.mark.parametrize(
    ("rows_read", "change"),
    [
        (8, {}),
        (9, {"pairs": {"made": 8, "written": 5, "dropped": 1, "failed": 1}}),
        (9, {"kinds": {"k": 4}}),
        (9, {"reasons": {"dropped": {"read: null text": 2}, "failed": RESULT.reasons["failed"]}}),
    ],
    ids=["a row lost", "a pair lost", "a written pair lost", "a dropped row lost"],
)
def test_books_that_do_not_balance_stop_the_build(
    rows_read: int, change: dict[str, object]
) -> None:
    with pytest.raises(RuntimeError, match="do not balance"):
        add_up(rows_read, [dataclasses.replace(RESULT, **change)])  # type: ignore[arg-type]
    add_up(9, [RESULT])


def test_more_failures_than_allowed_are_refused_with_the_top_reasons() -> None:
    totals = add_up(9, [RESULT])
    check_failed(totals, 0.3)
    with pytest.raises(UserError, match=r"2 of 9 input rows failed.*pair: y \(1\), read: z \(1\)"):
        check_failed(totals, 0.2)


@pytest.mark.parametrize(
    "result",
    [
        StepResult(rows_read=7),
        StepResult(shard=RESULT),
        StepResult(
            increment=Increment(3, "of this", True, views=Tally(1, 2), similarities=Tally(0, 0)),
            shard=RESULT,
        ),
    ],
    ids=["read", "filled elsewhere", "filled here"],
)
def test_a_result_survives_its_way_through_json(result: StepResult) -> None:
    assert StepResult.from_data(orjson.loads(result.to_json())) == result
