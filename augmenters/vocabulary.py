"""Words to write into texts: those that a user lists, or those of a corpus with their counts."""

import math
from collections import defaultdict
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pairsmith.augmenters.buffers import read_only, string_array, string_buffers
from pairsmith.augmenters.characters import CJK, char_classes
from pairsmith.augmenters.chinese_cuts import word_insides
from pairsmith.augmenters.letters import letter_kinds, to_lower, to_upper
from pairsmith.augmenters.operations import NO_CUTS, Words
from pairsmith.schemas import require

_ROWS: Final = 16_384
"""So many texts are cut at a time, to bound memory."""
LONGEST: Final = 64
"""Bytes of a word that is taken from a corpus; what is longer is seldom a word."""


def check_words(words: Any) -> tuple[str, ...]:
    """Return the words as a tuple. Raises TypeError or ValueError for what is not one word each."""
    if isinstance(words, str):
        raise TypeError("vocabulary must be several words, not one string")
    arrow = isinstance(words, pa.Array | pa.ChunkedArray)
    listed: tuple[str, ...] = tuple(words.to_pylist() if arrow else words)
    for word in listed:
        if not isinstance(word, str):
            raise TypeError(f"vocabulary must hold strings, not {word!r}")
        if word.split() != [word]:
            raise ValueError(f"vocabulary must hold single words without spaces, not {word!r}")
    return listed


def count_spellings(
    texts: pa.StringArray, chinese: str, most: int
) -> tuple[tuple[str, ...], tuple[int, ...]]:
    """Return the `most` frequent words of the texts, most frequent first, and how often they stand.

    Words are what word augmenters cut, without the punctuation around them; numbers, addresses and
    words over 64 bytes are left out. Words that differ in case count as one, in the spelling that
    is most frequent; of two equally frequent, in the one with small letters. The result does not
    depend on the order of the texts.
    """
    require("numba", extra="build")
    from pairsmith.augmenters.core_kernels import word_cores

    found = []
    for start in range(0, len(texts), _ROWS):
        buffers = string_buffers(texts[start : start + _ROWS])
        inside = word_insides(buffers) if chinese == "words" else NO_CUTS
        data, offsets = word_cores(
            *(buffers.data, buffers.offsets, buffers.valid),
            *(char_classes(), letter_kinds(), inside),
        )
        found.append(string_array(data, offsets, NO_CUTS).value_counts())
    spelled: dict[str, list[tuple[int, str]]] = defaultdict(list)
    for word, count in _total(found).items():
        if len(word.encode()) <= LONGEST:
            spelled[word.translate(to_lower())].append((count, word))
    counts = sorted((-sum(n for n, _ in same), max(same)[1]) for same in spelled.values())[:most]
    return tuple(word for _, word in counts), tuple(-n for n, _ in counts)


def _total(found: Sequence[pa.StructArray]) -> dict[str, int]:
    """Return how often each word was counted in all parts."""
    if not found:
        return {}
    parts = pa.concat_arrays(found)
    table = pa.table({"word": parts.field("values"), "count": parts.field("counts")})
    sums = table.group_by("word").aggregate([("count", "sum")])
    return dict(zip(sums["word"].to_pylist(), sums["count_sum"].to_pylist(), strict=True))


def words_table(words: Sequence[str], weights: Sequence[float], chinese: Sequence[bool]) -> Words:
    """Return words as kernels take them: drawn in proportion to their weights, Chinese apart."""
    groups = [[n for n, is_so in enumerate(chinese) if is_so == kind] for kind in (False, True)]
    listed = [_cases(words[n]) for group in groups for n in group]
    spellings = [cases[case].encode() for case in range(3) for cases in listed]
    return Words(
        data=read_only(np.frombuffer(b"".join(spellings), np.uint8)),
        offsets=read_only(np.cumsum([0, *map(len, spellings)], dtype=np.int32)),
        draws=read_only(
            np.concatenate([_aliases([weights[n] for n in group]) for group in groups])
        ),
        first=0,
        chinese=len(groups[0]),
        stop=len(words),
    )


def _aliases(weights: Sequence[float]) -> npt.NDArray[np.uint64]:
    """Return Walker's aliases for some weights, made as Vose does: see `Words.draws`.

    (IEEE Transactions on Software Engineering 17(9), 1991.) To draw: take one of n alike, and with
    its chance that one, else its other. Without a search, which no processor foresees.
    """
    n, total = len(weights), math.fsum(weights)
    shares = [weight * n / total for weight in weights]
    draws = np.arange(n, dtype=np.uint64) << np.uint64(32)  # Who stays so has itself for its other.
    poor = [word for word, share in enumerate(shares) if share < 1]
    rich = [word for word, share in enumerate(shares) if share >= 1]
    while poor and rich:
        word, other = poor.pop(), rich[-1]
        draws[word] = other << 32 | int(shares[word] * 2**32)
        shares[other] -= 1 - shares[word]
        if shares[other] < 1:
            poor.append(rich.pop())
    return draws


def damped(count: int) -> float:
    """Return count ** 0.75, by operations that round alike on every machine."""
    root = math.sqrt(math.sqrt(count))
    return root * root * root


def _cases(word: str) -> tuple[str, str, str]:
    """Return the word as it is, with a capital, and in capitals."""
    upper = word.translate(to_upper())
    return word, upper[:1] + word[1:], upper


def cjk_at_an_end(word: str) -> bool:
    """Return whether a word begins or ends with a Chinese character or kana."""
    return any(char_classes()[ord(character)] == CJK for character in (word[0], word[-1]))
