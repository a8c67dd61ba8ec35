"""Where Chinese words begin: cuts by rjieba for the kernels."""

from itertools import chain

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pairsmith.augmenters.buffers import Buffers, read_only, string_array
from pairsmith.augmenters.characters import char_classes
from pairsmith.augmenters.operations import NO_CUTS
from pairsmith.schemas import require


def word_insides(texts: Buffers) -> npt.NDArray[np.uint8]:
    """Return for each byte of data 1 where a character goes on with a word, (0,) if there is none.

    Only texts with Chinese characters or kana are cut; rjieba leaves kana single.
    Raises UserError when rjieba is not installed.
    """
    require("numba", extra="build")
    from pairsmith.augmenters.kernels import mark_insides, rows_with_cjk

    chosen = rows_with_cjk(texts.data, texts.offsets, texts.valid, char_classes())
    if not chosen.any():
        return NO_CUTS
    jieba = require("rjieba", extra="build")
    # Words never reach across a line end, so that one call can cut all texts.
    strings = string_array(texts.data, texts.offsets, NO_CUTS).filter(pa.array(chosen))
    words = jieba.cut("\n".join(chain(strings.to_pylist(), [""])))
    lengths = np.fromiter(map(len, words), np.int32, len(words))
    return read_only(mark_insides(texts.data, texts.offsets, chosen, lengths))
