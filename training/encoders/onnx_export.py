"""Encoders -> ONNX: one file from token ids to unit vectors, and a tokenizer that makes its input.

Pooling, dense layers and normalisation are in the graph. Inputs: `input_ids` and `attention_mask`,
int64, shape (texts, tokens), both of any size; output: `sentence_embedding`, float32, shape (texts,
dimension). The file beside it, NAME.tokenizer.json, is of the `tokenizers` library; its
`encode_batch` cuts and pads, so that ids and attention masks go in as they are.
"""

import copy
import logging
import shutil
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tokenizers import Tokenizer
from torch import Tensor, nn

from pairsmith.schemas import UserError, require
from pairsmith.training.encoders.encoder import Encoder
from pairsmith.training.encoders.static import StaticEncoder
from pairsmith.training.encoders.transformer import TransformerEncoder

OPSET = 18
TOLERANCE = 1e-5
INPUTS, OUTPUT = ("input_ids", "attention_mask"), "sentence_embedding"
# What the graph is traced with must not be what it is checked with.
TRACED = ["one text", "another text, which is longer"]
CHECKED = ["a", "", "the moon", "two 苹果, by train!", "a longer text about nothing much. " * 9]


def require_onnx() -> None:
    """Raise UserError that names the extra to install when a package is missing."""
    for module in ("onnx", "onnxscript", "onnxruntime"):
        require(module, "onnx")


def export_onnx(encoder: Encoder, file: Path) -> float:
    """Write `file` and its tokenizer; return by how much its vectors differ from `encode`'s.

    The difference is the largest of any number of any vector, over texts of several lengths run in
    onnxruntime.
    Raises UserError when a file is there already, a package is missing, the model cannot be
    exported or differs by more than 1e-5; nothing is then written.
    """
    require_onnx()
    pieces = tokenizer_file(file)
    for path in (file, pieces):
        if path.exists():
            raise UserError(f"{path} exists; choose another --onnx or remove it")
    scratch = file.with_name(f"{file.name}.tmp")
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir(parents=True)
    try:
        _write(encoder, scratch / file.name)
        _tokenizer(encoder).save(str(scratch / pieces.name))
        difference = _difference(encoder, scratch / file.name)
        if not difference <= TOLERANCE:
            raise UserError(
                f"{file} would give vectors that differ by {difference:.1e}, more than "
                f"{TOLERANCE:.0e}; this model cannot be exported faithfully"
            )
        for path in scratch.iterdir():
            path.rename(file.parent / path.name)
    finally:
        shutil.rmtree(scratch)
    return difference


def tokenizer_file(file: Path) -> Path:
    """Return where the tokenizer of an ONNX file stands: model.tokenizer.json for model.onnx."""
    return file.with_name(f"{file.stem}.tokenizer.json")


class _Graph(nn.Module):
    """What is traced: an encoder that takes padded ids, a static one too."""

    def __init__(self, encoder: Encoder):
        super().__init__()
        self.encoder = encoder

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        vectors: Tensor = self.encoder(dict(zip(INPUTS, (input_ids, attention_mask), strict=True)))
        return vectors


class _PaddedStatic(StaticEncoder):
    """A static encoder that takes padded ids: ONNX knows no bags."""

    def pooled(self, features: dict[str, Tensor]) -> Tensor:
        mask = features["attention_mask"].float()
        vectors = nn.functional.embedding(features["input_ids"], self.embedding.weight)
        return (vectors * mask[..., None]).sum(1) / mask.sum(1, keepdim=True).clamp(min=1)


def _write(encoder: Encoder, file: Path) -> None:
    plain = copy.deepcopy(encoder).cpu().float().eval()
    if isinstance(plain, TransformerEncoder):
        if hasattr(plain.model, "merge_and_unload"):
            plain.model = plain.model.merge_and_unload()
        # The others lay out their results in ways that the exporter does not follow.
        plain.model.set_attn_implementation("eager")
    else:
        plain.__class__ = _PaddedStatic
    sample = encode_padded(_tokenizer(encoder), TRACED)
    axes = {0: "texts", 1: "tokens"}
    with _quiet():
        try:
            program = torch.onnx.export(
                _Graph(plain).eval(),
                tuple(torch.from_numpy(sample[name]) for name in INPUTS),
                dynamo=True,
                opset_version=OPSET,
                input_names=INPUTS,
                output_names=[OUTPUT],
                dynamic_shapes=dict.fromkeys(INPUTS, axes),
                verbose=False,
            )
            assert program is not None  # noqa: S101 - None is of the old exporter
            program.save(file)
        except torch.onnx.OnnxExporterError as error:
            reason = str(error).splitlines()[0]
            raise UserError(f"this model cannot be exported to ONNX: {reason}") from error


def encode_padded(tokenizer: Tokenizer, texts: list[str]) -> dict[str, Any]:
    """Return what an exported model takes: int64 arrays of shape (texts, tokens)."""
    encoded = tokenizer.encode_batch(texts)
    ids = np.array([encoding.ids for encoding in encoded], np.int64)
    mask = np.array([encoding.attention_mask for encoding in encoded], np.int64)
    return dict(zip(INPUTS, (ids, mask), strict=True))


def _tokenizer(encoder: Encoder) -> Tokenizer:
    tokenizer = Tokenizer.from_str(encoder.subwords.tokenizer.to_str())
    if isinstance(encoder, TransformerEncoder):
        pieces = encoder.tokenizer
        tokenizer.enable_padding(pad_id=pieces.pad_token_id, pad_token=pieces.pad_token)
    else:
        tokenizer.enable_padding(pad_id=0, pad_token=tokenizer.id_to_token(0))
        tokenizer.post_processor = None
    return tokenizer


def _difference(encoder: Encoder, file: Path) -> float:
    runtime = require("onnxruntime", "onnx")
    session = runtime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
    tokenizer = Tokenizer.from_file(str(tokenizer_file(file)))
    found = []
    for texts in (CHECKED, CHECKED[:1]):
        (vectors,) = session.run([OUTPUT], encode_padded(tokenizer, texts))
        found.append(np.abs(vectors - encoder.encode(texts)).max())
    return float(np.max(found))


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep back what the exporter tells its developers."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
