"""What `--plan` says against what a run does."""

import copy
import json
import os
import signal
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from tokenizers import Tokenizer

from pairsmith.commands.main import main
from pairsmith.schemas import UserError, open_dataset
from pairsmith.training.collate import Identities
from pairsmith.training.config import TrainConfig
from pairsmith.training.encoders.config import EncoderConfig
from pairsmith.training.encoders.opening import open_encoder
from pairsmith.training.plan import Sample, meeting, memory, plan
from pairsmith.training.settings import change
from pairsmith.training.streaming.corpus import StreamConfig, shard_files
from pairsmith.training.streaming.row_groups import row_groups
from pairsmith.training.telemetry.journal import LOG
from pairsmith.training.tokens.build import token_cache
from pairsmith.training.train import train
from tests.training.pair_folders import paired_sentences, sentences, write_dataset


@pytest.fixture
def config(config: TrainConfig) -> TrainConfig:
    """Return a run of two epochs."""
    return change(config, steps=0, epochs=2)


def log(folder: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (folder / LOG).read_text().splitlines()]


def test_steps_and_tokens_are_those_of_the_run(config: TrainConfig) -> None:
    told = plan(config)
    train(config)
    lines = log(config.output)
    assert told.steps == len(lines) == 20
    assert told.rows == told.sample.rows == sum(line["rows"] for line in lines) / 2
    tokens = sum(line["tokens"] for line in lines) / 2
    assert told.sample.tokens_per_text == pytest.approx(tokens / 1200)
    assert told.parameters == 150 * 16


def test_the_token_cache_is_what_is_kept_whatever_the_run_reads(
    tmp_path: Path, config: TrainConfig, tokenizer_file: Path
) -> None:
    others = [" ".join(sentences(9, seed)) for seed in range(3)]
    rows = [{**row, "negatives": others} for row in paired_sentences(600)]
    data = write_dataset(tmp_path / "pairs", rows, shards=2)
    told = plan(change(config, data=(str(data),), max_length=4, mix=(0.5,)))
    cache = token_cache(open_dataset(data), Tokenizer.from_file(str(tokenizer_file)))
    files = [pq.read_metadata(cache.root / part.path) for part in cache.parts]
    groups = [file.row_group(i) for file in files for i in range(file.num_row_groups)]
    pages = [g.column(i).total_compressed_size for g in groups for i in range(g.num_columns)]
    assert told.cache_bytes == sum(pages)
    assert told.cache_bytes == pytest.approx(sum(part.bytes for part in cache.parts), rel=0.5)


def test_padding_is_that_of_the_batches_a_bert_gets(config: TrainConfig, bert: Path) -> None:
    once = change(config, model=str(bert), batch_size=600, epochs=1)
    told = plan(change(once, packed=False))
    table = open_dataset(config.data[0]).read(["anchor", "positive"])
    texts = table["anchor"].to_pylist() + table["positive"].to_pylist()
    mask = open_encoder(EncoderConfig(model=str(bert), packed=False)).tokenise(texts)[
        "attention_mask"
    ]
    longest = mask.numel() / mask.sum().item()
    assert longest > 1.05
    # Computed in runs of texts of like length, as a CPU does.
    assert 1 <= told.sample.padding < 1.05
    assert ("texts are computed", "in runs of like length") in told.table()
    assert told.memory_bytes > 16 * told.parameters
    # Sharded, all ranks must call equally often, so the batch is one call.
    sharded = plan(change(once, packed=False, parallel="fsdp"), ranks=2)
    assert sharded.sample.padding == pytest.approx(longest)
    assert sharded.sample.layout == "padded to the longest"
    ends = plan(once)
    assert ends.sample.padding == 1
    assert ("texts are computed", "end to end, without padding") in ends.table()


def test_memory_is_linear_in_the_batch(config: TrainConfig) -> None:
    encoder = open_encoder(config.encoder, config.seed)
    weights = 16 * sum(p.numel() for p in encoder.parameters())
    sample = Sample(600, 0.0, 2.0, 8.0, 1.0, "")

    def beside_weights(rows: int) -> int:
        return memory(encoder, change(config, batch_size=rows), sample, rows) - weights

    assert beside_weights(65_536) == 2 * beside_weights(32_768)
    # Three vectors a row with their gradients, and 512 rows of similarities: no matrix of 17 GB.
    assert beside_weights(65_536) == 65_536 * (3 * 2 * 4 * 16 + 4 * 512)


