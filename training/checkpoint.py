"""Checkpoints: everything a run needs to go on as if nothing had happened. No pickle.

A checkpoint is a folder `step-00000500` of safetensors and JSON. It is written under another name,
flushed to the disk and renamed, and only then are older ones removed: whenever the process is
killed, the last whole checkpoint is there.
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

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, load_model, save_file, save_model
from torch import Tensor, nn
from torch.optim import Optimizer

from pairsmith.schemas import UserError
from pairsmith.training.loader import Cursor

MODEL = "model.safetensors"
OPTIMIZER = "optimizer.safetensors"
RANDOM = "random.safetensors"
STATE = "state.json"


@dataclass
class Progress:
    """How far a run has come; the learning rate follows from `step`."""

    step: int = 0
    cursor: Cursor = field(default_factory=Cursor)
    seconds: float = 0.0
    """Spent on steps so far, in all the processes that worked on the run."""
    scores: dict[int, dict[str, float]] = field(default_factory=dict)
    """Evaluations by the step after which they were made."""


def save_checkpoint(
    folder: Path,
    model: nn.Module,
    optimizer: Optimizer,
    progress: Progress,
    identity: Mapping[str, Any],
) -> Path:
    """Write a checkpoint into `folder`, remove older ones, return its path.

    identity: JSON data that must be equal on resumption: settings and dataset digests.
    Raises OSError; the previous checkpoint then still stands.
    """
    final = folder / f"step-{progress.step:08d}"
    scratch = folder / f"{final.name}.tmp"
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir(parents=True)
    state = {"identity": identity, **asdict(progress)}
    try:
        with native_errors(scratch):
            save_model(model, str(scratch / MODEL))
            save_file(_optimizer_tensors(model, optimizer), scratch / OPTIMIZER)
            save_file(_random_state(), scratch / RANDOM)
        (scratch / STATE).write_text(json.dumps(state, indent=1) + "\n", "utf-8")
        for path in (*scratch.iterdir(), scratch):
            _flush(path)
        shutil.rmtree(final, ignore_errors=True)
        scratch.rename(final)
        _flush(folder)
    except BaseException:
        shutil.rmtree(scratch, ignore_errors=True)
        raise
    for path in folder.glob("step-*"):
        if path != final:
            shutil.rmtree(path)
    return final


def last_checkpoint(folder: Path) -> Path | None:
    """Return the newest whole checkpoint in `folder`, if there is one."""
    found = [path for path in folder.glob("step-*") if not path.name.endswith(".tmp")]
    return max(found, default=None)


def load_checkpoint(
    path: Path, model: nn.Module, optimizer: Optimizer, identity: Mapping[str, Any]
) -> Progress:
    """Put model, optimizer and random generators into the state of the checkpoint at `path`.

    Raises UserError when it is of other settings or data, or damaged.
    """
    try:
        state = json.loads((path / STATE).read_text("utf-8"))
        check_identity(state["identity"], identity, path)
        load_model(model, path / MODEL)
        _restore_optimizer(model, optimizer, load_file(path / OPTIMIZER))
        _restore_random(load_file(path / RANDOM))
        return Progress(
            step=state["step"],
            cursor=Cursor(**state["cursor"]),
            seconds=state["seconds"],
            scores={int(step): values for step, values in state["scores"].items()},
        )
    except (OSError, ValueError, KeyError, RuntimeError, SafetensorError) as error:
        raise UserError(
            f"the checkpoint {path} is damaged ({error}); delete it to start over"
        ) from error


def check_identity(found: Mapping[str, Any], wanted: Mapping[str, Any], where: Path) -> None:
    """Raise UserError that names the first setting in which a run differs from what is asked."""
    for name in sorted({*found, *wanted}):
        was, now = found.get(name), wanted.get(name)
        if was != now:
            raise UserError(
                f"{where} belongs to a run with {name} {was}, not {now}; give the same settings "
                "and data to go on with it, delete it to start over, or choose another --output"
            )


def _optimizer_tensors(model: nn.Module, optimizer: Optimizer) -> dict[str, Tensor]:
    tensors = {}
    for name, parameter in model.named_parameters():
        for key, value in optimizer.state.get(parameter, {}).items():
            tensors[f"{name}/{key}"] = torch.as_tensor(value).contiguous()
    return tensors


def _restore_optimizer(
    model: nn.Module, optimizer: Optimizer, tensors: Mapping[str, Tensor]
) -> None:
    names = {parameter: name for name, parameter in model.named_parameters()}
    states: dict[str, dict[str, Tensor]] = {}
    for key, value in tensors.items():
        name, _, part = key.rpartition("/")
        # A copy: what was loaded is a map of a file that will be deleted.
        states.setdefault(name, {})[part] = value.clone()
    data = optimizer.state_dict()
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    data["state"] = {i: states[names[p]] for i, p in enumerate(parameters) if names[p] in states}
    optimizer.load_state_dict(data)


def _random_state() -> dict[str, Tensor]:
    states = {"cpu": torch.get_rng_state()}
    if torch.cuda.is_available():
        states |= {f"cuda{i}": s for i, s in enumerate(torch.cuda.get_rng_state_all())}
    return states


def _restore_random(states: Mapping[str, Tensor]) -> None:
    torch.set_rng_state(states["cpu"])
    for number in range(torch.cuda.device_count()):
        if f"cuda{number}" in states:
            torch.cuda.set_rng_state(states[f"cuda{number}"], number)


def _flush(path: Path) -> None:
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
