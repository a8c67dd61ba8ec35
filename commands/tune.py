"""`pairsmith tune`: search for the settings that score best."""

import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import tyro

from pairsmith.commands import run_options
from pairsmith.commands.models import require_models
from pairsmith.schemas import require
from pairsmith.training.config import TrainConfig, find_config
from pairsmith.training.settings import flag, settings
from pairsmith.training.tune import TuneConfig, best_config, ended_trials, tune

if TYPE_CHECKING:
    from optuna import Study
    from optuna.trial import FrozenTrial

_DESCRIPTION = """Search for the training settings that score best.

Every trial trains a model with other values of the settings named by --search, evaluates it, and
forgets it. What to try next follows from the trials before (TPE); one that is below the median of
the others at an evaluation is stopped. All settings of `pairsmith train` hold. In the end the
trials and the command that trains the best one are printed.

examples:
  pairsmith tune pairs --output model --sts stsb.parquet --maximise sts/stsb/spearman \\
    --search learning_rate=1e-4..1e-2:log temperature=0.02..0.2 batch_size=256,512,1024
  pairsmith tune --config my_runs.py:small --maximise sts/stsb/spearman --search batch_size=256,512
      over the settings that the function `small` returns
  pairsmith tune pairs … --trials 50 --storage search.db
      kept in a file: the same command resumes it, also with more trials
"""


@dataclass(frozen=True)
class Options:
    """What the command line says."""

    config: run_options.Settings
    tuning: Annotated[TuneConfig, tyro.conf.OmitArgPrefixes] = tyro.MISSING_NONPROP
    function: run_options.Function = ""
    """FILE.py:FUNCTION or MODULE:FUNCTION that returns a TrainConfig; flags override it."""


def main(argv: Sequence[str]) -> int:
    """Run the command and return its exit code."""
    options = run_options.parse(Options, argv, "pairsmith tune", _DESCRIPTION)
    require_models()
    optuna = require("optuna", "tune")
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = tune(options.config, options.tuning)
    _print_trials(study, options.tuning)
    best = best_config(options.config, study)
    print(f"best: {options.tuning.maximise} {study.best_value:.4f}, by")
    print(shlex.join(["pairsmith", "train", *arguments(best, options.function)]))
    return 0


def arguments(config: TrainConfig, function: str = "") -> list[str]:
    """Return the words of the command line that gives `config`.

    They are what differs from the defaults, or from what the function returns that is named.
    """
    usual = find_config(function) if function else TrainConfig((), Path())
    words = ["--config", function] if function else []
    data = () if config.data == usual.data else config.data
    return [*map(str, data), *words, *_flags(config, replace(usual, data=config.data))]


def _flags(config: TrainConfig, usual: TrainConfig) -> Iterator[str]:
    for setting, default in zip(settings(config), settings(usual), strict=True):
        name, value = setting.name, setting.value
        if value == default.value:
            continue
        if setting.kinds == (bool,):  # else True, False and None are words
            yield flag(name if value else f"no_{name}")
        elif isinstance(value, tuple):
            yield from (flag(name), *map(str, value))
        else:
            yield from (flag(name), str(value))


def _print_trials(study: "Study", tuning: TuneConfig) -> None:
    from rich.table import Table

    from pairsmith.training.telemetry.journal import print_table

    trials = ended_trials(study)
    names = list(trials[0].params)
    table = Table("trial", *names, tuning.maximise, "")
    words = {"PRUNED": "stopped early", "FAIL": "failed"}
    for trial in sorted(trials, key=_worth, reverse=True):
        cells = [_cell(trial.params.get(name)) for name in names]
        done = trial.state.name == "COMPLETE"
        score = f"{trial.value:.4f}" if done else ""
        table.add_row(str(trial.number + 1), *cells, score, words.get(trial.state.name, ""))
    print_table(table)


def _worth(trial: "FrozenTrial") -> float:
    if trial.state.name != "COMPLETE" or trial.value is None:
        return float("-inf")
    return trial.value


def _cell(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
