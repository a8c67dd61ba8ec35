"""Settings: one flag each, given on the command line or by a function; what decides weights."""

import dataclasses
import os
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any, get_type_hints

import pytest

from pairsmith.commands.main import main
from pairsmith.commands.train import parse
from pairsmith.schemas import UserError
from pairsmith.schemas.store import open_store
from pairsmith.training.config import TrainConfig, make_config
from pairsmith.training.losses.config import LossConfig
from pairsmith.training.schedule import ScheduleConfig
from pairsmith.training.settings import change, flag, settings

CONFIG = TrainConfig(("pairs",), Path("model"))


def test_every_setting_is_one_flag_that_tells_its_default() -> None:
    names = [setting.name for setting in settings(CONFIG)]
    assert max(Counter(names).values()) == 1
    command = [str(Path(sys.executable).with_name("pairsmith")), "train", "--help"]
    narrow = os.environ | {"COLUMNS": "80"}
    text = subprocess.run(command, capture_output=True, text=True, env=narrow, check=True).stdout
    for name in set(names) - {"data", "losses"}:
        (line,) = re.findall(rf"^│ {flag(name)}[ ,].*(?:\n│  .*)*", text, re.MULTILINE)
        assert re.search(r"\((default: |required\))", re.sub(r"[│\n ]+", " ", line)), line
    for group in ("encoder", "stream", "loss", "optimizer", "schedule", "evaluation", "running"):
        assert f"{group} options" in text


def test_flags_reach_their_settings() -> None:
    flags = "a b --output out --batch-size 32 --model m --temperature 0.1 --learning-rate 0.5"
    more = "--warmup 0 --sts x.csv y.csv --threads 2 --no-checksums --epochs 3"
    config = parse(f"{flags} {more}".split()).config
    assert config == make_config(
        (Path("a"), Path("b")),
        Path("out"),
        batch_size=32,
        model="m",
        temperature=0.1,
        learning_rate=0.5,
        warmup=0.0,
        sts=(Path("x.csv"), Path("y.csv")),
        threads=2,
        checksums=False,
        epochs=3,
    )


def test_one_dataset_and_an_output_may_be_named_by_strings_and_by_paths() -> None:
    assert make_config("pairs", "model") == TrainConfig(("pairs",), Path("model"))
    assert make_config(Path("pairs"), Path("model")) == make_config(["pairs"], "model")


