"""After a failure of power the last checkpoint is whole, and the same command goes on from it."""

import json
import os
import shutil
from pathlib import Path

import pytest

from pairsmith.schemas import UserError
from pairsmith.training.config import TrainConfig
from pairsmith.training.settings import change
from pairsmith.training.train import train

Done = list[tuple[str, Path]]


class StoppedError(Exception):
    """Ends a run that has gone far enough."""


@pytest.fixture
def done(monkeypatch: pytest.MonkeyPatch) -> Done:
    """Return what is flushed, renamed and removed, in its order."""
    found: Done = []
    flush, rename, remove = os.fsync, os.rename, shutil.rmtree

    def fsync(handle: int) -> None:
        found.append(("flush", Path(f"/proc/self/fd/{handle}").readlink()))
        flush(handle)

    def renamed(source: Path, target: Path) -> None:
        found.append(("rename", Path(target)))
        rename(source, target)

    def rmtree(path: Path, ignore_errors: bool = False) -> None:
        found.append(("remove", Path(path)))
        remove(path, ignore_errors)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(os, "rename", renamed)
    monkeypatch.setattr(shutil, "rmtree", rmtree)
    return found


@pytest.fixture
def stopped(config: TrainConfig, sts_file: Path) -> TrainConfig:
    """Return the settings of a run that was stopped after step 6, its last checkpoint at step 5."""

    def stop(step: int, scores: object) -> None:
        if step == 6:
            raise StoppedError

    often = change(config, model="static::16", vocabulary=150, sts=(sts_file,), evaluate_every=6)
    often = change(often, checkpoint_every=5)
    with pytest.raises(StoppedError):
        train(often, stop)
    return often


def test_the_model_is_on_the_disk_before_its_checkpoints_are_removed(
    config: TrainConfig, done: Done
) -> None:
    train(config)
    output = config.output
    unfinished = output.with_name("model.unfinished")
    model = unfinished / "model"
    moved = done.index(("rename", output))
    assert done[moved + 1 :] == [("flush", output.parent), ("remove", unfinished)]
    written = {model / path.relative_to(output) for path in output.rglob("*")}
    assert len(written) > 7
    assert {("flush", path) for path in (model, *written)} <= {*done[:moved]}


def test_all_that_a_checkpoint_needs_is_on_the_disk_before_it(
    config: TrainConfig, sts_file: Path, done: Done
) -> None:
    watched = change(config, model="static::16", vocabulary=150, checkpoint_every=5)
    train(change(watched, sts=(sts_file,), stop_on="sts/made/spearman", evaluate_every=4))
    folder = config.output.with_name("model.unfinished")
    checkpoints, best, tokenizer = (
        folder / name for name in ("checkpoints", "best", "tokenizer.json")
    )
    saved = done.index(("rename", checkpoints / "step-00000005"))
    assert done[saved + 1 : saved + 3] == [("flush", checkpoints), ("flush", folder)]
    before = done[:saved]
    for path in (folder / "run.json", folder.parent, folder / "log.jsonl"):
        assert ("flush", path) in before, path
    made = before.index(("rename", tokenizer))
    assert before[made - 1] == ("flush", tokenizer.with_name("tokenizer.json.tmp"))
    assert before[made + 1] == ("flush", folder)
    kept = before.index(("rename", best / "step-00000000.safetensors"))
    assert before[kept + 1 : kept + 3] == [("flush", best), ("flush", folder)]


@pytest.mark.parametrize("rest", [b'{"step": 3, "ep', b'{"step": 3}', bytes(99) + b"\n{}\n"])
def test_a_run_whose_log_was_cut_off_goes_on_and_tells_what_is_lost(
    stopped: TrainConfig, rest: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    log = stopped.output.with_name("model.unfinished") / "log.jsonl"
    lines = log.read_bytes().splitlines(keepends=True)
    assert len(lines) == 6
    log.write_bytes(b"".join(lines[:2]) + rest)
    train(stopped)
    assert "log.jsonl has only 2 of the 5 steps so far" in capsys.readouterr().err
    found = [json.loads(line) for line in (stopped.output / "log.jsonl").read_text().splitlines()]
    assert [line["step"] for line in found] == [1, 2, *range(6, 21)]


def test_a_damaged_tokenizer_is_one_line_and_is_made_anew(stopped: TrainConfig) -> None:
    kept = stopped.output.with_name("model.unfinished") / "tokenizer.json"
    before = kept.read_bytes()
    kept.write_bytes(b"")
    with pytest.raises(UserError, match=r"tokenizer\.json is damaged; delete it, and it is made"):
        train(stopped)
    kept.unlink()
    train(stopped)
    assert (stopped.output / "0_StaticEmbedding" / "tokenizer.json").read_bytes() == before
