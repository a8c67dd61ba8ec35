"""Augmenters on the tokens that a sentencepiece model cuts a text into.

The model says where each piece stands in the text, and the text is rewritten there. What is kept
is the original, letter by letter: never normalised, no character that the model does not know
turned into an unknown mark or cut into bytes. Pieces that are a lone space or part of a character
go with what follows; a word that loses its first piece joins the word before it, as decoding the
ids would have it. No text becomes empty; null gives null.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass, fields
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pairsmith.augmenters.buffers import read_only, string_buffers
from pairsmith.augmenters.characters import LEFT_CJK, RIGHT_CJK, char_classes
from pairsmith.augmenters.operations import (
    DROP,
    SPANS,
    Plan,
    Style,
    check_rate,
    check_spans,
    check_style,
    marks_of,
)
from pairsmith.augmenters.subword_model import load_model, model_settings
from pairsmith.schemas import require


@dataclass(frozen=True)
class PieceAugmenter(ABC):
    """What both augmenters on pieces share."""

    languages: ClassVar[tuple[str, ...]] = ()
    keeps_meaning: ClassVar[bool] = True
    needs: ClassVar[str] = "a sentencepiece model"

    model: str
    """Path of a sentencepiece `.model`."""

    def setup(self) -> None:
        """Load and compile. Raises UserError when a package or the model is missing."""
        self(pa.array(["a"]), np.zeros(1, np.uint64))

    def __call__(self, texts: pa.StringArray, keys: npt.NDArray[np.uint64]) -> pa.StringArray:
        """Return a view of each text; null for null.

        keys: uint64, shape (len(texts),). Equal key, text and model give equal output.
        Raises TypeError or ValueError for arrays of other types or lengths, or over 2 GiB.
        """
        require("numba", extra="build")
        from pairsmith.augmenters.id_kernels import piece_bounds

        buffers = string_buffers(texts)
        strings = ["" if text is None else text for text in texts.to_pylist()]
        processor = load_model(self.model).processor
        protos = processor.encode(strings, out_type="serialized_proto", num_threads=1)
        ends = np.fromiter(map(len, protos), np.int64, len(protos)).cumsum()
        pieces = piece_bounds(
            buffers.data,
            buffers.offsets,
            char_classes(),
            read_only(np.frombuffer(b"".join(protos), np.uint8)),
            read_only(np.concatenate([np.zeros(1, np.int64), ends])),
        )
        bounds, firsts = pieces
        return self._plan().apply(buffers, keys, pieces=(read_only(bounds), read_only(firsts)))

    def settings(self) -> dict[str, Any]:
        """Return the settings as a recipe records them: the model by its content, not its place."""
        told = {f.name: getattr(self, f.name) for f in fields(self)}
        return told | {"model": model_settings(self.model)}

    @abstractmethod
    def _plan(self) -> Plan: ...


@dataclass(frozen=True)
class TokenDropout(PieceAugmenter):
    """Delete each token with probability `p`. If all would go, one stays."""

    name: ClassVar[str] = "token_dropout"
    version: ClassVar[int] = 1

    p: float = 0.1
    """0 <= p < 1."""

    def __post_init__(self) -> None:
        """Raise ValueError for a setting out of range."""
        check_rate(self.p)

    def _plan(self) -> Plan:
        return Plan(DROP, self.p)


@dataclass(frozen=True)
class TokenSpanMask(PieceAugmenter):
    """Mask spans of tokens as T5 does (arXiv 1910.10683); the settings are those of `SpanMask`."""

    name: ClassVar[str] = "token_span_mask"
    version: ClassVar[int] = 1

    density: float = 0.15
    """0 <= density < 1, and no more than spans that must not touch can cover."""
    mean_length: float = 3.0
    """Tokens in a span: at least 1."""
    style: Style = "sentinel"
    """What stands for a span: `<extra_id_0>`, `<extra_id_1>`, … or `mask` or nothing."""
    mask: str = "[MASK]"
    """One word."""

    def __post_init__(self) -> None:
        """Raise ValueError for a setting out of range."""
        check_spans(self.density, self.mean_length)
        check_style(self.style, self.mask)

    def _plan(self) -> Plan:
        prefix, suffix, numbered, _ = marks_of(self.style, self.mask)
        marks = (prefix, suffix, numbered, LEFT_CJK | RIGHT_CJK)
        return Plan(SPANS, self.density, self.mean_length, marks=marks)
