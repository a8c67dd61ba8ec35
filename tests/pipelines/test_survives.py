"""What befalls a build in its last seconds costs none of the waves that are finished."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pairsmith.augmenters import WordDropout
from pairsmith.pipelines.build import BuildConfig, build
from pairsmith.pipelines.reading import inputs
from pairsmith.pipelines.recipe import Pair, Recipe, View
from pairsmith.pipelines.recipe.rules import Mask, Measured, Values
from pairsmith.schemas import Dataset, UserError
from tests.pipelines.corpora import documents, write_jsonl

AWAY = UserError("cannot look for 's3://corpus/in.jsonl': no answer")
BREAKS: list[Path] = []
"""Files in whose presence the gate breaks."""


@dataclass(frozen=True)
class Breaks:
    reason: str = "breaks"

    def refused_pairs(self, pairs: Measured) -> tuple[Mask, Values]:
        if any(path.exists() for path in BREAKS):
            raise ArithmeticError("not today")
        return np.zeros(len(pairs.anchors), bool), np.zeros(len(pairs.anchors))


RECIPE = Recipe((Pair("noise", View(), View(WordDropout(0.3))),), gates=(Breaks(),), shards=3)


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    return write_jsonl(tmp_path / "in.jsonl", documents(20))


def run(corpus: Path) -> Dataset:
    config = BuildConfig(waves=3)
    return build(RECIPE, "mine", [str(corpus)], corpus.with_name("out"), config)


def looks_until(monkeypatch: pytest.MonkeyPatch, wave: Path, error: BaseException) -> None:
    """Have the input be out of reach as soon as a wave is finished."""
    look = inputs._states

    def fails(paths: Sequence[str]) -> dict[str, Any]:
        if wave.exists():
            raise error
        return look(paths)

    monkeypatch.setattr(inputs, "_states", fails)


def check_goes_on(corpus: Path, waves: int) -> None:
    """Run the build again, and be sure that it makes no finished shard anew."""
    work = corpus.with_name("out") / ".work"
    assert len(list(work.glob("wave-*.json"))) == waves
    made = {path.name: path.stat().st_mtime_ns for path in work.glob("new/shards/*.parquet")}
    assert len(made) >= waves
    shards = run(corpus).shards
    assert made.items() <= {path.name: path.stat().st_mtime_ns for path in shards}.items()


@pytest.mark.parametrize("error", [AWAY, KeyboardInterrupt()], ids=["away", "Ctrl-C"])
def test_an_input_out_of_reach_at_the_end_costs_no_wave(
    corpus: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    with monkeypatch.context() as patch:
        looks_until(patch, corpus.with_name("out") / ".work/wave-00002.json", error)
        with pytest.raises(type(error)):
            run(corpus)
    check_goes_on(corpus, 3)


def test_why_a_build_broke_is_told_though_its_input_is_out_of_reach(
    corpus: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wave = corpus.with_name("out") / ".work/wave-00000.json"
    with monkeypatch.context() as patch:
        looks_until(patch, wave, AWAY)
        patch.setattr("tests.pipelines.test_survives.BREAKS", [wave])
        with pytest.raises(UserError, match="not today"):
            run(corpus)
    check_goes_on(corpus, 1)
