"""Translators and engines that need no model."""

from collections.abc import Callable
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, ClassVar

from pairsmith.augmenters.translation import BackTranslate, Decoding, Translated, Translator

ENDLESS = "…and on"
"""What a fake translator writes when it would not end."""


@dataclass
class FakeTranslator:
    """Translates by a function, counts words as tokens, remembers what it was asked."""

    change: Callable[[str], str] = str.upper
    most: int = 512
    asked: list[str] = field(default_factory=list)
    fails_at: int = 10**9
    """Raises when it is asked for so many sentences in all."""

    def max_tokens(self) -> int:
        return self.most

    def count_tokens(self, sentences: list[str]) -> list[int]:
        return [len(sentence.split()) + 1 for sentence in sentences]

    def translate(
        self, sentences: list[str], decoding: Decoding, seeds: list[int], batch_tokens: int = 0
    ) -> Translated:
        assert max(self.count_tokens(sentences), default=0) <= self.most
        assert len(seeds) == len(sentences)
        self.asked += sentences
        if len(self.asked) >= self.fails_at:
            raise ConnectionError("the machine went away")
        texts = [self.change(sentence) for sentence in sentences]
        return Translated(texts, self.count_tokens(texts), [ENDLESS not in text for text in texts])


@dataclass(frozen=True)
class Faked(BackTranslate):
    """Back-translation by two translators that a test brings along."""

    pair: ClassVar[tuple[Translator, Translator]]

    def translators(self) -> tuple[Translator, Translator]:
        return self.pair


def faked(there: Translator, back: Translator, folder: str, **settings) -> BackTranslate:
    """Return back-translation by these two; `folder` holds the models that it pretends to have.

    Unless the settings name others, it is between two languages that nobody can tell.
    """
    kind = type("Faked", (Faked,), {"pair": (there, back)})
    models = (f"{folder}/tiny-en-fr", f"{folder}/tiny-fr-en")
    return kind(**({"to": "tlh", "source": "qya", "models": models} | settings))


@dataclass
class FakeEngine:
    """An engine whose tokens are words and whose memory holds so many padded tokens."""

    holds: int = 10**9
    error: Exception = field(default_factory=lambda: RuntimeError("CUDA out of memory. Tried to"))
    positions: int = 512
    batch_tokens: int = 64
    workers: int = 1
    batches: list[list[list[str]]] = field(default_factory=list)

    def encode(self, sentences: list[str]) -> list[list[str]]:
        return [[*sentence.split(), "</s>"] for sentence in sentences]

    def generate(
        self, batch: list[list[str]], limit: int, decoding: Decoding, seeds: list[int]
    ) -> list[list[str]]:
        self.batches.append(batch)
        if len(batch) * max(map(len, batch)) > self.holds:
            raise self.error
        return [[word.upper() for word in tokens[:-1]][: limit + 1] for tokens in batch]

    def decode(self, outputs: list[list[str]]) -> list[str]:
        return [" ".join(words) for words in outputs]


@dataclass
class FakeGPU:
    """Stands for the package ctranslate2 on a machine with a GPU: loads any model.

    It repeats its input, or raises the error, and remembers what it was asked for.
    """

    error: str = ""
    asked: list[dict[str, Any]] = field(default_factory=list)

    def get_cuda_device_count(self) -> int:
        return 1

    def get_supported_compute_types(self, device: str) -> set[str]:
        return {"float16", "float32"}

    def set_random_seed(self, seed: int) -> None:
        pass

    def Translator(self, **settings: Any) -> "FakeGPU":  # noqa: N802 - its name there
        return self

    def translate_batch(self, batch: list[list[str]], **search: Any) -> list[Any]:
        self.asked.append(search)
        if self.error:
            raise RuntimeError(self.error)
        return [SimpleNamespace(hypotheses=[tokens]) for tokens in batch]
