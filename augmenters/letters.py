"""What counts as a letter, and its other case: frozen, as the classes of `characters` are."""

import functools
from collections.abc import Mapping
from typing import Final

import numpy as np
import numpy.typing as npt

from pairsmith.augmenters.characters import (
    CLASS_COUNT,
    CLOSER,
    EXTENDER,
    OPENER,
    SPACE,
    char_classes,
)

MARK: Final = 0
"""Punctuation, symbols, spaces, and what changes the character before it."""
LETTER: Final = 1
"""Without case, as Han characters are; combining marks are not among them."""
LOWER: Final = 2
UPPER: Final = 3
DIGIT: Final = 4
INNER: Final = 5
"""May stand inside a word: apostrophes and hyphens."""

CASE_COUNT: Final = 0x1F00
"""Latin, Greek, Cyrillic, Armenian and Vietnamese letters lie below."""
# Without the phonetic letters of 250-2AF, whose capitals came later than some Pythons.
_CASED = "41-24F 370-58F 1E00-1EFF"
_DIGITS = "30-39 660-669 6F0-6F9 966-96F FF10-FF19"
_INNER = "27 2D B7 2010-2011 2019"
_SYMBOLS = (
    "0-2F 3A-40 5B-60 7B-A9 AB-B4 B6-B9 BB-BF D7 F7 2C2-2C5 2D2-2DF 375 37E 384-385 387 3F6 482 "
    "55A-55F 589-58F 5BE 5C0 5C3 5C6 5F3-5F4 606-60F 61B-61F 66A-66D 6D4 6DD-6DE 6E9 6FD-6FE "
    "700-70D 964-965 970 E3F E4F 2000-209F 20A0-20CF 2100-214F 2190-2BFF 2E00-2E7F 3000-3004 "
    "3008-3020 3030 3036-3037 303D-303F 309B-309C 30A0 30FB E000-F8FF FE10-FE6F FF01-FF0F "
    "FF1A-FF20 FF3B-FF40 FF5B-FF65 FFE0-FFFF 1F000-1FBFF"
)


@functools.cache
def letter_kinds() -> npt.NDArray[np.uint8]:
    """Return the kind of each code point: uint8, shape (CLASS_COUNT,), read-only."""
    kinds = np.full(CLASS_COUNT, LETTER, np.uint8)
    kinds[np.isin(char_classes(), (CLOSER, EXTENDER, OPENER, SPACE))] = MARK
    for ranges, value in ((_SYMBOLS, MARK), (_DIGITS, DIGIT), (_INNER, INNER)):
        for first, last in _spans(ranges):
            kinds[first : last + 1] = value
    for lower, upper in _pairs():
        kinds[lower] = LOWER
        kinds[upper] = UPPER
    kinds.flags.writeable = False
    return kinds


@functools.cache
def other_cases() -> npt.NDArray[np.uint32]:
    """Return the other case of each low letter: uint32, shape (CASE_COUNT,), read-only.

    What has none, or none of its own (ß, ı), stands for itself.
    """
    cases = np.arange(CASE_COUNT, dtype=np.uint32)
    for lower, upper in _pairs():
        cases[lower], cases[upper] = upper, lower
    cases.flags.writeable = False
    return cases


@functools.cache
def to_upper() -> Mapping[int, int]:
    """Return the capital of each letter that has one, for `str.translate`."""
    return dict(_pairs())


@functools.cache
def to_lower() -> Mapping[int, int]:
    """Return the small letter of each capital, for `str.translate`."""
    return {upper: lower for lower, upper in _pairs()}


@functools.cache
def _pairs() -> tuple[tuple[int, int], ...]:
    """Return the letters whose other case is one letter of equal length, and leads back."""
    points = (p for first, last in _spans(_CASED) for p in range(first, last + 1))
    lowers = [(chr(p), chr(p).upper()) for p in points if chr(p).islower()]
    return tuple(
        (ord(lower), ord(upper))
        for lower, upper in lowers
        if len(upper) == 1
        and upper != lower == upper.lower()
        and ord(upper) < CASE_COUNT
        and len(upper.encode()) == len(lower.encode())
    )


def _spans(ranges: str) -> list[tuple[int, int]]:
    parts = [span.partition("-") for span in ranges.split()]
    return [(int(first, 16), int(last or first, 16)) for first, _, last in parts]
