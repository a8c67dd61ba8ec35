"""The search for settings: what it tries, that it goes on, and what it prints."""

import fcntl
import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import threading
import time
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import tyro

from pairsmith.commands.main import main
from pairsmith.commands.tune import arguments
from pairsmith.schemas import UserError
from pairsmith.training.config import TrainConfig, make_config
from pairsmith.training.evaluation.scores import EvaluationConfig
from pairsmith.training.settings import change
from pairsmith.training.telemetry.journal import TelemetryConfig
from pairsmith.training.tune import TuneConfig, best_config, parse_choice, tune
from tests.training.pair_folders import paired_sentences, write_dataset

pytest.importorskip("optuna")
SCORE = "sts/made/spearman"


@pytest.fixture
def config(tmp_path: Path, dataset: Path, tokenizer_file: Path, sts_file: Path) -> TrainConfig:
    return make_config(
        (dataset,),
        tmp_path / "model",
        model=f"static:{tokenizer_file}:8",
        batch_size=64,
        steps=5,
        threads=1,
        evaluation=EvaluationConfig(sts=(sts_file,)),
        telemetry=TelemetryConfig(tensorboard=False, curves=False),
    )


TUNING = TuneConfig(
    search=("learning_rate=1e-4..1e-1:log", "temperature=0.02..0.2", "batch_size=32,64"),
    maximise=SCORE,
    trials=5,
    prune=False,
)


def tried(study: Any) -> list[dict[str, Any]]:
    return [trial.params for trial in study.trials]


def values(study: Any) -> list[float]:
    return [trial.value for trial in study.trials]


def test_the_best_trial_is_what_training_with_its_settings_gives(config: TrainConfig) -> None:
    from pairsmith.training.train import train

    study = tune(config, TUNING)
    assert len(set(map(str, tried(study)))) == 5
    for params in tried(study):
        assert 1e-4 <= params["learning_rate"] <= 0.1
        assert 0.02 <= params["temperature"] <= 0.2
        assert params["batch_size"] in (32, 64)
    assert not list(config.output.parent.glob("model*"))
    scores = train(best_config(config, study))
    assert scores[5][SCORE] == max(values(study)) == study.best_value


def test_a_search_that_goes_on_is_an_undisturbed_one(tmp_path: Path, config: TrainConfig) -> None:
    whole = tune(config, TUNING)
    kept = replace(TUNING, storage=tmp_path / "search.db")
    tune(config, replace(kept, trials=2))
    again = tune(config, kept)
    assert tried(again) == tried(whole)
    assert values(again) == values(whole)
    other = tune(config, replace(TUNING, search_seed=18))
    assert tried(other) != tried(whole)
    with pytest.raises(UserError, match="holds a search with other seed: 17; give the same"):
        tune(config, replace(kept, search_seed=18))
    with pytest.raises(UserError, match="holds a search with other settings"):
        tune(change(config, seed=18), kept)


def test_a_search_does_not_go_on_over_other_data(
    tmp_path: Path, config: TrainConfig, sts_file: Path
) -> None:
    scored = tmp_path / "here" / sts_file.name
    scored.parent.mkdir()
    shutil.copy(sts_file, scored)
    data = write_dataset(tmp_path / "pairs", paired_sentences(300))
    begun = change(config, data=(str(data),), sts=(scored,))
    kept = replace(TUNING, storage=tmp_path / "search.db", trials=1)
    tune(begun, kept)
    with pytest.raises(UserError, match="holds a search with other split: dev"):
        tune(change(begun, split="train"), kept)
    shutil.rmtree(data)
    write_dataset(data, paired_sentences(300, seed=9))
    with pytest.raises(UserError, match="holds a search with other data"):
        tune(begun, kept)
    shutil.rmtree(data)
    write_dataset(data, paired_sentences(300))
    assert len(tune(begun, replace(kept, trials=2)).trials) == 2
    rows = pq.read_table(sts_file)
    pq.write_table(rows.sort_by("sentence2"), scored)
    with pytest.raises(UserError, match="holds a search with other evaluations"):
        tune(begun, kept)


