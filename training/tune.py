"""A search for good settings: runs of different ones, the hopeless stopped early (Optuna)."""

import json
import math
import re
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args, get_origin

from pairsmith.schemas import UserError
from pairsmith.schemas.store import check_local
from pairsmith.training.config import TrainConfig, idle_settings, without_idle
from pairsmith.training.settings import Setting, change, settings
from pairsmith.training.signals import saying
from pairsmith.training.streaming.corpus import open_data
from pairsmith.training.telemetry.journal import say
from pairsmith.training.trials import trials_folder

if TYPE_CHECKING:
    from optuna import Study, Trial
    from optuna.trial import FrozenTrial

STUDY = "pairsmith"
MOST_FAILURES = 3
_RANGE = re.compile(r"(-?[\d.]+(?:e[+-]?\d+)?)\.\.(-?[\d.]+(?:e[+-]?\d+)?)(:log)?", re.IGNORECASE)
_NAMED = {"true": True, "false": False, "none": None}


@dataclass(frozen=True)
class TuneConfig:
    """What to search, and for what."""

    search: tuple[str, ...]
    """Settings to search: name=LOW..HIGH, name=LOW..HIGH:log, or name=A,B,C."""
    maximise: str
    """The score to make high at a run's end, by its name, as sts/stsb_en/spearman."""
    trials: int = 20
    """Runs in all; those of an earlier search that goes on count."""
    storage: Path | None = None
    """SQLite file that keeps the search, so that the same command resumes it; else memory."""
    search_seed: int = 17
    """Decides what is tried."""
    prune: bool = True
    """Stop a run that is below the median of the others at an evaluation, 5 runs being through."""


@dataclass(frozen=True)
class Choice:
    """A setting and what it may become: one of some values, or a number of a range."""

    name: str
    values: tuple[Any, ...] = ()
    low: float = 0
    high: float = 0
    log: bool = False

    def suggest(self, trial: "Trial") -> Any:
        """Return the value that is to be tried."""
        if self.values:
            return trial.suggest_categorical(self.name, self.values)
        if isinstance(self.low, int) and isinstance(self.high, int):
            return trial.suggest_int(self.name, self.low, self.high, log=self.log)
        return trial.suggest_float(self.name, self.low, self.high, log=self.log)


def tune(config: TrainConfig, tuning: TuneConfig) -> "Study":
    """Run trials and return the study. Nothing is left at `config.output`.

    What is tried follows from the seed and the trials that ended before, so a search that was
    killed and goes on tries what an undisturbed one would have. A trial that cannot train, as when
    its loss is no number, counts as failed; three in a row end the search, with what the others
    found where one came to its end.
    Raises UserError for a setting or score that is not there, when three in a row fail before any
    came to its end, and for a folder OUTPUT.trials that is in use.
    """
    from optuna import TrialPruned
    from optuna.trial import TrialState

    from pairsmith.training.distributed import check_alone  # torch takes a while to import

    choices = [parse_choice(text, config) for text in tuning.search]
    names = [choice.name for choice in choices]
    if repeated := {name for name in names if names.count(name) > 1}:
        raise UserError(f"--search names {min(repeated)} twice; give it once")
    if tuning.trials < 1:
        raise UserError(f"--trials {tuning.trials} is too small; give at least 1")
    if tuning.storage:
        check_local(tuning.storage, "--storage")
    check_alone("tune", "run it without torchrun, once for each --storage")
    _used(config, choices).resolved().evaluation.check_files()
    config.evaluation.check_score("--maximise", tuning.maximise)
    kept = (
        "the same command goes on with the search, and tries it again"
        if tuning.storage
        else "without --storage the search begins anew"
    )
    with trials_folder(config.output) as folder:
        study = _open_study(config, tuning, names)
        failures = 0
        while (done := len(ended_trials(study))) < tuning.trials:
            study.sampler = _sampler(tuning.search_seed, done)
            trial = study.ask()
            tried = {choice.name: choice.suggest(trial) for choice in choices}
            changed = _changed(config, tried)
            try:
                with saying(f"stopped in trial {done + 1} of {tuning.trials}; {kept}"):
                    value = _run(changed, folder, trial, tuning)
            except TrialPruned:
                study.tell(trial, state=TrialState.PRUNED)
                failures, told = 0, "stopped early"
            except UserError as error:
                trial.set_user_attr("error", str(error))
                study.tell(trial, state=TrialState.FAIL)
                failures += 1
                if failures == MOST_FAILURES and not _complete(study):
                    raise
                told = f"failed: {error}"
            else:
                study.tell(trial, value)
                failures, told = 0, f"{tuning.maximise} {value:.4f}"
            say(f"trial {done + 1} of {tuning.trials}: {in_words(trial.params)}: {told}")
            if failures == MOST_FAILURES:
                say(f"the search ends here: {failures} trials in a row failed")
                break
    return study


