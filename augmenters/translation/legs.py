"""One way of a translation there and back again: texts in parts, by one translator."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from pairsmith.augmenters.augmenter import Keys
from pairsmith.augmenters.translation.sentences import Part
from pairsmith.augmenters.translation.translator import Decoding, Translator
from pairsmith.schemas import subkeys


class Leg(NamedTuple):
    """Texts after one way, and what went wrong: of one length."""

    parts: list[list[Part]]
    lost: npt.NDArray[np.bool_]
    """A sentence came back empty."""
    endless: npt.NDArray[np.bool_]
    """An output reached its limit."""

    def texts(self, between: str = "") -> list[str]:
        """Return the texts, with what stood between their sentences; where nothing did, `between`.

        Chinese sentences touch, those of a translation into English must not.
        """
        return [_text(parts, between) for parts in self.parts]


def translate_parts(
    translator: Translator,
    texts: list[list[Part]],
    keys: Keys,
    decoding: Decoding,
    prefix: str = "",
    batch_tokens: int = 0,
) -> Leg:
    """Return texts, given as sentences that the translator can read, translated.

    keys: uint64, shape (len(texts),): sampling draws from them. prefix: stands before each sentence
    that the translator gets.
    """

    places = [
        (row, number)
        for row, parts in enumerate(texts)
        for number, part in enumerate(parts)
        if part.text
    ]
    made = translator.translate(
        [prefix + texts[row][number].text for row, number in places],
        decoding,
        _seeds(keys, places) if decoding.samples else [0] * len(places),
        batch_tokens,
    )
    done = [list(parts) for parts in texts]
    lost, endless = np.zeros(len(texts), np.bool_), np.zeros(len(texts), np.bool_)
    for (row, number), text, whole in zip(places, made.texts, made.whole, strict=True):
        done[row][number] = done[row][number]._replace(text=text)
        lost[row] |= not text
        endless[row] |= not whole
    return Leg(done, lost, endless)


def _text(parts: list[Part], between: str) -> str:
    strings: list[str] = []
    for part, after in zip(parts, [*parts[1:], None], strict=True):
        strings += part
        if after and not part.after and not after.before:
            strings.append(between)
    return "".join(strings)


def _seeds(keys: Keys, places: list[tuple[int, int]]) -> list[int]:
    """Return a seed for each sentence: of the key of its text, and its number there."""
    rows, numbers = np.array(places, np.uint64).reshape(-1, 2).T
    return subkeys(subkeys(keys, 0)[rows.astype(np.int64)] ^ numbers, 1).tolist()  # type: ignore[no-any-return]
