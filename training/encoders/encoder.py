"""What every encoder can do: texts -> token ids -> unit vectors, and how it is saved."""

from abc import ABC, abstractmethod
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional

from pairsmith.training.encoders.packing import Features, on_device
from pairsmith.training.encoders.subwords import Subwords
from pairsmith.training.tokens.ids import IdRows


class Encoder(nn.Module, ABC):
    """A model that turns texts into vectors of length 1.

    Behind the pooling there may be dense layers, which are saved, and a projection head, which is
    not and which only vectors made in training mode pass.
    """

    dimension: int
    """Of the vectors that `encode` returns."""
    subwords: Subwords
    prompts: dict[str, str]
    """Of a sentence-transformers folder, by name: saved again, and otherwise not used."""
    pools_prompt: bool
    """Whether the tokens of these count in the pooling: as the prompts are, saved again."""

    def __init__(self) -> None:
        super().__init__()
        self.prompts = {}
        self.pools_prompt = True
        self.dense = nn.Sequential()
        self.head = nn.Sequential()

    def tokenise(self, texts: list[str]) -> Features:
        """Return what `forward` takes for `texts`. Safe to call from another thread."""
        return self.features_of(self.subwords(texts))

    def kept_features(self, texts: IdRows) -> Features:
        """Return what `forward` takes for whole texts without special tokens, as a cache has them.

        Safe to call from another thread.
        """
        return self.features_of(self.subwords.frame(texts))

    @abstractmethod
    def features_of(self, texts: IdRows) -> Features:
        """Return what `forward` takes for texts of these token ids, special tokens included."""

    @abstractmethod
    def pooled(self, features: Features) -> Tensor:
        """Return one vector a text as the model makes it: any length, any float type."""

    @abstractmethod
    def save(self, folder: Path) -> None:
        """Write a sentence-transformers folder that gives the vectors of `encode`."""

    @abstractmethod
    def blocks(self) -> list[nn.Module]:
        """Return the equal blocks, first to last, that FSDP shards one by one; none for static."""

    def forward(self, features: Features) -> Tensor:
        """Return unit vectors: float32, shape (number of texts, dimension).

        The projection head, if there is one, is passed in training mode only.
        """
        vectors = self.pooled(features)
        with torch.autocast(vectors.device.type, enabled=False):
            for layer in (self.dense, self.head if self.training else nn.Sequential()):
                if len(layer):
                    vectors = layer(vectors.to(next(layer.parameters()).dtype))
        return functional.normalize(vectors.float(), dim=-1)

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
                features = on_device(self.tokenise([texts[i] for i in rows]), device)
                vectors[rows] = self(features).cpu().numpy()
        self.train(training)
        return vectors


class Dense(nn.Module):
    """A linear layer and an activation: sentence-transformers' module of that name."""

    def __init__(self, width: int, dimension: int, *, bias: bool = True, activation: str = ""):
        super().__init__()
        self.linear = nn.Linear(width, dimension, bias=bias)
        self.activation: nn.Module = getattr(nn, activation or "Identity")()

    def forward(self, vectors: Tensor) -> Tensor:
        """Return vectors of the layer's dimension."""
        result: Tensor = self.activation(self.linear(vectors))
        return result


def projection_head(width: int, dimension: int) -> nn.Sequential:
    """Return W2 relu(W1 h) of SimCLR (arXiv 2002.05709, section 2.1)."""
    return nn.Sequential(nn.Linear(width, width), nn.ReLU(), nn.Linear(width, dimension))
