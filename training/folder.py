"""The folder of an unfinished run, and the model folder that it becomes."""

import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer

from pairsmith.schemas import Dataset, UserError
from pairsmith.schemas.locks import holding
from pairsmith.schemas.store import RemoteDataset
from pairsmith.training.card import model_card
from pairsmith.training.checkpoint import (
    Progress,
    Tensors,
    check_identity,
    flush,
    last_checkpoint,
    native_errors,
)
from pairsmith.training.config import TrainConfig
from pairsmith.training.encoders.encoder import Encoder
from pairsmith.training.streaming.row_groups import RowGroup
from pairsmith.training.telemetry.boards import BOARDS
from pairsmith.training.telemetry.curves import CURVES, draw_curves
from pairsmith.training.telemetry.journal import LOG, last_groups, say
from pairsmith.training.tokens.tokenizer import train_tokenizer

RUN, TOKENIZER, CHECKPOINTS, BEST = "run.json", "tokenizer.json", "checkpoints", "best"


@contextmanager
def held(output: Path) -> Iterator[None]:
    """Hold OUTPUT.unfinished for one run alone; the system lets go of it with the process.

    Raises UserError when another run holds it, or it cannot be held.
    """
    path = output.parent / f"{output.name}.unfinished.lock"
    busy = f"another run is at work on {output}; wait for it or choose another --output"
    with holding(path, busy):
        try:
            yield
        finally:
            path.unlink(missing_ok=True)


def is_begun(output: Path, identity: Mapping[str, Any]) -> bool:
    """Tell whether OUTPUT.unfinished is a run of these settings and data that has a checkpoint.

    Raises UserError when it belongs to another run that has one, or to something else.
    """
    folder = _unfinished(output)
    file = folder / RUN
    if file.is_file():
        if not last_checkpoint(folder / CHECKPOINTS):
            return False
        try:
            found = json.loads(file.read_text("utf-8"))
        except ValueError as error:
            raise UserError(f"{file} is damaged; delete {folder} to start over") from error
        check_identity(found, identity, folder)
        return True
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UserError(f"{folder} is not an unfinished run; move it or choose another --output")
    return False


def open_folder(output: Path, identity: Mapping[str, Any]) -> Path:
    """Return the folder OUTPUT.unfinished: that of a run of the same settings and data, or new.

    Raises UserError when it belongs to another run that has a checkpoint, or to something else, or
    cannot be written to.
    """
    folder = _unfinished(output)
    if is_begun(output, identity):
        return folder
    file = folder / RUN
    try:
        if file.is_file():
            shutil.rmtree(folder)
        folder.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(identity, indent=1) + "\n", "utf-8")
        for path in (file, folder, folder.parent):  # before there is a checkpoint
            flush(path)
    except (FileExistsError, NotADirectoryError) as error:
        raise UserError(f"cannot make {folder}: {error.strerror} ({error.filename})") from error
    return folder


def _unfinished(output: Path) -> Path:
    return output.with_name(f"{output.name}.unfinished")


def data_tokenizer(config: TrainConfig, groups: Sequence[RowGroup], folder: Path) -> Tokenizer:
    """Return the tokenizer trained from the data; it is kept in `folder` for resumption.

    Raises UserError when what was kept is damaged.
    """
    path = folder / TOKENIZER
    if not path.is_file():
        say(f"training a tokenizer of {config.encoder.vocabulary:,} subwords")
        scratch = folder / f"{TOKENIZER}.tmp"
        with native_errors(scratch):
            train_tokenizer(groups, config.encoder.vocabulary, config.seed).save(str(scratch))
        flush(scratch)
        scratch.rename(path)
        flush(folder)
    try:
        return Tokenizer.from_file(str(path))
    except Exception as error:  # tokenizers raises no narrower one
        raise UserError(f"{path} is damaged; delete it, and it is made anew as it was") from error


def save_best(folder: Path, step: int, weights: Tensors) -> None:
    """Keep the weights of the best evaluation so far; `forget_others` removes those before."""
    final = best_weights(folder, step)
    final.parent.mkdir(exist_ok=True)
    scratch = final.with_suffix(".tmp")
    try:
        with native_errors(scratch):
            save_file(weights, scratch)
        flush(scratch)
        scratch.rename(final)
        for path in (final.parent, folder):
            flush(path)
    except BaseException:
        scratch.unlink(missing_ok=True)
        raise


def best_weights(folder: Path, step: int) -> Path:
    """Return where the weights of step `step` are kept, while they are the best."""
    return folder / BEST / f"step-{step:08d}.safetensors"


def forget_others(folder: Path, step: int) -> None:
    """Remove kept weights but those of `step`.

    Only once the checkpoint knows of it: a run that is killed before needs the older ones.
    """
    for path in (folder / BEST).glob("*"):
        if path != best_weights(folder, step):
            path.unlink()


def _copy(source: Path, target: Path) -> None:
    """Copy a folder, links as links. Raises OSError; that of shutil.copytree has no errno."""
    target.mkdir()
    for path in source.iterdir():
        if path.is_dir() and not path.is_symlink():
            _copy(path, target / path.name)
        else:
            shutil.copy2(path, target / path.name, follow_symlinks=False)


def publish(
    folder: Path,
    config: TrainConfig,
    encoder: Encoder,
    datasets: Sequence[Dataset | RemoteDataset],
    progress: Progress,
    weights_of: int,
) -> None:
    """Make the model folder, with its card, log, curves and settings: whole, or not at all.

    It is on the disk before the checkpoints are removed.
    folder: of the unfinished run; it is removed. weights_of: the step that the weights are of.
    """
    model = folder / "model"
    shutil.rmtree(model, ignore_errors=True)
    with native_errors(model):
        encoder.save(model)
    scores = progress.scores
    training = {
        "steps": progress.step,
        "weights of step": weights_of,
        "steps skipped": progress.scale.skipped,
        "pairs in the data": sum(dataset.rows for dataset in datasets),
        "epochs begun": progress.cursor.epoch + (progress.cursor.position > 0),
        "seconds": round(progress.seconds, 1),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
    }
    record = {
        "config": config.as_data(),
        "datasets": [dataset.manifest.digest for dataset in datasets],
        "training": training,
        "scores": scores,
    }
    (model / "training.json").write_text(json.dumps(record, indent=1) + "\n", "utf-8")
    shutil.copy(folder / LOG, model / LOG)
    curves = config.telemetry.curves
    if curves:
        draw_curves(folder / LOG, scores, model / CURVES)
    groups = last_groups(folder / LOG)
    # The last scores on the card are those of the weights, be they of an earlier step.
    until = {step: found for step, found in scores.items() if step <= weights_of}
    card = model_card(config, datasets, encoder, training, until, groups, curves)
    (model / "README.md").write_text(card, "utf-8")
    for board in BOARDS:
        if (folder / board).is_dir():
            _copy(folder / board, model / board)
    for path in (*model.rglob("*"), model):
        if not path.is_symlink():
            flush(path)
    model.rename(config.output)
    flush(config.output.parent)
    try:
        shutil.rmtree(folder)
    except OSError as error:  # such as of NFS, where a file is still open
        say(f"note: the rest of {folder} is of no more use, and could not be removed ({error})")
