"""Each family, each pooling: what is saved gives equal vectors in sentence-transformers."""

from pathlib import Path

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer

from pairsmith.schemas import UserError
from pairsmith.training.encoders.config import EncoderConfig
from pairsmith.training.encoders.opening import open_encoder
from pairsmith.training.encoders.transformer import TransformerEncoder
from pairsmith.training.tokens.ids import IdRows
from tests.training.encoders.conftest import TEXTS
from tests.training.encoders.opened import (
    FAMILIES,
    assert_opens_with_equal_vectors,
    encoder,
    sentence_vectors,
)

POOLINGS = ("mean", "cls", "last", "max", "weighted")


@pytest.mark.parametrize("pooling", POOLINGS)
@pytest.mark.parametrize("family", ["bert", "gpt2", "t5"])
def test_a_saved_transformer_opens_with_equal_vectors(
    tmp_path: Path, families: dict[str, str], family: str, pooling: str
) -> None:
    model = encoder(families[family], pooling=pooling)
    assert_opens_with_equal_vectors(model, tmp_path / "saved")


@pytest.mark.parametrize("family", FAMILIES)
def test_a_saved_encoder_goes_on_as_it_was(
    tmp_path: Path, families: dict[str, str], family: str
) -> None:
    first = encoder(families[family], max_length=7, dense=12)
    assert_opens_with_equal_vectors(first, tmp_path / "first")
    second = encoder(tmp_path / "first")
    assert second.dimension == 12
    np.testing.assert_allclose(second.encode(TEXTS), first.encode(TEXTS), atol=1e-6)
    assert_opens_with_equal_vectors(second, tmp_path / "second")


def test_a_published_model_opens_and_saves_with_equal_vectors(tmp_path: Path, minilm: Path) -> None:
    mini = encoder(minilm)
    assert mini.dimension == 384
    np.testing.assert_allclose(mini.encode(TEXTS), sentence_vectors(minilm), atol=1e-5)
    long = [" ".join(TEXTS[:40])]
    np.testing.assert_allclose(mini.encode(long), sentence_vectors(minilm, long), atol=1e-5)
    assert_opens_with_equal_vectors(mini, tmp_path / "saved")


@pytest.mark.parametrize("name", ["gpt2", "llama"])
@pytest.mark.parametrize("max_length", [0, 6])
def test_a_decoder_ends_every_text_with_the_end_token_and_takes_its_vector(
    tmp_path: Path, request: pytest.FixtureRequest, name: str, max_length: int
) -> None:
    model = encoder(request.getfixturevalue(name), max_length=max_length)
    assert isinstance(model, TransformerEncoder)
    assert model.pooling == "last"
    rows = model.subwords(TEXTS).rows()
    assert all(row[-1] == model.tokenizer.eos_token_id for row in rows)
    assert max(map(len, rows)) == (max_length or max(map(len, rows)))
    with torch.inference_mode():
        states = model.eval().model(torch.tensor([rows[0].tolist()])).last_hidden_state[0, -1]
    expected = states.numpy() / np.linalg.norm(states.numpy())
    np.testing.assert_allclose(model.encode(TEXTS)[0], expected, atol=1e-5)
    assert_opens_with_equal_vectors(model, tmp_path / "saved")


def test_no_end_token_where_none_is_wanted(gpt2: Path) -> None:
    model = encoder(gpt2, append_eos=False)
    assert isinstance(model, TransformerEncoder)
    assert all(row[-1] != model.tokenizer.eos_token_id for row in model.subwords(TEXTS).rows())


@pytest.mark.parametrize(("family", "causal"), [("bert", False), ("gpt2", True), ("t5", False)])
def test_attention_is_causal_where_the_model_is(
    families: dict[str, str], family: str, causal: bool
) -> None:
    model = encoder(families[family], pooling="cls", append_eos=False).eval()
    short, long = model.subwords(["the moon", "the moon eats a ship"]).rows()
    stem = short[: len(short) - (0 if causal else 1)]
    with torch.inference_mode():
        one, other = (model(model.features_of(IdRows.of([row]))) for row in (stem, long))
    assert torch.allclose(one, other, atol=1e-6) == causal


@pytest.mark.parametrize("pooling", POOLINGS)
@pytest.mark.parametrize("family", ["bert", "gpt2", "t5"])
def test_a_vector_does_not_depend_on_what_stands_beside_the_text(
    families: dict[str, str], family: str, pooling: str
) -> None:
    model = encoder(families[family], pooling=pooling).eval()
    together = model.encode(TEXTS)
    alone = np.concatenate([model.encode([text]) for text in TEXTS[-4:]])
    np.testing.assert_allclose(together[-4:], alone, atol=1e-5)


