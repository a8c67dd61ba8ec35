"""Batches of sentences of like length, which shrink when the memory does not hold them."""

import re
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Generic, TypeVar

from pairsmith.augmenters.translation.translator import (
    Decoding,
    Engine,
    Token,
    Translated,
)
from pairsmith.schemas import UserError

Result = TypeVar("Result")
_OUT_OF_MEMORY = ("out of memory", "can't allocate memory", "alloc_failed", "bad_alloc")
_GPU = re.compile("cuda|cublas|cudnn|libcu", re.IGNORECASE)
MIN_BATCH_TOKENS = 256
"""Batches are not cut below this just to keep all workers busy."""


def output_limit(source_tokens: int, positions: int) -> int:
    """Return how many tokens the translation of so many may have, end marks not counted.

    Twice the source and 20: of 167,130 human translations (Tatoeba, English and French, both ways,
    8,000 joint pieces) none is longer, nor than twice the source and 10. What runs on beyond it is
    a loop, and costs the time of many sentences.
    """
    return min(2 * source_tokens + 20, positions - 2)


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
                        f"({_first_line(error)}); free some, or choose another device"
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


class BatchedTranslator(Generic[Token]):
    """A translator that gives its engine sentences of like length at a time."""

    def __init__(self, engine: Engine[Token]) -> None:
        """Keep the engine, and how much it can hold."""
        self._engine: Engine[Token] = engine
        self._most = 0  # tokens of a batch that did fit after larger ones did not; 0 for no limit

    def max_tokens(self) -> int:
        """Return how many tokens a sentence may have, its end mark counted."""
        return self._engine.positions

    def count_tokens(self, sentences: list[str]) -> list[int]:
        """Return how many tokens each sentence has, its end mark counted."""
        return [len(tokens) for tokens in self._engine.encode(sentences)]

    def translate(
        self, sentences: list[str], decoding: Decoding, seeds: list[int], batch_tokens: int = 0
    ) -> Translated:
        """Return the translation of each sentence. Equal ones are translated once, if not sampled.

        Raises ValueError for a sentence of more than `max_tokens()`.
        """
        asked = sentences if decoding.samples else list(dict.fromkeys(sentences))
        tokens = self._engine.encode(asked)
        lengths = [len(some) for some in tokens]
        if lengths and max(lengths) > self._engine.positions:
            raise ValueError(f"{max(lengths)} tokens: at most {self._engine.positions} can be read")
        outputs = self._generate(tokens, lengths, decoding, seeds, batch_tokens)
        texts = self._engine.decode(outputs)
        whole = [
            len(output) <= output_limit(length, self._engine.positions)
            for output, length in zip(outputs, lengths, strict=True)
        ]
        sizes = [len(output) for output in outputs]
        if len(asked) == len(sentences):
            return Translated(texts, sizes, whole)
        place = {text: row for row, text in enumerate(asked)}
        rows = [place[text] for text in sentences]
        return Translated(
            [texts[row] for row in rows], [sizes[row] for row in rows], [whole[row] for row in rows]
        )

    def _generate(
        self,
        tokens: list[list[Token]],
        lengths: list[int],
        decoding: Decoding,
        seeds: list[int],
        batch_tokens: int,
    ) -> list[list[Token]]:
        engine = self._engine

        def run(rows: list[int]) -> list[list[Token]]:
            limit = output_limit(max(lengths[row] for row in rows), engine.positions)
            drawn = [seeds[row] for row in rows] if decoding.samples else []
            return engine.generate([tokens[row] for row in rows], limit, decoding, drawn)

        most = batch_tokens or engine.batch_tokens
        if engine.workers > 1 and not decoding.samples:
            # Several batches for each worker, so that none idles while another has the last one.
            # Sampled outputs may depend on their batch: those must not depend on the machine.
            most = min(most, max(-(-sum(lengths) // (4 * engine.workers)), MIN_BATCH_TOKENS))
        most = min(most, self._most or most)
        results, held = run_batches(run, lengths, most, engine.workers)
        if held < most:
            self._most = held
        return results


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
            f"the GPU failed ({_first_line(error)}); see what `nvidia-smi` says of it and run the "
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
            f"{name} does not fit into the memory ({_first_line(error)}); free some, or use "
            "another device"
        ) from error


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0] if str(error) else "out of memory"
