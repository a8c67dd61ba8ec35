"""Every setting of a training run, with its meaning; the command line is made from these classes.

`TrainConfig` holds a dataclass for each part. What a field decides and which values it takes is
said by marks in its type (`settings.py`); all else here is derived from them.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro

from pairsmith.schemas import UserError
from pairsmith.schemas.store import shown
from pairsmith.training.corpus import StreamConfig
from pairsmith.training.encoders.config import EncoderConfig
from pairsmith.training.evaluation import EvaluationConfig
from pairsmith.training.losses.config import LossConfig
from pairsmith.training.schedule import ScheduleConfig
from pairsmith.training.settings import (
    Above,
    AtLeast,
    AtMost,
    Free,
    change,
    check,
    plain,
    settings,
)
from pairsmith.training.telemetry import TelemetryConfig
from pairsmith.training.token_cache import TokenConfig

Precision = Literal["auto", "fp32", "bf16", "fp16"]


@dataclass(frozen=True)
class OptimizerConfig:
    """How far each step goes: AdamW."""

    learning_rate: Annotated[float, Above(0)] = 0.0
    """Highest step size of AdamW; 0: 0.003 for static, else 0.00003."""
    weight_decay: Annotated[float, AtLeast(0)] = 0.01
    """Decoupled weight decay of AdamW, on matrices only."""
    clip: Annotated[float, AtLeast(0)] = 1.0
    """Gradients of a longer norm are scaled down to this; 0: never."""


@dataclass(frozen=True)
class RunningConfig:
    """Where and how it computes."""

    device: Annotated[str, Free()] = "auto"
    """cpu, cuda, cuda:1, …; auto takes a GPU where there is one."""
    threads: Annotated[int, AtLeast(0), Free()] = 0
    """Threads that compute on a CPU, of each process; 0: all cores, shared by the processes of a
    machine, but for static one, which is left to reading and tokenising."""
    precision: Precision = "auto"
    """Compute in float32, bfloat16 or float16 with a scaled loss; auto: bf16 on a GPU that has it,
    else fp32."""
    parallel: Annotated[Literal["ddp", "fsdp"], Free()] = "ddp"
    """Under torchrun, each process holds all weights (ddp) or its shard of them (fsdp)."""
    checkpoint_every: Annotated[int, AtLeast(1), Free()] = 500
    """Steps between checkpoints."""


@dataclass(frozen=True)
class TrainConfig:
    """How to train one text encoder. `resolved` fills in what depends on the kind of model."""

    data: Annotated[tuple[str, ...], tyro.conf.Positional, tyro.conf.arg(metavar="DATA…"), Free()]
    """Datasets made by `pairsmith build`: folders, or s3:// and gs:// addresses; several are
    shuffled together."""
    output: Annotated[Path, Free()]
    """Folder to make for the trained model."""
    epochs: Annotated[int, AtLeast(1)] = 1
    """How often to go through the data."""
    steps: Annotated[int, AtLeast(0)] = 0
    """Number of batches to train on; 0: as many as --epochs takes."""
    seed: Annotated[int, AtLeast(0)] = 17
    """Decides the initial weights, the order of the pairs, and dropout."""
    encoder: EncoderConfig = field(default_factory=EncoderConfig)
    """What is trained."""
    stream: StreamConfig = field(default_factory=StreamConfig)
    """Which pairs meet in a batch."""
    tokens: Annotated[TokenConfig, Free()] = field(default_factory=TokenConfig)
    """Whether the ids of all texts are kept."""
    loss: LossConfig = field(default_factory=LossConfig)
    """What is learned."""
    losses: Annotated[tuple[LossConfig, ...], tyro.conf.Suppress] = ()
    """What is learned from each dataset, one for each, with --batches single; only in Python."""
    chunk: Annotated[int, AtLeast(0)] = 0
    """Texts encoded at a time, with gradients cached between the passes (GradCache): any batch size
    in the memory of so many, at a third more time; 0: all at once."""
    interpolate: Annotated[float, Above(0), AtMost(1)] = 1.0
    """How far the saved weights lie on the line from the start, 0, to the trained ones, 1; they are
    what is evaluated. Less than 1 keeps more of what a model could do before (WiSE-FT)."""
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    """How far each step goes: AdamW."""
    schedule: ScheduleConfig = field(default_factory=ScheduleConfig)
    """How the learning rate changes over the run."""
    evaluation: EvaluationConfig = field(default_factory=EvaluationConfig)
    """What is measured while training, and what follows from it."""
    telemetry: Annotated[TelemetryConfig, Free()] = field(default_factory=TelemetryConfig)
    """What a run tells, and where."""
    running: RunningConfig = field(default_factory=RunningConfig)
    """Where and how it computes."""

    def resolved(self) -> "TrainConfig":
        """Return the config with every default that depends on the model filled in, checked.

        Raises UserError for a value that cannot work.
        """
        static = self.encoder.is_static
        config = change(
            self,
            batch_size=self.stream.batch_size or (1024 if static else 64),
            learning_rate=self.optimizer.learning_rate or (0.003 if static else 3e-5),
        )
        check(config)
        if not config.data:
            raise UserError("no dataset given; name at least one folder made by `pairsmith build`")
        if self.losses and (len(self.losses) != len(self.data) or self.stream.batches != "single"):
            raise UserError("losses: give one for each dataset, and batches of single datasets")
        for loss in self.losses:
            check(loss)
            loss.check()
        if config.interpolate < 1 and config.encoder.lora:
            raise UserError("--interpolate and --lora: give a smaller --lora-alpha instead")
        sized = any(loss.matryoshka for loss in self.losses or (self.loss,))
        if sized and config.encoder.projection:
            raise UserError(
                "--projection and --matryoshka: the loss sees the numbers of the head, which is "
                "not saved; give --dense in place of --projection, or leave one out"
            )
        if config.schedule.schedule == "plateau" and not config.evaluation.stop_on:
            raise UserError("--schedule plateau watches an evaluation; name it, as --stop-on NAME")
        return config

    def fingerprint(self) -> dict[str, Any]:
        """Return the settings that decide the trained weights, as JSON data.

        Left out are those that may change between a run's start and its resumption: where things
        stand, what is evaluated, how often is saved, and the device.
        """
        found = {s.name: plain(s.value) for s in settings(self) if not s.free}
        found["model"] = self.encoder.model
        if self.evaluation.stop_on:
            found["evaluate_every"] = self.evaluation.evaluate_every
        return found

    @property
    def names(self) -> list[str]:
        """Return what the datasets are called: the last part of where each lies, and no secret."""
        return [shown(place).rstrip("/").rpartition("/")[2] for place in self.data]

    def as_data(self) -> dict[str, Any]:
        """Return all settings as JSON data, folders by their names only."""
        data = {setting.name: plain(setting.value) for setting in settings(self)}
        data["data"] = self.names
        return data | {"model": self.encoder.model_name}


def make_config(data: Sequence[str | Path], output: Path, **values: Any) -> TrainConfig:
    """Return the settings of a run, each given by its name alone; all others at their defaults.

    Raises TypeError for a name that is none.
    """
    return change(TrainConfig(tuple(map(str, data)), output), **values)
