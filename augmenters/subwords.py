"""Subword sampling: a text is cut into other pieces of a sentencepiece model each time.

sentencepiece samples from one random generator for the whole process, seeded by a global call, so
that a record's pieces would depend on what other threads draw meanwhile. Here the same
distributions are drawn by the record's key, in compiled code that runs without the GIL.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any, ClassVar, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pairsmith.augmenters.augmenter import Keys
from pairsmith.augmenters.buffers import check_keys, read_only, string_buffers
from pairsmith.augmenters.characters import EXTENDER, SPACE, char_classes
from pairsmith.augmenters.subword_model import (
    SubwordModel,
    kind_of,
    load_model,
    model_settings,
    pieces_of,
)
from pairsmith.schemas import UserError, require

_ZERO_WIDTH_JOINER = "\u200d"
"""Makes one emoji, or one letter of some scripts, of what stands around it."""
_FLAG = re.compile("[\U0001f1e6-\U0001f1ff]{2}")
"""Two regional indicators."""


class Sampled(NamedTuple):
    """One segmentation of each text."""

    ids: npt.NDArray[np.int32]
    """Of all texts, one after the other."""
    offsets: npt.NDArray[np.int64]
    """Shape (texts + 1,): the pieces of text i are offsets[i] to offsets[i + 1]."""
    ends: npt.NDArray[np.int32]
    """Where each piece ends in the normalised texts: bytes, of all of them joined."""


@dataclass(frozen=True)
class SubwordSampling:
    """Cut words into pieces drawn from the model, and put `joiner` between these.

    Letters, punctuation and spaces stay as they are: without the joiners the view is the text.
    Where the text has a space, none is added; nothing is put inside a character, or before an
    accent that stands alone.
    """

    name: ClassVar[str] = "subword_sampling"
    version: ClassVar[int] = 1
    languages: ClassVar[tuple[str, ...]] = ()
    keeps_meaning: ClassVar[bool] = True
    needs: ClassVar[str] = "a sentencepiece model"

    model: str
    """Path of a sentencepiece `.model`, unigram or bpe."""
    alpha: float = 0.1
    """Unigram (arXiv 1804.10959): a cut has probability in proportion to P(cut) ** alpha, so that 0
    draws among all evenly and much more than 1 the likeliest. BPE-dropout (arXiv 1910.13267): the
    probability that a merge is left out."""
    nbest: int = -1
    """Unigram: draw among so many likeliest cuts, 2 to 512, or among all (-1)."""
    joiner: str = " "
    """Between pieces of a word; with `@@ `, which texts seldom hold, the text can be restored."""

    def __post_init__(self) -> None:
        """Raise ValueError for a setting out of range."""
        check_sampling(self.alpha, self.nbest)
        if not self.joiner:
            raise ValueError("joiner must not be empty")

    def settings(self) -> dict[str, Any]:
        """Return the settings as a recipe records them: the model by its content, not its place."""
        told = {f.name: getattr(self, f.name) for f in fields(self)}
        return told | {"model": model_settings(self.model)}

    def setup(self) -> None:
        """Load and compile. Raises UserError when a package or the model is missing."""
        self(pa.array(["a"]), np.zeros(1, np.uint64))

    def __call__(self, texts: pa.StringArray, keys: Keys) -> pa.StringArray:
        """Return each text with joiners between its pieces; null for null.

        keys: uint64, shape (len(texts),). Equal key, text and model give equal output.
        Raises TypeError or ValueError for arrays of other types or lengths, or over 2 GiB.
        """
        string_buffers(texts)
        strings = ["" if text is None else text for text in texts.to_pylist()]
        model = load_model(self.model)
        normal = model.processor.normalize(strings, with_offsets=True)
        sampled = _sample([text for text, _ in normal], keys, model, self.alpha, self.nbest)
        views: list[str | None] = []
        base = 0
        for row, text in enumerate(texts.to_pylist()):
            piece_ends = sampled.ends[sampled.offsets[row] : sampled.offsets[row + 1]]
            normalised, places = normal[row]
            data = normalised.encode()
            views.append(None)
            if text is not None:
                views[-1] = self._joined(text, data, piece_ends - base, places)
            base += len(data)
        return pa.array(views, pa.string())

    def _joined(
        self, text: str, data: bytes, ends: npt.NDArray[np.int32], places: Sequence[int]
    ) -> str:
        """Return the text with joiners.

        data: the normalised text; ends: of its pieces in bytes; places: by character of it, where
        that stands in the text.
        """
        firsts = (np.frombuffer(data, np.uint8) & 0xC0) != 0x80
        # A piece of a single byte may end inside a character.
        inner = [end for end in ends[:-1].tolist() if firsts[end]]
        characters = np.cumsum(firsts)
        classes = char_classes()
        parts, done = [], 0
        for end in inner:
            number = int(characters[end]) - 1
            place = places[number]
            if place == places[number - 1] or not done < place < len(text):
                continue
            before, after = classes[ord(text[place - 1])], classes[ord(text[place])]
            if SPACE in (before, after) or after == EXTENDER:
                continue
            if text[place - 1] == _ZERO_WIDTH_JOINER or _FLAG.match(text, place - 1):
                continue
            parts += [text[done:place], self.joiner]
            done = place
        return "".join([*parts, text[done:]])


def sample_ids(
    texts: pa.StringArray, keys: Keys, model: SubwordModel, alpha: float, nbest: int = -1
) -> Sampled:
    """Return the ids of sampled pieces of texts without nulls; see `SubwordSampling`.

    Raises UserError for a model that is neither unigram nor bpe.
    """
    check_sampling(alpha, nbest)
    return _sample(model.processor.normalize(texts.to_pylist()), keys, model, alpha, nbest)


def check_sampling(alpha: float, nbest: int) -> None:
    """Raise ValueError for settings that no model can be sampled with."""
    if not 0 <= alpha < 1000:
        raise ValueError(f"alpha must be at least 0 and below 1000, not {alpha}")
    if nbest != -1 and not 2 <= nbest <= 512:
        raise ValueError(f"nbest must be -1, or from 2 to 512, not {nbest}")


def _sample(
    normal: Sequence[str], keys: Keys, model: SubwordModel, alpha: float, nbest: int
) -> Sampled:
    """Return sampled pieces of texts that the model has normalised.

    Raises UserError for a model that cannot be sampled so.
    """
    require("numba", extra="build")
    from pairsmith.augmenters.bpe_kernels import sample_bpe
    from pairsmith.augmenters.subword_kernels import sample_unigram

    kind = kind_of(model)
    if kind == "bpe" and alpha > 1:
        raise UserError(f"alpha is a probability with a bpe model: at most 1, not {alpha:g}")
    encoded = [text.encode() for text in normal]
    data = read_only(np.frombuffer(b"".join(encoded), np.uint8))
    bounds = read_only(np.cumsum([0, *map(len, encoded)], dtype=np.int64))
    keys = check_keys(keys, len(encoded))
    pieces = pieces_of(model.data)
    if kind == "unigram":
        ids, ends, offsets = sample_unigram(data, bounds, keys, pieces, float(alpha), nbest)
    else:
        ids, ends, offsets = sample_bpe(data, bounds, keys, pieces, float(alpha))
    return Sampled(ids, offsets, ends)
