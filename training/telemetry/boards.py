"""Where curves are shown while a run goes on: TensorBoard, Weights & Biases."""

import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pairsmith.schemas import UserError, require
from pairsmith.training.telemetry.journal import Board, TelemetryConfig

BOARDS = ("logs", "wandb")
"""Folders that boards write, in the folder of the run."""


class TensorBoard:
    """Event files in `folder/logs`; points after `step` that an earlier process made are purged."""

    def __init__(self, folder: Path, step: int):
        from torch.utils.tensorboard import SummaryWriter

        self._writer: Any = SummaryWriter(str(folder / "logs"), purge_step=step + 1)

    def show(self, step: int, numbers: Mapping[str, float]) -> None:
        """Add a point to the curve of each name."""
        for name, value in numbers.items():
            self._writer.add_scalar(name, value, step)

    def close(self) -> None:
        """Flush and close the event file."""
        self._writer.close()


class WeightsAndBiases:
    """A run of a W&B project; resumed, the same run. WANDB_MODE=offline keeps it in `folder/wandb`.

    Raises UserError when W&B cannot be reached or knows no such user.
    """

    def __init__(self, folder: Path, project: str, settings: Mapping[str, Any]):
        self._wandb = wandb = require("wandb", "wandb")
        file = folder / "wandb.id"
        if not file.is_file():
            file.write_text(uuid.uuid4().hex[:12], "utf-8")
        try:
            self._run: Any = wandb.init(
                project=project,
                name=folder.name.removesuffix(".unfinished"),
                id=file.read_text("utf-8"),
                resume="allow",
                dir=str(folder),
                config=dict(settings),
                settings=wandb.Settings(silent=True, console="off", x_disable_stats=True),
            )
        except (wandb.Error, OSError) as error:
            reason = str(error).strip().splitlines()[0]
            raise UserError(
                f"--wandb {project}: {reason}; log in with `wandb login`, or set "
                "WANDB_MODE=offline to keep the run in the model's folder"
            ) from error

    def show(self, step: int, numbers: Mapping[str, float]) -> None:
        """Add a point to the curve of each name."""
        self._run.log(dict(numbers), step=step)

    def close(self) -> None:
        """Hand over what is left, and wait for W&B: the folder is moved after this."""
        self._run.finish()
        self._wandb.teardown()


def open_boards(
    config: TelemetryConfig, folder: Path, step: int, settings: Mapping[str, Any]
) -> list[Board]:
    """Return the boards that `config` asks for, for a run in `folder` that goes on after `step`."""
    boards: list[Board] = []
    if config.tensorboard:
        boards.append(TensorBoard(folder, step))
    if config.wandb:
        boards.append(WeightsAndBiases(folder, config.wandb, settings))
    return boards
