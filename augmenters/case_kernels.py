"""Compiled rules of case: which one a word has, and which another should get in its place."""

import numpy as np

from pairsmith.augmenters.compiled import njit
from pairsmith.augmenters.kernels import decode
from pairsmith.augmenters.letters import LOWER, UPPER
from pairsmith.augmenters.plans import Bytes, integer

AS_IT_IS, TITLE, CAPITALS = 0, 1, 2
"""The cases of a word in `Words`."""
CASE_BIT = 0x20
"""Tells ASCII letters from their capitals."""


@njit
def is_letter(b: np.uint8) -> bool:
    """Return True for a to z and A to Z."""
    return (integer(b) | CASE_BIT) - 97 >= 0 and (integer(b) | CASE_BIT) - 97 < 26


@njit
def count_cases(data: Bytes, a: int, b: int, kinds: Bytes) -> tuple[int, int, bool]:
    """Return the number of small letters and of capitals, and whether the first is a capital."""
    lower = 0
    upper = 0
    capital = False
    i = a
    while i < b:
        point, width = decode(data, i, b)
        lower += integer(kinds[point] == LOWER)
        if kinds[point] == UPPER:
            capital = capital or lower + upper == 0
            upper += 1
        i += width
    return lower, upper, capital


@njit
def case_for(data: Bytes, a: int, b: int, kinds: Bytes, first: bool) -> int:
    """Return the case of a word that takes the place of data[a:b]; first: of a text."""
    if data[a] < 128 and kinds[data[a]] == LOWER:  # A quick look, at what most words begin with.
        return AS_IT_IS
    lower, upper, capital = count_cases(data, a, b, kinds)
    if upper > 1 and lower == 0:
        return CAPITALS
    # A capital alone is the word I or an initial, unless it begins the text.
    return TITLE if capital and (first or lower > 0) else AS_IT_IS
