"""Means by group against pandas and the papers' formulas."""

import json
import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import torch
from torch import distributed

from pairsmith.training.telemetry.breakdown import (
    Breakdown,
    length_buckets,
    means,
    measures,
    merge,
    row_means,
)
from tests.training.ranks import FORKS

NAMES = ("novels", "talks")
Rows = tuple[pa.RecordBatch, np.ndarray[Any, Any], dict[str, np.ndarray[Any, Any]]]


def made_rows(count: int, seed: int, *, dictionaries: bool = True) -> Rows:
    rng = np.random.default_rng(seed)
    kinds = pa.array(rng.choice(["context", "crop", "dropout"], count))
    views = pa.array(rng.choice(["view", "noisy"], count))
    langs = pa.array([None if x < 0.2 else "en" for x in rng.random(count)], pa.string())
    columns = {
        "pair_id": pa.array([f"{i:032x}" for i in range(count)]),
        "kind": kinds.dictionary_encode() if dictionaries else kinds,
        "anchor_view": views.dictionary_encode() if dictionaries else views,
        "positive_view": views,
        "lang": langs.dictionary_encode() if dictionaries else langs,
        "dataset": pa.array(rng.integers(0, 2, count), pa.int32()),
    }
    values = {name: rng.random(count).astype(np.float32) for name in ("loss", "masked")}
    values |= {name: rng.uniform(-1, 1, count) for name in ("positive", "hardest")}
    values["hardest"][rng.random(count) < 0.1] = np.nan  # rows without a negative
    values["gap"] = values["positive"] - values["hardest"]
    values["accuracy"] = rng.random(count) < 0.5
    return pa.RecordBatch.from_pydict(columns), rng.integers(1, 900, count), values


def frame(rows: Rows) -> pd.DataFrame:
    about, lengths, values = rows
    table = pd.DataFrame({name: about[name].to_pylist() for name in about.schema.names} | values)
    table["lang"] = table["lang"].fillna("none")
    table["source"] = [NAMES[i] for i in table["dataset"]]
    table["all"] = "all"
    edges = [0, 8, 16, 32, 64, 128, 256, 512, 10**9]
    names = ["1-8", "9-16", "17-32", "33-64", "65-128", "129-256", "257-512", "over 512"]
    table["tokens"] = pd.cut(lengths, edges, labels=names).astype(str)
    table["alignment"] = 2 - 2 * table["positive"]
    return table


@pytest.mark.parametrize("dictionaries", [True, False])
def test_the_means_of_three_steps_are_those_of_all_their_rows(dictionaries: bool) -> None:
    steps = [made_rows(300 + i, i, dictionaries=dictionaries) for i in range(3)]
    running = Breakdown(NAMES)
    for step in steps:
        running.add(*step)
    found = running.take()
    table = pd.concat([frame(step) for step in steps])
    columns = ("all", "kind", "anchor_view", "positive_view", "lang", "source", "tokens")
    assert set(found) == set(columns)
    for column in columns:
        groups = table.groupby(column)
        assert set(found[column]) == set(groups.groups)
        for name, rows in groups:
            told = found[column][str(name)]
            assert told.pop("rows") == len(rows)
            wanted = {measure: rows[measure].mean() for measure in told}
            assert told == pytest.approx(wanted, abs=1e-6)
            assert {"loss", "accuracy", "gap", "masked", "alignment"} <= set(told)
    assert list(found["tokens"])[:3] == ["1-8", "9-16", "17-32"]
    assert list(found["tokens"])[-1] == "over 512"
    assert running.take() == {}


def test_ranks_add_up_to_the_whole_batch() -> None:
    about, lengths, values = made_rows(101, 4)
    whole = Breakdown(NAMES)
    whole.add(about, lengths, values)
    ranks = []
    for rows in np.array_split(np.arange(101), 3):
        rank = Breakdown(NAMES)
        part = {name: column[rows] for name, column in values.items()}
        rank.add(about.slice(rows[0], len(rows)), lengths[rows], part)
        ranks.append(rank.sums())
    merge(ranks[0], ranks[1])
    merge(ranks[0], ranks[2])
    assert _flat(means(ranks[0])) == pytest.approx(_flat(means(whole.sums())))