def ended_trials(study: "Study") -> list["FrozenTrial"]:
    """Return the trials that ran to an end of their own; not those that were killed."""
    return [
        trial
        for trial in study.get_trials(deepcopy=False)
        if trial.state.is_finished() and (trial.state.name != "FAIL" or "error" in trial.user_attrs)
    ]


def _complete(study: "Study") -> list["FrozenTrial"]:
    """Return the trials that trained to their end."""
    return [trial for trial in ended_trials(study) if trial.state.name == "COMPLETE"]


def best_config(config: TrainConfig, study: "Study") -> TrainConfig:
    """Return `config` with the values of the best trial.

    Raises UserError when no trial came to its end.
    """
    if not _complete(study):
        raise UserError("no trial came to its end; give more --trials, or --no-prune")
    return _changed(config, study.best_params)


def parse_choice(text: str, config: TrainConfig) -> Choice:
    """Return what `--search` says, as `temperature=0.02..0.2:log` or `batch_size=256,512`.

    Raises UserError when there is no such setting, or the values are not of its type.
    """
    name, equals, said = text.partition("=")
    name = name.strip().removeprefix("--").replace("-", "_")
    known = _settings(config)
    if name not in known:
        raise UserError(f"--search {text}: no setting {name!r}; there are {', '.join(known)}")
    if not equals or not said:
        raise UserError(f"--search {text}: say what to try, as {name}=LOW..HIGH or {name}=A,B,C")
    kinds = known[name].kinds
    try:
        if found := _RANGE.fullmatch(said):
            number = _first((int, float), kinds)
            low, high = number(found[1]), number(found[2])
            if not low < high or (found[3] and low <= 0):
                raise ValueError(said)
            return Choice(name, low=low, high=high, log=bool(found[3]))
        return Choice(name, values=tuple(_value(part, kinds) for part in said.split(",")))
    except ValueError as error:
        raise UserError(
            f"--search {text}: {name} takes {', '.join(known[name].takes)}; give some as "
            f"{name}=A,B,C; a range of numbers rises, and with :log starts above 0"
        ) from error


def in_words(params: Mapping[str, Any]) -> str:
    """Return settings as people write them, numbers to 4 digits."""
    shown = {k: f"{v:.4g}" if isinstance(v, float) else str(v) for k, v in params.items()}
    return ", ".join(f"{name} {value}" for name, value in shown.items())


def _changed(config: TrainConfig, tried: Mapping[str, Any]) -> TrainConfig:
    """Return the settings of a trial; those without effect beside the others at their defaults.

    A run refuses them; a search may hold lora=0 against lora=8 with lora_alpha=16,32.
    """
    return without_idle(change(config, **tried))


def _used(config: TrainConfig, choices: Sequence[Choice]) -> TrainConfig:
    """Return the settings that all trials share; those that only some look at at their defaults.

    One that no value of any choice has an effect beside stays, and is refused as in a run.
    """
    ends = (change(config, **{c.name: v}) for c in choices for v in c.values or (c.low, c.high))
    some = [set(idle_settings(end)) for end in ends]
    idle = idle_settings(config).keys() - set.intersection(*some)
    usual = settings(TrainConfig(config.data, config.output))
    return change(config, **{s.name: s.value for s in usual if s.name in idle})


def _settings(config: TrainConfig) -> dict[str, Setting]:
    """Return the settings that may be searched, nested ones as well."""
    fixed = {"data", "output"}
    for group in (config.evaluation, config.telemetry):
        fixed |= {setting.name for setting in settings(group)}
    return {setting.name: setting for setting in settings(config) if setting.name not in fixed}


