"""What gates ask of texts: how many words, and how many of them two texts share."""

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pairsmith.augmenters.buffers import string_buffers
from pairsmith.augmenters.characters import case_folds, char_classes
from pairsmith.augmenters.operations import NO_CUTS
from pairsmith.schemas import require


def count_words(texts: pa.StringArray) -> npt.NDArray[np.int32]:
    """Return the number of words of each text: int32, shape (len(texts),); 0 for null.

    A word is a run of non-space characters; a Chinese character or kana is one by itself.
    """
    require("numba", extra="build")
    from pairsmith.augmenters.kernels import count_tokens

    t = string_buffers(texts)
    counts: npt.NDArray[np.int32] = count_tokens(
        t.data, t.offsets, t.valid, char_classes(), NO_CUTS
    )
    return counts


def word_overlap(a: pa.StringArray, b: pa.StringArray) -> npt.NDArray[np.float32]:
    """Return the Jaccard index of the sets of case-folded words of each pair: float32.

    Shape (len(a),); nan where either is null, 1 where neither has a word. Words as `count_words`
    counts them, with their punctuation, compared by a 64-bit hash.
    Raises ValueError when the lengths differ.
    """
    require("numba", extra="build")
    from pairsmith.augmenters.overlap_kernels import jaccard

    left, right = string_buffers(a), string_buffers(b)
    if left.rows != right.rows:
        raise ValueError(f"a has {left.rows} texts, b has {right.rows}")
    overlap: npt.NDArray[np.float32] = jaccard(
        left.data,
        left.offsets,
        left.valid,
        right.data,
        right.offsets,
        right.valid,
        char_classes(),
        case_folds(),
        NO_CUTS,
    )
    return overlap
