"""Ids of texts as arrays: cut and framed with special tokens as the tokenizer itself would."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from tokenizers import Tokenizer

from pairsmith.schemas import UserError
from pairsmith.training.end_to_end import flatten, row_places
from pairsmith.training.tokens.wordpiece import ColumnWordPiece

Ids = npt.NDArray[np.int64]

_AT_ONCE = 4096
"""Texts that the library holds as Python objects at one time."""
_PROBES = ("a", "the committee", "0", "天气")


@dataclass(frozen=True)
class IdRows:
    """The ids of n texts, end to end."""

    ids: Ids
    """Shape (total,)."""
    lengths: Ids
    """Shape (n,): how many belong to each text."""

    @classmethod
    def of(cls, rows: Sequence[Sequence[int] | Ids]) -> "IdRows":
        """Return these ids, a row for each text."""
        return cls(*flatten(rows))

    def __len__(self) -> int:
        """Return the number of texts."""
        return len(self.lengths)

    @property
    def starts(self) -> Ids:
        """Return where each text begins: shape (n,)."""
        return np.cumsum(self.lengths) - self.lengths

    def rows(self) -> list[Ids]:
        """Return the ids of each text as an array."""
        return np.split(self.ids, self.starts)[1:]

    def lists(self) -> list[list[int]]:
        """Return the ids of each text as a list."""
        return [row.tolist() for row in self.rows()]


@dataclass(frozen=True)
class Frame:
    """What a tokenizer puts around a single text, and the end at which it cuts long ones."""

    before: tuple[int, ...] = ()
    after: tuple[int, ...] = ()
    cut_left: bool = False
    """Drop the first tokens of a long text instead of the last."""


def cutter(tokenizer: Tokenizer) -> Callable[[list[str]], IdRows]:
    """Return a function from texts to ids: whole, without special tokens, as `tokenizer` cuts.

    The tokenizer is copied: its settings of padding and truncation stay as they are.
    """
    bare = _bare(tokenizer)
    if ColumnWordPiece.suits(bare):
        columns = ColumnWordPiece(bare)
        return lambda texts: IdRows(*columns(texts))

    def cut(texts: list[str]) -> IdRows:
        parts = []
        for start in range(0, len(texts), _AT_ONCE):
            encoded = bare.encode_batch_fast(
                texts[start : start + _AT_ONCE], add_special_tokens=False
            )
            parts.append(IdRows.of([encoding.ids for encoding in encoded]))
        return joined(parts)

    return cut


def joined(parts: Sequence[IdRows]) -> IdRows:
    """Return the ids of the texts of all parts."""
    empty = np.empty(0, np.int64)
    return IdRows(
        np.concatenate([empty, *(part.ids for part in parts)]),
        np.concatenate([empty, *(part.lengths for part in parts)]),
    )


def frame_of(tokenizer: Tokenizer, *, cut_left: bool = False) -> Frame:
    """Return the special tokens that `tokenizer` puts before and after a text.

    Raises UserError when it does more than that, such as repeating the text.
    """
    bare = _bare(tokenizer)
    found: set[tuple[tuple[int, ...], tuple[int, ...]]] | None = None
    for text in _PROBES:
        plain = bare.encode(text, add_special_tokens=False).ids
        whole = bare.encode(text, add_special_tokens=True).ids
        room = range(len(whole) - len(plain) + 1)
        ways = {
            (tuple(whole[:i]), tuple(whole[i + len(plain) :]))
            for i in room
            if whole[i : i + len(plain)] == plain
        }
        found = ways if found is None else found & ways
    if found is None or len(found) != 1:
        raise UserError(
            "the tokenizer does not just put special tokens around a text, which is all that is "
            "known how to do here; use a model with another tokenizer"
        )
    before, after = found.pop()
    return Frame(before, after, cut_left)


def framed(texts: IdRows, frame: Frame, max_length: int = 0) -> IdRows:
    """Return the ids with special tokens, each text cut so that no more than `max_length` remain.

    max_length: 0 cuts nothing. Equal to the tokenizer's `truncation=True, max_length=…`.
    Raises UserError when special tokens leave no room.
    """
    special = len(frame.before) + len(frame.after)
    if max_length and max_length <= special:
        raise UserError(
            f"--max-length {max_length} leaves no room beside {special} special tokens; "
            f"give at least {special + 1}"
        )
    kept = texts.lengths
    if max_length:
        kept = np.minimum(kept, max_length - special)
    starts = texts.starts
    if frame.cut_left:
        starts = starts + texts.lengths - kept
    lengths = kept + special
    ends = np.cumsum(lengths)
    ids = np.empty(int(lengths.sum()), np.int64)
    steps = row_places(kept)
    places = np.repeat(ends - lengths + len(frame.before), kept) + steps
    ids[places] = texts.ids[np.repeat(starts, kept) + steps]
    for number, token in enumerate(frame.before):
        ids[ends - lengths + number] = token
    for number, token in enumerate(reversed(frame.after)):
        ids[ends - 1 - number] = token
    return IdRows(ids, lengths)


def from_bytes(columns: Sequence[pa.Array], width: int) -> IdRows:
    """Return the ids in columns of bytes, one column after another.

    columns: large_binary without nulls, as a token cache holds them. width: bytes of an id.
    """
    parts = []
    for column in columns:
        if len(column):
            _, places, data = column.buffers()
            ends = np.frombuffer(places, np.int64)[column.offset : column.offset + len(column) + 1]
            raw = np.frombuffer(data or b"", np.uint8)[ends[0] : ends[-1]]
            parts.append(IdRows(raw.view(f"<u{width}").astype(np.int64), np.diff(ends) // width))
    return joined(parts)


def ids_of_pairs(pairs: pa.RecordBatch, width: int, negatives: Ids | None = None) -> IdRows:
    """Return the ids of a batch's anchors, then its positives, then these of its negatives.

    pairs: with the columns of `TokenCache.read`. negatives: which of all negatives, in row order;
    None for none.
    """
    columns = [pairs["anchor_ids"], pairs["positive_ids"]]
    if negatives is not None:
        columns.append(pairs["negatives_ids"].flatten().take(pa.array(negatives)))
    return from_bytes(columns, width)


def to_bytes(texts: IdRows, width: int) -> pa.LargeBinaryArray:
    """Return the ids of each text as little-endian bytes, `width` to an id: large_binary.

    Raises UserError for an id that does not fit.
    """
    if len(texts.ids) and int(texts.ids.max()) >= 1 << (8 * width):
        raise UserError(
            f"the tokenizer gave an id {texts.ids.max()} beyond its vocabulary; its file is damaged"
        )
    ends = np.concatenate([[0], np.cumsum(texts.lengths)]).astype(np.int64) * width
    data = pa.py_buffer(texts.ids.astype(f"<u{width}"))
    return pa.LargeBinaryArray.from_buffers(
        pa.large_binary(), len(texts), [None, pa.py_buffer(ends), data]
    )


def _bare(tokenizer: Tokenizer) -> Tokenizer:
    """Return a copy that neither pads nor truncates."""
    copy = Tokenizer.from_str(tokenizer.to_str())
    copy.encode_special_tokens = tokenizer.encode_special_tokens
    copy.no_padding()
    copy.no_truncation()
    return copy
