"""Texts -> unit vectors: what is trained, and how it is saved for sentence-transformers.

The saved folders name their modules `sentence_transformers.models.*`. Versions 3.4, 4.1, 5.1 and
6.2 of that library open them with equal vectors; its own `save` writes names only version 6 knows.
"""

import json
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer
from torch import Tensor, nn
from torch.nn import functional

from pairsmith.schemas import UserError
from pairsmith.training.collate import Features
from pairsmith.training.config import STATIC, TrainConfig
from pairsmith.training.wordpiece import ColumnWordPiece, flatten


class Encoder(nn.Module, ABC):
    """A model that turns texts into vectors of length 1."""

    dimension: int

    @abstractmethod
    def tokenise(self, texts: list[str]) -> Features:
        """Return what `forward` takes for `texts`. Safe to call from another thread."""

    @abstractmethod
    def forward(self, features: Features) -> Tensor:
        """Return unit vectors: shape (number of texts, dimension)."""

    @abstractmethod
    def save(self, folder: Path) -> None:
        """Write a sentence-transformers folder that gives the same vectors."""

    def encode(self, texts: list[str], batch_size: int = 256) -> npt.NDArray[np.float32]:
        """Return the vectors of `texts` without dropout: float32, shape (len(texts), dimension)."""
        device = next(self.parameters()).device
        order = sorted(range(len(texts)), key=lambda i: -len(texts[i]))
        vectors = np.empty((len(texts), self.dimension), np.float32)
        training = self.training
        self.eval()
        # Not in inference mode: the weights that FSDP gathers there could not be trained on.
        with torch.no_grad():
            for start in range(0, len(order), batch_size):
                rows = order[start : start + batch_size]
                features = self.tokenise([texts[i] for i in rows])
                moved = {name: value.to(device) for name, value in features.items()}
                vectors[rows] = self(moved).float().cpu().numpy()
        self.train(training)
        return vectors


class StaticEncoder(Encoder):
    """The mean of one vector for each subword, at unit length: no attention, no order."""

    def __init__(self, tokenizer: Tokenizer, dimension: int, max_length: int = 0):
        super().__init__()
        tokenizer.no_padding()
        tokenizer.no_truncation()
        if max_length:
            tokenizer.enable_truncation(max_length)
        self.tokenizer = tokenizer
        self._columns = None
        if not max_length and ColumnWordPiece.suits(tokenizer):
            self._columns = ColumnWordPiece(tokenizer)
        self.dimension = dimension
        self.embedding = nn.EmbeddingBag(tokenizer.get_vocab_size(), dimension, mode="mean")
        # Small, so that the first steps of Adam turn the vectors instead of nudging them.
        nn.init.normal_(self.embedding.weight, std=0.05)

    def tokenise(self, texts: list[str]) -> Features:
        """Return `input_ids`, int64, all texts end to end, and `offsets`, where each begins."""
        if self._columns is not None:
            ids, lengths = self._columns(texts)
        else:
            encoded = self.tokenizer.encode_batch_fast(texts, add_special_tokens=False)
            ids, lengths = flatten([encoding.ids for encoding in encoded])
        offsets = np.cumsum(lengths) - lengths
        return {"input_ids": torch.from_numpy(ids), "offsets": torch.from_numpy(offsets)}

    def forward(self, features: Features) -> Tensor:
        """Return unit vectors; a text without tokens becomes 0."""
        means = self.embedding(features["input_ids"], features["offsets"])
        return functional.normalize(means, dim=-1)

    def save(self, folder: Path) -> None:
        """Write the folder: a StaticEmbedding, then Normalize."""
        inner = folder / "0_StaticEmbedding"
        inner.mkdir(parents=True)
        weights = {"embedding.weight": self.embedding.weight.detach().cpu().contiguous()}
        save_file(weights, inner / "model.safetensors")
        self.tokenizer.save(str(inner / "tokenizer.json"))
        _write_modules(folder, {"StaticEmbedding": inner.name, "Normalize": "1_Normalize"})


