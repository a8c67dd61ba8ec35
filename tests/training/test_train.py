"""Training from the first step to the saved folder, on made data."""

import json
import math
import os
import shutil
import signal
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch

from pairsmith.schemas import UserError
from pairsmith.training.config import TrainConfig
from pairsmith.training.plan import plan
from pairsmith.training.settings import change
from pairsmith.training.telemetry.journal import LOG
from pairsmith.training.train import train
from tests.training.pair_folders import (
    paired_sentences,
    with_two_subwords_exchanged,
    write_dataset,
)


def log(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / LOG).read_text().splitlines()]


def weights(folder: Path) -> list[bytes]:
    return [path.read_bytes() for path in sorted(folder.rglob("*.safetensors"))]


def interrupt_after(steps: int, config: TrainConfig) -> None:
    """Run, and press Ctrl-C once `steps` steps are in the log."""
    file = config.output.with_name(config.output.name + ".unfinished") / LOG

    def interrupt() -> None:
        while not file.is_file() or len(file.read_text().splitlines()) < steps:
            time.sleep(0.0005)
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=interrupt)
    thread.start()
    with pytest.raises(KeyboardInterrupt):
        train(config)
    thread.join()


@pytest.mark.parametrize(
    ("settings", "without"),
    [({"loss": "cosent"}, {"loss": "cosent", "negatives": 0}), ({"negative_weight": 0.0}, {})],
)
def test_negatives_that_no_loss_looks_at_are_not_read(
    tmp_path: Path, config: TrainConfig, settings: dict[str, Any], without: dict[str, Any]
) -> None:
    rows = [
        {**row, "negatives": ["a ship without a word"], "similarity": number / 70}
        for number, row in enumerate(paired_sentences(70))
    ]
    short = change(config, data=(str(write_dataset(tmp_path / "pairs", rows)),), steps=2)
    tokens = []
    for name, given in (("as-usual", settings), ("none", {"negatives": 0, **without})):
        mine = change(short, output=tmp_path / name, **given)
        train(mine)
        tokens.append([line["tokens"] for line in log(mine.output)])
        assert plan(mine).sample.texts_per_row == 2
    assert tokens[0] == tokens[1]
    looked_at = change(short, output=tmp_path / "looked-at", **settings, bidirectional=1.0)
    train(looked_at)
    assert log(looked_at.output)[0]["tokens"] > tokens[0][0]


def test_the_loss_falls_and_the_saved_model_scores_as_reported(
    config: TrainConfig, sts_file: Path
) -> None:
    from pairsmith.training.evaluation.saved import encode_with, open_saved
    from pairsmith.training.evaluation.scores import sts

    scores = train(change(config, epochs=4, steps=0, sts=(sts_file,)))
    losses = [line["loss"] for line in log(config.output)]
    assert len(losses) == 40  # 4 epochs of 600 pairs
    assert np.mean(losses[-5:]) < np.mean(losses[:5]) / 2
    assert list(scores) == [0, 8, 16, 24, 32, 40]
    reported = scores[40]["sts/made/spearman"]
    saved = encode_with(open_saved(str(config.output), "cpu"), 32)
    assert sts(saved, sts_file) == pytest.approx(reported, abs=1e-6)


def test_a_bert_learns_with_hard_negatives_and_bfloat16(
    tmp_path: Path, config: TrainConfig, bert: Path
) -> None:
    rows = [
        row | {"negatives": [f"no {row['anchor']}"], "negative_sources": [row["source_id"]]}
        for row in paired_sentences(300)
    ]
    data = write_dataset(tmp_path / "hard", rows)
    changed = change(config, data=(data,), model=str(bert), batch_size=32, steps=40)
    train(change(changed, learning_rate=0.003, precision="bf16"))
    losses = [line["loss"] for line in log(config.output)]
    assert np.mean(losses[-5:]) < np.mean(losses[:5]) - 1


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_gpu_trains_in_bfloat16_unless_told_otherwise(config: TrainConfig, bert: Path) -> None:
    train(change(config, model=str(bert), device="cuda", learning_rate=0.003))
    losses = [line["loss"] for line in log(config.output)]
    assert losses[-1] < losses[0]


def test_equal_commands_give_equal_models(config: TrainConfig) -> None:
    again = change(config, output=config.output.with_name("again"))
    other = change(config, output=config.output.with_name("other"), seed=18)
    for each in (config, again, other):
        train(each)
    assert weights(again.output) == weights(config.output)
    assert weights(other.output) != weights(config.output)
    batches = [[line["batch"] for line in log(c.output)] for c in (config, again, other)]
    assert batches[0] == batches[1]
    assert not set(batches[0]) & set(batches[2])


