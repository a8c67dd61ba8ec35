"""Conversion of Marian checkpoints for CTranslate2, checked before it counts."""

import json
import os
import shutil
import sys
import time
import uuid
from pathlib import Path
from typing import Any

import numpy as np

from pairsmith.augmenters.translation.engine_ctranslate2 import (
    CTranslate2Engine,
    ctranslate2,
)
from pairsmith.augmenters.translation.engine_transformers import TransformersEngine
from pairsmith.augmenters.translation.models import PIECES, content_sha256
from pairsmith.augmenters.translation.quiet import quiet
from pairsmith.augmenters.translation.translator import Decoding
from pairsmith.schemas import UserError, require

LAYOUT = 1
"""Part of a cache folder's name: raise it when conversion changes."""
MOST_DIFFERENCE = 0.1
"""Nats a token; seen: float32 0.0001, int8 0.014 (0.05 without VNNI), a wrong pad row 0.3 to 15."""
SENTENCES = (
    "The meeting starts at nine o'clock.",
    "I have never seen such a beautiful house.",
    "Where can I buy a ticket to London?",
    "Most people do not read the whole text.",
    "La réunion commence à neuf heures.",
    "Elle a dit qu'elle viendrait demain.",
    "Die Sitzung beginnt um neun Uhr.",
    "¿Dónde puedo comprar un billete para Londres?",
    "会议九点开始。",
    "我从来没有见过这么漂亮的房子。",
    "Собрание начинается в девять часов.",
    "明日は雨が降るそうです。",
)
"""Some are in the model's language; of the others it makes nonsense, but the same nonsense."""
_REMARK = "pairsmith.json"
_DAY = 86400


def cache_folder() -> Path:
    """Return where converted models are kept.

    $PAIRSMITH_CACHE/models if that is set, else pairsmith/models in the cache folder of the user:
    $XDG_CACHE_HOME or ~/.cache, ~/Library/Caches on macOS, %LOCALAPPDATA% on Windows.
    """
    if own := os.environ.get("PAIRSMITH_CACHE"):
        return Path(own) / "models"
    if os.name == "nt":
        base = os.environ.get("LOCALAPPDATA") or "~/AppData/Local"
    elif sys.platform == "darwin":
        base = "~/Library/Caches"
    else:
        base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(base).expanduser() / "pairsmith" / "models"


def converted(checkpoint: Path, compute_type: str, cache: Path | None = None) -> Path:
    """Return the folder of a Marian checkpoint converted for CTranslate2, made if it is not there.

    It is there whole or not at all; of several processes that want it, one makes it. Its name holds
    the checkpoint's sha256, CTranslate2's version and the compute type. Raises UserError when
    the conversion would translate otherwise than transformers does.
    """
    cache = cache or cache_folder()
    version = ctranslate2().__version__
    name = f"{content_sha256(checkpoint)[:32]}-{version}-{compute_type}-{LAYOUT}"
    folder = cache / name
    if folder.is_dir():
        return folder
    locks = require("filelock", extra="translate")
    temporary = cache / f".{name}.{uuid.uuid4().hex}"
    try:
        cache.mkdir(parents=True, exist_ok=True)
        with locks.FileLock(cache / f".{name}.lock"):
            if not folder.is_dir():
                _remove_old(cache, name)
                convert(checkpoint, temporary, compute_type)
                temporary.replace(folder)
    except OSError as error:
        if not folder.is_dir():
            raise UserError(
                f"cannot write the converted model to {cache}: {error.strerror}; "
                "make room, or set PAIRSMITH_CACHE to another folder"
            ) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return folder