def test_memory_is_less_in_chunks_and_with_checkpoints(config: TrainConfig, bert: Path) -> None:
    encoder = open_encoder(EncoderConfig(model=str(bert)))
    encoder.model.config.num_hidden_layers = layers = 4
    sample = Sample(600, 0.0, 2.0, 8.0, 1.0, "")
    whole = change(config, batch_size=1000)

    def bytes_of(**changed: object) -> int:
        return memory(encoder, change(whole, **changed), sample, 1000)

    # 2,000 texts of 8 tokens, 32 wide, in float32.
    layer = 2000 * 8 * 32 * 68
    inputs = layers * 2000 * 8 * 32 * 4
    assert bytes_of() - bytes_of(chunk=500) == layers * layer * 3 / 4
    assert bytes_of(chunk=5000) == bytes_of()
    assert bytes_of() - bytes_of(gradient_checkpointing=True) == (layers - 1) * layer - inputs


def test_memory_of_a_sharded_model_is_a_rank_s_share(config: TrainConfig, bert: Path) -> None:
    encoder = open_encoder(EncoderConfig(model=str(bert)))
    block = encoder.blocks()[0]
    encoder.model.encoder.layer.append(copy.deepcopy(block))
    sample = Sample(600, 0.0, 2.0, 8.0, 1.0, "")

    def bytes_of(parallel: str, ranks: int) -> int:
        return memory(encoder, change(config, parallel=parallel), sample, 64, ranks)

    assert bytes_of("fsdp", 1) == bytes_of("ddp", 1) == bytes_of("ddp", 4)
    trained = sum(p.numel() for p in encoder.parameters() if p.requires_grad)
    frozen = sum(p.numel() for p in encoder.parameters()) - trained
    whole = 16 * trained + 4 * frozen
    # One of the two blocks at a time is gathered, weights and gradients, and all outside of them.
    gathered = 8 * (trained - sum(p.numel() for p in block.parameters())) + 4 * frozen
    assert bytes_of("fsdp", 4) == bytes_of("ddp", 4) - whole + whole // 4 + gathered
    sharded = plan(change(config, parallel="fsdp"), ranks=4)
    assert sharded.memory_bytes < plan(config, ranks=4).memory_bytes


def test_what_is_measured_is_the_share_of_a_rank(
    config: TrainConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes: list[int] = []

    def watched(trial: TrainConfig) -> Any:
        sizes.append(trial.stream.batch_size)
        if trial.stream.batch_size > 32:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return train(trial)

    monkeypatch.setattr("pairsmith.training.plan.train", watched)
    told = dict(plan(config, ranks=2, measure=3).table())
    assert told["measured"] == "steps of 32 pairs"
    assert "what ranks exchange apart" in told["time"]
    with pytest.raises(UserError, match="too little memory for steps of 64 pairs; give a smaller"):
        plan(config, measure=3)
    assert sizes == [32, 64]


def test_rows_are_shared_out_among_ranks(config: TrainConfig) -> None:
    assert plan(config, ranks=3).rows_per_rank == (21, 22)
    assert plan(config, ranks=100).rows_per_rank == (0, 1)


def test_rows_that_meet_are_those_that_the_loss_masks() -> None:
    rng = np.random.default_rng(1)
    drawn = {name: torch.from_numpy(rng.integers(0, 400, 120)) for name in ("group", "a", "p")}
    drawn["p"][:5] = drawn["a"][:5]  # equal texts of one row meet no other row
    none = torch.empty(0, dtype=torch.int64)
    identities = Identities(drawn["group"], drawn["a"], drawn["p"], none, none, none)
    same = drawn["group"][:, None] == drawn["group"]
    for mine in ("a", "p"):
        for other in ("a", "p"):
            same |= drawn[mine][:, None] == drawn[other]
    assert np.array_equal(meeting(identities), same.fill_diagonal_(False).any(1).numpy())
    assert 0 < meeting(identities).sum() < 120


def test_rows_that_share_a_document_are_counted(tmp_path: Path, config: TrainConfig) -> None:
    rows = [
        {"anchor": f"the cat {i}", "positive": f"a dog {i}", "source_id": f"doc{max(i, 9)}"}
        for i in range(60)
    ]
    data = write_dataset(tmp_path / "pairs", rows)
    told = plan(change(config, data=(data,), batch_size=60))
    assert told.sample.meeting == pytest.approx(10 / 60)


def test_nothing_is_written_and_time_is_told(
    tmp_path: Path,
    config: TrainConfig,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(scratch))
    data = write_dataset(tmp_path / "pairs", paired_sentences(600), row_group_rows=64)
    before = sorted(tmp_path.rglob("*"))
    arguments = ["train", str(data), "--output", str(config.output), "--token-cache", "True"]
    arguments += ["--model", "static::16", "--vocabulary", "150", "--batch-size", "64"]
    assert main([*arguments, "--plan", "--measure", "5", "--ranks", "2", "--threads", "1"]) == 0
    shown = dict(line.split("  ", 1) for line in capsys.readouterr().out.splitlines())
    assert shown["steps"].strip() == "10 (1 epochs)"
    assert shown["pairs a rank"].strip() == "32"
    assert "this machine" in shown["time"]
    assert "pairs/s" in shown["speed"]
    assert sorted(tmp_path.rglob("*")) == before


def test_a_measurement_that_is_stopped_leaves_nothing_to_go_on_with(
    config: TrainConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(scratch))

    def interrupt() -> None:
        while not any(log.read_text() for log in scratch.glob(f"*/model.unfinished/{LOG}")):
            time.sleep(0.001)
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=interrupt)
    thread.start()
    with pytest.raises(KeyboardInterrupt, match="stopped; nothing is left of the steps"):
        plan(config, measure=100_000)
    thread.join()
    assert not list(scratch.iterdir())