def test_a_killed_trial_is_tried_again(tmp_path: Path, config: TrainConfig) -> None:
    storage = tmp_path / "search.db"
    script = Path(sys.executable).with_name("pairsmith")
    command = [str(script), "tune", *arguments(config), "--maximise", SCORE]
    command += ["--search", *TUNING.search, "--no-prune", "--storage", str(storage)]
    process = subprocess.Popen(
        [*command, "--trials", "500"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        assert process.stderr is not None
        for line in process.stderr:
            if line.startswith("trial 2 of 500"):
                break
        time.sleep(0.02)
        process.kill()
    whole = tune(config, replace(TUNING, trials=6))
    again = tune(config, replace(TUNING, trials=6, storage=storage))
    from pairsmith.training.tune import ended_trials

    assert [t.params for t in ended_trials(again)][:6] == tried(whole)
    assert not list(tmp_path.glob("model.trials"))
    assert os.path.exists(storage)  # noqa: PTH110


@pytest.mark.parametrize(
    ("number", "more", "then"),
    [
        (signal.SIGINT, [], "without --storage the search begins anew"),
        (signal.SIGTERM, ["--storage", "search.db"], "the same command goes on with the search"),
    ],
)
def test_a_search_that_is_stopped_says_what_becomes_of_it(
    tmp_path: Path,
    config: TrainConfig,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    number: signal.Signals,
    more: list[str],
    then: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    log = tmp_path / "model.trials" / "trial" / "model.unfinished" / "log.jsonl"

    def stop() -> None:
        while not (log.is_file() and log.read_text()):
            time.sleep(0.001)
        os.kill(os.getpid(), number)

    thread = threading.Thread(target=stop)
    thread.start()
    said = [*arguments(change(config, steps=100_000)), "--maximise", SCORE, "--trials", "3", *more]
    ends = pytest.raises(SystemExit, match="143") if number == signal.SIGTERM else nullcontext()
    with ends:
        assert main(["tune", *said, "--search", "seed=1..9"]) == 2
    thread.join()
    line = capsys.readouterr().err.splitlines()[-1]
    assert line.startswith(f"pairsmith tune: stopped in trial 1 of 3; {then}")
    assert not list(tmp_path.glob("model*"))


def test_settings_without_effect_beside_others_do_not_fail_a_trial(config: TrainConfig) -> None:
    # Of a model with a tokenizer, and mostly without the schedule or loss that looks at them.
    search = ("vocabulary=500,600,700", "schedule=linear,wsd", "decay=0.3,0.4")
    search += ("loss=triplet,infonce", "temperature=0.1,0.2", "margin=0.1,0.3")
    tuning = replace(TUNING, search=search, trials=4)
    study = tune(config, tuning)
    assert [trial.state.name for trial in study.trials] == ["COMPLETE"] * 4
    assert best_config(config, study).resolved().encoder.vocabulary == config.encoder.vocabulary


def test_a_fixed_setting_that_some_trials_look_at_is_taken(
    tmp_path: Path, config: TrainConfig
) -> None:
    search = ("schedule=linear,wsd", "seed=1..9")
    tuning = replace(TUNING, search=search, trials=2, storage=tmp_path / "search.db")
    given = change(config, decay=0.3)
    study = tune(given, tuning)
    assert [trial.state.name for trial in study.trials] == ["COMPLETE"] * 2
    with pytest.raises(UserError, match="holds a search with other settings"):
        tune(change(config, decay=0.4), tuning)
    with pytest.raises(UserError, match="--decay belongs to --schedule wsd"):
        tune(given, replace(tuning, search=("schedule=linear,cosine",)))
    with pytest.raises(UserError, match="--margin belongs to --loss triplet"):
        tune(change(given, margin=0.3), tuning)


def test_a_search_over_processes_is_refused(
    config: TrainConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(UserError, match="without torchrun"):
        tune(config, TUNING)


@pytest.mark.parametrize("mine", ["model.trials", "model.trials/notes.txt"])
def test_what_is_no_searchs_own_is_left_alone(
    tmp_path: Path, config: TrainConfig, mine: str
) -> None:
    (tmp_path / mine).parent.mkdir(exist_ok=True)
    (tmp_path / mine).write_text("mine")
    with pytest.raises(UserError, match=r"model.trials holds something else; .* another --output"):
        tune(config, TUNING)
    assert (tmp_path / mine).read_text() == "mine"


def test_a_search_at_work_is_left_alone(tmp_path: Path, config: TrainConfig) -> None:
    tuning = replace(TUNING, storage=tmp_path / "search.db", trials=1)
    running = tune(config, tuning).ask()
    (tmp_path / "model.trials" / "trial").mkdir(parents=True)
    with (tmp_path / "model.trials" / "SEARCH").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(UserError, match=r"another search is at work in \S+model.trials"):
            tune(config, replace(tuning, trials=2))
    assert (tmp_path / "model.trials" / "trial").exists()
    again = tune(config, replace(tuning, trials=2))
    assert again.trials[running.number].state.name == "FAIL"
    assert not (tmp_path / "model.trials").exists()


def test_a_run_below_the_median_of_five_is_stopped(config: TrainConfig) -> None:
    # Six runs whose rate is 0.05 or next to nothing: these stay at what random vectors score.
    study = tune(
        change(config, evaluation=replace(config.evaluation, evaluate_every=1)),
        replace(TUNING, search=("learning_rate=1e-9,0.05", "seed=1..50"), trials=10, prune=True),
    )
    states = [trial.state.name for trial in study.trials]
    assert states[:5] == ["COMPLETE"] * 5
    assert "PRUNED" in states
    assert len(states) == 10
    for trial in study.trials:
        if trial.state.name == "PRUNED":
            assert len(trial.intermediate_values) <= 5


@pytest.mark.parametrize(
    ("search", "message"),
    [
        ("speed=1..2", "no setting 'speed'; there are epochs, steps"),
        ("output=a,b", "no setting 'output'"),
        ("temperature", "say what to try"),
        ("temperature=", "say what to try"),
        ("temperature=0.2..0.02", "a range of numbers rises"),
        ("temperature=0..1:log", "starts above 0"),
        ("batch_size=1.5..3", "batch_size takes int; give some"),
        ("batch_size=some", "batch_size takes int"),
        ("model=1..2", "model takes str"),
        ("freeze=2,most", "freeze takes nothing, embeddings, model, int"),
        ("loss=infonce,tripet", "loss takes infonce, ntxent, symmetric"),
        ("dropout=some", "dropout takes float, None"),
        ("matryoshka=8,16", "matryoshka takes tuple"),
    ],
)
def test_a_search_that_cannot_be_is_one_line(
    config: TrainConfig, search: str, message: str
) -> None:
    with pytest.raises(UserError, match=message) as caught:
        tune(config, replace(TUNING, search=(search,)))
    assert "\n" not in str(caught.value)


def test_other_mistakes_are_one_line(tmp_path: Path, config: TrainConfig) -> None:
    with pytest.raises(UserError, match="names temperature twice"):
        tune(config, replace(TUNING, search=("temperature=1,2", "--temperature=1..2")))
    with pytest.raises(UserError, match="--trials 0 is too small"):
        tune(config, replace(TUNING, trials=0))
    with pytest.raises(UserError, match=r"--maximise sts/other/spearman .* are: sts/made/spearman"):
        tune(config, replace(TUNING, maximise="sts/other/spearman"))
    with pytest.raises(UserError, match="cannot be opened as an SQLite file"):
        tune(config, replace(TUNING, storage=tmp_path / "nowhere" / "search.db"))


def test_choices_are_of_the_settings_type(config: TrainConfig) -> None:
    assert parse_choice("batch-size=16..64", config).low == 16
    assert parse_choice("--letters=true,false", config).values == (True, False)
    assert parse_choice("model=a,b", config).values == ("a", "b")
    assert change(config, tensorboard=True).telemetry.tensorboard


def test_choices_are_of_what_a_setting_takes_not_of_its_default(config: TrainConfig) -> None:
    assert parse_choice("freeze=2,4", config).values == (2, 4)
    assert parse_choice("freeze=nothing,2", config).values == ("nothing", 2)
    assert parse_choice("freeze=0..4", config).high == 4
    dropout = parse_choice("dropout=0..0.3", config)
    assert (dropout.low, dropout.high) == (0.0, 0.3)
    assert isinstance(dropout.low, float)
    assert parse_choice("dropout=none,0.1", config).values == (None, 0.1)
    assert parse_choice("packed=none,true", config).values == (None, True)


def test_the_printed_command_trains_the_best(
    tmp_path: Path, config: TrainConfig, sts_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bracketed = tmp_path / "made[red]:cat:.parquet"
    shutil.copy(sts_file, bracketed)
    config, score = change(config, sts=(bracketed,)), "sts/made[red]:cat:/spearman"
    said = [*arguments(config), "--maximise", score, "--trials", "2"]
    assert main(["tune", *said, "--search", "learning_rate=0.001,0.01"]) == 0
    *table, best, command = capsys.readouterr().out.strip().splitlines()
    assert any(score in line for line in table)
    words = shlex.split(command)
    assert words[:2] == ["pairsmith", "train"]
    found = tyro.cli(TrainConfig, args=words[2:], config=(tyro.conf.OmitArgPrefixes,))
    assert change(found, learning_rate=0.0) == config
    assert main(words[1:]) == 0
    record = json.loads((config.output / "training.json").read_text())
    assert f"{record['scores']['5'][score]:.4f}" in best


def test_a_search_over_the_settings_of_a_function_prints_what_differs_from_them(
    tmp_path: Path, config: TrainConfig, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "searched_runs.py"
    file.write_text(
        "from pathlib import Path\n"
        "from pairsmith.training.config import make_config\n"
        "from pairsmith.training.evaluation.scores import EvaluationConfig\n"
        "def mine():\n"
        f"    sts = EvaluationConfig(sts=(Path({str(config.evaluation.sts[0])!r}),))\n"
        f"    model = {config.encoder.model!r}\n"
        f"    more = dict(model=model, steps=5, batch_size=64, threads=1, evaluation=sts)\n"
        f"    more |= dict(curves=False, tensorboard=False, token_cache=True)\n"
        f"    return make_config({list(config.data)}, Path({str(config.output)!r}), **more)\n"
    )
    named = ["--config", f"{file}:mine"]
    more = ["--seed", "3", "--token-cache", "False"]
    search = ["--maximise", SCORE, "--trials", "2", "--search", "learning_rate=0.001,0.01"]
    assert main(["tune", *named, *more, *search]) == 0
    command = shlex.split(capsys.readouterr().out.strip().splitlines()[-1])
    assert command[:4] == ["pairsmith", "train", *named]
    assert command[4:-1] == [*more, "--learning-rate"]
    assert main(command[1:]) == 0
    assert json.loads((config.output / "training.json").read_text())["config"]["seed"] == 3


def test_the_printed_words_give_the_settings_again(config: TrainConfig) -> None:
    changed: dict[str, Any] = {"packed": False, "token_cache": True, "append_eos": False}
    changed |= {"letters": True, "look_ahead": False, "freeze": 2, "dropout": 0.5}
    said = arguments(change(config, matryoshka=(4, 8), **changed))
    found = tyro.cli(TrainConfig, args=said, config=(tyro.conf.OmitArgPrefixes,))
    assert found == change(config, matryoshka=(4, 8), **changed)


def test_a_missing_package_is_named(
    config: TrainConfig, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)
    said = [*arguments(config), "--maximise", SCORE, "--search", "seed=1,2"]
    assert main(["tune", *said]) == 2
    assert "pip install '.[tune]'" in capsys.readouterr().err
