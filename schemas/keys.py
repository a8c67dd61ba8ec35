"""Hashes and random keys: pure functions of content, equal on every machine and engine.

All hashes are XXH3 (https://xxhash.com); fields are joined by the unit separator U+001F.
"""

from collections.abc import Iterator
from itertools import chain, repeat
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from xxhash import xxh3_64_intdigest, xxh3_128_hexdigest

UInt64Array = npt.NDArray[np.uint64]
Texts: TypeAlias = pa.StringArray | pa.LargeStringArray
UNITS_PER_BLOCK = 256
_SEED_LIMIT = 2**64
_OTHER_SPACE = r"[\t-\r\x1c-\x1f\x{85}\x{1680}\x{2028}\x{2029}]"  # what NFKD leaves of White_Space

_TYPESET = "‘’“”–—"  # what printed text has beyond ASCII, and normalising leaves as it is
_TYPESET_FIRST, _TYPESET_SECOND = _TYPESET.encode()[:2]
_TYPESET_LAST = np.isin(np.arange(256), list(_TYPESET.encode()[2::3]))
_PIECE = 1 << 14
_CACHED_BYTES = 1 << 17  # looked at at a time, so that what is made of them stays near


def normalise(texts: Texts) -> Texts:
    """Return texts as identity compares them: NFKD, lower case, single spaces, trimmed.

    Not NFKC: Arrow before 26 leaves out its composition (apache/arrow#51225), so the hashes would
    depend on the version. As a test of equality the two forms are the same.
    """
    lowered = pc.ascii_lower(texts)
    special = _special(texts)
    if not special.any():
        return lowered
    mask = pa.array(special)
    return pc.replace_with_mask(lowered, mask, _normalise_special(texts.filter(mask)))


def _special(texts: Texts) -> npt.NDArray[np.bool_]:
    """Return which texts may need more than ASCII lower case.

    Most need no more, and finding that out is many times cheaper than doing it all: these are
    printable ASCII and `_TYPESET`, with single spaces between words.
    """
    _, offsets, data = texts.buffers()
    if not len(texts) or not data:
        return np.zeros(len(texts), np.bool_)
    kind = np.dtype(np.int64 if pa.types.is_large_string(texts.type) else np.int32)
    bounds = np.frombuffer(offsets, kind, len(texts) + 1, kind.itemsize * texts.offset)
    characters = np.frombuffer(data, np.uint8)
    found = [np.empty(0, np.int64)]
    for start in range(bounds[0], bounds[-1], _CACHED_BYTES):
        piece = characters[start : min(start + _CACHED_BYTES + 1, bounds[-1])]
        space = piece == ord(" ")
        odd = piece - np.uint8(ord(" ")) > ord("~") - ord(" ")
        odd[:-1] |= space[:-1] & space[1:]
        found.append(np.flatnonzero(odd[:_CACHED_BYTES]) + start)
    at = np.concatenate(found)
    typeset = at[characters[at] == _TYPESET_FIRST]
    typeset = typeset[characters[typeset + 1] == _TYPESET_SECOND]
    typeset = typeset[_TYPESET_LAST[characters[typeset + 2]]]
    odd_bytes, typeset_ones = (
        np.bincount(np.searchsorted(bounds, places, "right") - 1, minlength=len(texts))
        for places in (at, typeset)
    )
    special: npt.NDArray[np.bool_] = odd_bytes > 3 * typeset_ones
    filled = np.flatnonzero(bounds[1:] > bounds[:-1])
    for edge in (bounds[filled], bounds[filled + 1] - 1):
        special[filled[characters[edge] == ord(" ")]] = True
    return special


def _normalise_special(texts: Texts) -> Texts:
    folded = pc.utf8_lower(pc.utf8_normalize(texts, "NFKD"))
    uneven = pc.match_substring_regex(folded, f"  |{_OTHER_SPACE}")
    if pc.any(uneven).as_py():
        single = pc.replace_substring_regex(folded, f"(?: |{_OTHER_SPACE})+", " ")
        folded = pc.if_else(uneven, single, folded)
    return pc.utf8_trim_whitespace(folded)


