"""Augmenters that take one Chinese character for another: by its sound, or by its shape.

Each character that has others is replaced with probability `p`, by any of them equally likely; what
is not Chinese stays. Views are positives: readers see through such mistakes.
"""

import functools
from abc import ABC, abstractmethod
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pairsmith.augmenters.buffers import read_only, string_buffers
from pairsmith.augmenters.characters import HAN_COUNT, HAN_FIRST
from pairsmith.augmenters.lookalikes import lookalikes
from pairsmith.augmenters.operations import LOOKALIKE, PINYIN, check_rate, run
from pairsmith.schemas import require

if TYPE_CHECKING:
    from pairsmith.augmenters.character_kernels import Others

_INITIALS: Final = (("z", "zh"), ("c", "ch"), ("s", "sh"), ("n", "l"), ("l", "r"), ("f", "h"))
_FINALS: Final = (("an", "ang"), ("en", "eng"), ("in", "ing"), ("ian", "iang"), ("uan", "uang"))
"""Sounds that speakers mix up, and that input methods offer to treat as one."""


@dataclass(frozen=True)
class CharacterTypos(ABC):
    """What augmenters that replace Chinese characters share."""

    version: ClassVar[int] = 1
    languages: ClassVar[tuple[str, ...]] = ("zh",)
    keeps_meaning: ClassVar[bool] = True
    needs: ClassVar[str] = ""

    p: float = 0.1
    """0 <= p < 1."""

    def __post_init__(self) -> None:
        """Raise ValueError for a setting out of range."""
        check_rate(self.p)

    def setup(self) -> None:
        """Load and compile. Raises UserError when numba or pypinyin is needed and not installed."""
        self(pa.array(["一"]), np.zeros(1, np.uint64))

    def __call__(self, texts: pa.StringArray, keys: npt.NDArray[np.uint64]) -> pa.StringArray:
        """Return a view of each text; null for null.

        keys: uint64, shape (len(texts),). Equal key and text give equal output on every machine.
        Raises TypeError or ValueError for arrays of other types or lengths, or over 2 GiB.
        """
        require("numba", extra="build")
        from pairsmith.augmenters.character_kernels import replace_characters

        op, share, near, far = self._others()
        buffers = string_buffers(texts)
        return run(replace_characters, buffers, keys, op, float(self.p), float(share), near, far)

    @abstractmethod
    def _others(self) -> tuple[int, float, "Others", "Others"]: ...


@dataclass(frozen=True)
class PinyinTypos(CharacterTypos):
    """Replace characters by others that are typed alike in pinyin, without tones.

    They are of the 3,755 common characters (GB 2312, level 1), each read as it most often is, and
    a syllable's most used ones replace the others; how much a character is used is counted in the
    phrases of pypinyin, so that another version of it may give other views. A character that has
    no homophone stays.
    """

    name: ClassVar[str] = "pinyin_typos"

    near: float = 0.2
    """How many of the replaced get a syllable that is often mixed up with theirs: zh for z, ch for
    c, sh for s, n for l, r for l, f for h, and -ng for -n, or the other way about; 0 to 1."""
    most: int = 9
    """Take a syllable's so many most used ones, as many as an input method shows at first."""

    def __post_init__(self) -> None:
        """Raise ValueError for a setting out of range."""
        super().__post_init__()
        if not 0 <= self.near <= 1:
            raise ValueError(f"near must be from 0 to 1, not {self.near}")
        if self.most < 1:
            raise ValueError(f"most must be at least 1, not {self.most}")

    def _others(self) -> tuple[int, float, "Others", "Others"]:
        far = _near_homophones(self.most) if self.near else _none()
        return PINYIN, self.near, _homophones(self.most), far


@dataclass(frozen=True)
class LookalikeTypos(CharacterTypos):
    """Replace characters by others that look like them: 未 for 末, 己 for 已.

    From a hand-written table of some 1,900 simplified characters: about 8 in 10 of a running text.
    """

    name: ClassVar[str] = "lookalike_typos"

    def _others(self) -> tuple[int, float, "Others", "Others"]:
        return LOOKALIKE, 0.0, _lookalikes(), _none()


@functools.cache
def common_characters() -> str:
    """Return the 3,755 characters of level 1 of GB 2312, rows 16 to 55."""
    codes = (bytes((row, cell)) for row in range(0xB0, 0xD8) for cell in range(0xA1, 0xFF))
    # Five cells of the last row are empty.
    return b"".join(codes).decode("gb2312", errors="ignore")


@functools.cache
def syllables() -> Mapping[str, str]:
    """Return the common characters of each syllable, most used first; no tones, v for ü.

    Raises UserError when pypinyin is not installed.
    """
    pypinyin = require("pypinyin", extra="build")
    phrases = require("pypinyin.phrases_dict", extra="build").phrases_dict
    used = Counter(character for phrase in phrases for character in set(phrase))
    found: dict[str, str] = defaultdict(str)
    for character in sorted(common_characters(), key=lambda c: (-used[c], c)):
        # One by one: in a row they would be read as words.
        (syllable,) = pypinyin.lazy_pinyin(character, style=pypinyin.Style.NORMAL)
        found[syllable.replace("ü", "v")] += character
    return dict(found)


def near_syllables(syllable: str) -> tuple[str, ...]:
    """Return the syllables that a syllable is mixed up with, whether or not they exist."""
    vowel = next((i for i, letter in enumerate(syllable) if letter in "aeiouv"), len(syllable))
    initial, final = syllable[:vowel], syllable[vowel:]
    found = [other + final for other in _partners(initial, _INITIALS)]
    return (*found, *(initial + other for other in _partners(final, _FINALS)))


def _partners(part: str, pairs: tuple[tuple[str, str], ...]) -> list[str]:
    return [b if part == a else a for a, b in pairs if part in (a, b)]


@functools.cache
def _homophones(most: int) -> "Others":
    return _table(
        {
            character: characters.replace(character, "")[:most]
            for characters in syllables().values()
            for character in characters
        }
    )


@functools.cache
def _near_homophones(most: int) -> "Others":
    known = syllables()
    return _table(
        {
            character: "".join(known.get(near, "")[:most] for near in near_syllables(syllable))
            for syllable, characters in known.items()
            for character in characters
        }
    )


@functools.cache
def _lookalikes() -> "Others":
    return _table(lookalikes())


@functools.cache
def _none() -> "Others":
    return _table({})


def _table(others: Mapping[str, str]) -> "Others":
    """Return for each character its others, as kernels take them."""
    from pairsmith.augmenters.character_kernels import Others

    lists = [others.get(chr(HAN_FIRST + c), "") for c in range(HAN_COUNT)]
    return Others(
        read_only(np.cumsum([0, *map(len, lists)], dtype=np.int32)),
        read_only(np.array([ord(other) for other in "".join(lists)], np.int32)),
    )
