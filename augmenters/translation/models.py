"""Where a translation model is: a folder, or a name on the Hugging Face hub."""

import json
import re
import struct
from pathlib import Path
from typing import Any, BinaryIO, Literal

from pairsmith.augmenters.hub import fetch, files_sha256
from pairsmith.schemas import UserError

WEIGHTS = ("model.safetensors", "pytorch_model.bin")
"""Of a Marian checkpoint: the first that is there."""
PIECES = ("source.spm", "target.spm")
_FILES = ("*.json", "*.spm", "shared_vocabulary.txt")
_HUB_NAME = re.compile(r"[\w-][\w.-]*(/[\w-][\w.-]*)?")


def find_model(name: str) -> Path:
    """Return the folder of a model: `name` itself, else what the hub, or its cache here, has.

    Raises UserError that says what was tried. HF_HUB_OFFLINE, HF_HOME and HF_ENDPOINT are honoured.
    """
    folder = Path(name).expanduser()
    if folder.is_dir():
        return folder
    if not _HUB_NAME.fullmatch(name):
        raise UserError(
            f"no translation model at {name}: there is no such folder; "
            "name one, or a model of the Hugging Face hub like Helsinki-NLP/opus-mt-en-fr"
        )
    weights = (WEIGHTS[0], "model.bin", WEIGHTS[1])
    return fetch(name, "translation model", _FILES, weights, "translate")


def kind_of(folder: Path) -> Literal["marian", "ctranslate2"]:
    """Return whether a folder holds a Marian checkpoint or a model that CTranslate2 reads.

    Raises UserError that says what it lacks.
    """
    converted = (folder / "model.bin").is_file()
    needed = PIECES if converted else ("config.json", "vocab.json", *PIECES)
    lacking = [name for name in needed if not (folder / name).is_file()]
    if not converted and not any((folder / name).is_file() for name in WEIGHTS):
        lacking.insert(0, " or ".join((*WEIGHTS, "model.bin")))
    if lacking:
        raise UserError(
            f"{folder} is no translation model: it lacks {', '.join(lacking)}; what is needed is "
            "a Marian checkpoint of transformers, or a CTranslate2 model with its "
            f"{' and '.join(PIECES)}"
        )
    if not converted and (kind := _config(folder).get("model_type")) != "marian":
        raise UserError(f"{folder} holds a model of type {kind!r}: only 'marian' is supported")
    return "ctranslate2" if converted else "marian"


def content_sha256(folder: Path) -> str:
    """Return the sha256 of the model's files, names and contents, in hex.

    What stands beside them (a README, another framework's weights) does not count.
    """
    wanted = {"model.bin", *PIECES, *WEIGHTS[:1]}
    if not (folder / WEIGHTS[0]).is_file():
        wanted.add(WEIGHTS[1])
    return files_sha256(
        path
        for path in sorted(folder.iterdir())
        if path.is_file() and (path.name in wanted or path.suffix in (".json", ".txt"))
    )


def converted_positions(folder: Path) -> int:
    """Return how many positions a converted model has: the rows of its position encodings.

    Reads the headers of model.bin: CTranslate2 tells only by failing beyond the last one.
    """
    with (folder / "model.bin").open("rb") as stream:
        _, _ = _unpack(stream, "<I"), _string(stream)
        _, variables = _unpack(stream, "<II")
        for _ in range(variables):
            name = _string(stream)
            (rank,) = _unpack(stream, "<B")
            shape = _unpack(stream, f"<{rank}I")
            _, size = _unpack(stream, "<BI")
            if name == "decoder/position_encodings/encodings":
                return int(shape[0])
            stream.seek(size, 1)
    raise UserError(f"{folder}: this CTranslate2 model has no table of positions, as Marian's do")


def vocabulary_size(folder: Path) -> int:
    """Return how many tokens a converted model writes. Raises UserError when it does not say."""
    for file in sorted(folder.glob("*_vocabulary.*")):
        if file.stem in ("shared_vocabulary", "target_vocabulary"):
            text = file.read_text("utf-8")
            return len(json.loads(text)) if file.suffix == ".json" else text.count("\n")
    raise UserError(f"{folder}: this CTranslate2 model has no vocabulary beside it")


def _config(folder: Path) -> dict[str, Any]:
    try:
        config = json.loads((folder / "config.json").read_text("utf-8"))
    except ValueError as error:
        raise UserError(f"{folder / 'config.json'} is not JSON ({error})") from error
    return config if isinstance(config, dict) else {}


def _unpack(stream: BinaryIO, layout: str) -> tuple[Any, ...]:
    data = stream.read(struct.calcsize(layout))
    try:
        return struct.unpack(layout, data)
    except struct.error as error:
        raise UserError(f"{stream.name} is cut short, or no CTranslate2 model") from error


def _string(stream: BinaryIO) -> str:
    (size,) = _unpack(stream, "<H")
    return stream.read(size)[:-1].decode("utf-8", "replace")
