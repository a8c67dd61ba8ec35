"""What a sentencepiece `.model` file holds, as compiled sampling needs it."""

import functools
import hashlib
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np

from pairsmith.augmenters.buffers import read_only
from pairsmith.schemas import UserError, require

if TYPE_CHECKING:
    from pairsmith.augmenters.subword_kernels import Pieces, Trie

_UNIGRAM, _BPE, _CHAR = 1, 2, 4
_NORMAL, _UNKNOWN, _USER_DEFINED, _UNUSED, _BYTE = 1, 2, 4, 5, 6
_FEW = 4
"""So many children of a node are looked through; more have a table."""
_UNKNOWN_PENALTY = 10.0
"""How much less likely than the least likely piece an unknown character is; sentencepiece's own."""


class SubwordModel(NamedTuple):
    """A model that is loaded: the same bytes in all three."""

    processor: Any
    """sentencepiece.SentencePieceProcessor"""
    sha256: str
    data: bytes

    def id_of(self, piece: str) -> int:
        """Return the id of a piece. Raises UserError when the model has none such."""
        number: int = self.processor.piece_to_id(piece)
        if number == self.processor.unk_id() and piece != self.processor.id_to_piece(number):
            raise UserError(f"the sentencepiece model has no piece {piece!r}")
        return number


def load_model(path: str) -> SubwordModel:
    """Return the loaded model, anew when the file has changed.

    Raises UserError when there is none.
    """
    file = Path(path)
    if not file.is_file():
        raise UserError(f"no sentencepiece model at {path}: there is no such file")
    stat = file.stat()
    return _loaded(path, stat.st_mtime_ns, stat.st_size)


def model_settings(path: str) -> dict[str, str]:
    """Return what a recipe records of a model: its file name and its content's sha256."""
    return {"name": Path(path).name, "sha256": load_model(path).sha256}


@functools.lru_cache(maxsize=8)
def _loaded(path: str, _time: int, _size: int) -> SubwordModel:
    sentencepiece = require("sentencepiece", extra="build")
    data = Path(path).read_bytes()
    try:
        processor = sentencepiece.SentencePieceProcessor(model_proto=data)
    except (RuntimeError, OSError) as error:
        raise UserError(f"{path} is no sentencepiece model ({error})") from error
    return SubwordModel(processor, hashlib.sha256(data).hexdigest(), data)


def kind_of(model: SubwordModel) -> Literal["unigram", "bpe"]:
    """Return which algorithm cuts texts by the model; for one of characters, either would.

    Raises UserError for a model of whole words.
    """
    kind = _UNIGRAM
    for number, value in _fields(model.data):
        if number == 2:
            kind = next((v for n, v in _fields(value) if n == 3), kind)
    if kind not in (_UNIGRAM, _BPE, _CHAR):
        raise UserError("subwords can be sampled of unigram, bpe and char models only")
    return "bpe" if kind == _BPE else "unigram"


@functools.lru_cache(maxsize=8)
def pieces_of(data: bytes) -> "Pieces":
    """Return the pieces of a model, given the bytes of its file.

    Raises UserError for a model with pieces that are marked as unused.
    """
    from pairsmith.augmenters.subword_kernels import Pieces

    rows = [dict(_fields(value)) for number, value in _fields(data) if number == 1]
    texts = [row[1] for row in rows]
    kinds = np.array([row.get(3, _NORMAL) for row in rows])
    scores = np.array([struct.unpack("<f", row[2])[0] if 2 in row else 0.0 for row in rows])
    if (kinds == _UNUSED).any():
        raise UserError("the sentencepiece model has pieces marked as unused; restore them all")
    normal, whole = kinds == _NORMAL, kinds == _USER_DEFINED
    for number in np.flatnonzero(whole):
        scores[number] = len(texts[number].decode()) * scores[normal].max(initial=0.0) - 0.1
    byte_ids = np.empty(0, np.int32)
    if (kinds == _BYTE).any():
        byte_ids = np.zeros(256, np.int32)
        for number in np.flatnonzero(kinds == _BYTE):
            byte_ids[int(texts[number][3:5], 16)] = number
    return Pieces(
        _trie({texts[number]: int(number) for number in np.flatnonzero(normal | whole)}),
        read_only(scores),
        read_only(np.unique(-scores, return_inverse=True)[1].reshape(-1).astype(np.int32)),
        read_only(whole.astype(np.uint8) if whole.any() else np.empty(0, np.uint8)),
        read_only(byte_ids),
        int(np.flatnonzero(kinds == _UNKNOWN)[0]),
        float(scores[normal].min(initial=0.0) - _UNKNOWN_PENALTY),
    )


def _trie(ids: dict[bytes, int]) -> "Trie":
    from pairsmith.augmenters.subword_kernels import Trie

    nodes: list[dict[int, int]] = [{}]
    ends = [-1]
    for text, number in ids.items():
        node = 0
        for byte in text:
            child = nodes[node].get(byte)
            if child is None:
                child = nodes[node][byte] = len(nodes)
                nodes.append({})
                ends.append(-1)
            node = child
        ends[node] = number
    many = [node for node, children in enumerate(nodes) if len(children) > _FEW]
    tables = np.full(len(nodes), -1, np.int32)
    tables[many] = np.arange(len(many))
    by_label = np.full((len(many), 256), -1, np.int32)
    for table, node in enumerate(many):
        by_label[table, list(nodes[node])] = list(nodes[node].values())
    edges = [edge for children in nodes for edge in children.items()]
    return Trie(
        read_only(np.cumsum([0, *map(len, nodes)], dtype=np.int32)),
        read_only(np.array([label for label, _ in edges], np.uint8)),
        read_only(np.array([child for _, child in edges], np.int32)),
        read_only(np.array(ends, np.int32)),
        read_only(tables),
        read_only(by_label),
    )


def _fields(data: bytes) -> Iterator[tuple[int, Any]]:
    """Yield the fields of a protocol buffer: numbers as int, all else as bytes.

    sentencepiece brings classes for it, which many versions of protobuf refuse.
    """
    i = 0
    while i < len(data):
        tag, i = _varint(data, i)
        number, wire = tag >> 3, tag & 7
        if wire == 0:
            value, i = _varint(data, i)
            yield number, value
            continue
        if wire == 2:
            size, i = _varint(data, i)
        else:
            size = 4 if wire == 5 else 8
        yield number, data[i : i + size]
        i += size


def _varint(data: bytes, i: int) -> tuple[int, int]:
    number = shift = 0
    while True:
        number |= (data[i] & 127) << shift
        shift += 7
        i += 1
        if data[i - 1] < 128:
            return number, i
