"""Any batch size in bounded memory: gradients of vectors first, then of the encoder."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import TypeVar

import torch
from torch import Tensor

from pairsmith.training.losses.objective import Outcome

Chunk = TypeVar("Chunk")


def cached_step(
    encode: Callable[[Chunk], Tensor],
    chunks: Sequence[Chunk],
    loss: Callable[[Tensor], Outcome],
    *,
    no_sync: Callable[[], AbstractContextManager[object]] = nullcontext,
    backward: Callable[[Tensor], None] = Tensor.backward,
) -> Outcome:
    """Add the gradient of a whole batch's loss to the parameters; memory is that of one chunk.

    GradCache (Gao et al., arXiv 2101.06983): all chunks are encoded without a graph; the loss gives
    the gradient of their vectors; each chunk is encoded again, with the random numbers (dropout)
    that it had, and sent backward. The generators are left as after encoding once.

    encode: a chunk's features -> (rows, D), through the DDP or FSDP module. It enters autocast
    itself: not around this function, where weights cast without a graph would be used with one.
    chunks: at least one on every rank. A rank without rows encodes something and returns its first
    0 rows: `encode` must go through every parameter. loss: all vectors in the chunks' order ->
    Outcome; parameters of its own get their gradients too. no_sync: entered for every chunk but the
    last, whose backward pass then averages over ranks: `ddp.no_sync`. backward: for fp16,
    `lambda loss: scaler.scale(loss).backward()`. Ranks may have different numbers of chunks if
    forward passes do not talk: DDP with broadcast_buffers=False. FSDP's do: give equally many.
    Raises ValueError without chunks.
    """
    if not chunks:
        raise ValueError("no chunks: give at least one on every rank")
    states, parts = [], []
    with torch.no_grad(), no_sync():
        for chunk in chunks:
            states.append(_random_state())
            parts.append(encode(chunk))
    after = _random_state()
    vectors = torch.cat(parts).requires_grad_()
    sizes = [len(part) for part in parts]
    del parts
    outcome = loss(vectors)
    backward(outcome.loss)
    gradient = vectors.grad
    if gradient is None:
        gradient = torch.zeros_like(vectors)
    last = len(chunks) - 1
    slopes = gradient.split(sizes)
    for i, (chunk, state, slope) in enumerate(zip(chunks, states, slopes, strict=True)):
        with nullcontext() if i == last else no_sync():
            _restore_random(state)
            encode(chunk).backward(slope)
    _restore_random(after)
    return outcome


def _random_state() -> list[Tensor]:
    """Return the states of this process's generators: the CPU's, and the current GPU's."""
    states = [torch.get_rng_state()]
    if torch.cuda.is_available() and torch.cuda.is_initialized():
        states.append(torch.cuda.get_rng_state())
    return states


def _restore_random(states: list[Tensor]) -> None:
    torch.set_rng_state(states[0])
    for state in states[1:]:
        torch.cuda.set_rng_state(state)
