"""What a run tells: boards, the progress line, curves and the card."""

import json
import re
import struct
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from pairsmith.training.config import TrainConfig, make_config
from pairsmith.training.encoders.opening import open_encoder
from pairsmith.training.evaluation.scores import EvaluationConfig
from pairsmith.training.settings import change
from pairsmith.training.telemetry.boards import open_boards
from pairsmith.training.telemetry.breakdown import Breakdown
from pairsmith.training.telemetry.curves import CURVES, draw_curves
from pairsmith.training.telemetry.journal import (
    LOG,
    Journal,
    Meter,
    Step,
    TelemetryConfig,
    duration,
    last_groups,
    print_scores,
)
from pairsmith.training.train import train
from tests.training.pair_folders import paired_sentences, write_dataset
from tests.training.test_breakdown import NAMES, made_rows


def step(number: int, **more: Any) -> Step:
    plain: dict[str, Any] = {
        "epoch": 0,
        "position": 64 * number,
        "rows": 64,
        "batch": "0",
        "loss": 1 / number,
        "gradient_norm": 1.0,
        "learning_rate": 0.1,
        "seconds": 0.5,
    }
    return Step(step=number, **{**plain, **more})


def groups(seed: int) -> Any:
    running = Breakdown(NAMES)
    running.add(*made_rows(200, seed))
    return running.take()


@pytest.fixture
def config(tmp_path: Path, dataset: Path, tokenizer_file: Path, sts_file: Path) -> TrainConfig:
    return make_config(
        (dataset,),
        tmp_path / "model",
        model=f"static:{tokenizer_file}:16",
        batch_size=64,
        steps=6,
        threads=1,
        evaluation=EvaluationConfig(sts=(sts_file,)),
        telemetry=TelemetryConfig(tensorboard=False),
    )


def test_the_log_has_one_line_a_step_with_what_is_known(tmp_path: Path) -> None:
    journal = Journal(tmp_path, 0)
    journal.step(step(1))
    journal.step(step(2, accuracy=0.5, groups=groups(1)))
    journal.step(step(3))
    journal.close()
    first, second, _ = [json.loads(line) for line in (tmp_path / LOG).read_text().splitlines()]
    assert "accuracy" not in first
    assert second["accuracy"] == 0.5
    assert set(second["groups"]["source"]) == set(NAMES)
    assert last_groups(tmp_path / LOG) == second["groups"]


def test_groups_tell_how_evenly_the_anchors_lie(tmp_path: Path, config: TrainConfig) -> None:
    rows = paired_sentences(200)
    data = write_dataset(tmp_path / "pairs", rows)
    once = change(config, data=(str(data),), batch_size=200, steps=2, groups_every=2)
    still = change(once, learning_rate=1e-30)
    train(still)
    first, second = map(json.loads, (config.output / LOG).read_text().splitlines())
    # All rows are in the batch, so that their order does not matter.
    vectors = open_encoder(still.encoder, still.seed).encode([row["anchor"] for row in rows])
    wanted = torch.pdist(torch.from_numpy(vectors)).pow(2).mul(-2).exp().mean().log().item()
    assert "uniformity" not in first
    assert second["uniformity"] == pytest.approx(wanted, abs=1e-5)
    assert second["groups"]["all"]["all"]["uniformity"] == second["uniformity"]
    for column in ("kind", "source", "positive_view", "tokens"):
        told = [row for row in second["groups"][column].values() if row["rows"] > 2]
        assert told
        assert all("uniformity" in row for row in told), column


def test_datasets_in_folders_of_one_name_are_told_apart(
    tmp_path: Path, config: TrainConfig
) -> None:
    rows = paired_sentences(200)
    sizes = {"old": 120, "new": 80}
    data = [write_dataset(tmp_path / at / "pairs", rows[:size]) for at, size in sizes.items()]
    both = change(config, data=tuple(map(str, data)), batch_size=200, steps=1)
    train(change(both, groups_every=1, curves=False))
    (line,) = map(json.loads, (config.output / LOG).read_text().splitlines())
    told = {name: row["rows"] for name, row in line["groups"]["source"].items()}
    assert told == {"1-pairs": 120, "2-pairs": 80}
    record = json.loads((config.output / "training.json").read_text())
    assert record["config"]["data"] == ["1-pairs", "2-pairs"]


