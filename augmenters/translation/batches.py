"""Batches of sentences of like length for a translation model."""

from typing import Generic

from pairsmith.augmenters.memory import run_batches
from pairsmith.augmenters.translation.translator import (
    Decoding,
    Engine,
    Token,
    Translated,
)

MIN_BATCH_TOKENS = 256
"""Batches are not cut below this just to keep all workers busy."""


def output_limit(source_tokens: int, positions: int) -> int:
    """Return how many tokens the translation of so many may have, end marks not counted.

    Twice the source and 20: of 167,130 human translations (Tatoeba, English and French, both ways,
    8,000 joint pieces) none is longer, nor than twice the source and 10. What runs on beyond it is
    a loop, and costs the time of many sentences.
    """
    return min(2 * source_tokens + 20, positions - 2)


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
