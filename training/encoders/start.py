"""What a static embedding starts from, before it has seen a pair.

Plain random vectors make a text's vector a sketch of its bag of subwords, in which each counts
alike. Two things are known of subwords before any training: rare ones say more, and those with
the same letters often say the same.
"""

import math
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import torch
import xxhash
from torch import Tensor
from torch.nn import functional

STD = 0.05
"""Of each number: so small that Adam's first steps turn the vectors, not nudge them."""
LETTERS = 0.7
"""Share of a vector's variance that is its letters': up to here scores on STS-B rise."""
LENGTHS = (2, 3, 4)
BUCKETS = 1 << 15


def fresh_weight(vocabulary: Mapping[str, int], dimension: int, *, letters: bool) -> Tensor:
    """Return random vectors for all ids, float32, shape (ids, dimension), from torch's generator.

    letters: to most of its variance (`LETTERS`), each is the sum of vectors of its letters.
    """
    weight = torch.empty(len(vocabulary), dimension).normal_(std=STD)
    if not letters:
        return weight
    spelled = STD * letter_vectors(vocabulary, dimension)
    return weight * math.sqrt(1 - LETTERS) + spelled * math.sqrt(LETTERS)


def letter_vectors(vocabulary: Mapping[str, int], dimension: int) -> Tensor:
    """Return the scaled sum of a random vector for each run of 2 to 4 letters of a subword.

    Shape (ids, dimension), variance 1. The ends of a word count as letters, so that `##ing` is
    like the end of `sing`, as in fastText (Bojanowski et al., arXiv 1607.04606). Runs share 32,768
    vectors by their hashes.
    """
    runs = [_runs(word) for word in sorted(vocabulary, key=vocabulary.__getitem__)]
    counts = torch.tensor([len(found) for found in runs])
    ids = torch.tensor([run for found in runs for run in found])
    table = torch.empty(BUCKETS, dimension).normal_()
    sums = functional.embedding_bag(ids, table, torch.cumsum(counts, 0) - counts, mode="sum")
    return sums / counts.sqrt()[:, None]


def _runs(word: str) -> list[int]:
    inside = word.startswith("##")
    spelled = f"{word[2:]}>" if inside else f"<{word}>"
    found = [
        spelled[start : start + length]
        for length in LENGTHS
        for start in range(len(spelled) - length + 1)
    ]
    return [xxhash.xxh3_64_intdigest(run.encode()) % BUCKETS for run in found or [spelled]]


def rarity(counts: npt.NDArray[np.int64], a: float) -> Tensor:
    """Return a / (a + p) for each subword, p its share of all that were counted.

    float32, shape (ids,). SIF, Arora et al., ICLR 2017: what maximises the likelihood of a text
    under a model in which a share of the words comes from no topic; a = 0.001 there.
    """
    shares = counts / max(1, counts.sum())
    return torch.from_numpy(a / (a + shares)).float()