def _flat(groups: Any) -> dict[str, float]:
    return {
        f"{column}/{name}/{measure}": value
        for column, rows in groups.items()
        for name, row in rows.items()
        for measure, value in row.items()
    }


def _rank(rank: int, folder: Path) -> None:
    store = distributed.FileStore(str(folder / "store"), 2)
    distributed.init_process_group("gloo", store=store, rank=rank, world_size=2)
    about, lengths, values = made_rows(101, 4)
    rows = np.array_split(np.arange(101), 2)[rank]
    running = Breakdown(NAMES)
    part = {name: column[rows] for name, column in values.items()}
    running.add(about.slice(rows[0], len(rows)), lengths[rows], part)
    (folder / f"{rank}.json").write_text(json.dumps(running.take()))
    distributed.destroy_process_group()


def test_every_rank_is_told_the_means_of_all(tmp_path: Path) -> None:
    ranks = [FORKS.Process(target=_rank, args=(rank, tmp_path)) for rank in range(2)]
    for process in ranks:
        process.start()
    for process in ranks:
        process.join(120)
        assert process.exitcode == 0
    running = Breakdown(NAMES)
    running.add(*made_rows(101, 4))
    wanted = _flat(running.take())
    for rank in range(2):
        found = json.loads((tmp_path / f"{rank}.json").read_text())
        assert _flat(found) == pytest.approx(wanted)


def test_a_loss_is_told_of_row_by_row() -> None:
    outcome = SimpleNamespace(
        losses=torch.tensor([1.0, 3.0], requires_grad=True),
        correct=torch.tensor([1.0, 0.0]),
        positive_similarity=torch.tensor([0.5, 0.7]),
        hardest_similarity=torch.tensor([0.2, math.nan]),
        masked=torch.tensor([0.0, 0.5]),
    )
    values = measures(outcome)
    assert values["loss"].tolist() == [1, 3]
    assert row_means(values) == {
        "accuracy": 0.5,
        "gap": pytest.approx(0.3),
        "masked": 0.25,
        "alignment": pytest.approx(2 - 2 * 0.6),
    }
    outcome.hardest_similarity[:] = math.nan
    assert row_means(measures(outcome))["gap"] is None


def test_uniformity_is_that_of_wang_and_isola() -> None:
    about, lengths, values = made_rows(400, 6)
    about, lengths = about.slice(0, 256), lengths[:256]  # as many as are compared
    values = {name: column[:256] for name, column in values.items()}
    vectors = torch.nn.functional.normalize(
        torch.randn(256, 16, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    )
    running = Breakdown(NAMES)
    running.add(about, lengths, values)
    found = running.take(about, lengths, vectors.float())
    kinds = np.array(about["kind"].to_pylist())
    for name in ("context", "crop", "dropout"):
        mine = vectors[torch.from_numpy(kinds == name)]
        wanted = torch.pdist(mine).pow(2).mul(-2).exp().mean().log().item()
        assert found["kind"][name]["uniformity"] == pytest.approx(wanted, abs=1e-5)
    wanted = torch.pdist(vectors).pow(2).mul(-2).exp().mean().log().item()
    assert found["all"]["all"]["uniformity"] == pytest.approx(wanted, abs=1e-5)


def test_what_a_loss_does_not_tell_is_left_out() -> None:
    about, lengths, values = made_rows(10, 7)
    running = Breakdown(NAMES)
    running.add(about.select(["kind"]), lengths, {"loss": values["loss"]})
    found = running.take()
    assert set(found) == {"all", "kind", "tokens"}
    assert set(found["all"]["all"]) == {"rows", "loss"}


def test_no_rows_are_no_groups() -> None:
    about, lengths, values = made_rows(4, 8)
    running = Breakdown(NAMES)
    running.add(about.slice(0, 0), lengths[:0], {k: v[:0] for k, v in values.items()})
    assert all(not groups for groups in running.take().values())


def test_buckets_double() -> None:
    names, places = length_buckets(np.array([0, 1, 8, 9, 16, 17, 512, 513]))
    told = ["1-8", "1-8", "1-8", "9-16", "9-16", "17-32", "257-512", "over 512"]
    assert [names[i] for i in places] == told
