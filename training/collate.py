"""Record batches -> tensors: all texts of a batch tokenised, and who may be whose negative."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import torch
from torch import Tensor

from pairsmith.schemas import group_ids, text_hashes
from pairsmith.training.encoders.packing import Features, on_device
from pairsmith.training.end_to_end import row_places
from pairsmith.training.streaming.loader import Cursor, Share
from pairsmith.training.streaming.row_groups import ABOUT, NEGATIVES, TARGETS, TEXTS
from pairsmith.training.tokens.cache import NEGATIVE_IDS, TEXT_IDS
from pairsmith.training.tokens.ids import IdRows, ids_of_pairs

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Identities:
    """What tells texts of one batch of B rows and N hard negatives apart; all int64.

    uint64 hashes are kept as the int64 of equal bits: only equality matters.
    """

    group: Tensor
    """Shape (B,): rows of equal group may say the same."""
    anchor: Tensor
    """Shape (B,): hash of the anchor's text."""
    positive: Tensor
    """Shape (B,): hash of the positive's text."""
    negative: Tensor
    """Shape (N,): hash of each hard negative's text."""
    negative_group: Tensor
    """Shape (N,): group of the document each hard negative was taken from; 0 is unknown."""
    owner: Tensor
    """Shape (N,): the row each hard negative was stored with."""


@dataclass(frozen=True)
class Batch:
    """One step's input. Texts stand in the order anchors, positives, hard negatives.

    Of a batch without rows `features` are of one text that is of no row.
    """

    features: Features
    identities: Identities
    weight: Tensor
    """float32, shape (B,)."""
    label: Tensor
    """int64, shape (B,): hash of the row's label; 0: it has none."""
    similarity: Tensor
    """float32, shape (B,): what the pair gates measured; nan: nothing."""
    about: pa.RecordBatch
    """`pair_id`, `kind`, `anchor_view`, `positive_view`, `lang` and `dataset` (int32, a number) of
    each row: for telemetry and error messages."""
    source: int
    """The dataset of the global batch; -1: several."""
    global_rows: int
    """Pairs of the global batch; this is one rank's share of them, maybe none."""
    digest: str
    """Hash of the identities of the global batch: equal on all ranks."""
    cursor: Cursor
    """Where the next batch begins."""

    @property
    def rows(self) -> int:
        """Return the number of pairs."""
        return len(self.weight)

    @property
    def texts(self) -> int:
        """Return the number of texts that rows have; `features` are of at least 1."""
        return 2 * self.rows + len(self.identities.owner)

    def to(self, device: torch.device) -> "Batch":
        """Return the batch with its tensors on `device`."""
        if device.type == "cpu":
            return self
        tensors = ("weight", "label", "similarity")
        rest = {name: getattr(self, name).to(device) for name in tensors}
        moved = on_device(self.features, device)
        identities = Identities(**{k: v.to(device) for k, v in vars(self.identities).items()})
        return replace(self, features=moved, identities=identities, **rest)


@dataclass(frozen=True)
class KeptIds:
    """How to read ids that were kept, in place of texts."""

    width: int
    """Bytes of an id."""
    features: Callable[[IdRows], Features]


def columns(negatives: int, *, kept: bool = False) -> tuple[str, ...]:
    """Return what `collate` needs of a row; kept: of one whose ids are kept."""
    if kept:
        more = (*NEGATIVE_IDS, NEGATIVES[1]) if negatives else ()
        return (*TEXT_IDS, *ABOUT, *TARGETS, *more)
    return TEXTS + ABOUT + TARGETS + (NEGATIVES if negatives else ())


def collate(
    share: Share,
    tokenise: Callable[[list[str]], Features],
    negatives: int,
    kept: KeptIds | None = None,
) -> Batch:
    """Return a share as tensors, with the first `negatives` stored negatives of each row.

    kept: reads ids from the share's columns instead of calling `tokenise` with texts.
    """
    pairs = share.pairs
    lists = pairs["negatives_ids" if kept else "negatives"] if negatives else None
    chosen, owner, sources = hard_negatives(pairs, lists, negatives)
    hashes = np.empty(0, np.uint64)
    if kept and lists is not None:
        hashes = pc.list_flatten(pairs["negatives_hash"]).take(pa.array(chosen)).to_numpy()
    elif lists is not None and len(chosen):
        hashes = text_hashes(pc.list_flatten(lists).take(pa.array(chosen)))
    groups = np.zeros(len(chosen), np.uint64)
    known = np.flatnonzero(sources.is_valid().to_numpy(zero_copy_only=False))
    if len(known):
        groups[known] = group_ids(sources.take(known))
    similarity = pc.cast(pairs["similarity"], pa.float32()).fill_null(float("nan"))
    return Batch(
        features=_features(pairs, lists, chosen, tokenise, kept),
        identities=Identities(
            group=_bits(pairs["group_id"].to_numpy()),
            anchor=_bits(pairs["anchor_hash"].to_numpy()),
            positive=_bits(pairs["positive_hash"].to_numpy()),
            negative=_bits(hashes),
            negative_group=_bits(groups),
            owner=torch.from_numpy(owner),
        ),
        weight=torch.tensor(pairs["weight"].to_numpy()),
        label=_bits(_labels(pairs["label"])),
        similarity=torch.tensor(similarity.to_numpy()),
        about=pairs.select([*ABOUT, "dataset"]),
        source=share.source,
        global_rows=share.global_rows,
        digest=share.digest,
        cursor=share.cursor,
    )


def _labels(labels: pa.Array) -> npt.NDArray[np.uint64]:
    hashes = np.zeros(len(labels), np.uint64)
    known = np.flatnonzero(labels.is_valid().to_numpy(zero_copy_only=False))
    if len(known):
        # A hash of the very string, as a document's is: labels differ where their letters do.
        hashes[known] = np.maximum(group_ids(labels.take(known)), np.uint64(1))
    return hashes


def _features(
    pairs: pa.RecordBatch,
    lists: pa.Array | None,
    chosen: Ints,
    tokenise: Callable[[list[str]], Features],
    kept: KeptIds | None,
) -> Features:
    if not len(pairs):
        # A rank may have no row of an epoch's last batch. It computes on something, for nothing:
        # others wait for the gradients of all its parameters.
        return tokenise(["."])
    if kept:
        return kept.features(ids_of_pairs(pairs, kept.width, None if lists is None else chosen))
    texts: list[str] = pairs["anchor"].to_pylist() + pairs["positive"].to_pylist()
    if lists is not None:
        texts += pc.list_flatten(lists).take(pa.array(chosen)).to_pylist()
    return tokenise(texts)


def hard_negatives(
    pairs: pa.RecordBatch, lists: pa.Array | None, most: int
) -> tuple[Ints, Ints, pa.Array]:
    """Return the first `most` negatives of every row: their places, owning rows, source ids.

    lists: of negatives, one a row. Places are those among all negatives; source ids may be null.
    """
    if lists is None:
        return np.empty(0, np.int64), np.empty(0, np.int64), pa.array([], pa.string())
    counts = pc.list_value_length(lists).to_numpy()
    keep = np.flatnonzero(row_places(counts) < most)
    owner = np.repeat(np.arange(len(counts)), counts)[keep]
    sources = pc.struct_field(pc.list_flatten(pairs["negative_info"]), "source_id")
    return keep, owner, sources.take(keep)


def _bits(hashes: npt.NDArray[np.uint64]) -> Tensor:
    return torch.from_numpy(hashes.astype(np.uint64).view(np.int64))
