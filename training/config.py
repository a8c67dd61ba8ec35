"""Every setting of a training run, with its meaning; the command line is made from these classes.

`TrainConfig` holds a dataclass for each part. What a field decides and which values it takes is
said by marks in its type (`settings.py`); all else here is derived from them.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro

from pairsmith.schemas import UserError
from pairsmith.training.precision import Precision
from pairsmith.training.schedule import ScheduleConfig
from pairsmith.training.settings import (
    Above,
    AtLeast,
    Free,
    change,
    check,
    plain,
    settings,
)

STATIC = "static:"


@dataclass(frozen=True)
class BatchConfig:
    """What a batch is made of."""

    batch_size: Annotated[int, AtLeast(2)] = 0
    """Pairs in a batch, over all processes, each contrasted with all others; 0: 1024 for static,
    else 64."""
    negatives: Annotated[int, AtLeast(0)] = 1
    """How many of a pair's stored hard negatives to use, where it has any, hardest first."""
    checksums: Annotated[bool, Free()] = True
    """Check every shard against its sha256 before the first step."""


@dataclass(frozen=True)
class StreamConfig:
    """In which order pairs come."""

    window: Annotated[int, AtLeast(1)] = 16
    """Row groups of 8,192 pairs that are shuffled together, and held in memory."""


@dataclass(frozen=True)
class EncoderConfig:
    """What is trained."""

    model: str = "static::256"
    """What to train: a BERT-type model's folder or hub name, or static:TOKENIZER:DIM."""
    pooling: Literal["mean", "cls"] = "mean"
    """How a BERT-type model's token vectors become one: their mean, or the first one."""
    max_length: Annotated[int, AtLeast(0)] = 0
    """Tokens read of each text; 0: all for static, else 128."""
    vocabulary: Annotated[int, AtLeast(100)] = 30_000
    """Subwords of the tokenizer, where one is trained."""

    @property
    def is_static(self) -> bool:
        """Tell whether the model is a static embedding."""
        return self.model.startswith(STATIC)

    @property
    def model_name(self) -> str:
        """Return `model`, but of a folder or file only its name: for records that are shared."""
        name = self.model.removeprefix(STATIC).rpartition(":")[0] if self.is_static else self.model
        if name and Path(name).exists():
            return self.model.replace(name, Path(name).resolve().name, 1)
        return self.model


@dataclass(frozen=True)
class LossConfig:
    """What is learned."""

    temperature: Annotated[float, Above(0)] = 0.05
    """Divides the similarities; a smaller one stresses the negatives that are hardest."""


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
class EvaluationConfig:
    """What is measured while training."""

    sts: tuple[Path, ...] = ()
    """Similarity files to evaluate on: columns sentence1, sentence2, score."""
    split: str = "dev"
    """In similarity files with a column `split`, evaluate on these rows."""
    intent: tuple[Path, ...] = ()
    """Classification files to evaluate on: columns text, label."""
    retrieval: tuple[Path, ...] = ()
    """Retrieval folders to evaluate on: *docs*, *queries*, *qrels* Parquet files."""
    evaluate_every: Annotated[int, AtLeast(0)] = 0
    """Steps between evaluations; 0: a fifth of the run."""


@dataclass(frozen=True)
class StoppingConfig:
    """When it ends, and with which weights."""

    stop_on: str = ""
    """Evaluation to watch, such as sts/stsb_en/spearman; empty: none."""
    patience: Annotated[int, AtLeast(0)] = 3
    """Stop when the watched evaluation was no better for this many in a row; 0: never."""
    keep: Literal["best", "last"] = "best"
    """Which weights are the result when an evaluation is watched: its best ones, or the last."""


@dataclass(frozen=True)
class RunningConfig:
    """Where and how it computes."""

    device: Annotated[str, Free()] = "auto"
    """cpu, cuda, cuda:1, …; auto takes a GPU where there is one."""
    threads: Annotated[int, AtLeast(0), Free()] = 0
    """Threads that compute on a CPU, of each process; 0: all cores but one, left to reading and
    tokenising, shared by the processes of a machine."""
    precision: Precision = "auto"
    """Compute in float32, bfloat16 or float16 with a scaled loss; auto: bf16 on a GPU that has it,
    else fp32."""
    bf16: bool | None = None
    """Older spelling of --precision: True is bf16, False is fp32."""
    parallel: Annotated[Literal["ddp", "fsdp"], Free()] = "ddp"
    """Under torchrun, each process holds all weights (ddp) or its shard of them (fsdp)."""
    checkpoint_every: Annotated[int, AtLeast(1), Free()] = 500
    """Steps between checkpoints."""


@dataclass(frozen=True)
class TelemetryConfig:
    """What a run tells, and where."""

    tensorboard: bool = True
    """Write curves for TensorBoard to the folder `logs` of the model."""


@dataclass(frozen=True)
class TrainConfig:
    """How to train one text encoder. `resolved` fills in what depends on the kind of model."""

    data: Annotated[tuple[Path, ...], tyro.conf.Positional, tyro.conf.arg(metavar="DATA…"), Free()]
    """Dataset folders made by `pairsmith build`; several are shuffled together."""
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
    batch: BatchConfig = field(default_factory=BatchConfig)
    """What a batch is made of."""
    stream: StreamConfig = field(default_factory=StreamConfig)
    """In which order pairs come."""
    loss: LossConfig = field(default_factory=LossConfig)
    """What is learned."""
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    """How far each step goes: AdamW."""
    schedule: ScheduleConfig = field(default_factory=ScheduleConfig)
    """How the learning rate changes over the run."""
    evaluation: Annotated[EvaluationConfig, Free()] = field(default_factory=EvaluationConfig)
    """What is measured while training."""
    stopping: StoppingConfig = field(default_factory=StoppingConfig)
    """When it ends, and with which weights."""
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
            batch_size=self.batch.batch_size or (1024 if static else 64),
            learning_rate=self.optimizer.learning_rate or (0.003 if static else 3e-5),
            max_length=self.encoder.max_length or (0 if static else 128),
            precision=self._precision(),
            bf16=None,
        )
        check(config)
        if not config.data:
            raise UserError("no dataset given; name at least one folder made by `pairsmith build`")
        if config.schedule.schedule == "plateau" and not config.stopping.stop_on:
            raise UserError("--schedule plateau watches an evaluation; name it, as --stop-on NAME")
        return config

    def fingerprint(self) -> dict[str, Any]:
        """Return the settings that decide the trained weights, as JSON data.

        Left out are those that may change between a run's start and its resumption: where things
        stand, what is evaluated, how often is saved, and the device.
        """
        found = {s.name: plain(s.value) for s in settings(self) if not s.free}
        found["model"] = self.encoder.model
        if self.stopping.stop_on:
            found["evaluate_every"] = self.evaluation.evaluate_every
        return found

    def as_data(self) -> dict[str, Any]:
        """Return all settings as JSON data, folders by their names only."""
        data = {setting.name: plain(setting.value) for setting in settings(self)}
        return data | {"model": self.encoder.model_name}

    def _precision(self) -> Precision:
        old = self.running.bf16
        if old is None:
            return self.running.precision
        meant: Precision = "bf16" if old else "fp32"
        if self.running.precision not in ("auto", meant):
            raise UserError(f"--bf16 {old} contradicts --precision {self.running.precision}")
        return meant


def make_config(data: tuple[Path, ...], output: Path, **values: Any) -> TrainConfig:
    """Return the settings of a run, each given by its name alone; all others at their defaults.

    Raises TypeError for a name that is none.
    """
    return change(TrainConfig(data, output), **values)
