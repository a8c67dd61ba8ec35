"""Augmenters that misspell Latin words, as fingers and scanners do: one compiled pass per text.

Words are what `str.split()` cuts; a word that is hit gets one mistake, and its shape (capitals,
punctuation) stays. All views are positives: people read through such mistakes.
"""

import functools
import math
from abc import ABC, abstractmethod
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pairsmith.augmenters.buffers import read_only, string_buffers
from pairsmith.augmenters.characters import char_classes
from pairsmith.augmenters.operations import KEYBOARD, NO_CUTS, OCR, check_rate, run
from pairsmith.schemas import require

if TYPE_CHECKING:
    from pairsmith.augmenters.typo_kernels import Mistakes

_QWERTY: Final = (("qwertyuiop", 0.0), ("asdfghjkl", 0.25), ("zxcvbnm", 0.75))
"""Rows of keys, and how far each begins to the right of the first, in widths of a key."""
_REACH: Final = 1.3
"""Keys whose centres are nearer than this are neighbours: those that touch."""

# What scanners take for what, by the shapes of Latin letters in print; no digit for another digit.
_MISREAD: Final = """
0 O  0 o  1 l  1 I  2 Z  2 z  5 S  5 s  6 b  8 B  9 g  9 q
O 0  o 0  l 1  I 1  Z 2  z 2  S 5  s 5  b 6  B 8  g 9  q 9
I l  l I  i l  i 1  i j  j i  l i  l t  t l  t f  f t
c e  e c  o c  a o  o a  e o  g q  q g  h b  b h  n u  u n  u v  v u  v y  y v  x z  k h
C G  G C  D O  O D  O Q  Q O  E F  F E  P F  B R  R B  U V  V U  M N  N M  K X  V Y  Y V  H N
m rn  rn m  m nn  nn m  m in  in m  m ni  ni m  w vv  vv w  d cl  cl d  h li  li h  n ri  ri n
u ii  ii u  fi n  fl n  ti n  k lc  lc k  W VV  VV W  D I)  N IV  IV N  H II  K IC
"""


@dataclass(frozen=True)
class Typos(ABC):
    """What augmenters that misspell words share."""

    version: ClassVar[int] = 1
    languages: ClassVar[tuple[str, ...]] = ("en",)
    keeps_meaning: ClassVar[bool] = True
    needs: ClassVar[str] = ""

    p: float = 0.1
    """The probability that a word that is long enough gets a mistake: 0 <= p < 1."""
    min_length: int = 4
    """Shorter words stay as they are."""

    def __post_init__(self) -> None:
        """Raise ValueError for a setting out of range."""
        check_rate(self.p)
        if self.min_length < 2:
            raise ValueError(f"min_length must be at least 2, not {self.min_length}")

    def setup(self) -> None:
        """Load and compile. Raises UserError when numba is not installed."""
        self(pa.array(["a"]), np.zeros(1, np.uint64))

    def __call__(self, texts: pa.StringArray, keys: npt.NDArray[np.uint64]) -> pa.StringArray:
        """Return a view of each text; null for null.

        keys: uint64, shape (len(texts),). Equal key and text give equal output on every machine.
        Raises TypeError or ValueError for arrays of other types or lengths, or over 2 GiB.
        """
        require("numba", extra="build")
        from pairsmith.augmenters.typo_kernels import mistake_words

        op, kinds, mistakes = self._mistakes()
        return run(
            *(mistake_words, string_buffers(texts), keys, char_classes(), NO_CUTS),
            *(op, float(self.p), int(self.min_length), kinds, mistakes),
        )

    @abstractmethod
    def _mistakes(self) -> tuple[int, npt.NDArray[np.uint64], "Mistakes"]: ...


@dataclass(frozen=True)
class KeyboardTypos(Typos):
    """Mistype words: each of `min_length` letters or more gets one typo with probability `p`.

    Which one is drawn by the four weights, and then one of its places, all equally likely. Numbers,
    addresses and other words with anything but letters, `'` and `-` inside stay as they are.
    """

    name: ClassVar[str] = "keyboard_typos"

    neighbour: float = 0.4
    """Weight of a letter that becomes one on a neighbouring key of a QWERTY keyboard."""
    transposition: float = 0.2
    """Weight of two letters that change places; where no two differ, a neighbouring key is hit."""
    deletion: float = 0.2
    """Weight of a letter left out."""
    doubling: float = 0.2
    """Weight of a letter typed twice."""

    def __post_init__(self) -> None:
        """Raise ValueError for a setting out of range."""
        super().__post_init__()
        weights = (self.neighbour, self.transposition, self.deletion, self.doubling)
        if not (min(weights) >= 0 and 0 < sum(weights) < math.inf):
            raise ValueError(f"weights must be numbers >= 0, not all 0, not {weights}")

    def _mistakes(self) -> tuple[int, npt.NDArray[np.uint64], "Mistakes"]:
        weights = (self.neighbour, self.transposition, self.deletion, self.doubling)
        return KEYBOARD, thresholds(weights), _neighbours()


@dataclass(frozen=True)
class OcrTypos(Typos):
    """Misread words as scanners do: 0 for O, 1 for l, rn for m, with probability `p` a word.

    A word of `min_length` letters and digits or more with something to misread gets one mistake,
    all that fit equally likely. A digit may become a letter, never another digit.
    """

    name: ClassVar[str] = "ocr_typos"

    def _mistakes(self) -> tuple[int, npt.NDArray[np.uint64], "Mistakes"]:
        return OCR, thresholds((1, 1, 1, 1)), _misread()


def thresholds(weights: Sequence[float]) -> npt.NDArray[np.uint64]:
    """Return for all but the last kind the uint64 below which a random one means it, or earlier."""
    total = math.fsum(weights)
    shares = [math.fsum(weights[: k + 1]) / total for k in range(len(weights) - 1)]
    # A share of 1 has no threshold in 64 bits: the largest, which one draw in 2**64 misses.
    ends = [min(int(share * 2.0**64), 2**64 - 1) for share in shares]
    return read_only(np.array(ends, np.uint64))


@functools.cache
def _neighbours() -> "Mistakes":
    from pairsmith.augmenters.typo_kernels import Mistakes

    places = {
        letter: (column + indent, row)
        for row, (letters, indent) in enumerate(_QWERTY)
        for column, letter in enumerate(letters)
    }
    near = [
        "".join(b for b in sorted(places) if b != a and math.dist(places[a], places[b]) < _REACH)
        for a in sorted(places)
    ]
    return Mistakes(
        read_only(np.cumsum([0, *map(len, near)], dtype=np.int32)),
        read_only(np.empty(0, np.int32)),
        read_only(np.frombuffer("".join(near).encode(), np.uint8)),
        read_only(np.empty(0, np.uint8)),
    )


@functools.cache
def _misread() -> "Mistakes":
    from pairsmith.augmenters.typo_kernels import Mistakes

    strings = _MISREAD.split()
    pairs = sorted(zip(strings[::2], strings[1::2], strict=True))
    firsts = [bisect_left(pairs, (chr(byte), "")) for byte in range(129)]
    written = [string for pair in pairs for string in pair]
    counts = np.zeros((256, 256), np.uint8)
    for string, _ in pairs:
        first, *second = string.encode()
        counts[first, second or slice(None)] += 1
    return Mistakes(
        read_only(np.array(firsts, np.int32)),
        read_only(np.cumsum([0, *map(len, written)], dtype=np.int32)),
        read_only(np.frombuffer("".join(written).encode(), np.uint8)),
        read_only(counts.ravel()),
    )