class TransformerEncoder(Encoder):
    """A pretrained or freshly made `AutoModel` with pooling: BERT and its kin."""

    def __init__(self, model: Any, tokenizer: Any, pooling: str, max_length: int):
        super().__init__()
        self.model = model
        self.tokenizer = tokenizer
        self.pooling = pooling
        positions = getattr(model.config, "max_position_embeddings", max_length)
        self.max_length = min(max_length, positions)
        self.dimension = int(model.config.hidden_size)
        # The first call sets padding and truncation, which must not happen in two threads at once.
        self.tokenise(["text"])

    def tokenise(self, texts: list[str]) -> Features:
        """Return the tokenizer's tensors, padded to the longest text."""
        return dict(
            self.tokenizer(
                texts,
                padding=True,
                truncation=True,
                max_length=self.max_length,
                return_tensors="pt",
            )
        )

    def forward(self, features: Features) -> Tensor:
        """Return unit vectors, pooled from the last layer in float32."""
        states = self.model(**features).last_hidden_state.float()
        if self.pooling == "cls":
            pooled = states[:, 0]
        else:
            mask = features["attention_mask"][..., None].to(states.dtype)
            pooled = (states * mask).sum(1) / mask.sum(1).clamp(min=1e-9)
        return functional.normalize(pooled, dim=-1)

    def save(self, folder: Path) -> None:
        """Write the folder: a Transformer in its root, then Pooling, then Normalize."""
        folder.mkdir(parents=True, exist_ok=True)
        self.model.save_pretrained(folder, safe_serialization=True)
        self.tokenizer.save_pretrained(folder)
        config = {"max_seq_length": self.max_length, "do_lower_case": False}
        _write_json(folder / "sentence_bert_config.json", config)
        mode = "cls_token" if self.pooling == "cls" else "mean_tokens"
        pooling = {f"pooling_mode_{m}": m == mode for m in ("cls_token", "mean_tokens")}
        names = {"Transformer": "", "Pooling": "1_Pooling", "Normalize": "2_Normalize"}
        _write_modules(folder, names)
        _write_json(
            folder / "1_Pooling" / "config.json",
            {"word_embedding_dimension": self.dimension, **pooling},
        )


def open_encoder(config: TrainConfig, tokenizer: Tokenizer | None = None) -> Encoder:
    """Return the encoder a run starts from: `--model`, with weights drawn after `seed`.

    tokenizer: for `static::DIM`, the one trained from the data.
    Raises UserError when there is no such model or tokenizer, or DIM is no number.
    """
    torch.manual_seed(config.seed)
    if config.encoder.is_static:
        name, dimension = static_parts(config.encoder.model)
        if tokenizer is None:
            tokenizer = open_tokenizer(name)
        return StaticEncoder(tokenizer, dimension, config.encoder.max_length)
    from transformers import AutoModel, AutoTokenizer

    try:
        # float32 weights, whatever was saved: AdamW's small steps vanish in bfloat16.
        model = AutoModel.from_pretrained(config.encoder.model, use_safetensors=True).float()
        pieces = AutoTokenizer.from_pretrained(config.encoder.model)
    except (OSError, ValueError) as error:
        raise UserError(_no_model(config.encoder.model, error)) from error
    return TransformerEncoder(model, pieces, config.encoder.pooling, config.encoder.max_length)


def static_parts(model: str) -> tuple[str, int]:
    """Split `static:TOKENIZER:DIM` into tokenizer, maybe empty, and dimension."""
    name, colon, dimension = model.removeprefix(STATIC).rpartition(":")
    if not colon or not dimension.isdecimal() or int(dimension) == 0:
        raise UserError(
            f"--model {model} is not of the form static:TOKENIZER:DIM; try static::256, "
            "which trains the tokenizer from the data"
        )
    return name, int(dimension)


def open_tokenizer(name: str) -> Tokenizer:
    """Return the fast tokenizer in a tokenizer.json, a folder, or of a hub name."""
    from transformers import AutoTokenizer

    path = Path(name)
    try:
        if path.is_file():
            return Tokenizer.from_file(name)
        if (path / "tokenizer.json").is_file():
            return Tokenizer.from_file(str(path / "tokenizer.json"))
        return AutoTokenizer.from_pretrained(name).backend_tokenizer
    except Exception as error:  # tokenizers raises no narrower one
        raise UserError(_no_model(name, error)) from error


def _no_model(name: str, error: Exception) -> str:
    reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
    return f"cannot open {name} as a model, be it a folder here or a hub name: {reason}"


def _write_modules(folder: Path, modules: dict[str, str]) -> None:
    listed = []
    for number, (kind, path) in enumerate(modules.items()):
        (folder / path).mkdir(exist_ok=True)
        kind = f"sentence_transformers.models.{kind}"
        listed.append({"idx": number, "name": str(number), "path": path, "type": kind})
    _write_json(folder / "modules.json", listed)
    _write_json(folder / "config_sentence_transformers.json", {"similarity_fn_name": "cosine"})


def _write_json(path: Path, data: Any) -> None:
    path.write_text(json.dumps(data, indent=2) + "\n", "utf-8")
