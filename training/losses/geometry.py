"""How vectors lie on the sphere (Wang and Isola, arXiv 2005.10242)."""

import math

import torch
from torch import Tensor

from pairsmith.training.losses.candidates import Candidates, Marks
from pairsmith.training.losses.kernel import log_sum_exp
from pairsmith.training.losses.tiles import Levels


def alignment(anchors: Tensor, positives: Tensor, power: float = 2.0) -> Tensor:
    """Return the mean distance of positives, to the power given: 0 is best.

    anchors, positives: (n, D), unit vectors. Differentiable.
    """
    distances: Tensor = torch.linalg.vector_norm(anchors.float() - positives.float(), dim=1)
    return distances.pow(power).mean()


def uniformity(vectors: Tensor, rate: float = 2.0) -> Tensor:
    """Return log of the mean over pairs of exp(-rate |x - y|^2): lower is more evenly spread.

    vectors: (n, D), n > 1, unit vectors. Memory is linear in n. Differentiable.
    """
    count = len(vectors)
    number = torch.arange(count, device=vectors.device)
    zero = torch.zeros_like(number)
    # All different: nothing is masked but each vector itself.
    marks = Marks(number, number, number, number, zero, zero.bool())
    candidates = Candidates(marks, marks, number[None])
    vectors = vectors.float()
    # |x - y|^2 = 2 - 2 x.y
    sums = log_sum_exp(vectors * (2 * rate), vectors, candidates, Levels((vectors.shape[1],))).rows
    return sums.logsumexp((0, 1)) - 2 * rate - math.log(count * (count - 1))