def _value(text: str, kinds: Sequence[Any]) -> Any:
    """Return the value that a word stands for.

    Raises ValueError when it is of none of these types.
    """
    text = text.strip()
    if any(text in get_args(kind) for kind in kinds if get_origin(kind) is Literal):
        return text
    word = text.lower()
    if word in _NAMED and type(_NAMED[word]) in kinds:
        return _NAMED[word]
    return _first((int, float, str), kinds)(text)


def _first(wanted: tuple[Any, ...], kinds: Sequence[Any]) -> Any:
    """Return the first of the types that are wanted which is among `kinds`.

    Raises ValueError when none is.
    """
    for kind in wanted:
        if kind in kinds:
            return kind
    raise ValueError(kinds)


def _run(config: TrainConfig, folder: Path, trial: "Trial", tuning: TuneConfig) -> float:
    """Train a trial's model in a folder, forget both, and return its last score.

    Raises UserError for settings that cannot train here, or to a score that is a number.
    """
    import torch
    from optuna import TrialPruned

    from pairsmith.training.train import train  # which takes a while to import

    stages = 0

    def watch(step: int, scores: Mapping[str, float]) -> None:
        nonlocal stages
        if step:
            stages += 1
            trial.report(scores[tuning.maximise], stages)
            if tuning.prune and trial.should_prune():
                raise TrialPruned

    shutil.rmtree(folder, ignore_errors=True)
    try:
        scores = train(replace(config, output=folder / "model"), watch)
    except torch.OutOfMemoryError as error:
        raise UserError(
            "the device has too little memory; search a smaller --batch-size, or give --chunk"
        ) from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    value = scores[max(scores)][tuning.maximise]
    if math.isnan(value):  # which the study would not count as a trial
        raise UserError(f"{tuning.maximise} is no number, as where all vectors are alike")
    return value


def _open_study(config: TrainConfig, tuning: TuneConfig, names: Sequence[str]) -> "Study":
    """Return the study, with trials that a killed process left told as failed.

    No search may be at work in it: what holds the folder of its trials sees to that.
    Raises UserError when the storage holds another search, or is no database.
    """
    import optuna
    from optuna.trial import TrialState
    from sqlalchemy.exc import SQLAlchemyError

    # The whole path of a model, since trials start from its weights and keep none.
    fixed = without_idle(config).resolved().fingerprint() | {"model": config.encoder.model}
    given = config.fingerprint()  # which has what only some trials look at
    fixed |= {name: given[name] for name in idle_settings(config) if name in given}
    kept = {name: value for name, value in fixed.items() if name not in names}
    identity = {
        "search": sorted(tuning.search),
        "maximise": tuning.maximise,
        "seed": tuning.search_seed,
        "settings": json.loads(json.dumps(kept, default=str)),
        "data": [open_data(at, checksums=False).manifest.digest for at in config.data],
        "evaluations": config.evaluation.digests(),
        "split": config.evaluation.split,
    }
    try:
        study = optuna.create_study(
            storage=f"sqlite:///{tuning.storage.resolve()}" if tuning.storage else None,
            study_name=STUDY,
            direction="maximize",
            pruner=optuna.pruners.MedianPruner(),
            load_if_exists=True,
        )
    except SQLAlchemyError as error:
        raise UserError(
            f"--storage {tuning.storage} cannot be opened as an SQLite file: "
            f"{str(error).splitlines()[0]}; name another"
        ) from error
    before = study.user_attrs.get("identity", identity)
    for name, value in identity.items():
        if before.get(name) != value:
            raise UserError(
                f"--storage {tuning.storage} holds a search with other {name}: {before.get(name)}; "
                "give the same to resume it, or name another file"
            )
    study.set_user_attr("identity", identity)
    for trial in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
        study.tell(trial.number, state=TrialState.FAIL)
    return study


def _sampler(seed: int, done: int) -> Any:
    import numpy as np
    from optuna.samplers import TPESampler

    own = np.random.SeedSequence((seed, done)).generate_state(1)[0]
    return TPESampler(seed=int(own), n_startup_trials=5)
