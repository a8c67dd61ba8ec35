"""Which words of texts are masked, and texts cut so that a model can read them."""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import NamedTuple

import pyarrow as pa

from pairsmith.augmenters.augmenter import Keys
from pairsmith.augmenters.buffers import check_keys, string_buffers
from pairsmith.augmenters.characters import CJK, char_classes
from pairsmith.augmenters.chinese_cuts import word_insides
from pairsmith.augmenters.letters import letter_kinds
from pairsmith.schemas import require

_SPACES = re.compile(r"\s+")


class Word(NamedTuple):
    """A word that is masked."""

    span: int
    """Which span of its text it is in: words with one number stand side by side."""
    start: int
    """First byte in the text."""
    end: int


@dataclass(frozen=True)
class Passage:
    """A text, or a part of a long one, with words that are masked."""

    row: int
    """Which text of the batch."""
    start: int
    """First byte."""
    end: int
    words: tuple[Word, ...]

    def spans(self) -> list[tuple[int, int]]:
        """Return where each span of words begins and ends in the text."""
        found: dict[int, tuple[int, int]] = {}
        for word in self.words:
            found[word.span] = (found.get(word.span, word[1:])[0], word.end)
        return list(found.values())


def masked_passages(
    texts: pa.StringArray, keys: Keys, density: float, mean_length: float
) -> Iterator[Passage]:
    """Yield each text that has masked words, whole.

    `density` of all words is masked, in spans of `mean_length` in the mean: see `SpanMask`.
    """
    require("numba", extra="build")
    from pairsmith.augmenters.masks.kernels import choose_words

    buffers = string_buffers(texts)
    inside = word_insides(buffers)
    chosen = choose_words(
        buffers.data,
        buffers.offsets,
        buffers.valid,
        check_keys(keys, buffers.rows),
        char_classes(),
        letter_kinds(),
        inside,
        float(density),
        float(mean_length),
    )
    words: dict[int, list[Word]] = {}
    for row, span, start, end in chosen.tolist():
        first = int(buffers.offsets[row])
        words.setdefault(row, []).append(Word(span, start - first, end - first))
    for row, some in words.items():
        size = int(buffers.offsets[row + 1] - buffers.offsets[row])
        yield Passage(row, 0, size, tuple(some))


def fitting(
    passages: Sequence[Passage],
    texts: Sequence[bytes],
    fits: Callable[[Sequence[Passage]], Sequence[bool]],
) -> list[Passage]:
    """Return the passages, those that do not fit cut in two until they do, the longest first.

    Cuts are at spaces if there are any, never in a span; parts without masked words are left out.
    """
    done: list[Passage] = []
    waiting = list(passages)
    while waiting:
        good = fits(waiting)
        done += [passage for passage, fit in zip(waiting, good, strict=True) if fit]
        halves = (
            half
            for passage, fit in zip(waiting, good, strict=True)
            if not fit
            for half in _halves(passage, texts[passage.row])
        )
        waiting = [half for half in halves if half.words]
    return sorted(done, key=lambda passage: (passage.row, passage.start))


def has_cjk(word: str) -> bool:
    """Return whether a word has a Chinese character or kana in it: also T恤, which is one word."""
    return bool((char_classes()[[ord(letter) for letter in word]] == CJK).any())


def _halves(passage: Passage, text: bytes) -> tuple[Passage, ...]:
    """Return two parts of a passage; one part without words when it cannot be cut."""
    held = passage.spans()
    piece = text[passage.start : passage.end].decode()
    ends = [len(piece[: found.end()].encode()) for found in _SPACES.finditer(piece)]
    if not (places := _free(ends, passage, held)):
        ends = list(accumulate(len(letter.encode()) for letter in piece))
        places = _free(ends, passage, held)
    if not places:
        return ()
    middle = (passage.start + passage.end) / 2
    cut = min(places, key=lambda place: abs(place - middle))
    return (
        Passage(passage.row, passage.start, cut, _within(passage.words, passage.start, cut)),
        Passage(passage.row, cut, passage.end, _within(passage.words, cut, passage.end)),
    )


def _free(ends: Sequence[int], passage: Passage, held: Sequence[tuple[int, int]]) -> list[int]:
    """Return the places, as bytes of the text, that are inside the passage and in no span."""
    places = (passage.start + end for end in ends)
    return [
        place
        for place in places
        if passage.start < place < passage.end
        and not any(first < place < last for first, last in held)
    ]


def _within(words: Sequence[Word], start: int, end: int) -> tuple[Word, ...]:
    return tuple(word for word in words if start <= word.start and word.end <= end)
