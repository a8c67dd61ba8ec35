"""Trials that fail: alone, in a row, and all of them."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from pairsmith.schemas import UserError
from pairsmith.training.config import TrainConfig
from pairsmith.training.evaluation.scores import EvaluationConfig
from pairsmith.training.settings import change
from pairsmith.training.tune import TuneConfig, tune

pytest.importorskip("optuna")
TUNING = TuneConfig(search=("seed=1..99",), maximise="sts/made/spearman", prune=False)


@pytest.fixture
def config(config: TrainConfig, sts_file: Path) -> TrainConfig:
    """Return a run of few steps that is evaluated."""
    return change(config, steps=5, evaluation=EvaluationConfig(sts=(sts_file,)))


def test_settings_that_cannot_train_fail_alone_unless_nothing_trains(config: TrainConfig) -> None:
    some = replace(TUNING, search=("vocabulary=50,200", "seed=1..99"), trials=6, search_seed=2)
    config = change(config, model="static::16")
    study = tune(config, some)
    failed = [trial for trial in study.trials if trial.state.name == "FAIL"]
    assert 0 < len(failed) < 6
    assert {trial.params["vocabulary"] for trial in failed} == {50}
    assert all("--vocabulary 50 is too small" in t.user_attrs["error"] for t in failed)
    with pytest.raises(UserError, match="is too small"):
        tune(config, replace(some, search=("vocabulary=50,60",)))


def test_a_trial_that_memory_does_not_do_for_fails_alone(
    config: TrainConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pairsmith.training import train as training

    def within_a_small_memory(config: TrainConfig, watch: Any) -> Any:
        if config.stream.batch_size == 64:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return trained(config, watch)

    trained = training.train
    monkeypatch.setattr(training, "train", within_a_small_memory)
    some = replace(TUNING, search=("batch_size=64,32", "seed=1..99"), trials=6, search_seed=2)
    study = tune(config, some)
    failed = [trial for trial in study.trials if trial.state.name == "FAIL"]
    assert 0 < len(failed) < 6
    assert {trial.params["batch_size"] for trial in failed} == {64}
    assert all("too little memory" in trial.user_attrs["error"] for trial in failed)


def outcomes(monkeypatch: pytest.MonkeyPatch, *each: str) -> None:
    """Let trials end in these ways, one after another: a score, `pruned` or `fail`."""
    from optuna import TrialPruned

    left = iter(each)

    def run(*_: Any) -> float:
        how = next(left)
        if how == "pruned":
            raise TrialPruned
        if how == "fail":
            raise UserError("its loss is no number")
        return float(how)

    monkeypatch.setattr("pairsmith.training.tune._run", run)


def test_failures_with_a_stopped_trial_between_them_are_not_in_a_row(
    config: TrainConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    outcomes(monkeypatch, "fail", "fail", "pruned", "fail", "fail", "0.5")
    study = tune(config, replace(TUNING, trials=6))
    states = [trial.state.name for trial in study.trials]
    assert states == ["FAIL", "FAIL", "PRUNED", "FAIL", "FAIL", "COMPLETE"]


def test_three_failures_in_a_row_end_the_search_with_what_it_found(
    config: TrainConfig, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    outcomes(monkeypatch, "0.25", "0.5", "fail", "fail", "fail")
    study = tune(config, replace(TUNING, trials=9))
    assert study.best_value == 0.5
    assert len(study.trials) == 5
    *_, last, ends = capsys.readouterr().err.splitlines()
    assert last.endswith("failed: its loss is no number")
    assert ends == "the search ends here: 3 trials in a row failed"
    outcomes(monkeypatch, "pruned", "fail", "fail", "fail")
    with pytest.raises(UserError, match="its loss is no number"):
        tune(config, replace(TUNING, trials=9))


@pytest.mark.filterwarnings("ignore:An input array is constant")
def test_scores_that_are_no_numbers_end_the_search_as_failures_do(
    tmp_path: Path, config: TrainConfig
) -> None:
    unknown = tmp_path / "unknown.csv"  # to the tokenizer, so that all vectors are alike
    unknown.write_text("sentence1,sentence2,score\n☂,☃,1\n☄,☾,2\n")
    alike = change(config, evaluation=EvaluationConfig(sts=(unknown,)))
    with pytest.raises(UserError, match="sts/unknown/spearman is no number"):
        tune(alike, replace(TUNING, maximise="sts/unknown/spearman"))
