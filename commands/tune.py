"""`pairsmith tune`: search for the settings that score best."""

import dataclasses
import shlex
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import tyro

from pairsmith.schemas import require
from pairsmith.training.config import TrainConfig
from pairsmith.training.settings import flag
from pairsmith.training.tune import TuneConfig, best_config, ended_trials, tune

if TYPE_CHECKING:
    from optuna import Study
    from optuna.trial import FrozenTrial

_DESCRIPTION = """Search for the training settings that score best.

Every trial trains a model with other values of the settings named by --search, evaluates it, and
forgets it. What to try next follows from the trials before (TPE); one that is below the median of
the others at an evaluation is stopped. All options of `pairsmith train` hold. In the end the trials
and the command that trains the best one are printed.

examples:
  pairsmith tune pairs --output model --sts stsb.parquet --maximise sts/stsb/spearman \\
    --search learning_rate=1e-4..1e-2:log temperature=0.02..0.2 batch_size=256,512,1024
  pairsmith tune pairs … --trials 50 --storage search.db
      kept in a file: the same command resumes it, also with more trials
"""


@dataclass(frozen=True)
class Options:
    """What the command line says."""

    config: Annotated[TrainConfig, tyro.conf.OmitArgPrefixes]
    tuning: Annotated[TuneConfig, tyro.conf.OmitArgPrefixes]


def main(argv: Sequence[str]) -> int:
    """Run the command and return its exit code."""
    options = tyro.cli(
        Options,
        prog="pairsmith tune",
        description=_DESCRIPTION,
        args=list(argv),
        config=(tyro.conf.OmitArgPrefixes,),
    )
    for module in ("torch", "transformers", "tokenizers", "safetensors"):
        require(module, "train")
    optuna = require("optuna", "tune")
    from transformers.utils.logging import disable_progress_bar

    disable_progress_bar()  # type: ignore[no-untyped-call]
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = tune(options.config, options.tuning)
    _print_trials(study, options.tuning)
    best = best_config(options.config, study)
    print(f"best: {options.tuning.maximise} {study.best_value:.4f}, by")
    print(shlex.join(["pairsmith", "train", *arguments(best)]))
    return 0


def arguments(config: TrainConfig) -> list[str]:
    """Return the words of the command line that gives `config`: what differs from the defaults."""
    return [*map(str, config.data), *_flags(config, TrainConfig(config.data, Path()))]


def _flags(config: Any, default: Any) -> Iterator[str]:
    for field in dataclasses.fields(config):
        value, usual = getattr(config, field.name), getattr(default, field.name)
        if dataclasses.is_dataclass(value):
            yield from _flags(value, usual)
        elif value == usual:
            continue
        elif isinstance(usual, bool):  # else it is one of True, False and None, which are words
            yield flag(field.name if value else f"no_{field.name}")
        elif isinstance(value, tuple):
            yield from (flag(field.name), *map(str, value))
        else:
            yield from (flag(field.name), str(value))


def _print_trials(study: "Study", tuning: TuneConfig) -> None:
    from rich.console import Console
    from rich.table import Table

    trials = ended_trials(study)
    names = list(trials[0].params)
    table = Table("trial", *names, tuning.maximise, "")
    words = {"PRUNED": "stopped early", "FAIL": "failed"}
    for trial in sorted(trials, key=_worth, reverse=True):
        cells = [_cell(trial.params.get(name)) for name in names]
        done = trial.state.name == "COMPLETE"
        score = f"{trial.value:.4f}" if done else ""
        table.add_row(str(trial.number + 1), *cells, score, words.get(trial.state.name, ""))
    Console(file=sys.stdout, width=None if sys.stdout.isatty() else 160).print(table)


def _worth(trial: "FrozenTrial") -> float:
    if trial.state.name != "COMPLETE" or trial.value is None:
        return float("-inf")
    return trial.value


def _cell(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
