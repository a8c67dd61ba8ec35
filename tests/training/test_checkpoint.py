"""Checkpoints bring back weights, optimizer and progress, and are whole or not there."""

import errno
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from pairsmith.schemas import UserError
from pairsmith.training.checkpoint import (
    Progress,
    last_checkpoint,
    load_checkpoint,
    save_checkpoint,
    seed_step,
)
from pairsmith.training.precision import LossScale
from pairsmith.training.streaming.loader import Cursor

IDENTITY: dict[str, Any] = {"seed": 1, "data": ["abc"], "temperature": 0.05}


def network(seed: int) -> tuple[nn.Module, torch.optim.Optimizer]:
    torch.manual_seed(seed)
    model = nn.Sequential(nn.Linear(4, 8), nn.Dropout(0.5), nn.Linear(8, 1))
    return model, torch.optim.AdamW(model.parameters(), lr=0.1, fused=True)


def steps(model: nn.Module, optimizer: torch.optim.Optimizer, count: int) -> list[float]:
    losses = []
    for number in range(count):
        seed_step(1, number, 0)
        loss = model(torch.randn(16, 4)).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


def test_what_comes_after_is_what_would_have_come(tmp_path: Path) -> None:
    model, optimizer = network(1)
    steps(model, optimizer, 5)
    progress = Progress(5, Cursor(1, 40), 2.5, {0: {"sts": 0.5}}, LossScale(512.0, 3, 1))
    save_checkpoint(tmp_path, model, optimizer, progress, IDENTITY)
    expected = steps(model, optimizer, 5)

    other, its_optimizer = network(2)
    path = last_checkpoint(tmp_path)
    assert path is not None
    assert load_checkpoint(path, other, its_optimizer, IDENTITY) == progress
    assert steps(other, its_optimizer, 5) == expected


def test_only_the_newest_stays_and_nothing_is_pickled(tmp_path: Path) -> None:
    model, optimizer = network(1)
    for step in (1, 2, 11):
        steps(model, optimizer, 1)
        save_checkpoint(tmp_path, model, optimizer, Progress(step), IDENTITY)
    names = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()}
    parts = ("model.safetensors", "optimizer.safetensors", "state.json")
    assert names == {f"step-00000011/{part}" for part in parts}


def test_a_checkpoint_that_was_not_finished_does_not_count(tmp_path: Path) -> None:
    model, optimizer = network(1)
    whole = save_checkpoint(tmp_path, model, optimizer, Progress(1), IDENTITY)
    (tmp_path / "step-00000002.tmp").mkdir()
    assert last_checkpoint(tmp_path) == whole
    assert last_checkpoint(tmp_path / "nowhere") is None
    save_checkpoint(tmp_path, model, optimizer, Progress(2), IDENTITY)
    assert [path.name for path in tmp_path.iterdir()] == ["step-00000002"]


def test_when_the_disk_is_full_the_one_before_stands(small_disk: Path) -> None:
    model, optimizer = network(1)
    steps(model, optimizer, 1)
    before = save_checkpoint(small_disk, model, optimizer, Progress(1), IDENTITY)
    larger = nn.Linear(1000, 500)
    with pytest.raises(OSError, match="No space left") as caught:
        save_checkpoint(small_disk, larger, optimizer, Progress(2), IDENTITY)
    assert caught.value.errno == errno.ENOSPC
    assert list(small_disk.iterdir()) == [before]
    load_checkpoint(before, model, optimizer, IDENTITY)


def test_a_damaged_checkpoint_is_told_in_one_line(tmp_path: Path) -> None:
    model, optimizer = network(1)
    steps(model, optimizer, 1)
    for part in ("model.safetensors", "optimizer.safetensors", "state.json"):
        path = save_checkpoint(tmp_path, model, optimizer, Progress(1), IDENTITY)
        size = (path / part).stat().st_size
        with (path / part).open("rb+") as file:
            file.truncate(size // 2)
        with pytest.raises(UserError, match="damaged"):
            load_checkpoint(path, model, optimizer, IDENTITY)


def test_one_of_other_settings_is_refused_by_the_name_of_the_setting(tmp_path: Path) -> None:
    model, optimizer = network(1)
    path = save_checkpoint(tmp_path, model, optimizer, Progress(1), IDENTITY)
    with pytest.raises(UserError, match=r"temperature 0\.05, not 0\.1"):
        load_checkpoint(path, model, optimizer, IDENTITY | {"temperature": 0.1})
