"""Every setting of a training run, with its meaning; the command line is made from these classes.

`TrainConfig` holds a dataclass for each part. What a field decides and which values it takes is
said by marks in its type (`settings.py`); all else here is derived from them.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro

from pairsmith.schemas import UserError
from pairsmith.schemas.functions import made_by
from pairsmith.schemas.store import shown
from pairsmith.training.encoders.config import EncoderConfig
from pairsmith.training.evaluation.scores import EvaluationConfig
from pairsmith.training.losses.config import LossConfig
from pairsmith.training.schedule import ScheduleConfig
from pairsmith.training.settings import (
    Above,
    AtLeast,
    AtMost,
    Free,
    change,
    check,
    flag,
    plain,
    settings,
)
from pairsmith.training.streaming.corpus import StreamConfig
from pairsmith.training.telemetry.journal import TelemetryConfig
from pairsmith.training.tokens.cache import TokenConfig

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
        if self.losses and self.loss != LossConfig():
            raise UserError("loss is for all datasets, losses for each; give one of them")
        for loss in self.losses:
            check(loss)
            loss.check()
        for loss in self.losses or (self.loss,):
            _refuse_idle(replace(config, loss=loss))
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

    @property
    def read_negatives(self) -> int:
        """Return how many stored negatives of a pair are read: none where no loss uses them."""
        used = any(loss.uses_negatives for loss in self.losses or (self.loss,))
        return self.stream.negatives if used else 0

    def fingerprint(self) -> dict[str, Any]:
        """Return the settings that decide the trained weights, as JSON data.

        Left out are those that may change between a run's start and its resumption: where things
        stand, what is evaluated, how often is saved, and the device.
        """
        found = {s.name: plain(s.value) for s in settings(self) if not s.free}
        found |= self._by_name
        if self.evaluation.stop_on:
            found["evaluate_every"] = self.evaluation.evaluate_every
        return found

    @property
    def names(self) -> list[str]:
        """Return what the datasets are called: the last part of where each lies, and no secret.

        Numbered where two would share a name: each is a group of its own in what a run tells.
        """
        names = [shown(place).rstrip("/").rpartition("/")[2] for place in self.data]
        if len(set(names)) == len(names):
            return names
        return [f"{number}-{name}" for number, name in enumerate(names, 1)]

    def as_data(self) -> dict[str, Any]:
        """Return all settings as JSON data, folders by their names only."""
        data = {setting.name: plain(setting.value) for setting in settings(self)}
        data["data"] = self.names
        return data | self._by_name

    @property
    def _by_name(self) -> dict[str, str]:
        """Return the settings that may be or hold a path, of which only the name is told."""
        return {"model": self.encoder.model_name, "weigh": Path(self.stream.weigh).name}


def idle_settings(config: TrainConfig) -> dict[str, str]:
    """Return the settings that nothing looks at beside the others, and what each belongs to.

    A run refuses them, lest someone thinks that they did something; a search leaves them alone.
    """
    encoder, loss, schedule = config.encoder, config.loss, config.schedule.schedule
    table = (
        (encoder.trains_tokenizer, "a tokenizer trained from the data", ["vocabulary"]),
        (encoder.lora, "--lora", ["lora_alpha", "lora_dropout", "lora_targets", "lora_merge"]),
        (loss.uses_temperature, "a --loss that has one", ["temperature"]),
        (
            loss.learn_temperature,
            "--learn-temperature",
            ["lowest_temperature", "highest_temperature"],
        ),
        (loss.loss == "triplet", "--loss triplet", ["margin"]),
        (config.stream.negatives, "--negatives above 0", ["bidirectional", "negative_weight"]),
        (
            loss.bidirectional and config.stream.negatives,
            "--bidirectional",
            ["least_gap", "most_gap"],
        ),
        (
            config.read_negatives == config.stream.negatives,
            "a --loss that uses stored negatives, or --bidirectional",
            ["negatives"],
        ),
        (schedule == "wsd", "--schedule wsd", ["decay"]),
        (schedule == "plateau", "--schedule plateau", ["drop", "drop_patience"]),
        (config.evaluation, "an evaluation, such as --sts", ["evaluate_every"]),
        (config.evaluation.stop_on, "--stop-on", ["patience", "keep"]),
    )
    return {name: belongs for there, belongs, names in table if not there for name in names}


def without_idle(config: TrainConfig) -> TrainConfig:
    """Return `config` with the settings that nothing looks at as they are by default."""
    idle, usual = idle_settings(config), settings(TrainConfig(config.data, config.output))
    return change(config, **{s.name: s.value for s in usual if s.name in idle})


def _refuse_idle(config: TrainConfig) -> None:
    given, needed = settings(config), settings(without_idle(config))
    for setting, usual in zip(given, needed, strict=True):
        if setting.value != usual.value:
            belongs = idle_settings(config)[setting.name]
            raise UserError(
                f"{flag(setting.name)} belongs to {belongs}; give that too, or leave it out"
            )


def make_config(
    data: str | Path | Sequence[str | Path], output: str | Path, **values: Any
) -> TrainConfig:
    """Return the settings of a run, each given by its name alone; all others at their defaults.

    data: one dataset, or several. Raises TypeError for a name that is none.
    """
    several = (data,) if isinstance(data, str | Path) else data
    return change(TrainConfig(tuple(map(str, several)), Path(output)), **values)


def find_config(name: str) -> TrainConfig:
    """Return what the function called `file.py:function` or `module:function` returns.

    Raises UserError when there is no such function or it does not return a TrainConfig.
    """
    config = made_by("--config", name, TrainConfig)
    return replace(config, data=tuple(map(str, config.data)))