def test_a_run_whose_rate_waits_for_an_evaluation_is_measured(
    config: TrainConfig, tmp_path: Path
) -> None:
    scores = tmp_path / "made.csv"
    scores.write_text("sentence1,sentence2,score\nthe cat,a dog,1\na house,a tree,2\n")
    stop = {"schedule": "plateau", "sts": (scores,), "stop_on": "sts/made/spearman"}
    assert plan(change(config, **stop), measure=3).timing is not None  # type: ignore[arg-type]


def test_what_keeps_a_run_from_starting_keeps_the_plan(
    config: TrainConfig, sts_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    new = {"model": "static::16", "vocabulary": 150}
    cases: list[tuple[dict[str, Any], str]] = [
        ({"batch_size": 1}, "--batch-size 1 is too small"),
        ({"data": (config.output,)}, "no dataset at"),
        ({"matryoshka": (8, 17)}, "--matryoshka 17 is above the 16 dimensions"),
        ({"matryoshka": (8, 17), **new}, "--matryoshka 17 is above the 16 dimensions"),
        ({"matryoshka": (5,), "dense": 4, **new}, "--matryoshka 5 is above the 4 dimensions"),
        (
            {"sts": (sts_file,), "stop_on": "sts/maid/spearman", **new},
            "--stop-on sts/maid/spearman is not among the evaluations, which are: sts/made/sp",
        ),
    ]
    for changed, message in cases:
        with pytest.raises(UserError, match=message):
            plan(change(config, **changed))
        with pytest.raises(UserError, match=message):
            train(change(config, **changed))
        assert not list(config.output.parent.iterdir())
    with pytest.raises(UserError, match="--measure 2 is too small"):
        plan(config, measure=2)
    with pytest.raises(UserError, match="--ranks 0 is too small"):
        plan(config, ranks=0)
    arguments = ["train", str(config.data[0]), "--output", str(config.output), "--ranks", "2"]
    assert main(arguments) == 2
    assert "belong to --plan" in capsys.readouterr().err


def test_an_unfinished_run_of_other_settings_keeps_the_plan(
    config: TrainConfig, sts_file: Path
) -> None:
    class StoppedError(Exception):
        pass

    def stop(step: int, scores: object) -> None:
        if step == 6:
            raise StoppedError

    begun = change(config, sts=(sts_file,), evaluate_every=6, checkpoint_every=5)
    with pytest.raises(StoppedError):
        train(begun, stop)
    assert plan(begun).steps == 20
    with pytest.raises(UserError, match=r"model\.unfinished belongs to .* batch_size 64, not 32"):
        plan(change(begun, batch_size=32))


def test_a_model_that_is_there_keeps_no_plan(config: TrainConfig) -> None:
    before = plan(config)
    config.output.mkdir()
    assert plan(config) == before


def test_the_sample_is_bounded(config: TrainConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pairsmith.training.plan.SAMPLE_ROWS", 100)
    told = plan(config)
    assert told.sample.rows == 128
    assert told.rows == sum(
        group.rows
        for group in row_groups(shard_files(open_dataset(config.data[0]), StreamConfig()))
    )
