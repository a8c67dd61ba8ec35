"""Transformers with pooling: BERT and its kin, GPT-type decoders, T5's encoder."""

import copy
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from pairsmith.training.encoders.config import Pooling
from pairsmith.training.encoders.encoder import Encoder
from pairsmith.training.encoders.packing import (
    BOUNDS,
    Features,
    by_length,
    packed,
    packed_states,
    padded,
)
from pairsmith.training.encoders.pooling import pool, pool_packed
from pairsmith.training.encoders.sentence_folder import (
    plain_tokenizer,
    write_modules,
    write_pooling,
)
from pairsmith.training.encoders.subwords import Subwords
from pairsmith.training.tokens.ids import IdRows


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
        self.first_position: int | None = None
        """Of each text, where texts are computed end to end; None: they are padded."""
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

    def features_of(self, texts: IdRows) -> Features:
        """Return texts end to end where that is how they are computed, else padded on the right.

        A GPU's kernels for texts end to end take none without tokens.
        """
        possible = len(texts.ids) and (texts.lengths.all() or self.model.device.type == "cpu")
        if self.first_position is not None and possible:
            return packed(texts, self.first_position)
        return padded(texts, self.tokenizer.pad_token_id)

    def pooled(self, features: Features) -> Tensor:
        """Return the pooled last layer, float32; a text without tokens becomes 0.

        features: `input_ids` and `attention_mask`, shape (n, T), padded on the right; or those of
        `packed`, which need attention that keeps the texts apart.
        """
        if BOUNDS in features:
            if features[BOUNDS].is_cpu:  # where neighbours of equal length attend in one call
                features, places = by_length(features)
                states = packed_states(self.model, features).float()
                return pool_packed(states, features[BOUNDS], self.pooling)[places]
            states = packed_states(self.model, features).float()
            return pool_packed(states, features[BOUNDS], self.pooling)
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
        length, width = self.subwords.max_length, int(model.config.hidden_size)
        write_pooling(folder, length, self.pooling, width, pools_prompt=self.pools_prompt)
        write_modules(folder, [("Transformer", ""), ("Pooling", "1_Pooling")], self)


def layers(model: nn.Module) -> nn.ModuleList:
    """Return the list of modules that holds most of a model's weights: its blocks."""
    lists = [module for module in model.modules() if isinstance(module, nn.ModuleList)]
    return max(lists, key=lambda found: sum(p.numel() for p in found.parameters()))