def test_any_whole_number_is_a_seed(config: TrainConfig) -> None:
    train(change(config, seed=2**64 + 1, steps=2))
    assert [line["step"] for line in log(config.output)] == [1, 2]


def test_a_tokenizer_is_trained_where_none_is_given(config: TrainConfig) -> None:
    train(change(config, model="static::8", vocabulary=120))
    tokenizer = json.loads((config.output / "0_StaticEmbedding" / "tokenizer.json").read_text())
    assert 100 < len(tokenizer["model"]["vocab"]) <= 120


def test_the_folder_tells_how_it_was_made(
    config: TrainConfig, dataset: Path, sts_file: Path
) -> None:
    scores = train(change(config, sts=(sts_file,)))
    assert sorted(path.name for path in config.output.iterdir()) == [
        "0_StaticEmbedding",
        "1_Normalize",
        "README.md",
        "config_sentence_transformers.json",
        "log.jsonl",
        "modules.json",
        "training.json",
    ]
    assert not config.output.with_name("model.unfinished").exists()
    digest = json.loads((dataset / "manifest.json").read_text())["digest"]
    card = (config.output / "README.md").read_text()
    assert digest in card
    assert f"{scores[20]['sts/made/spearman']:.4f}" in card
    assert "| `--temperature` | `0.05` |" in card
    assert str(config.output.parent) not in card
    record = json.loads((config.output / "training.json").read_text())
    assert record["datasets"] == [digest]
    assert record["config"]["batch_size"] == 64
    assert record["scores"]["20"] == scores[20]
    assert "/" not in str(record["config"])  # folders may tell who trained it and where
    assert record["config"]["model"] == "static:tokenizer.json:16"


