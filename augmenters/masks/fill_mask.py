"""Words replaced by what a masked language model expects in their place."""

from dataclasses import KW_ONLY, dataclass
from typing import Any, ClassVar, Literal

import pyarrow as pa

from pairsmith.augmenters.augmenter import Keys, Views
from pairsmith.augmenters.masks.draw import Drawing
from pairsmith.augmenters.masks.masked_model import AUTO_CLASS, masked_filler
from pairsmith.augmenters.masks.models import Device, check_device, content
from pairsmith.augmenters.masks.words import masked_passages
from pairsmith.augmenters.masks.write import Fill, filled_views
from pairsmith.augmenters.memory import run_batches
from pairsmith.augmenters.operations import check_spans
from pairsmith.schemas import subkeys

_FILLS = 0xF111
"""Which subkey decides the words; the key itself decides which are masked."""


@dataclass(frozen=True)
class FillMask:
    """Mask words and let a masked language model (BERT, RoBERTa and their kin) fill them.

    A word becomes one mask and is replaced by a whole word of the model's vocabulary; a Chinese
    word becomes as many masks as it has characters. Masks that stand side by side are filled one
    after the other, from left to right, so that each sees those before it. Fills take the case of
    what they replace. All else stays, byte for byte. Numbers are not masked, nor punctuation.

    The view depends on text and key, save that a model rounds otherwise in a batch of another shape
    or on another processor, so that a draw at the very edge of two words may fall differently; a
    cache (`Cached`, or a build's) makes up for that. Texts beyond the model's length are cut at a
    space, and each part is filled by itself. Details hold `replaced`: pairs of was and is. No view,
    with the reason "mask token", for a text that holds the model's mask token itself.
    """

    name: ClassVar[str] = "fill_mask"
    version: ClassVar[int] = 1
    languages: ClassVar[tuple[str, ...]] = ()
    needs: ClassVar[str] = "pairsmith[masks] and a masked language model"

    model: str
    """A folder, or a name on the Hugging Face hub."""
    density: float = 0.15
    """Share of the words that are masked: 0 <= density < 1."""
    mean_length: float = 1.0
    """Words in a span: at least 1."""
    _: KW_ONLY
    top_k: int = 50
    """Draw among so many likeliest words; 0 for all."""
    temperature: float = 1.0
    """The logits are divided by this; 0 takes the likeliest."""
    differ: bool = True
    """Whether a word is never filled with itself."""
    keeps_meaning: bool = True
    """False makes views hard negatives: a likely word in a word's place may well say otherwise."""
    device: Device = "auto"
    """"auto" takes a GPU if there is one."""
    batch_tokens: int = 4096
    """Padded tokens in a batch; halved when memory runs out."""

    def __post_init__(self) -> None:
        """Raise ValueError for a setting out of range."""
        check_spans(self.density, self.mean_length)
        check_device(self.device)
        if self.batch_tokens < 1:
            raise ValueError(f"batch_tokens must be at least 1, not {self.batch_tokens}")
        self._drawing()

    @property
    def cache_by(self) -> Literal["text", "record"]:
        """Return "record": the key chooses the words."""
        return "record"

    def settings(self) -> dict[str, Any]:
        """Return what decides the views: the model by its content, not its place; no device."""
        names = ("density", "mean_length", "top_k", "temperature", "differ", "keeps_meaning")
        told = {name: getattr(self, name) for name in names}
        return {"model": content(self.model, AUTO_CLASS), **told}

    def setup(self) -> None:
        """Load the model. Raises UserError when it or a package is missing, or it is of no use."""
        masked_filler(self.model, self.device)

    def __call__(self, texts: pa.StringArray, keys: Keys) -> pa.StringArray:
        """Return each text with masked words filled; null for null, or where there is a reason."""
        return self.views(texts, keys).texts

    def views(self, texts: pa.StringArray, keys: Keys) -> Views:
        """Return the views with the reasons for none, and details.

        keys: uint64, shape (len(texts),).
        """
        filler = masked_filler(self.model, self.device)
        encoded = [text or b"" for text in texts.cast(pa.binary()).to_pylist()]
        reasons: dict[int, str] = {}
        passages = list(masked_passages(texts, keys, self.density, self.mean_length))
        prepared = filler.prepare(passages, encoded)
        for one in prepared:
            if len(one.places) != len(one.masks):
                reasons[one.passage.row] = "mask token"
        prepared = [one for one in prepared if one.passage.row not in reasons]
        own = subkeys(keys, _FILLS)

        def run(rows: list[int]) -> list[list[Fill]]:
            return filler.fill([prepared[row] for row in rows], own, self._drawing(), self.differ)

        lengths = [len(some.ids) for some in prepared]
        fills, _ = run_batches(run, lengths, self.batch_tokens)
        return filled_views(texts, [fill for some in fills for fill in some], reasons)

    def _drawing(self) -> Drawing:
        return Drawing(self.top_k, self.temperature)