def convert(checkpoint: Path, folder: Path, compute_type: str) -> None:
    """Write a Marian checkpoint as a CTranslate2 model with its pieces, and check it.

    Raises UserError when CTranslate2 would not translate as transformers does. `folder` is new.
    """
    reference = TransformersEngine(checkpoint, "cpu")
    check_start(reference.model, checkpoint)
    converters = require("ctranslate2.converters", extra="translate")
    # What int8 does not store as integers is stored as float32: CPUs compute with it as it is.
    stored = {"int8": "int8_float32"}.get(compute_type, compute_type)
    try:
        with quiet():
            converter = converters.TransformersConverter(str(checkpoint))
            converter.convert(str(folder), quantization=stored)
    except (ValueError, KeyError, NotImplementedError, AttributeError) as error:
        raise UserError(f"CTranslate2 cannot convert {checkpoint}: {error}; {_WAY_OUT}") from error
    for name in PIECES:
        shutil.copyfile(checkpoint / name, folder / name)
    # A GPU may be another machine's: a CPU computes what float16 stores in float32.
    on_cpu = "int8" if stored.startswith("int8") else "float32"
    difference, equal = compare(reference, CTranslate2Engine(folder, "cpu", on_cpu, threads=1))
    if not difference <= MOST_DIFFERENCE:
        raise UserError(
            f"{checkpoint} converted for CTranslate2 translates otherwise than transformers does: "
            f"log-probabilities differ by {difference:.2g} per token (at most {MOST_DIFFERENCE}), "
            f"{equal:.0%} of the outputs are equal; {_WAY_OUT}"
        )
    remark = {
        "checkpoint": checkpoint.name,
        "sha256": content_sha256(checkpoint),
        "compute_type": compute_type,
        "ctranslate2": ctranslate2().__version__,
        "difference": round(difference, 5),
        "equal": round(equal, 3),
    }
    (folder / _REMARK).write_text(json.dumps(remark, indent=1) + "\n", "utf-8")
    for path in folder.iterdir():
        with path.open("rb") as stream:
            os.fsync(stream.fileno())


def check_start(model: Any, checkpoint: Path) -> None:
    """Raise UserError unless the decoder's first input is a zero embedding.

    CTranslate2's Marian decoder starts from zero; transformers' from the row of the start token,
    the pad token. Marian's own models have zeros there; training in transformers may change that.
    """
    start = model.config.decoder_start_token_id
    row = model.get_decoder().get_input_embeddings().weight[start]
    largest = float(row.detach().abs().max())
    if largest > 0:
        raise UserError(
            f"{checkpoint}: the embedding of the start token (row {start}, pad) is not zero but up "
            f"to {largest:.2g}, and CTranslate2 starts from zero: it would translate wrongly; "
            f"{_WAY_OUT}"
        )


def compare(reference: TransformersEngine, engine: CTranslate2Engine) -> tuple[float, float]:
    """Return how far a conversion is from the checkpoint, on greedy translations of `SENTENCES`.

    First the mean absolute difference, in nats per token, of the log-probabilities that both give
    to what transformers translates; then the share of sentences that both translate alike, which is
    easy to read but falls with every near tie.
    """
    greedy, texts = Decoding(), list(SENTENCES)
    read, pieces = reference.encode(texts), engine.encode(texts)
    limit = min(60, reference.positions - 2)
    written = reference.generate(read, limit, greedy, [])
    expected = reference.log_probabilities(read, written)
    as_pieces = reference.pieces(written)
    given = engine.log_probabilities(pieces, as_pieces)
    differences = [
        np.abs(np.subtract(mine, theirs)) for mine, theirs in zip(given, expected, strict=True)
    ]
    outputs = engine.generate(pieces, limit, greedy, [])
    equal = np.mean([mine == theirs for mine, theirs in zip(outputs, as_pieces, strict=True)])
    return float(np.concatenate(differences).mean()), float(equal)


def _remove_old(cache: Path, name: str) -> None:
    """Remove what runs that were killed left of this model a day ago or before."""
    for old in cache.glob(f".{name}.*"):
        if old.is_dir() and old.stat().st_mtime < time.time() - _DAY:
            shutil.rmtree(old, ignore_errors=True)


_WAY_OUT = 'use engine="transformers" for it'
