"""Every setting of a training run, with its meaning; the command line is made from this class."""

import dataclasses
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro

from pairsmith.schemas import UserError
from pairsmith.training.evaluation import EvaluationConfig
from pairsmith.training.telemetry import TelemetryConfig

STATIC = "static:"
_PLACES = ("data", "output", "device", "threads", "evaluation", "telemetry")
_HABITS = ("checksums", "checkpoint_every")
_COUNTS = ("steps", "negatives", "seed", "max_length", "threads")
_SIZES = ("clip", "weight_decay", "warmup")


@dataclass(frozen=True)
class TrainConfig:
    """How to train one text encoder. `resolved` fills in what depends on the kind of model."""

    data: Annotated[tuple[Path, ...], tyro.conf.Positional, tyro.conf.arg(metavar="DATA…")]
    """Dataset folders made by `pairsmith build`; several are shuffled together."""
    output: Path
    """Folder to make for the trained model."""
    model: str = "static::256"
    """What to train: a BERT-type model's folder or hub name, or static:TOKENIZER:DIM."""
    epochs: int = 1
    """How often to go through the data."""
    steps: int = 0
    """Number of batches to train on; 0: as many as --epochs takes."""
    batch_size: int = 0
    """Pairs in a batch, each contrasted with all others; 0: 1024 for static, else 64."""
    negatives: int = 1
    """How many of a pair's stored hard negatives to use, where it has any, hardest first."""
    temperature: float = 0.05
    """Divides the similarities; a smaller one stresses the negatives that are hardest."""
    learning_rate: float = 0.0
    """Highest step size of AdamW; 0: 0.003 for static, else 0.00003."""
    warmup: float = 0.1
    """Share of the steps in which the learning rate rises, before it falls as a cosine."""
    weight_decay: float = 0.01
    """Decoupled weight decay of AdamW, on matrices only."""
    clip: float = 1.0
    """Gradients of a longer norm are scaled down to this; 0: never."""
    pooling: Literal["mean", "cls"] = "mean"
    """How a BERT-type model's token vectors become one: their mean, or the first one."""
    max_length: int = 0
    """Tokens read of each text; 0: all for static, else 128."""
    vocabulary: int = 30_000
    """Subwords of the tokenizer, where one is trained."""
    seed: int = 17
    """Decides the initial weights, the order of the pairs, and dropout."""
    window: int = 16
    """Row groups of 8,192 pairs that are shuffled together, and held in memory."""
    evaluation: Annotated[EvaluationConfig, tyro.conf.OmitArgPrefixes] = field(
        default_factory=EvaluationConfig
    )
    """What to evaluate on, and when."""
    telemetry: Annotated[TelemetryConfig, tyro.conf.OmitArgPrefixes] = field(
        default_factory=TelemetryConfig
    )
    """What to tell, and where."""
    checkpoint_every: int = 500
    """Steps between checkpoints."""
    device: str = "auto"
    """cpu, cuda, cuda:1, …; auto takes a GPU where there is one."""
    threads: int = 0
    """Threads that compute on a CPU; 0: all cores but one, left to reading and tokenising."""
    bf16: bool | None = None
    """Compute in bfloat16 where that is safe; None: on a GPU."""
    checksums: bool = True
    """Check every shard against its sha256 before the first step."""

    @property
    def is_static(self) -> bool:
        """Tell whether the model is a static embedding."""
        return self.model.startswith(STATIC)

    def resolved(self) -> "TrainConfig":
        """Return the config with every default that depends on the model filled in, checked.

        Raises UserError for a value that cannot work.
        """
        static = self.is_static
        config = dataclasses.replace(
            self,
            batch_size=self.batch_size or (1024 if static else 64),
            learning_rate=self.learning_rate or (0.003 if static else 3e-5),
            max_length=self.max_length or (0 if static else 128),
        )
        config._check()
        return config

    def fingerprint(self) -> dict[str, Any]:
        """Return the settings that decide the trained weights, as JSON data.

        Left out are those that may change between a run's start and its resumption: where things
        stand, what is evaluated, how often is saved, and the device.
        """
        return {k: v for k, v in dataclasses.asdict(self).items() if k not in _PLACES + _HABITS}

    def as_data(self) -> dict[str, Any]:
        """Return all settings as JSON data, folders by their names only."""
        data: dict[str, Any] = {}
        for key, value in dataclasses.asdict(self).items():
            nested = value if isinstance(value, dict) else {key: value}
            data |= {name: _plain(part) for name, part in nested.items()}
        name = self.model.removeprefix(STATIC).rpartition(":")[0] if self.is_static else self.model
        if name and Path(name).exists():
            data["model"] = self.model.replace(name, Path(name).resolve().name, 1)
        return data

    def _check(self) -> None:
        least = dict.fromkeys(_COUNTS + _SIZES, 0) | {"batch_size": 2, "vocabulary": 100}
        least |= dict.fromkeys(("epochs", "window", "checkpoint_every"), 1)
        for name, smallest in least.items():
            if not getattr(self, name) >= smallest:
                raise UserError(
                    f"{flag(name)} {getattr(self, name)} is too small; give at least {smallest}"
                )
        for name in ("temperature", "learning_rate"):
            if not getattr(self, name) > 0:
                raise UserError(f"{flag(name)} {getattr(self, name)} must be above 0")
        if self.warmup > 1:
            raise UserError(f"--warmup {self.warmup} is a share of the steps; give 0 to 1")
        self.evaluation.check_settings()
        self.telemetry.check_settings()
        if not self.data:
            raise UserError("no dataset given; name at least one folder made by `pairsmith build`")


def flag(name: str) -> str:
    """Return the command line's spelling of a setting."""
    return "--" + name.replace("_", "-")


def _plain(value: Any) -> Any:
    if isinstance(value, Path):
        return value.name
    return [_plain(v) for v in value] if isinstance(value, tuple) else value