@pytest.mark.parametrize("family", FAMILIES)
def test_texts_are_tokenised_as_the_library_does_it(families: dict[str, str], family: str) -> None:
    for max_length in (0, 5):
        model = encoder(families[family], max_length=max_length)
        special = family != "static"
        library = Tokenizer.from_str(model.subwords.tokenizer.to_str())
        texts = [*TEXTS, "", "[MASK] the ship [SEP]"]
        expected = [e.ids for e in library.encode_batch(texts, add_special_tokens=special)]
        assert [row.tolist() for row in model.subwords(texts).rows()] == expected


@pytest.mark.parametrize("family", FAMILIES)
def test_features_of_token_ids_are_those_of_the_texts(
    families: dict[str, str], family: str
) -> None:
    model = encoder(families[family])
    made = model.features_of(IdRows.of(model.subwords(TEXTS).lists()))
    expected = model.tokenise(TEXTS)
    assert made.keys() == expected.keys()
    assert all(torch.equal(made[key], expected[key]) for key in expected)
    assert len(model.encode([])) == 0


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("how", ["weights", "autocast"])
def test_vectors_are_float32_and_of_length_one_in_bfloat16(
    tmp_path: Path, families: dict[str, str], family: str, how: str
) -> None:
    model = encoder(families[family], dense=8)
    exact = model.encode(TEXTS)
    if how == "weights":
        model = model.to(torch.bfloat16)
    with torch.autocast("cpu", torch.bfloat16, enabled=how == "autocast"):
        vectors = model.encode(TEXTS)
        trained = model.train()(model.tokenise(TEXTS))
    assert trained.dtype == torch.float32
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-6)
    np.testing.assert_allclose((vectors * exact).sum(1), 1, atol=0.01)
    if how == "weights":
        model.save(tmp_path / "saved")
        again = encoder(tmp_path / "saved")
        assert all(p.dtype == torch.float32 for p in again.parameters())


@pytest.mark.parametrize("family", ["bert", "gpt2", "t5"])
def test_a_model_of_random_weights_is_of_the_size_asked_for(
    tmp_path: Path, tokenizer_file: Path, family: str
) -> None:
    config = EncoderConfig(model=f"{family}::2x128", dropout=0.2)
    assert config.trains_tokenizer
    one, same, other = (
        open_encoder(config, seed, Tokenizer.from_file(str(tokenizer_file))) for seed in (1, 1, 2)
    )
    assert one.dimension == 128
    assert len(one.blocks()) == 2
    assert np.array_equal(one.encode(TEXTS), same.encode(TEXTS))
    assert not np.array_equal(one.encode(TEXTS), other.encode(TEXTS))
    assert_opens_with_equal_vectors(one, tmp_path / "saved")
    named = encoder(f"{family}:{tokenizer_file}:2x128", seed=1, dropout=0.2)
    assert np.array_equal(named.encode(TEXTS), one.encode(TEXTS))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"max_length": 65}, "--max-length 65 is more than .* has positions for"),
        ({"dropout": 1.0}, "--dropout 1.0 is no rate"),
        ({"lora": -1}, "--lora -1 is below 0"),
        ({"lora": 2, "freeze": 1}, "--lora freezes the whole model by itself"),
        ({"freeze": 2}, "--freeze 2: .* has 1 blocks"),
        ({"freeze": "model"}, "--freeze model leaves nothing to train that is saved"),
        ({"lora": 2, "lora_targets": ("nope",)}, "--lora-targets nope: .* has no linear layer"),
    ],
)
def test_settings_that_do_not_fit_the_model_are_told_in_one_line(
    bert: Path, options: dict[str, object], message: str
) -> None:
    with pytest.raises(UserError, match=message) as caught:
        encoder(bert, **options)
    assert "\n" not in str(caught.value)


def test_a_text_must_have_room_beside_the_special_tokens(tokenizer_file: Path) -> None:
    with pytest.raises(UserError, match="--max-length 2 leaves no room beside 2 special tokens"):
        encoder(f"bert:{tokenizer_file}:1x16", max_length=2)
    model = encoder(f"bert:{tokenizer_file}:1x16", max_length=3)
    assert {len(row) for row in model.subwords(TEXTS).rows()} == {3}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"lora": 2}, "--lora is for transformers"),
        ({"pooling": "cls"}, "--pooling cls is for transformers"),
        ({"compile": True}, "--compile is for transformers"),
        ({"packed": True}, "--packed is for transformers"),
        ({"freeze": 1}, "--freeze 1 counts blocks"),
        ({"freeze": "embeddings"}, "--freeze embeddings leaves nothing to train"),
    ],
)
def test_settings_for_transformers_are_refused_for_static_ones(
    tokenizer_file: Path, options: dict[str, object], message: str
) -> None:
    with pytest.raises(UserError, match=message):
        encoder(f"static:{tokenizer_file}:16", **options)


def test_a_decoder_without_dropout_says_so(llama: Path) -> None:
    model = encoder(llama, dropout=0.1)
    assert isinstance(model, TransformerEncoder)
    assert model.model.config.attention_dropout == 0.1
