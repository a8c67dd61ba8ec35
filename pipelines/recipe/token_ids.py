"""Token ids beside the texts of each pair, of one sentencepiece model."""

from collections.abc import Iterator
from dataclasses import dataclass, fields
from itertools import chain
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pairsmith.augmenters import drop_ids, mask_id_spans
from pairsmith.augmenters.operations import check_rate, check_spans
from pairsmith.augmenters.subword_model import SubwordModel, load_model, model_settings
from pairsmith.augmenters.subwords import check_sampling, sample_ids
from pairsmith.schemas import record_keys, subkeys

_BATCH_ROWS = 4096


@dataclass(frozen=True)
class TokenIds:
    """Ids of anchors and positives in the columns `anchor_ids` and `positive_ids`.

    Those of an anchor are sentencepiece's own; those of a positive can be cut, dropped and masked
    at random, in this order, so that a pair of equal texts still has two views.
    """

    version: ClassVar[int] = 1

    model: str
    """Path of a sentencepiece `.model`; where workers are other machines, of all of them."""
    alpha: float | None = None
    """Cut positives into sampled pieces: see `SubwordSampling`; None: into the likeliest."""
    nbest: int = -1
    """As in `SubwordSampling`."""
    dropout: float = 0.0
    """Delete each id of a positive with this probability; one stays."""
    density: float = 0.0
    """Mask this share of a positive's ids in spans: see `SpanMask`."""
    mean_length: float = 3.0
    """Ids in a span, in the mean."""
    marks: tuple[str, ...] = ()
    """Pieces that stand for the first span, the second, …; further ones get the last. With none,
    spans are deleted."""

    def __post_init__(self) -> None:
        """Raise ValueError for a setting out of range."""
        check_sampling(self.alpha or 0.0, self.nbest)
        check_rate(self.dropout)
        check_spans(self.density, self.mean_length)

    @property
    def sha256(self) -> str:
        """Return the sha256 of the model's file, in hex."""
        return load_model(self.model).sha256

    def settings(self) -> dict[str, Any]:
        """Return the settings as a recipe records them: the model by its content, not its place."""
        told = {f.name: getattr(self, f.name) for f in fields(self)}
        return told | {"marks": list(self.marks), "model": model_settings(self.model)}

    def setup(self) -> None:
        """Load and compile. Raises UserError for a model that is missing, or that lacks a mark."""
        self.ids_of(pa.array(["a"]), np.zeros(1, np.uint64))

    def ids_of(
        self, texts: pa.StringArray, keys: npt.NDArray[np.uint64] | None = None
    ) -> pa.ListArray:
        """Return the ids of texts without nulls: with keys changed at random, as a positive's are.

        keys: uint64, shape (len(texts),). Equal key, text, settings and model give equal ids.
        """
        model = load_model(self.model)
        if keys is None or self.alpha is None:
            values, offsets = _encoded(texts, model)
        else:
            sampled = sample_ids(texts, subkeys(keys, 0), model, self.alpha, self.nbest)
            values, offsets = sampled.ids, sampled.offsets
        if keys is not None and self.dropout:
            values, offsets = drop_ids(values, offsets, subkeys(keys, 1), self.dropout)
        if keys is not None and self.density:
            values, offsets = mask_id_spans(
                *(values, offsets, subkeys(keys, 2)),
                density=self.density,
                mean_length=self.mean_length,
                marks=np.array([model.id_of(mark) for mark in self.marks], np.int32),
            )
        ends = pa.array(offsets.astype(np.int32))
        kind = pa.list_(pa.field("element", pa.int32(), nullable=False))
        return pa.ListArray.from_arrays(ends, pa.array(values), type=kind)


def add_ids(pairs: pa.Table, ids: TokenIds, seed: int) -> pa.Table:
    """Return the rows of a shard with their ids in the columns for these."""
    for name, batches in (("anchor_ids", _anchors), ("positive_ids", _positives)):
        index = pairs.schema.get_field_index(name)
        field = pairs.schema.field(index)
        arrays = pa.chunked_array(batches(pairs, ids, seed), field.type)
        pairs = pairs.set_column(index, field, arrays)
    return pairs


def _anchors(pairs: pa.Table, ids: TokenIds, _seed: int) -> Iterator[pa.ListArray]:
    for batch in pairs.select(["anchor"]).to_batches(_BATCH_ROWS):
        yield ids.ids_of(batch["anchor"])


def _positives(pairs: pa.Table, ids: TokenIds, seed: int) -> Iterator[pa.ListArray]:
    for batch in pairs.select(["pair_id", "positive"]).to_batches(_BATCH_ROWS):
        zeros = np.zeros(len(batch), np.int32)
        keys = record_keys(seed, batch["pair_id"], zeros, "positive_ids", 0)
        yield ids.ids_of(batch["positive"], keys)


def _encoded(
    texts: pa.StringArray, model: SubwordModel
) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int64]]:
    lists = model.processor.encode(texts.to_pylist(), num_threads=1)
    offsets = np.cumsum([0, *map(len, lists)], dtype=np.int64)
    return np.fromiter(chain.from_iterable(lists), np.int32, int(offsets[-1])), offsets
