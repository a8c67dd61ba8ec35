"""Encoders give unit vectors, and what they save gives the same in sentence-transformers."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer

from pairsmith.schemas import UserError
from pairsmith.training.encoders.static import StaticEncoder
from tests.training.encoders.conftest import TEXTS
from tests.training.encoders.opened import assert_opens_with_equal_vectors, encoder


@pytest.mark.parametrize("max_length", [0, 3])
def test_a_saved_static_encoder_opens_with_equal_vectors(
    tmp_path: Path, tokenizer_file: Path, max_length: int
) -> None:
    static = encoder(f"static:{tokenizer_file}:24", max_length=max_length)
    assert_opens_with_equal_vectors(static, tmp_path / "saved")


@pytest.mark.parametrize("pooling", ["mean", "cls"])
@pytest.mark.parametrize("max_length", [0, 5])
def test_a_saved_bert_opens_with_equal_vectors(
    tmp_path: Path, bert: Path, pooling: str, max_length: int
) -> None:
    model = encoder(bert, pooling=pooling, max_length=max_length)
    assert_opens_with_equal_vectors(model, tmp_path / "saved")


def test_vectors_have_length_one_whatever_the_order_and_batch_size(
    bert: Path, tokenizer_file: Path
) -> None:
    for model in (encoder(bert), encoder(f"static:{tokenizer_file}:16")):
        vectors = model.encode(TEXTS)
        assert vectors.dtype == np.float32
        np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
        reverse = model.encode(TEXTS[::-1], batch_size=3)[::-1]
        np.testing.assert_allclose(reverse, vectors, atol=1e-5)


def test_encoding_leaves_training_mode_and_random_state_alone(bert: Path) -> None:
    model = encoder(bert).train()
    before = torch.get_rng_state()
    model.encode(TEXTS)
    assert model.training
    assert torch.equal(torch.get_rng_state(), before)


def test_two_threads_may_tokenise_at_once(bert: Path, tokenizer_file: Path) -> None:
    for name in (bert, f"static:{tokenizer_file}:16"):
        model = encoder(name)
        with ThreadPoolExecutor(2) as threads:
            batches = [threads.submit(model.tokenise, TEXTS) for _ in range(40)]
        expected = model.tokenise(TEXTS)
        for batch in batches:
            found = batch.result()
            assert all(torch.equal(found[key], value) for key, value in expected.items())


def test_a_text_without_tokens_is_the_zero_vector(tokenizer_file: Path) -> None:
    static = encoder(f"static:{tokenizer_file}:16")
    assert np.abs(static.encode(["", " ", "a"])).max(axis=1).tolist()[:2] == [0, 0]


def test_the_mean_is_over_the_subwords_of_the_text(tokenizer_file: Path) -> None:
    static = encoder(f"static:{tokenizer_file}:16")
    assert isinstance(static, StaticEncoder)
    ids = Tokenizer.from_file(str(tokenizer_file)).encode("the red ship", add_special_tokens=False)
    mean = static.embedding.weight.detach().numpy()[ids.ids].mean(0)
    np.testing.assert_allclose(
        static.encode(["the red ship"])[0], mean / np.linalg.norm(mean), atol=1e-6
    )


def test_equal_seeds_give_equal_weights(tokenizer_file: Path) -> None:
    name = f"static:{tokenizer_file}:16"
    one, same, other = (encoder(name, seed=seed).encode(TEXTS) for seed in (1, 1, 2))
    assert np.array_equal(one, same)
    assert not np.array_equal(one, other)


def test_a_tokenizer_may_be_a_file_or_a_folder(bert: Path, tokenizer_file: Path) -> None:
    shapes = {
        encoder(f"static:{name}:16").encode(TEXTS).tobytes() for name in (bert, tokenizer_file)
    }
    assert len(shapes) == 1


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ("static:256", "static:256 is not of the form static:TOKENIZER:DIM"),
        ("static::many", "static::256"),
        ("static:nowhere.json:16", "cannot open nowhere.json as a model"),
        ("no/such-model", "cannot open no/such-model as a model"),
    ],
)
def test_models_that_are_not_there_are_told_in_one_line(model: str, message: str) -> None:
    with pytest.raises(UserError, match=message) as caught:
        encoder(model)
    assert "\n" not in str(caught.value)
