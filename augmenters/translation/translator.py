"""What a translator is: sentences in, sentences out, whatever runs the model."""

from dataclasses import dataclass
from typing import NamedTuple, Protocol, TypeVar

Token = TypeVar("Token", str, int)
"""What a model reads and writes: pieces, or their ids."""


@dataclass(frozen=True)
class Decoding:
    """How the output is searched for: greedy, beam search, or sampling from the model."""

    beam: int = 1
    """Hypotheses kept at each step: 1 is greedy search."""
    temperature: float = 0.0
    """Above 0, tokens are sampled, the logits divided by this first; 0 takes the best."""
    top_k: int = 0
    """Sample from so many of the likeliest tokens; 0 from all."""
    top_p: float = 1.0
    """Sample from the likeliest tokens that together have this probability (arXiv 1904.09751)."""

    def __post_init__(self) -> None:
        """Raise ValueError for settings out of range, or that contradict each other."""
        if self.beam < 1:
            raise ValueError(f"beam must be at least 1, not {self.beam}")
        if self.temperature < 0:
            raise ValueError(f"temperature must not be negative: {self.temperature}")
        if self.top_k < 0:
            raise ValueError(f"top_k must not be negative: {self.top_k}")
        if not 0 < self.top_p <= 1:
            raise ValueError(f"0 < top_p <= 1 must hold, not {self.top_p}")
        if self.samples and self.beam > 1:
            raise ValueError(f"sampling (temperature={self.temperature}) has no beam={self.beam}")
        if not self.samples and (self.top_k or self.top_p < 1):
            raise ValueError("top_k and top_p are for sampling: set temperature, as 1.0")

    @property
    def samples(self) -> bool:
        """Return whether outputs are drawn at random."""
        return self.temperature > 0


class Translated(NamedTuple):
    """What became of sentences: lists of one length."""

    texts: list[str]
    tokens: list[int]
    """Of the output, its end mark not counted."""
    whole: list[bool]
    """False where the output reached its limit, so that its end is missing."""


class Translator(Protocol):
    """Translates sentences from one language into another.

    Arguments and results are plain lists, so that a proxy can stand for a translator that lives in
    another process.
    """

    def max_tokens(self) -> int:
        """Return how many tokens a sentence may have, its end mark counted."""

    def count_tokens(self, sentences: list[str]) -> list[int]:
        """Return how many tokens each sentence has, its end mark counted."""

    def translate(
        self, sentences: list[str], decoding: Decoding, seeds: list[int], batch_tokens: int = 0
    ) -> Translated:
        """Return the translation of each sentence, none of them longer than `max_tokens()`.

        seeds: uint64, one for each sentence; sampling draws from them, other decoding does not.
        batch_tokens: padded source tokens that are translated at once; 0 for the engine's default.
        """


class Engine(Protocol[Token]):
    """Runs a model on one batch. `BatchedTranslator` makes a translator of it."""

    positions: int
    """The longest input or output, end mark counted."""
    batch_tokens: int
    """Padded source tokens of a batch, unless the caller says otherwise."""
    workers: int
    """How many batches may run at once."""

    def encode(self, sentences: list[str]) -> list[list[Token]]:
        """Return the tokens of each sentence, end mark last."""

    def generate(
        self, batch: list[list[Token]], limit: int, decoding: Decoding, seeds: list[int]
    ) -> list[list[Token]]:
        """Return output tokens without end marks, cut only above `limit` tokens."""

    def decode(self, outputs: list[list[Token]]) -> list[str]:
        """Return the text of each output."""
