"""Checkpoints: everything a run needs to go on as if nothing had happened. No pickle.

A checkpoint is a folder `step-00000500` of safetensors and JSON. It is written under another name,
flushed to the disk and renamed, and only then are older ones removed: whenever the process is
killed, the last whole checkpoint is there. It holds whole tensors by their names, however many
processes each was spread over, so that any number of processes can go on from it. Random numbers
are drawn anew for each step (`seed_step`), so there is no state of theirs to keep.
"""

import json
import os
import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, distributed, nn
from torch.distributed.tensor import DTensor, distribute_tensor
from torch.optim import Optimizer

from pairsmith.schemas import UserError, subkeys
from pairsmith.training.distributed import ALONE, World
from pairsmith.training.precision import LossScale
from pairsmith.training.streaming.loader import Cursor

MODEL = "model.safetensors"
OPTIMIZER = "optimizer.safetensors"
STATE = "state.json"

Tensors = dict[str, Tensor]


@dataclass
class Progress:
    """How far a run has come; the learning rate follows from `step` and `scores`."""

    step: int = 0
    cursor: Cursor = field(default_factory=Cursor)
    seconds: float = 0.0
    """Spent on steps so far, in all the processes that worked on the run, one after another."""
    scores: dict[int, dict[str, float]] = field(default_factory=dict)
    """Evaluations by the step after which they were made."""
    scale: LossScale = field(default_factory=LossScale)
    """Of the loss, in float16."""


def save_checkpoint(
    folder: Path,
    model: nn.Module,
    optimizer: Optimizer,
    progress: Progress,
    identity: Mapping[str, Any],
    world: World = ALONE,
) -> Path:
    """Write a checkpoint into `folder`, remove older ones, return its path.

    Called by every process; rank 0 writes.
    identity: JSON data that must be equal on resumption: settings and dataset digests.
    Raises OSError; the previous checkpoint then still stands.
    """
    final = folder / f"step-{progress.step:08d}"
    weights, moments = whole_weights(model, world), _whole_moments(model, optimizer, world)
    with world.together():
        if world.leads:
            _write(final, weights, moments, {"identity": identity, **asdict(progress)})
    return final


def _write(final: Path, weights: Tensors, moments: Tensors, state: Mapping[str, Any]) -> None:
    scratch = final.with_name(f"{final.name}.tmp")
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir(parents=True)
    try:
        with native_errors(scratch):
            save_file(weights, scratch / MODEL)
            save_file(moments, scratch / OPTIMIZER)
        (scratch / STATE).write_text(json.dumps(state, indent=1) + "\n", "utf-8")
        for path in (*scratch.iterdir(), scratch):
            flush(path)
        shutil.rmtree(final, ignore_errors=True)
        scratch.rename(final)
        for path in (final.parent, final.parent.parent):  # which has the folder only now
            flush(path)
    except BaseException:
        shutil.rmtree(scratch, ignore_errors=True)
        raise
    for path in final.parent.glob("step-*"):
        if path != final:
            shutil.rmtree(path)


def last_checkpoint(folder: Path) -> Path | None:
    """Return the newest whole checkpoint in `folder`, if there is one."""
    found = [path for path in folder.glob("step-*") if not path.name.endswith(".tmp")]
    return max(found, default=None)


def load_checkpoint(
    path: Path,
    model: nn.Module,
    optimizer: Optimizer,
    identity: Mapping[str, Any],
    world: World = ALONE,
) -> Progress:
    """Put model and optimizer into the state of the checkpoint at `path`; return how far it came.

    Called by every process; rank 0 reads.
    Raises UserError when it is of other settings or data, or damaged.
    """
    weights: Tensors = {}
    moments: Tensors = {}
    progress = Progress()
    with world.together():
        if world.leads:
            try:
                state = json.loads((path / STATE).read_text("utf-8"))
                check_identity(state["identity"], identity, path)
                progress = Progress(
                    step=state["step"],
                    cursor=Cursor(**state["cursor"]),
                    seconds=state["seconds"],
                    scores={int(step): values for step, values in state["scores"].items()},
                    scale=LossScale(**state["scale"]),
                )
                weights, moments = read_tensors(path / MODEL), read_tensors(path / OPTIMIZER)
                _compare(weights, model)
            except (OSError, ValueError, TypeError, KeyError, SafetensorError) as error:
                raise UserError(
                    f"the checkpoint {path} is damaged ({error}); delete it to start over"
                ) from error
    put_weights(model, weights, world)
    _put_moments(model, optimizer, moments, world)
    found: Progress = world.broadcast(progress)
    return found


