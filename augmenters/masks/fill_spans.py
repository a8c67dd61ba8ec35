"""Spans of words replaced by what a T5-type model writes in their place."""

from dataclasses import KW_ONLY, dataclass
from typing import Any, ClassVar, Literal

import pyarrow as pa

from pairsmith.augmenters.augmenter import Keys, Views
from pairsmith.augmenters.masks.draw import Drawing
from pairsmith.augmenters.masks.models import Device, check_device, content
from pairsmith.augmenters.masks.span_model import AUTO_CLASS, span_filler
from pairsmith.augmenters.masks.words import masked_passages
from pairsmith.augmenters.masks.write import Fill, filled_views
from pairsmith.augmenters.memory import run_batches
from pairsmith.augmenters.operations import check_spans
from pairsmith.schemas import subkeys

_FILLS = 0xF1115
"""Which subkey decides the words; the key itself decides which are masked."""


@dataclass(frozen=True)
class FillSpans:
    """Mask spans of words and let a T5-type model write them anew (arXiv 1910.10683).

    The model must be one trained to fill `<extra_id_0>`, as T5 and T5 1.1 are before they are tuned
    for a task. A fill may have more or fewer words than it replaces, and takes the case of their
    first letter. All else stays, byte for byte. A span keeps its words when the fill does not end
    within `max_tokens`, or has no letter. Numbers are masked only between words of one span.

    As with `FillMask`, the view depends on text and key, up to rounding; long texts are cut, and
    details hold `replaced`: pairs of was and is. No view, with the reason "sentinel", for a text
    that holds such a token itself.
    """

    name: ClassVar[str] = "fill_spans"
    version: ClassVar[int] = 1
    languages: ClassVar[tuple[str, ...]] = ()
    needs: ClassVar[str] = "pairsmith[masks] and a T5-type model"

    model: str
    """A folder, or a name on the Hugging Face hub."""
    density: float = 0.15
    """Share of the words that are masked: 0 <= density < 1."""
    mean_length: float = 3.0
    """Words in a span: at least 1."""
    _: KW_ONLY
    top_k: int = 50
    """Draw among so many likeliest tokens; 0 for all."""
    temperature: float = 1.0
    """The logits are divided by this; 0 takes the likeliest."""
    differ: bool = True
    """Whether a fill never begins with the token that its span began with."""
    max_tokens: int = 20
    """Of one fill."""
    keeps_meaning: bool = True
    """False makes views hard negatives."""
    device: Device = "auto"
    """"auto" takes a GPU if there is one."""
    batch_tokens: int = 4096
    """Padded tokens in a batch; halved when memory runs out."""

    def __post_init__(self) -> None:
        """Raise ValueError for a setting out of range."""
        check_spans(self.density, self.mean_length)
        check_device(self.device)
        if self.batch_tokens < 1 or self.max_tokens < 1:
            raise ValueError("batch_tokens and max_tokens must be at least 1")
        self._drawing()

    @property
    def cache_by(self) -> Literal["text", "record"]:
        """Return "record": the key chooses the spans."""
        return "record"

    def settings(self) -> dict[str, Any]:
        """Return what decides the views: the model by its content, not its place; no device."""
        names = ("density", "mean_length", "top_k", "temperature", "differ", "max_tokens")
        told = {name: getattr(self, name) for name in (*names, "keeps_meaning")}
        return {"model": content(self.model, AUTO_CLASS), **told}

    def setup(self) -> None:
        """Load the model. Raises UserError when it or a package is missing, or it is of no use."""
        span_filler(self.model, self.device)

    def __call__(self, texts: pa.StringArray, keys: Keys) -> pa.StringArray:
        """Return each text with masked spans filled; null for null, or where there is a reason."""
        return self.views(texts, keys).texts

    def views(self, texts: pa.StringArray, keys: Keys) -> Views:
        """Return the views with the reasons for none, and details.

        keys: uint64, shape (len(texts),).
        """
        filler = span_filler(self.model, self.device)
        encoded = [text or b"" for text in texts.cast(pa.binary()).to_pylist()]
        passages = list(masked_passages(texts, keys, self.density, self.mean_length))
        prepared = filler.prepare(passages, encoded)
        reasons = {
            one.passage.row: "sentinel" for one in prepared if one.sentinels != len(one.spans)
        }
        prepared = [one for one in prepared if one.passage.row not in reasons]
        own = subkeys(keys, _FILLS)

        def run(rows: list[int]) -> list[list[Fill]]:
            batch = [prepared[row] for row in rows]
            return filler.fill(
                batch, own, self._drawing(), differ=self.differ, max_tokens=self.max_tokens
            )

        lengths = [len(one.ids) for one in prepared]
        fills, _ = run_batches(run, lengths, self.batch_tokens)
        return filled_views(texts, [fill for some in fills for fill in some], reasons)

    def _drawing(self) -> Drawing:
        return Drawing(self.top_k, self.temperature)
