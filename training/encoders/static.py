"""Static embeddings: the mean of one vector for each subword. No attention, no order."""

from pathlib import Path

import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer
from torch import Tensor, nn
from torch.nn import functional

from pairsmith.training.encoders.encoder import Encoder
from pairsmith.training.encoders.packing import Features, bagged
from pairsmith.training.encoders.sentence_folder import write_modules
from pairsmith.training.encoders.subwords import Subwords
from pairsmith.training.tokens.ids import IdRows


class StaticEncoder(Encoder):
    """The mean of one vector for each subword, at unit length."""

    def __init__(
        self,
        tokenizer: Tokenizer,
        weight: Tensor,
        max_length: int = 0,
        dropout: float = 0.0,
        *,
        weighed: bool = False,
    ):
        """Set up.

        weight: a vector for each id of the tokenizer, shape (ids, dimension).
        dropout: rate at which numbers of the mean become 0 while training: two masks make two views
        of a text.
        weighed: whether each vector has a factor, 1 at first; see `weigh`.
        """
        super().__init__()
        self.subwords = Subwords(tokenizer, max_length, special=False)
        self.dimension = weight.shape[1]
        self.dropout = dropout
        self.embedding = nn.EmbeddingBag.from_pretrained(weight, freeze=False, mode="mean")
        self.factors: Tensor | None
        self.register_buffer("factors", torch.ones(len(weight)) if weighed else None)

    def features_of(self, texts: IdRows) -> Features:
        """Return `input_ids`, int64, all texts end to end, and `offsets`, where each begins."""
        return bagged(texts)

    def pooled(self, features: Features) -> Tensor:
        """Return the means; a text without tokens becomes 0."""
        ids, offsets = features["input_ids"], features["offsets"]
        if self.factors is None:
            means = self.embedding(ids, offsets)
        else:
            weight, factors = self.embedding.weight, self.factors[ids]
            sums = functional.embedding_bag(
                ids, weight, offsets, mode="sum", per_sample_weights=factors
            )
            ends = torch.cat([offsets[1:], offsets.new_tensor([len(ids)])])
            means = sums / (ends - offsets).clamp(min=1)[:, None]
        return functional.dropout(means, self.dropout, self.training)

    def weigh(self, factors: Tensor) -> None:
        """Scale each vector of a weighed encoder by its factor from now on: shape (ids,).

        The factors stay apart until the encoder is saved: Adam's steps are of one size for all
        numbers of the table, in which short vectors would soon be long.
        """
        self.factors = factors.to(self.embedding.weight)

    def blocks(self) -> list[nn.Module]:
        """Return nothing: there is one table only."""
        return []

    def save(self, folder: Path) -> None:
        """Write the folder: a StaticEmbedding, then Dense, if any, and Normalize."""
        inner = folder / "0_StaticEmbedding"
        inner.mkdir(parents=True)
        weight = self.embedding.weight.detach()
        if self.factors is not None:
            weight = weight * self.factors[:, None]
        weights = {"embedding.weight": weight.float().cpu().contiguous()}
        save_file(weights, inner / "model.safetensors")
        self.subwords.tokenizer.save(str(inner / "tokenizer.json"))
        write_modules(folder, [("StaticEmbedding", inner.name)], self)