def _compare(weights: Mapping[str, Tensor], model: nn.Module) -> None:
    wanted = {name: tuple(value.shape) for name, value in _saved(model).items()}
    found = {name: tuple(value.shape) for name, value in weights.items()}
    for name in sorted({*wanted, *found}):
        if wanted.get(name) != found.get(name):
            raise ValueError(f"{name} has shape {found.get(name)}, not {wanted.get(name)}")


def seed_step(seed: int, step: int, rank: int) -> None:
    """Make what is drawn at random in a step, such as dropout, follow from these numbers alone."""
    base = subkeys(np.array([seed % 2**64], np.uint64), step)
    torch.manual_seed(int(subkeys(base, rank)[0]))


def whole_weights(model: nn.Module, world: World = ALONE) -> Tensors:
    """Return the weights by name, whole and on the CPU, to rank 0; every process calls it.

    Weights that are tied are there once. Other processes get names with empty tensors.
    """
    return {name: _whole(value, world) for name, value in _saved(model).items()}


def put_weights(model: nn.Module, weights: Mapping[str, Tensor], world: World = ALONE) -> None:
    """Set the weights to those that rank 0 gives, as `whole_weights` returns them."""
    with torch.no_grad():
        for name, value in _saved(model).items():
            value.copy_(_spread(weights.get(name), value, world))


def read_tensors(path: Path) -> Tensors:
    """Return the tensors of a file, in memory: the file may be deleted."""
    return {name: value.clone() for name, value in load_file(path).items()}


def check_identity(found: Mapping[str, Any], wanted: Mapping[str, Any], where: Path) -> None:
    """Raise UserError that names the first setting in which a run differs from what is asked."""
    for name in sorted({*found, *wanted}):
        was, now = found.get(name), wanted.get(name)
        if was != now:
            raise UserError(
                f"{where} belongs to a run with {name} {was}, not {now}; give the same settings "
                "and data to resume it, delete it to start over, or choose another --output"
            )


def _saved(model: nn.Module) -> Tensors:
    """Return the weights that are saved, by name, as this process holds them."""
    persistent = model.state_dict().keys()  # under all names of a tied one
    named = (*model.named_parameters(), *model.named_buffers())  # under one
    return {name: value for name, value in named if name in persistent}


def _whole_moments(model: nn.Module, optimizer: Optimizer, world: World) -> Tensors:
    return {
        f"{name}/{key}": _whole(torch.as_tensor(value), world)
        for name, parameter in model.named_parameters()
        for key, value in optimizer.state.get(parameter, {}).items()
    }


def _put_moments(
    model: nn.Module, optimizer: Optimizer, moments: Mapping[str, Tensor], world: World
) -> None:
    parameters = dict(model.named_parameters())
    states: dict[Tensor, Tensors] = {}
    for key in world.broadcast(list(moments)):
        name, _, part = key.rpartition("/")
        mine = parameters[name]
        like = torch.empty(()) if part == "step" else mine
        states.setdefault(mine, {})[part] = _spread(moments.get(key), like, world)
    data = optimizer.state_dict()
    listed = [p for group in optimizer.param_groups for p in group["params"]]
    data["state"] = {i: states[p] for i, p in enumerate(listed) if p in states}
    optimizer.load_state_dict(data)


def _whole(value: Tensor, world: World) -> Tensor:
    full = value.full_tensor() if isinstance(value, DTensor) else value
    return full.detach().cpu().contiguous() if world.leads else torch.empty(0)


def _spread(whole: Tensor | None, like: Tensor, world: World) -> Tensor:
    """Return what rank 0 holds as `whole`, placed over the processes as `like` is."""
    held = torch.empty(like.shape, dtype=like.dtype) if whole is None else whole
    held = held.to(like.device)
    if isinstance(like, DTensor):
        return distribute_tensor(held, like.device_mesh, like.placements)
    if world.size > 1:
        distributed.broadcast(held, src=0)
    return held


def flush(path: Path) -> None:
    """Have the system write a file or folder to the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def native_errors(path: Path) -> Iterator[None]:
    """Raise what Rust libraries say about files under `path` as the OSError that it is."""
    try:
        yield
    except Exception as error:
        if isinstance(error, OSError) or not (found := re.search(r"os error (\d+)", str(error))):
            raise
        number = int(found[1])
        raise OSError(number, os.strerror(number), str(path)) from error
