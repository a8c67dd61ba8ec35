"""Compiled kernels, sentences and models that tests of augmenters share."""

import io

import numpy as np
import pyarrow as pa
import pytest

from pairsmith.augmenters import SpanMask, count_words, word_overlap

SYLLABLES = ("ba", "ke", "lo", "mi", "ru", "sta", "tion", "ver", "zen", "qua")


@pytest.fixture(scope="session", autouse=True)
def _compiled():
    """Compile once, so that no test is slow for what the test before it did not need."""
    SpanMask().setup()
    count_words(pa.array(["a"]))
    word_overlap(pa.array(["a"]), pa.array(["a"]))


@pytest.fixture(scope="session")
def sentences():
    """Return 20,000 made sentences of 10 to 40 words, with capitals, commas and full stops."""
    rng = np.random.default_rng(5)
    words = ["".join(rng.choice(SYLLABLES, rng.integers(1, 4))) for _ in range(500)]
    words += [word + "," for word in words[:60]] + ["don't", "(so)", "3.5%", "—", "naïve", "“if”"]
    made = []
    for count in rng.integers(10, 41, 20_000):
        chosen = [words[i] for i in rng.integers(0, len(words), count)]
        made.append(" ".join([chosen[0].capitalize(), *chosen[1:]]) + ".")
    return made


@pytest.fixture(scope="session")
def train_model(tmp_path_factory, sentences):
    """Return a function that trains a sentencepiece model and returns its path."""
    import sentencepiece

    def train(name, **options):
        model = io.BytesIO()
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter([*sentences[:300], "我来到北京清华大学", "你好世界"]),
            model_writer=model,
            minloglevel=2,
            **options,
        )
        path = tmp_path_factory.mktemp("models") / f"{name}.model"
        path.write_bytes(model.getvalue())
        return str(path)

    return train


@pytest.fixture(scope="session")
def pieces_model(train_model):
    """Return the path of a unigram model that normalises and falls back to bytes."""
    return train_model("pieces", vocab_size=400, byte_fallback=True, character_coverage=0.98)


@pytest.fixture(scope="session")
def characters_model(train_model):
    """Return the path of a model whose pieces are single characters."""
    return train_model("characters", model_type="char", vocab_size=200, hard_vocab_limit=False)