def test_tensorboard_shows_every_loss_and_score(config: TrainConfig, sts_file: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    scores = train(change(config, tensorboard=True, curves=False, sts=(sts_file,)))
    events = EventAccumulator(str(config.output / "logs"))
    events.Reload()
    shown = [(event.step, event.value) for event in events.Scalars("train/loss")]
    assert shown == [(x["step"], pytest.approx(x["loss"])) for x in log(config.output)]
    shown = [(event.step, event.value) for event in events.Scalars("sts/made/spearman")]
    assert shown == [(s, pytest.approx(v["sts/made/spearman"])) for s, v in scores.items()]


def test_a_loss_that_is_no_number_stops_the_run_and_spares_the_checkpoint(
    config: TrainConfig, bert: Path
) -> None:
    wild = change(config, model=str(bert), learning_rate=1e30, warmup=0, checkpoint_every=1)
    with pytest.raises(UserError, match=r"has loss .* --learning-rate below 1e\+30") as caught:
        train(wild)
    assert "\n" not in str(caught.value)
    assert not config.output.exists()


def test_a_run_goes_on_only_with_its_own_settings_and_data(
    tmp_path: Path, config: TrainConfig
) -> None:
    often = change(config, checkpoint_every=1, steps=300)  # time enough to be interrupted in
    interrupt_after(5, often)
    with pytest.raises(UserError, match=r"batch_size 64, not 32"):
        train(change(often, batch_size=32))
    other = write_dataset(tmp_path / "other", paired_sentences(600, seed=9))
    with pytest.raises(UserError, match=r"a run with data \["):
        train(change(often, data=(other,)))
    assert log(tmp_path / "model.unfinished")[4]["step"] == 5
    train(change(often, checkpoint_every=7))
    assert [line["step"] for line in log(config.output)] == list(range(1, 301))


def test_a_run_goes_on_only_with_its_own_tokenizer_wherever_it_lies(
    tmp_path: Path, config: TrainConfig, tokenizer_file: Path
) -> None:
    before, after = tmp_path / "before" / "mine.json", tmp_path / "after" / "mine.json"
    for path in (before, after):
        path.parent.mkdir()
        shutil.copy(tokenizer_file, path)
    often = change(config, model=f"static:{before}:16", checkpoint_every=1, steps=300)
    interrupt_after(5, often)
    before.write_text(with_two_subwords_exchanged(before))
    with pytest.raises(UserError, match=r"belongs to a run with tokenizer [0-9a-f]{16}, not"):
        train(often)
    train(change(often, model=f"static:{after}:16"))
    assert [line["step"] for line in log(config.output)] == list(range(1, 301))


def test_a_run_goes_on_only_with_the_evaluation_that_it_watches(
    tmp_path: Path, config: TrainConfig, sts_file: Path
) -> None:
    one, other = (tmp_path / folder / sts_file.name for folder in ("one", "other"))
    for path in (one, other):
        path.parent.mkdir()
        shutil.copy(sts_file, path)
    often = change(config, checkpoint_every=1, steps=300)
    watched = change(often, sts=(one,), stop_on="sts/made/spearman", patience=0)
    interrupt_after(5, watched)
    with pytest.raises(UserError, match=r"a run with split dev, not train"):
        train(change(watched, split="train"))
    pq.write_table(pq.read_table(sts_file).slice(1), one)
    with pytest.raises(UserError, match=r"a run with evaluation \['[0-9a-f]{64}'\], not"):
        train(watched)
    train(change(watched, sts=(other,)))
    assert [line["step"] for line in log(config.output)] == list(range(1, 301))


def test_a_foreign_folder_is_not_touched(config: TrainConfig) -> None:
    foreign = config.output.with_name("model.unfinished")
    foreign.mkdir()
    (foreign / "thesis.txt").write_text("mine")
    with pytest.raises(UserError, match="is not an unfinished run"):
        train(config)
    assert [path.name for path in foreign.iterdir()] == ["thesis.txt"]


def test_an_output_that_links_to_nothing_is_refused(config: TrainConfig) -> None:
    config.output.symlink_to("nowhere")
    with pytest.raises(UserError, match="model exists; choose another --output"):
        train(config)
    assert [path.name for path in config.output.parent.iterdir()] == ["model"]


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"batch_size": 1}, "--batch-size 1 is too small; give at least 2"),
        ({"epochs": 0}, "--epochs 0 is too small"),
        ({"temperature": 0.0}, r"--temperature 0\.0 must be above 0"),
        ({"learning_rate": math.nan}, "--learning-rate nan must be above 0"),
        ({"warmup": 1.5}, r"--warmup 1\.5 is too large; give at most 1"),
        ({"clip": -1.0}, r"--clip -1\.0 is too small"),
        ({"shard_cache_gb": math.inf}, r"--shard-cache-gb inf is too large; give at most 1e\+06"),
        ({"data": ()}, "no dataset given"),
        ({"device": "cuda:99"}, "--device cuda:99 is not there"),
        ({"device": "toaster"}, "--device toaster is not there"),
        ({"model": "bert::2x64", "max_length": 1000}, "--max-length 1000 is more than bert::2x64"),
        ({"model": "bert::2x64", "max_length": 2}, "--max-length 2 leaves no room beside 2"),
        ({"model": "bert::2x64", "freeze": 5}, "--freeze 5: bert::2x64 has 2 blocks"),
        (
            {"model": "gpt2::2x64", "lora": 4, "lora_targets": ("q",)},
            "--lora-targets q: gpt2::2x64",
        ),
        ({"model": "t5::2x64", "matryoshka": (65,)}, "--matryoshka 65 is above the 64 dimensions"),
    ],
)
def test_settings_that_cannot_work_are_refused(
    config: TrainConfig, changed: dict[str, Any], message: str
) -> None:
    with pytest.raises(UserError, match=message):
        train(change(config, **changed))
    assert not list(config.output.parent.iterdir())


@pytest.mark.parametrize("model", ["static", "bert"])
def test_kept_ids_give_the_losses_of_texts(
    tmp_path: Path, config: TrainConfig, bert: Path, model: str
) -> None:
    rows = [
        row | {"negatives": (f"a red house {i}", "the dog"), "negative_sources": ("x", "y")}
        for i, row in enumerate(paired_sentences(150))
    ]
    data = write_dataset(tmp_path / "with negatives", rows, shards=2, row_group_rows=40)
    asked = change(config, data=(str(data),), steps=0, epochs=2, batch_size=32)
    if model == "bert":
        asked = change(asked, model=str(bert), max_length=8, dropout=0.0)
    train(change(asked, token_cache=False))
    cut = [line["loss"] for line in log(config.output)]
    assert not (data / "tokens").exists()
    other = change(asked, output=tmp_path / "other")
    train(other)  # of two epochs, so ids are kept
    assert [line["loss"] for line in log(other.output)] == cut
    assert list(data.glob("tokens/*/manifest.json"))
