"""What compiled code can do to a text, with checked settings; apart from it as it loads numba."""

from collections.abc import Callable, Sequence
from typing import Any, Final, Literal, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pairsmith.augmenters.buffers import (
    Buffers,
    check_keys,
    read_only,
    string_array,
    too_long,
)
from pairsmith.augmenters.characters import (
    CJK,
    CLOSER,
    EXTENDER,
    GLUES_LEFT,
    LEFT_CJK,
    OPENER,
    OPENS_RIGHT,
    RIGHT_CJK,
    char_classes,
)
from pairsmith.augmenters.letters import letter_kinds
from pairsmith.schemas import require

DROP: Final = 0
SPANS: Final = 1
CROP: Final = 2
SHUFFLE: Final = 3
REPEAT: Final = 4
SWAP: Final = 5
SWAP_ANYWHERE: Final = 6
PUNCTUATE: Final = 7
INSERT: Final = 8
SUBSTITUTE: Final = 9
SPLIT: Final = 10
JOIN: Final = 11
CASE_WORDS: Final = 12
CASE_LETTERS: Final = 13
KEYBOARD: Final = 14
OCR: Final = 15
PINYIN: Final = 16
LOOKALIKE: Final = 17

CHOOSING: Final = 0x0C401CE
"""Which subkey decides among augmenters; they draw from subkeys 0, 1, …"""

Style = Literal["sentinel", "mask", "delete"]
Marks = tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8], bool, int]
"""Prefix, suffix, whether a number stands between them, edge bits."""
Pieces = tuple[npt.NDArray[np.int32], npt.NDArray[np.int32]]
"""Bounds of all pieces, and the first piece of each text."""


def _bytes(text: str) -> npt.NDArray[np.uint8]:
    return read_only(np.frombuffer(text.encode(), np.uint8))


NO_CUTS: Final = _bytes("")
NO_MARKS: Final[Marks] = (_bytes(""), _bytes(""), False, 0)
NO_PIECES: Final[Pieces] = (read_only(np.empty(0, np.int32)), read_only(np.empty(0, np.int32)))


class Words(NamedTuple):
    """What can be written into texts, Chinese last; each word in its own, Title and UPPER case."""

    data: npt.NDArray[np.uint8]
    offsets: npt.NDArray[np.int32]
    """Shape (3 * words + 1,): of words `first` to `stop`, n in all, case c of word w begins at
    data[offsets[2 * first + c * n + w]]. By case, as few words are written in capitals: what is
    read often lies close together."""
    draws: npt.NDArray[np.uint64]
    """Shape (words,): of one drawn from those of its kind, how often out of 2**32 it is written,
    and times 2**32 the one of its kind that is written else."""
    first: int
    """This one and those up to `stop` may be written; Chinese ones from `chinese` on."""
    chinese: int
    stop: int

    def as_read(self) -> "Words":
        """Return the words as kernels take them: arrays that were pickled can be written again."""
        return Words(
            data=read_only(self.data),
            offsets=read_only(self.offsets),
            draws=read_only(self.draws),
            first=self.first,
            chinese=self.chinese,
            stop=self.stop,
        )


NO_WORDS: Final = Words(
    data=_bytes(""),
    offsets=read_only(np.zeros(1, np.int32)),
    draws=read_only(np.empty(0, np.uint64)),
    first=0,
    chinese=0,
    stop=0,
)


class Plan(NamedTuple):
    """An operation and its settings, which mean what the operation says."""

    operation: int
    low: float = 0.0
    high: float = 0.0
    size: int = 0
    marks: Marks = NO_MARKS

    def apply(
        self,
        texts: Buffers,
        keys: npt.NDArray[np.uint64],
        inside: npt.NDArray[np.uint8] = NO_CUTS,
        pieces: Pieces = NO_PIECES,
    ) -> pa.StringArray:
        """Return the rewritten texts; `inside` and `pieces` say where tokens begin: see `rewrite`.

        Raises ValueError for keys that do not fit the texts, and when the result exceeds 2 GiB.
        """
        require("numba", extra="build")
        from pairsmith.augmenters.word_kernels import rewrite

        # Settings may be of any number type; each would be compiled for anew.
        plan = self._replace(low=float(self.low), high=float(self.high), size=int(self.size))
        return run(rewrite, texts, keys, char_classes(), inside, pieces, plan)


class Edit(NamedTuple):
    """An operation that edits words where they stand, and its settings."""

    operation: int
    rate: float
    size: int = 0
    words: Words = NO_WORDS

    def apply(
        self,
        texts: Buffers,
        keys: npt.NDArray[np.uint64],
        inside: npt.NDArray[np.uint8] = NO_CUTS,
    ) -> pa.StringArray:
        """Return the edited texts; `inside` says where words begin: see `scan`.

        Raises ValueError for keys that do not fit the texts, and when the result exceeds 2 GiB.
        """
        require("numba", extra="build")
        from pairsmith.augmenters.edit_kernels import edit_words

        edit = self._replace(rate=float(self.rate), size=int(self.size))
        tables = (char_classes(), letter_kinds())
        return run(edit_words, texts, keys, *tables, inside, edit)


