"""Encoders opened in one call, and compared with what sentence-transformers makes of them."""

from pathlib import Path

import numpy as np
from sentence_transformers import SentenceTransformer

from pairsmith.training.encoders.config import EncoderConfig
from pairsmith.training.encoders.encoder import Encoder
from pairsmith.training.encoders.opening import open_encoder
from tests.training.encoders.conftest import TEXTS

FAMILIES = ("static", "bert", "gpt2", "t5")


def encoder(model: object, seed: int = 17, **options: object) -> Encoder:
    return open_encoder(EncoderConfig(model=str(model), **options), seed)  # type: ignore[arg-type]


def sentence_vectors(folder: Path | str, texts: list[str] = TEXTS) -> np.ndarray:
    theirs = SentenceTransformer(str(folder), device="cpu")
    return theirs.encode(texts, show_progress_bar=False)


def assert_opens_with_equal_vectors(mine: Encoder, folder: Path) -> None:
    mine.save(folder)
    np.testing.assert_allclose(mine.encode(TEXTS), sentence_vectors(folder), atol=1e-5)
    assert not list(folder.rglob("*.bin"))
    assert not list(folder.rglob("*.pt"))
