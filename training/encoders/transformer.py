"""Transformers with pooling: BERT and its kin, GPT-type decoders, T5's encoder."""

import copy
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from pairsmith.training.collate import Features
from pairsmith.training.encoders.config import Pooling
from pairsmith.training.encoders.encoder import Encoder
from pairsmith.training.encoders.pooling import pool, pool_packed
from pairsmith.training.encoders.sentence_folder import (
    plain_tokenizer,
    write_modules,
    write_pooling,
)
from pairsmith.training.encoders.subwords import Subwords
from pairsmith.training.wordpiece import Ids

BOUNDS, LONGEST = "cu_seq_lens", "max_length"


class TransformerEncoder(Encoder):
    """A model of the `transformers` library whose token vectors are pooled.

    Causal attention stays causal. Texts are always padded on the right, so that no text's vector
    depends on what stands beside it, whatever kind of positions the model has.
    """

    def __init__(self, model: Any, tokenizer: Any, pooling: Pooling, max_length: int):
        """Set up.

        model: without a head for any task. tokenizer: a fast one of the same library.
        """
        super().__init__()
        self.model = model
        self.tokenizer = tokenizer
        self.pooling: Pooling = pooling
        self.dimension = int(model.config.hidden_size)
        self.merge = True
        tokenizer.padding_side = "right"
        tokenizer.model_max_length = max_length
        cut = tokenizer.truncation_side
        backend = tokenizer.backend_tokenizer
        self.subwords = Subwords(backend, max_length, special=True, cut=cut)
        # The pooler that BERT was pretrained with has no part in the vectors. DDP waits for the
        # gradient of everything that is trained.
        for name, parameter in model.named_parameters():
            if name.startswith("pooler."):
                parameter.requires_grad_(False)

    def flat_features(self, ids: Ids, lengths: Ids) -> Features:
        """Return `input_ids` and `attention_mask`, int64, padded on the right to the longest."""
        longest = int(lengths.max(initial=1))
        mask = np.arange(longest) < lengths[:, None]
        padded = np.full(mask.shape, self.tokenizer.pad_token_id, np.int64)
        padded[mask] = ids
        return {
            "input_ids": torch.from_numpy(padded),
            "attention_mask": torch.from_numpy(mask.astype(np.int64)),
        }

    def pooled(self, features: Features) -> Tensor:
        """Return the pooled last layer, float32; a text without tokens becomes 0.

        features: `input_ids` and `attention_mask`, shape (n, T), padded on either side; or texts
        end to end: `input_ids` and `position_ids`, shape (1, total); `cu_seq_lens`, int32, shape
        (n + 1,): where each text begins and the last one ends; `max_length`, shape (), the tokens
        of the longest. These need attention that keeps the texts apart. All else that there may
        be goes to the model as it is.
        """
        if BOUNDS in features:
            rest = {k: v for k, v in features.items() if k not in (BOUNDS, LONGEST)}
            ends, longest = features[BOUNDS], int(features[LONGEST])
            states = self.model(
                **rest,
                cu_seq_lens_q=ends,
                cu_seq_lens_k=ends,
                max_length_q=longest,
                max_length_k=longest,
            ).last_hidden_state
            return pool_packed(states[0].float(), ends, longest, self.pooling)
        mask = features["attention_mask"]
        # Attention over nothing is not a number.
        seen = mask | (mask.sum(1, keepdim=True) == 0).to(mask.dtype)
        states = self.model(**{**features, "attention_mask": seen}).last_hidden_state
        return pool(states.float(), mask, self.pooling)

    def blocks(self) -> list[nn.Module]:
        """Return the model's layers, first to last."""
        return list(layers(self.model))

    def save(self, folder: Path) -> None:
        """Write the folder: a Transformer in its root, Pooling, Dense, if any, and Normalize."""
        folder.mkdir(parents=True, exist_ok=True)
        model = self.model
        if hasattr(model, "merge_and_unload") and self.merge:
            model = copy.deepcopy(model).merge_and_unload()
        model.save_pretrained(folder)
        (folder / "README.md").unlink(missing_ok=True)  # of peft's, and empty
        self.tokenizer.save_pretrained(folder)
        plain_tokenizer(folder)
        write_pooling(folder, self.subwords.max_length, self.pooling, int(model.config.hidden_size))
        write_modules(folder, [("Transformer", ""), ("Pooling", "1_Pooling")], self)


def layers(model: nn.Module) -> nn.ModuleList:
    """Return the list of modules that holds most of a model's weights: its blocks."""
    lists = [module for module in model.modules() if isinstance(module, nn.ModuleList)]
    return max(lists, key=lambda found: sum(p.numel() for p in found.parameters()))
