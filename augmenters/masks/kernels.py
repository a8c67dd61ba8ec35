"""The compiled loop that chooses which words are masked."""

import numpy as np

from pairsmith.augmenters.compiled import kernel
from pairsmith.augmenters.core_kernels import core
from pairsmith.augmenters.kernels import longest, scan
from pairsmith.augmenters.operations import SPANS
from pairsmith.augmenters.plans import Bytes, Ints, Keys, draw, integer, plan_spans


@kernel
def choose_words(
    data: Bytes,
    offsets: Ints,
    valid: Bytes,
    keys: Keys,
    classes: Bytes,
    kinds: Bytes,
    inside: Bytes,
    density: float,
    mean_length: float,
) -> Ints:
    """Return the masked words, shape (words, 4): text, span, and where they begin and end in data.

    Spans of each text are counted from 0. Punctuation around a word is not part of it; numbers and
    what else holds digits or symbols are never chosen.
    """
    most = longest(offsets)
    bounds = np.empty(most + 4, np.int32)
    edges = np.empty(bounds.size // 2, np.uint8)
    words = np.empty((bounds.size // 2, 2), np.int32)
    what = np.empty(bounds.size, np.int32)
    gap = np.empty(bounds.size, np.int32)
    chosen = np.empty((64, 4), np.int32)
    count = 0
    for row in range(offsets.size - 1):
        if valid.size and not valid[row]:
            continue
        start = integer(offsets[row])
        n = scan(data, start, integer(offsets[row + 1]), classes, inside, bounds, edges)
        candidates = 0
        for t in range(n):
            a, b, length, _ = core(
                data, integer(bounds[2 * t]), integer(bounds[2 * t + 1]), classes, kinds
            )
            if length > 0:
                words[candidates, 0] = a
                words[candidates, 1] = b
                candidates += 1
        if candidates == 0:
            continue
        state = draw(keys[row], SPANS)
        m = plan_spans(candidates, state, density, mean_length, True, what, gap)
        word = 0
        span = 0
        for j in range(m + 1):
            if j < m and what[j] < 0:
                continue
            # What lies between two words that stay is masked.
            stays = candidates if j == m else integer(what[j])
            if word < stays:
                while word < stays:
                    if count == chosen.shape[0]:
                        bigger = np.empty((2 * count, 4), np.int32)
                        bigger[:count] = chosen
                        chosen = bigger
                    chosen[count, 0] = row
                    chosen[count, 1] = span
                    chosen[count, 2] = words[word, 0]
                    chosen[count, 3] = words[word, 1]
                    count += 1
                    word += 1
                span += 1
            word = stays + 1
    return chosen[:count]