RUNS = """
from pathlib import Path
from steps_of_runs import STEPS
from pairsmith.training.config import LossConfig, TrainConfig

def small():
    loss = LossConfig(temperature=0.1)
    return TrainConfig((Path("pairs"),), Path("model"), steps=STEPS, loss=loss)

def broken():
    return 1 / 0

def other():
    return 5
"""


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a file with settings of runs; it imports the one beside it."""
    folder = tmp_path_factory.mktemp("runs")
    (folder / "steps_of_runs.py").write_text("STEPS = 7")
    (folder / "my_runs.py").write_text(RUNS)
    return folder / "my_runs.py"


def test_a_function_gives_settings_and_flags_go_before_them(file: Path) -> None:
    given = parse(["--config", f"{file}:small"]).config
    assert given == make_config((Path("pairs"),), Path("model"), steps=7, temperature=0.1)
    changed = parse([f"--config={file}:small", "others", "--steps", "9", "--seed", "2"]).config
    assert changed == change(given, data=("others",), steps=9, seed=2)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("small", "names no function; give FILE.py:FUNCTION"),
        ("nowhere.py:small", "no file nowhere.py"),
        ("FILE:absent", "has no function 'absent'"),
        ("FILE:broken", "ZeroDivisionError: division by zero"),
        ("FILE:other", "returned a int, not a TrainConfig"),
        ("no_such_module:f", "No module named 'no_such_module'"),
    ],
)
def test_a_function_that_gives_no_settings_is_refused_in_one_line(
    file: Path, capsys: pytest.CaptureFixture[str], name: str, message: str
) -> None:
    assert main(["train", "--config", name.replace("FILE", str(file))]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert message in line


def test_what_may_change_on_resumption_is_not_in_the_fingerprint() -> None:
    found = CONFIG.fingerprint()
    free: dict[str, Any] = {
        **{"data": (Path("x"),), "output": Path("y"), "device": "cuda", "threads": 3},
        **{"sts": (Path("s"),), "split": "test", "checkpoint_every": 1, "tensorboard": False},
        **{"checksums": False, "parallel": "fsdp", "evaluate_every": 4},
    }
    assert change(CONFIG, **free).fingerprint() == found
    for name, value in {"temperature": 1.0, "seed": 1, "schedule": "wsd", "model": "m"}.items():
        assert change(CONFIG, **{name: value}).fingerprint()[name] == value
        assert found[name] != value
    watching = change(CONFIG, stop_on="sts/a/spearman", evaluate_every=3)
    assert watching.fingerprint() != change(watching, evaluate_every=4).fingerprint()


@pytest.mark.parametrize(
    ("place", "name"),
    [
        ("s3://bucket/some/pairs?endpoint_override=minio.corp:9000", "pairs"),
        ("s3://KEY:SECRET@bucket/pairs/", "pairs"),
        ("s3://KEY:SECRET@bucket", "bucket"),
        ("s3://KEY:SECRET@bucket?region=x", "bucket"),
        ("gs://bucket/pairs@2", "pairs@2"),
        ("/home/me/what?/pairs@2/", "pairs@2"),
    ],
)
def test_datasets_are_called_by_their_names_without_hosts_and_secrets(
    place: str, name: str
) -> None:
    config = TrainConfig((place,), Path("model"))
    assert config.names == config.as_data()["data"] == [name]


def test_a_function_that_weighs_is_recorded_without_its_folder() -> None:
    record = change(CONFIG, weigh="/home/me/mine.py:rare").as_data()
    assert record["weigh"] == "mine.py:rare"


def test_a_store_that_cannot_be_opened_is_named_without_secrets() -> None:
    with pytest.raises(UserError, match="cannot open s3://bucket/a b: ") as caught:
        open_store("s3://KEY:SECRET@bucket/a b?region=x")
    assert "SECRET" not in str(caught.value)


def test_settings_are_changed_by_name_in_any_group() -> None:
    changed = change(CONFIG, schedule="linear", warmup=0.5, steps=3)
    assert changed.schedule == ScheduleConfig(schedule="linear", warmup=0.5)
    assert changed.steps == 3
    whole = change(CONFIG, schedule=ScheduleConfig(decay=0.1), warmup=0.2)
    assert whole.schedule == ScheduleConfig(warmup=0.2, decay=0.1)
    with pytest.raises(TypeError, match="no setting temprature"):
        change(CONFIG, temprature=1)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"schedule": "plateau"}, "--schedule plateau watches an evaluation"),
        ({"schedule": "wsd", "warmup": 0.5, "decay": 0.6}, "more than all steps"),
        ({"projection": 8, "matryoshka": (4,)}, "--projection and --matryoshka"),
        (
            {"projection": 8, "losses": (LossConfig(matryoshka=(4,)),), "batches": "single"},
            "--projection and --matryoshka",
        ),
        ({"window": 0}, "--window 0 is too small; give at least 1"),
        ({"drop": 0.0}, r"--drop 0\.0 must be above 0"),
        ({"patience": -1}, "--patience -1 is too small"),
        ({"loss": "tripet"}, "--loss 'tripet' is none of infonce, ntxent, .*cosent; give one"),
        ({"schedule": "linera"}, "--schedule 'linera' is none of cosine, linear"),
        ({"freeze": "2"}, "--freeze '2' is none of nothing, embeddings, model, int"),
        ({"precision": "fp8"}, "--precision 'fp8' is none of auto"),
        ({"patience": 2}, "--patience belongs to --stop-on; give that too, or leave it out"),
        ({"keep": "last"}, "--keep belongs to --stop-on"),
        ({"evaluate_every": 5}, "--evaluate-every belongs to an evaluation, such as --sts"),
        ({"decay": 0.3}, "--decay belongs to --schedule wsd"),
        ({"drop": 0.3}, "--drop belongs to --schedule plateau"),
        ({"drop_patience": 3}, "--drop-patience belongs to --schedule plateau"),
        ({"margin": 0.3}, "--margin belongs to --loss triplet"),
        ({"loss": "cosine", "temperature": 0.1}, "--temperature belongs to a --loss that has one"),
        ({"loss": "triplet", "temperature": 0.1}, "--temperature belongs to a --loss that has"),
        ({"highest_temperature": 0.5}, "--highest-temperature belongs to --learn-temperature"),
        ({"least_gap": 0.2}, "--least-gap belongs to --bidirectional"),
        ({"negatives": 0, "bidirectional": 1.0}, "--bidirectional belongs to --negatives above 0"),
        ({"negatives": 0, "negative_weight": 0.5}, "--negative-weight belongs to --neg"),
        ({"loss": "cosent", "negatives": 2}, "--negatives belongs to a --loss that uses stored"),
        ({"negative_weight": 0.0, "negatives": 2}, "--negatives belongs to a --loss that uses"),
        ({"losses": (LossConfig(margin=0.3),), "batches": "single"}, "--margin belongs to"),
        (
            {"losses": (LossConfig(),), "batches": "single", "temperature": 0.1},
            "loss is for all datasets, losses for each; give one of them",
        ),
        ({"losses": (LossConfig(loss="x"),), "batches": "single"}, "--loss 'x' is none"),  # type: ignore[arg-type]
    ],
)
def test_settings_that_do_not_fit_are_refused(changed: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        change(CONFIG, **changed).resolved()


@pytest.mark.parametrize(
    "changed",
    [
        {"schedule": "wsd", "decay": 0.3},
        {"loss": "triplet", "margin": 0.3},
        {"loss": "triplet", "consistency": 0.1, "temperature": 0.1},
        {"loss": "cosent", "temperature": 0.1},
        {"loss": "cosent", "negatives": 0},
        {"loss": "cosent", "consistency": 0.1, "negatives": 2},
        {"negative_weight": 0.0, "bidirectional": 1.0, "negatives": 2},
        {
            "losses": (LossConfig(loss="cosent"), LossConfig()),
            **{"batches": "single", "data": ("a", "b"), "negatives": 2},
        },
        {"stop_on": "sts/made/spearman", "keep": "last", "schedule": "plateau", "drop": 0.3},
        {"losses": (LossConfig(loss="triplet", margin=0.3),), "batches": "single"},
    ],
)
def test_settings_that_have_an_effect_are_taken(changed: dict[str, Any]) -> None:
    change(CONFIG, **changed).resolved()


def test_every_group_is_frozen_and_has_a_docstring() -> None:
    for name, kind in get_type_hints(TrainConfig).items():
        if dataclasses.is_dataclass(kind):
            assert kind.__doc__, name
            assert kind.__dataclass_params__.frozen, name  # type: ignore[attr-defined]
