"""Every setting of an encoder; the command line's flags are made from this class."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pairsmith.schemas import UserError
from pairsmith.training.settings import flag

Pooling = Literal["auto", "mean", "cls", "last", "max", "weighted"]
Freeze = Literal["nothing", "embeddings", "model"] | int
FAMILIES = ("static", "bert", "gpt2", "t5")


@dataclass(frozen=True)
class Fresh:
    """An encoder to make with random weights: what `FAMILY:TOKENIZER:SIZE` says."""

    family: str
    """static, bert, gpt2 or t5."""
    tokenizer: str
    """A tokenizer.json, a folder or a hub name; empty: to be trained from the data."""
    width: int
    """Dimension of the vectors."""
    layers: int
    """Transformer blocks; 0 for static."""


@dataclass(frozen=True)
class EncoderConfig:
    """Which text encoder to start from, and what of it is trained."""

    model: str = "static::256"
    """What to train: a folder or hub name of a BERT-type, GPT-type or T5 model or of a
    sentence-transformers one; or one with random weights: static:TOKENIZER:DIM, or bert, gpt2 or
    t5 in this form: bert:TOKENIZER:LAYERSxWIDTH."""
    pooling: Pooling = "auto"
    """How token vectors become one: their mean, the first, the last, the maximum of each dimension
    or a mean weighted by position; auto: as the folder says, else last for GPT-type, else mean."""
    append_eos: bool | None = None
    """Put the end-of-text token after each text; None: where a GPT-type model's last token is
    taken, unless it comes from a sentence-transformers folder."""
    max_length: int = 0
    """Tokens read of each text, special ones included; 0: as the sentence-transformers folder says,
    else all for static, 128 for others."""
    vocabulary: int = 30_000
    """Subwords of the tokenizer, where one is trained."""
    rarity: float = 0.0
    """Static, new: scale the vector of a subword by a / (a + its share of the data's subwords), a
    this number (SIF); 0.001 is usual. 0: all alike."""
    letters: bool = False
    """Static, new: subwords with the same letters start alike."""
    dropout: float | None = None
    """Rate of all the model's dropout; None: the model's own, which is 0 for static."""
    dense: int = 0
    """Dimension of a linear layer that is put behind the pooling and kept; 0: none."""
    projection: int = 0
    """Dimension of SimCLR's projection head, through which the loss looks at the vectors; it is not
    saved. 0: none."""
    freeze: Freeze = "nothing"
    """What is not trained: embeddings, also with the first N blocks (--freeze N), or model: all but
    the layers behind the pooling."""
    lora: int = 0
    """Rank of low-rank updates (LoRA) that are trained in place of the model's weights; 0: none."""
    lora_alpha: float = 0.0
    """Scale of the updates is this divided by the rank; 0: twice the rank."""
    lora_dropout: float = 0.0
    """Dropout on the input of the updates."""
    lora_targets: tuple[str, ...] = ()
    """Names of the linear layers that get updates, such as query value; none: all of them."""
    lora_merge: bool = True
    """Add the updates to the weights when the model is saved; else save them as an adapter."""
    gradient_checkpointing: bool = False
    """Keep only the blocks' inputs for the backward pass: less memory, a third more time."""
    compile: bool = False
    """Compile the model with torch.compile: minutes at the start, faster steps."""
    attention: Literal["auto", "eager", "sdpa", "flash_attention_2"] = "auto"
    """Which implementation of attention to compute with; auto: what transformers prefers."""
    packed: bool | None = None
    """Compute a batch's texts end to end, without padding; None: where the model can, unless
    --attention or --compile is given. Otherwise in runs of texts of like length on a CPU, padded on
    a GPU."""

    @property
    def packs(self) -> bool:
        """Tell whether nothing that is asked for stands against texts end to end."""
        return self.attention == "auto" and not self.compile

    @property
    def fresh(self) -> Fresh | None:
        """Return what to make with random weights; None: the model is opened.

        Raises UserError when a family is named but not in the right form.
        """
        family, colon, rest = self.model.partition(":")
        if not colon or family not in FAMILIES:
            return None
        size = r"(?P<width>\d+)" if family == "static" else r"(?P<layers>\d+)x(?P<width>\d+)"
        found = re.fullmatch(rf"(?P<tokenizer>.*):{size}", rest)
        parts = found.groupdict() if found else {}
        width, layers = int(parts.get("width", 0)), int(parts.get("layers", 1))
        if not width or not layers:
            form, example = ("DIM", "256") if family == "static" else ("LAYERSxWIDTH", "2x128")
            raise UserError(
                f"--model {self.model} is not of the form {family}:TOKENIZER:{form}; try "
                f"{family}::{example}, which trains the tokenizer from the data"
            )
        return Fresh(family, parts["tokenizer"], width, 0 if family == "static" else layers)

    @property
    def trains_tokenizer(self) -> bool:
        """Tell whether the tokenizer comes from the data."""
        return self.fresh is not None and not self.fresh.tokenizer

    @property
    def is_static(self) -> bool:
        """Tell whether the model is a static embedding: a new one, a folder's or a hub model's.

        Raises UserError when there is no such model, or the hub cannot be asked.
        """
        if self.fresh:
            return self.fresh.family == "static"
        # Which imports this module.
        from pairsmith.training.encoders.sentence_folder import first_module

        return first_module(self.model) == "StaticEmbedding"

    @property
    def model_name(self) -> str:
        """Return `model`, but of a folder or file only its name: for records that are shared."""
        name = self.fresh.tokenizer if self.fresh else self.model
        if name and Path(name).exists():
            return self.model.replace(name, Path(name).resolve().name, 1)
        return self.model

    def check(self) -> None:
        """Raise UserError for a value that cannot work, whatever the model."""
        for name in ("max_length", "dense", "projection", "lora", "lora_alpha"):
            if getattr(self, name) < 0:
                raise UserError(f"{flag(name)} {getattr(self, name)} is below 0; 0 is the default")
        if isinstance(self.freeze, int) and self.freeze < 0:
            raise UserError(f"--freeze {self.freeze} is no number of blocks; give 0 or more")
        for name in ("dropout", "lora_dropout"):
            rate = getattr(self, name)
            if rate is not None and not 0 <= rate < 1:
                raise UserError(f"{flag(name)} {rate} is no rate; give 0 or more, and less than 1")
        if self.vocabulary < 100:
            raise UserError(f"--vocabulary {self.vocabulary} is too small; give at least 100")
        if self.lora and self.freeze != "nothing":
            raise UserError("--lora freezes the whole model by itself; leave --freeze out")
        if self.fresh and self.lora and not self.lora_merge:
            raise UserError(
                f"--no-lora-merge: {self.model} is new, and an adapter is nothing without the "
                "weights that it was trained on; leave it out"
            )
        if not 0 <= self.rarity < 1:
            raise UserError(f"--rarity {self.rarity} is no share; give 0 or more, such as 0.001")
        if (self.rarity or self.letters) and not (self.fresh and self.is_static):
            name = "rarity" if self.rarity else "letters"
            raise UserError(f"--{name} is for new static encoders, not {self.model}")
        if self.packed and not self.packs:
            raise UserError("--packed attends in its own way; leave --attention and --compile out")
        if self.is_static:
            self._check_static()

    def _check_static(self) -> None:
        for name in ("lora", "gradient_checkpointing", "compile", "append_eos", "packed"):
            if getattr(self, name):
                raise UserError(f"{flag(name)} is for transformers; {self.model} is static")
        if self.pooling not in ("auto", "mean"):
            raise UserError(
                f"--pooling {self.pooling} is for transformers; {self.model} is static: a mean"
            )
        if self.attention != "auto":
            raise UserError(f"--attention is for transformers; {self.model} is static")
        if isinstance(self.freeze, int):
            raise UserError(f"--freeze {self.freeze} counts blocks, and {self.model} has none")
