"""Models and batches in the memory that there is: batches shrink until it holds them."""

import re
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from pairsmith.schemas import UserError

Result = TypeVar("Result")
_OUT_OF_MEMORY = ("out of memory", "can't allocate memory", "alloc_failed", "bad_alloc")
_GPU = re.compile("cuda|cublas|cudnn|libcu", re.IGNORECASE)


def cut_batches(rows: Sequence[int], lengths: Sequence[int], tokens: int) -> list[list[int]]:
    """Return the rows by falling length, in batches of at most `tokens` padded tokens.

    A row that is longer than that is a batch of its own.
    """
    batches: list[list[int]] = []
    for row in sorted(rows, key=lambda row: -lengths[row]):
        if batches and (len(batches[-1]) + 1) * lengths[batches[-1][0]] <= tokens:
            batches[-1].append(row)
        else:
            batches.append([row])
    return batches


def run_batches(
    run: Callable[[list[int]], Sequence[Result]],
    lengths: Sequence[int],
    tokens: int,
    workers: int = 1,
) -> tuple[list[Result], int]:
    """Return what `run` makes of each row, called with rows of like length at a time.

    And how many tokens a batch had that the memory held.

    lengths: tokens of each row; tokens: of a batch, padding counted. When `run` runs out of memory,
    what is not done yet is cut into batches of half the size. Raises UserError when a single row
    does not fit, or the GPU fails.
    """
    results: dict[int, Result] = {}
    waiting = list(range(len(lengths)))
    while waiting:
        batches = cut_batches(waiting, lengths, tokens)
        full = threading.Event()

        def attempt(batch: list[int], full: threading.Event = full) -> Sequence[Result] | None:
            if full.is_set():
                return None
            try:
                return run(batch)
            except (RuntimeError, MemoryError) as error:
                if not out_of_memory(error):
                    refuse_failed_gpu(error)
                    raise
                if len(batch) == 1:
                    raise UserError(
                        f"a sentence of {lengths[batch[0]]} tokens does not fit into the memory "
                        f"({first_line(error)}); free some, or choose another device"
                    ) from error
                full.set()
                return None

        with ThreadPoolExecutor(workers) as pool:
            done = list(pool.map(attempt, batches))
        waiting = []
        for batch, outputs in zip(batches, done, strict=True):
            if outputs is None:
                waiting += batch
            else:
                results.update(zip(batch, outputs, strict=True))
        if waiting:
            largest = max(len(batch) * lengths[batch[0]] for batch in batches)
            tokens = max(1, min(tokens, largest) // 2)
    return [results[row] for row in range(len(lengths))], tokens


def out_of_memory(error: Exception) -> bool:
    """Return whether torch, CTranslate2 or the allocator says that memory ran out."""
    return isinstance(error, MemoryError) or any(
        sign in str(error).lower() for sign in _OUT_OF_MEMORY
    )


def refuse_failed_gpu(error: Exception) -> None:
    """Raise UserError for an error of the GPU or of CUDA's libraries: it is no fault of a text.

    After most of them a process cannot use the GPU any more, and every text would seem to fail.
    """
    if _GPU.search(str(error)):
        raise UserError(
            f"the GPU failed ({first_line(error)}); see what `nvidia-smi` says of it and run the "
            "same command again, or use device='cpu'"
        ) from error


def fitted_in(load: Callable[[], Result], name: object) -> Result:
    """Return the model that `load` returns. Raises UserError when it does not fit, or a GPU fails.

    name: what the error calls it.
    """
    try:
        return load()
    except (RuntimeError, MemoryError) as error:
        if not out_of_memory(error):
            refuse_failed_gpu(error)
            raise
        raise UserError(
            f"{name} does not fit into the memory ({first_line(error)}); free some, or use "
            "another device"
        ) from error


def first_line(error: Exception) -> str:
    """Return the first line of what an error says, or what it is called."""
    lines = str(error).strip().splitlines()
    return " ".join(lines[0].split()).rstrip(".") if lines else type(error).__name__
