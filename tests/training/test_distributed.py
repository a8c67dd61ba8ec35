"""A run over several processes is the run of one; when one of them fails, all of them end."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from safetensors.numpy import load_file

from pairsmith.training.checkpoint import last_checkpoint
from tests.training.pair_folders import (
    paired_sentences,
    sentences,
    with_two_subwords_exchanged,
    write_dataset,
)
from tests.training.ranks import LIMIT, finish, once, run, start

STEPS = 16
BATCH = 46  # 600 pairs leave a last batch of 2: the third of three ranks has no row of it


@pytest.fixture(scope="module")
def calm_bert(tmp_path_factory: pytest.TempPathFactory, bert: Path) -> Path:
    """Return the tiny BERT without dropout, which differs between numbers of processes."""
    folder = tmp_path_factory.mktemp("calm") / "bert"
    shutil.copytree(bert, folder)
    config = json.loads((folder / "config.json").read_text())
    config |= {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    (folder / "config.json").write_text(json.dumps(config))
    return folder


def arguments(
    data: Path, model: Path | str, output: Path, *more: str, steps: int = STEPS
) -> list[str]:
    return [
        *(str(data), "--model", str(model), "--output", str(output), "--steps", str(steps)),
        *("--batch-size", str(BATCH), "--checkpoint-every", "3", "--threads", "1"),
        *("--learning-rate", "0.003", "--no-tensorboard", "--no-curves", *more),
    ]


def log(output: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (output / "log.jsonl").read_text().split("\n")[:-1]]


def assert_equal_runs(found: Path, expected: Path) -> None:
    lines, others = log(found), log(expected)
    assert [line["step"] for line in lines] == list(range(1, STEPS + 1))
    for line, other in zip(lines, others, strict=True):
        assert (line["epoch"], line["position"]) == (other["epoch"], other["position"])
        assert line["loss"] == pytest.approx(other["loss"], rel=1e-4, abs=1e-6)
        assert line["gradient_norm"] == pytest.approx(other["gradient_norm"], rel=1e-3)
        for name in ("gap", "alignment", "masked"):
            assert line.get(name) == pytest.approx(other.get(name), abs=1e-4), name
        # A row whose positive and hardest negative are all but equal may go either way.
        assert line["accuracy"] == pytest.approx(other["accuracy"], abs=1.5 / BATCH)
    for path in expected.rglob("*.safetensors"):
        mine = load_file(found / path.relative_to(expected))
        for name, value in load_file(path).items():
            assert mine[name] == pytest.approx(value, abs=1e-4), name


@pytest.fixture(scope="module")
def alone(
    tmp_path_factory: pytest.TempPathFactory, dataset: Path, calm_bert: Path, sts_file: Path
) -> Path:
    """Return the model that one process trains."""
    folder = tmp_path_factory.mktemp("alone")
    argv = arguments(dataset, calm_bert, folder / "model", "--sts", str(sts_file))
    (ended,) = run(1, argv, folder)
    assert ended.code == 0, ended.said
    return folder / "model"


@pytest.mark.parametrize(("size", "parallel"), [(2, "ddp"), (3, "ddp"), (3, "fsdp")])
def test_two_and_three_processes_do_what_one_does(
    tmp_path: Path,
    dataset: Path,
    calm_bert: Path,
    sts_file: Path,
    alone: Path,
    size: int,
    parallel: str,
) -> None:
    output = tmp_path / "model"
    more = ("--sts", str(sts_file), "--parallel", parallel)
    ended = run(size, arguments(dataset, calm_bert, output, *more), tmp_path)
    assert [rank.code for rank in ended] == [0] * size, ended
    assert_equal_runs(output, alone)
    scores = json.loads((output / "training.json").read_text())["scores"]
    for step, expected in json.loads((alone / "training.json").read_text())["scores"].items():
        assert scores[step] == pytest.approx(expected, abs=1e-3)
    assert [rank.said for rank in ended[1:]] == [""] * (size - 1)


@pytest.mark.parametrize(
    ("size", "parallel", "packed"),
    [(2, "ddp", True), (2, "ddp", False), (2, "fsdp", False), (3, "fsdp", True)],
)
def test_a_gradient_cache_over_processes_does_what_one_process_does_without(
    tmp_path: Path,
    dataset: Path,
    calm_bert: Path,
    alone: Path,
    size: int,
    parallel: str,
    packed: bool,
) -> None:
    output = tmp_path / "model"
    more = ("--parallel", parallel, "--chunk", "7", "--packed", str(packed))
    ended = run(size, arguments(dataset, calm_bert, output, *more), tmp_path)
    assert [rank.code for rank in ended] == [0] * size, ended
    assert_equal_runs(output, alone)


@pytest.mark.parametrize("parallel", ["ddp", "fsdp"])
def test_processes_learn_the_temperature_that_one_does_and_go_on_with_it(
    tmp_path: Path, dataset: Path, calm_bert: Path, parallel: str
) -> None:
    models = {size: tmp_path / f"model{size}" for size in (1, 2)}
    for size, output in models.items():
        more = ("--parallel", parallel, "--learn-temperature", "--clip", "0.5")
        argv = arguments(dataset, calm_bert, output, *more)
        if size == 2:  # stopped once on the way
            processes, file = start([argv] * size, tmp_path), output.parent / "model2.unfinished"
            once(lambda f=file: (f / "log.jsonl").is_file() and len(log(f)) > 4, processes)
            for process in processes:
                process.terminate()
            ended = finish(processes, tmp_path)
            assert [rank.code for rank in ended] == [143] * size, ended
        ended = run(size, argv, tmp_path)
        assert [rank.code for rank in ended] == [0] * size, ended
    assert_equal_runs(models[2], models[1])


def test_a_tokenizer_from_the_data_is_the_same_on_all_processes(
    tmp_path: Path, dataset: Path
) -> None:
    models = []
    for size in (1, 2):
        models.append(tmp_path / f"model{size}")
        argv = arguments(dataset, "static::8", models[-1], "--vocabulary", "150")
        ended = run(size, argv, tmp_path)
        assert [rank.code for rank in ended] == [0] * size, ended
    assert_equal_runs(models[1], models[0])
    one, two = (next(model.rglob("tokenizer.json")).read_bytes() for model in models)
    assert one == two


@pytest.mark.parametrize(("parallel", "keep"), [("ddp", "last"), ("fsdp", "best")])
def test_two_processes_weigh_rare_subwords_as_one_does(
    tmp_path: Path, dataset: Path, sts_file: Path, parallel: str, keep: str
) -> None:
    more = ["--vocabulary", "150", "--rarity", "0.01"]
    if keep == "best":
        more += ["--sts", str(sts_file), "--stop-on", "sts/made/spearman", "--keep", "best"]
    models = {size: tmp_path / f"model{size}" for size in (1, 2)}
    for size, output in models.items():
        argv = arguments(dataset, "static::8", output, "--parallel", parallel, *more)
        ended = run(size, argv, tmp_path)
        assert [rank.code for rank in ended] == [0] * size, ended
    assert_equal_runs(models[2], models[1])


def test_a_run_goes_on_with_any_other_number_of_processes(
    tmp_path: Path, dataset: Path, calm_bert: Path, alone: Path
) -> None:
    output, file = tmp_path / "model", tmp_path / "model.unfinished" / "log.jsonl"

    def changed() -> int:
        return file.stat().st_mtime_ns if file.is_file() else 0

    def begun() -> bool:
        return changed() > before and file.read_text().count("\n") > done

    done = 0
    for size, parallel, stop in [
        (2, "fsdp", signal.SIGTERM),
        (1, "ddp", signal.SIGTERM),
        (3, "fsdp", signal.SIGKILL),
        (2, "ddp", signal.SIGTERM),
    ]:
        argv = arguments(dataset, calm_bert, output, "--parallel", parallel)
        before = changed()
        processes = start([argv] * size, tmp_path)
        once(begun, processes)
        for process in processes:
            assert process.pid is not None
            os.kill(process.pid, stop)
        ended = finish(processes, tmp_path)
        code = 143 if stop == signal.SIGTERM else -9
        assert [rank.code for rank in ended] == [code] * size, ended
        checkpoint = last_checkpoint(tmp_path / "model.unfinished" / "checkpoints")
        done = int(checkpoint.name.partition("-")[2]) if checkpoint else 0
        if code == 143:
            (line,) = [line for line in ended[0].said.splitlines() if "stopped" in line]
            said = f"pairsmith train: stopped by SIGTERM after step {done} of {STEPS}; the same"
            assert line.startswith(said)
            assert all(rank.said == "" for rank in ended[1:])
    assert done < STEPS
    (last,) = run(1, arguments(dataset, calm_bert, output), tmp_path)
    assert last.code == 0, last.said
    assert_equal_runs(output, alone)


def test_torchrun_ends_when_a_process_is_killed_and_the_checkpoint_is_whole(
    tmp_path: Path, dataset: Path, calm_bert: Path
) -> None:
    output = tmp_path / "model"
    argv = arguments(dataset, calm_bert, output, steps=100_000)
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    command = [*torchrun, "--nproc-per-node", "2", "-m", "pairsmith.commands.main", "train", *argv]
    checkpoints = tmp_path / "model.unfinished" / "checkpoints"
    with (tmp_path / "said").open("w") as said:
        process = subprocess.Popen(command, stdout=said, stderr=said)
        try:
            deadline = time.monotonic() + LIMIT
            while not last_checkpoint(checkpoints):
                assert process.poll() is None, (tmp_path / "said").read_text()
                assert time.monotonic() < deadline
                time.sleep(0.05)
            children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
            os.kill(int(children[1]), signal.SIGKILL)
            assert process.wait(LIMIT) != 0
        finally:
            process.kill()
    text = (tmp_path / "said").read_text()
    assert "another process of the run has ended" in text
    assert not output.exists()
    checkpoint = last_checkpoint(checkpoints)
    assert checkpoint is not None
    step = int(checkpoint.name.partition("-")[2])
    processes = start([argv], tmp_path)
    once(lambda: len(log(tmp_path / "model.unfinished")) > step + 3, processes)
    for each in processes:
        each.terminate()
    (ended,) = finish(processes, tmp_path)
    assert f"resumed after step {step}" in ended.said
    assert ended.code == 143


@pytest.mark.parametrize("watched", [False, True])
def test_sharded_weights_are_evaluated_on_the_way_from_the_start_and_then_trained_on(
    tmp_path: Path, dataset: Path, calm_bert: Path, sts_file: Path, watched: bool
) -> None:
    more = ["--interpolate", "0.5", "--sts", str(sts_file), "--evaluate-every", "2"]
    if watched:
        more += ["--stop-on", "sts/made/spearman", "--patience", "0"]
    models = {size: tmp_path / f"model{size}" for size in (1, 2)}
    for size, output in models.items():
        argv = arguments(dataset, calm_bert, output, "--parallel", "fsdp", *more)
        ended = run(size, argv, tmp_path)
        assert [rank.code for rank in ended] == [0] * size, ended
    assert_equal_runs(models[2], models[1])
    one, two = (json.loads((m / "training.json").read_text())["scores"] for m in models.values())
    assert list(two) == list(one)
    for step, expected in one.items():
        assert two[step] == pytest.approx(expected, abs=1e-3)


@pytest.mark.parametrize("parallel", ["ddp", "fsdp"])
def test_processes_of_unequal_numbers_of_texts_verify_together_and_one_tells(
    tmp_path: Path, calm_bert: Path, parallel: str
) -> None:
    rows = paired_sentences(4)
    rows[0]["negatives"] = ["nobody buys the moon"]  # one process has a text, and a chunk, more
    data = write_dataset(tmp_path / "data", rows)
    more = ("--parallel", parallel, "--negatives", "1", "--chunk", "1", "--verify")
    argv = [str(data), "--model", str(calm_bert), "--output", str(tmp_path / "model"), *more]
    argv += ["--batch-size", "4", "--threads", "1", "--no-tensorboard", "--no-curves"]
    ended = run(2, argv, tmp_path)
    assert [rank.code for rank in ended] == [0, 0], ended
    lines = ended[0].printed.splitlines()
    assert lines
    assert all(line.endswith("ok") for line in lines)
    assert ended[1].printed == ""


@pytest.mark.parametrize("checksums", [[], ["--no-checksums"]])  # which a machine checks once
def test_what_one_process_cannot_read_ends_all_with_one_line(
    tmp_path: Path, dataset: Path, calm_bert: Path, checksums: list[str]
) -> None:
    damaged = tmp_path / "damaged"
    shutil.copytree(dataset, damaged)
    for shard in (damaged / "shards").iterdir():  # of the right size, so that it is opened
        data = shard.read_bytes()
        shard.write_bytes(data[:4] + bytes(len(data) // 2) + data[4 + len(data) // 2 :])
    output = tmp_path / "model"
    argv = [arguments(d, calm_bert, output, *checksums) for d in (dataset, damaged)]
    ended = finish(start(argv, tmp_path), tmp_path)
    assert [rank.code for rank in ended] == [2, 2], ended
    assert ended[0].said == ""
    (line,) = ended[1].said.splitlines()
    assert "cannot be read any more" in line


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--stop-on", "sts/maid/spearman"], "--stop-on sts/maid/spearman is not among"),
        (["--temperature", "-1"], "temperature"),
        (["--device", "cuda:0"], "--device cuda:0 is one GPU"),
        (["--plan", "--measure", "3"], "--plan is one process: run it without torchrun"),
    ],
)
def test_what_all_processes_refuse_is_told_by_one(
    tmp_path: Path, dataset: Path, calm_bert: Path, sts_file: Path, more: list[str], said: str
) -> None:
    argv = arguments(dataset, calm_bert, tmp_path / "model", "--sts", str(sts_file), *more)
    ended = run(2, argv, tmp_path)
    assert [rank.code for rank in ended] == [2, 2], ended
    (line,) = [line for line in ended[0].said.splitlines() if line.startswith("pairsmith train:")]
    assert said in line
    assert ended[1].said == ""


def test_leaks_are_noted_by_one_process(tmp_path: Path, dataset: Path, calm_bert: Path) -> None:
    text = paired_sentences(1)[0]["anchor"]  # as the first of the dataset
    sts = tmp_path / "leaky.csv"
    rows = [f"{text},{other},{i}" for i, other in enumerate(sentences(9, seed=3))]
    sts.write_text("\n".join(["sentence1,sentence2,score", *rows, ""]))
    more = ("--sts", str(sts), "--allow-leaks", "1")
    ended = run(2, arguments(dataset, calm_bert, tmp_path / "model", *more, steps=2), tmp_path)
    assert [rank.code for rank in ended] == [0, 0], ended
    assert ended[0].said.count("note: ") == 1
    assert ended[1].said == ""


def test_processes_with_other_data_are_refused_before_anything_is_written(
    tmp_path: Path, dataset: Path, calm_bert: Path
) -> None:
    other = write_dataset(tmp_path / "other", paired_sentences(600, seed=9))
    output = tmp_path / "model"
    argv = [arguments(d, calm_bert, output) for d in (dataset, other)]
    ended = finish(start(argv, tmp_path), tmp_path)
    assert [rank.code for rank in ended] == [2, 2], ended
    assert "".join(rank.said for rank in ended).strip() == (
        "pairsmith train: rank 1 has not the data or settings of rank 0"
    )
    assert not list(tmp_path.glob("model*"))


def test_processes_with_another_tokenizer_of_the_same_name_are_refused(
    tmp_path: Path, dataset: Path, tokenizer_file: Path
) -> None:
    texts = (tokenizer_file.read_text("utf-8"), with_two_subwords_exchanged(tokenizer_file))
    argv = []
    for rank, text in enumerate(texts):
        file = tmp_path / str(rank) / "mine.json"
        file.parent.mkdir()
        file.write_text(text, "utf-8")
        argv.append(arguments(dataset, f"static:{file}:8", tmp_path / "model"))
    ended = finish(start(argv, tmp_path), tmp_path)
    assert [rank.code for rank in ended] == [2, 2], ended
    assert "rank 1 has not the data or settings of rank 0" in ended[1].said
    assert not list(tmp_path.glob("model*"))


def test_a_full_disk_ends_all_with_one_line(
    tmp_path: Path, small_disk: Path, dataset: Path, calm_bert: Path
) -> None:
    (small_disk / "filler").write_bytes(bytes(900_000))
    argv = arguments(dataset, calm_bert, small_disk / "model")
    ended = run(2, argv, tmp_path)
    assert [rank.code for rank in ended] == [2, 2], ended
    (line,) = ended[0].said.splitlines()
    assert "No space left on device" in line
    assert ended[1].said == ""