def test_tensorboard_shows_groups_and_speed(tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    told = groups(2)
    journal = Journal(tmp_path, 0, open_boards(TelemetryConfig(), tmp_path, 0, {}))
    journal.step(step(1, tokens=500, wait=0.1, mfu=0.25, groups=told))
    journal.close()
    events = EventAccumulator(str(tmp_path / "logs"))
    events.Reload()
    shown = {tag: events.Scalars(tag)[0].value for tag in events.Tags()["scalars"]}
    assert shown["by_kind/crop/gap"] == pytest.approx(told["kind"]["crop"]["gap"])
    assert shown["train/pairs_per_second"] == 128
    assert shown["train/tokens_per_second"] == 1000
    assert shown["train/input_wait"] == pytest.approx(0.2)
    assert shown["train/mfu"] == 0.25


def test_a_learned_temperature_is_told_step_by_step_on_boards_too(config: TrainConfig) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    plain = TelemetryConfig(curves=False)
    train(change(config, learn_temperature=True, telemetry=plain))
    lines = (config.output / LOG).read_text().splitlines()
    told = [json.loads(line)["temperature"] for line in lines]
    assert told[0] == pytest.approx(0.05)
    assert len(set(told)) == len(told) == 6
    assert all(0.01 <= value <= 1 for value in told)
    events = EventAccumulator(str(config.output / "logs"))
    events.Reload()
    shown = [event.value for event in events.Scalars("train/temperature")]
    assert shown == pytest.approx(told)


def test_wandb_offline_keeps_the_run_in_the_model(
    config: TrainConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    wandb = pytest.importorskip("wandb")
    monkeypatch.setenv("WANDB_MODE", "offline")
    train(change(config, telemetry=TelemetryConfig(tensorboard=False, curves=False, wandb="mine")))
    # Another process writes the file, and only that process's end says that it is whole: finish()
    # does not wait for it, but Python's end does.
    wandb.teardown()
    (run,) = (config.output / "wandb").glob("offline-run-*")
    (file,) = run.glob("*.wandb")
    assert wandb_history(file, "train/loss") == [
        pytest.approx(json.loads(line)["loss"])
        for line in (config.output / LOG).read_text().splitlines()
    ]
    assert len(wandb_history(file, "sts/made/spearman")) == 4


def wandb_history(file: Path, name: str) -> list[float]:
    """Return the values of a curve in the file that `wandb sync` reads."""
    from wandb.proto.wandb_internal_pb2 import Record

    found = []
    for data in leveldb_records(file.read_bytes()[7:]):
        record = Record()
        record.ParseFromString(data)
        for item in record.history.item:
            if (item.key or "/".join(item.nested_key)) == name:
                found.append(json.loads(item.value_json))
    return found


def leveldb_records(data: bytes) -> Iterator[bytes]:
    """Yield the records of a LevelDB log, the format of W&B's files behind their 7 bytes of head.

    Blocks of 32 KiB hold pieces of 4 bytes of checksum, 2 of length, 1 that is 1 for a whole
    record, 2, 3, 4 for its first, middle and last part.
    """
    place, held = 0, b""
    while place + 7 <= len(data):
        left = 32768 - (place + 7) % 32768
        if left < 7:
            place += left
            continue
        _, size, part = struct.unpack_from("<IHB", data, place)
        held += data[place + 7 : place + 7 + size]
        place += 7 + size
        if part in (1, 4):
            yield held
            held = b""


def test_the_progress_line_tells_speed_and_time_left(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = iter(range(0, 1000, 20))
    monkeypatch.setattr(time, "monotonic", lambda: float(next(clock)))
    with Meter(100, 0) as meter:
        meter.step(step(1, seconds=2.0, tokens=5000, wait=0.1, mfu=0.4))
    line = capsys.readouterr().err.strip()
    assert line == (
        "step 1/100  loss 1.000  32 pairs/s  2.5k tokens/s  wait 5%  MFU 40%  3 min left"
    )


def test_times_in_words() -> None:
    told = [duration(seconds) for seconds in (7.4, 95, 600, 12_600)]
    assert told == ["7 s", "95 s", "10 min", "3.5 h"]


def test_scores_that_only_some_steps_have_leave_gaps(capsys: pytest.CaptureFixture[str]) -> None:
    print_scores({"step 0": {"sts/a/spearman": 0.5}, "step 9": {"bitext/b/accuracy": 0.25}})
    rows = [line for line in capsys.readouterr().out.splitlines() if "/" in line]
    assert [re.findall(r"[\w/.]+", row) for row in rows] == [
        ["sts/a/spearman", "0.5000"],
        ["bitext/b/accuracy", "0.2500"],
    ]


def test_names_of_scores_are_printed_as_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    name = "sts/a[/b] [red]:cat:/spearman"
    print_scores({"[bold] step": {name: 0.5}})
    out = capsys.readouterr().out
    assert name in out
    assert "[bold] step" in out


def test_curves_are_in_the_folder_and_on_the_card(config: TrainConfig) -> None:
    scores = train(config)
    png = (config.output / CURVES).read_bytes()
    assert png.startswith(b"\x89PNG\r\n\x1a\n")
    card = (config.output / "README.md").read_text()
    assert f"]({CURVES})" in card
    assert f"{scores[6]['sts/made/spearman']:.4f}" in card
    assert "SentenceTransformer(" in card


def test_a_picture_shows_a_panel_for_all_that_was_told(tmp_path: Path) -> None:
    from matplotlib.image import imread

    def picture(lines: list[Step], scores: dict[int, dict[str, float]]) -> Any:
        folder = tmp_path / str(len(list(tmp_path.iterdir())))
        folder.mkdir()
        journal = Journal(folder, 0)
        for line in lines:
            journal.step(line)
        journal.close()
        draw_curves(folder / LOG, scores, folder / CURVES)
        return imread(folder / CURVES)

    few = picture([step(i) for i in range(1, 40)], {})
    told = [step(i, accuracy=0.5, gap=0.1, groups=groups(i)) for i in range(1, 40)]
    many = picture(told, {0: {"sts/a/spearman": 0.1}, 39: {"sts/a/spearman": 0.2}})
    assert many.shape[0] > few.shape[0]  # more rows of panels
    assert np.ptp(few) > 0.5
    picture([], {})  # a run of no steps has nothing to show, which is no error


def test_the_card_has_a_table_for_kinds(config: TrainConfig, dataset: Path) -> None:
    from pairsmith.schemas import open_dataset
    from pairsmith.training.card import model_card

    data, encoder = [open_dataset(dataset)], open_encoder(config.encoder)
    card = model_card(config, data, encoder, {"steps": 6}, {}, groups(3), curves=True)
    (row,) = [line for line in card.splitlines() if line.startswith("| `crop` |")]
    head = card[: card.index(row)].splitlines()[-2 - list(groups(3)["kind"]).index("crop")]
    assert head.startswith("|  | pairs | loss | positive first |")
    assert row.split("|")[2].strip() == str(groups(3)["kind"]["crop"]["rows"])