def text_hashes(texts: Texts) -> UInt64Array:
    """Return the XXH3-64 of each normalised text: uint64, shape (len(texts),). No nulls."""
    hashes = _hash64(pc.ascii_lower(texts))
    special = _special(texts)
    if special.any():  # whose hashes are made anew, which costs less than joining texts
        hashes[special] = _hash64(_normalise_special(texts.filter(pa.array(special))))
    return hashes


def text_ids(texts: pa.StringArray) -> pa.StringArray:
    """Return the source id of texts that have none of their own: XXH3-128 of the text, in hex."""
    return _hex128(texts)


def group_ids(source_ids: pa.StringArray) -> UInt64Array:
    """Return the default group of each row, its document: uint64, shape (len(source_ids),)."""
    return _hash64(source_ids)


def record_keys(
    seed: int, source_ids: pa.StringArray, units: npt.NDArray[np.int32], view: str, draw: int
) -> UInt64Array:
    """Return the random key of each record's view: uint64, shape (len(source_ids),).

    The key is XXH3-64, seeded with `seed` modulo 2**64, of source id, unit, view and draw.
    """
    seed %= _SEED_LIMIT
    joined = _records(_joined(source_ids, units, view, str(draw)))
    digests = map(xxh3_64_intdigest, joined, repeat(seed))
    return np.fromiter(digests, np.uint64, len(source_ids))


def subkeys(keys: UInt64Array, stream: int) -> UInt64Array:
    """Return independent keys for the `stream`-th consumer of each key (splitmix64 finaliser).

    Source: Steele, Lea, Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014.
    """
    z = keys + np.uint64((stream + 1) * 0x9E3779B97F4A7C15 % _SEED_LIMIT)
    z ^= z >> np.uint64(30)
    z *= np.uint64(0xBF58476D1CE4E5B9)
    z ^= z >> np.uint64(27)
    z *= np.uint64(0x94D049BB133111EB)
    z ^= z >> np.uint64(31)
    return z


def pair_ids(
    source_ids: pa.StringArray, units: npt.NDArray[np.int32], kind: str, draw: int
) -> pa.StringArray:
    """Return the pair id of each row: XXH3-128 of source id, unit, kind and draw, in hex."""
    return _hex128(_joined(source_ids, units, kind, str(draw)))


def shard_numbers(
    source_ids: pa.StringArray, units: npt.NDArray[np.int32], shards: int
) -> npt.NDArray[np.int64]:
    """Return the shard of each row: int64 in [0, shards), from source id and unit // 256."""
    joined = _records(_joined(source_ids, units // UNITS_PER_BLOCK))
    return np.array([xxh3_64_intdigest(record) % shards for record in joined], np.int64)


def _joined(
    source_ids: pa.StringArray, numbers: npt.NDArray[np.int32], *rest: str
) -> pa.StringArray:
    fields = [source_ids, pa.array(numbers).cast(pa.string())]
    if rest:  # joined here, once for all rows
        fields.append("\x1f".join(rest))
    return pc.binary_join_element_wise(*fields, "\x1f")


def _pieces(texts: pa.StringArray) -> Iterator[list[bytes]]:
    """Yield the bytes of the texts, so many at a time: as objects they take far more memory."""
    texts = texts.cast(pa.binary())
    for start in range(0, len(texts), _PIECE):
        yield texts[start : start + _PIECE].to_pylist()


def _records(texts: pa.StringArray) -> Iterator[bytes]:
    return chain.from_iterable(_pieces(texts))


def _hex128(texts: pa.StringArray) -> pa.StringArray:
    """Return the XXH3-128 of each text, in hex; made in one piece, as all are of one length."""
    digits = b"".join("".join(map(xxh3_128_hexdigest, piece)).encode() for piece in _pieces(texts))
    ends = np.arange(0, len(digits) + 1, 32, dtype=np.int32)
    return pa.StringArray.from_buffers(len(texts), pa.py_buffer(ends), pa.py_buffer(digits))


def _hash64(texts: pa.StringArray) -> UInt64Array:
    return np.fromiter(map(xxh3_64_intdigest, _records(texts)), np.uint64, len(texts))