class Choice(NamedTuple):
    """Operations of which each text gets one, and their settings; none of them writes marks."""

    ends: npt.NDArray[np.float64]
    """Where the shares of [0, 1) end that choose each but the last."""
    operations: npt.NDArray[np.int64]
    lows: npt.NDArray[np.float64]
    highs: npt.NDArray[np.float64]
    sizes: npt.NDArray[np.int64]
    ranges: npt.NDArray[np.int64]
    """Shape (operations, 3): which of `words` each has: from which, from which Chinese, up to."""
    words: Words
    """Those of all operations; what several have alike stands there once."""

    @classmethod
    def of(cls, plans: Sequence["Plan | Edit"], ends: Sequence[float]) -> "Choice":
        """Return the choice among some plans. ends: of the shares that choose all but the last."""
        tables: list[Words] = []
        settings, ranges = [], []
        for plan in plans:
            words = plan.words if isinstance(plan, Edit) else NO_WORDS
            low, high = (plan.rate, 0.0) if isinstance(plan, Edit) else (plan.low, plan.high)
            settings.append((plan.operation, low, high, plan.size))
            same = (n for n, table in enumerate(tables) if _same(words, table))
            number = next(same, len(tables))
            if number == len(tables):
                tables.append(words)
            first = sum(table.draws.size for table in tables[:number])
            ranges.append((first, first + words.chinese, first + words.stop))
        sizes = np.cumsum([0, *(table.data.size for table in tables)])
        offsets = [table.offsets[:-1] + size for table, size in zip(tables, sizes, strict=False)]
        words = Words(
            data=np.concatenate([table.data for table in tables]),
            offsets=np.concatenate([*offsets, sizes[-1:]]).astype(np.int32),
            draws=np.concatenate([table.draws for table in tables]),
            first=0,
            chinese=0,
            stop=0,
        )
        operations, lows, highs, numbers = zip(*settings, strict=True)
        return cls(
            np.array(ends, np.float64),
            np.array(operations, np.int64),
            np.array(lows, np.float64),
            np.array(highs, np.float64),
            np.array(numbers, np.int64),
            np.array(ranges, np.int64),
            words,
        )

    def apply(
        self,
        texts: Buffers,
        keys: npt.NDArray[np.uint64],
        inside: npt.NDArray[np.uint8] = NO_CUTS,
    ) -> pa.StringArray:
        """Return each text by the operation that its key chose, which draws from its own subkey.

        Raises ValueError for keys that do not fit the texts, and when the result exceeds 2 GiB.
        """
        require("numba", extra="build")
        from pairsmith.augmenters.choice_kernels import rewrite_by_choice

        tables = (char_classes(), letter_kinds())
        choice = Choice(
            read_only(self.ends),
            read_only(self.operations),
            read_only(self.lows),
            read_only(self.highs),
            read_only(self.sizes),
            read_only(self.ranges),
            self.words.as_read(),
        )
        return run(rewrite_by_choice, texts, keys, *tables, inside, choice)


def _same(words: Words, others: Words) -> bool:
    pairs = (
        (words.data, others.data),
        (words.offsets, others.offsets),
        (words.draws, others.draws),
    )
    return all(np.array_equal(own, other) for own, other in pairs) and (
        words.chinese == others.chinese
    )


def run(
    kernel: Callable[..., tuple[npt.NDArray[np.uint8], npt.NDArray[np.int32]]],
    texts: Buffers,
    keys: npt.NDArray[np.uint64],
    *arguments: Any,
) -> pa.StringArray:
    """Return what a kernel makes of the buffers of texts, their keys and its arguments.

    Raises ValueError for keys that do not fit the texts, and when the result exceeds 2 GiB.
    """
    keys = check_keys(keys, texts.rows)
    data, offsets = kernel(texts.data, texts.offsets, texts.valid, keys, *arguments)
    if not offsets.size:
        raise too_long()
    return string_array(data, offsets, texts.valid)


def check_rate(p: float) -> None:
    """Raise ValueError unless `p` is a rate of dropout."""
    if not 0 <= p < 1:
        raise ValueError(f"p must be at least 0 and below 1, not {p}")


def check_spans(density: float, mean_length: float) -> None:
    """Raise ValueError when no text can be masked with these settings."""
    if not 0 <= density < 1:
        raise ValueError(f"density must be at least 0 and below 1, not {density}")
    if not 1 <= mean_length < 2**31:
        raise ValueError(f"mean_length must be at least 1, not {mean_length}")
    if density / mean_length > 1 - density:
        least = density / (1 - density)
        raise ValueError(
            f"spans must not touch: with density={density}, mean_length must be at least {least:.3}"
        )


def check_style(style: str, mask: str) -> None:
    """Raise ValueError for an unknown style, or a mask that is not one word."""
    if style not in ("sentinel", "mask", "delete"):
        raise ValueError(f"style must be 'sentinel', 'mask' or 'delete', not {style!r}")
    if mask.split() != [mask]:
        raise ValueError(f"mask must be one word without spaces, not {mask!r}")


def marks_of(style: Style, mask: str) -> Marks:
    """Return what stands for a span in this style, with the edge bits that `scan` would give it."""
    if style == "delete":
        return NO_MARKS
    if style == "sentinel":
        return (_bytes("<extra_id_"), _bytes(">"), True, 0)
    first, last = char_classes()[[ord(mask[0]), ord(mask[-1])]]
    edge = LEFT_CJK if first == CJK else 0
    edge |= GLUES_LEFT if first in (CLOSER, EXTENDER) else 0
    edge |= RIGHT_CJK if last == CJK else 0
    edge |= OPENS_RIGHT if last == OPENER else 0
    return (_bytes(mask), _bytes(""), False, edge)
