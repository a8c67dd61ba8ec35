"""Encoders that read a batch's texts end to end give what transformers gives for padded ones."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from transformers import AutoModel

from pairsmith.schemas import UserError
from pairsmith.training.encoders.encoder import Encoder
from pairsmith.training.encoders.packing import Features, in_chunks, padded, token_count
from pairsmith.training.encoders.pooling import pool
from pairsmith.training.encoders.transformer import TransformerEncoder
from pairsmith.training.losses.cache import cached_step
from pairsmith.training.losses.config import LossConfig
from pairsmith.training.losses.objective import Objective, Outcome
from pairsmith.training.tokens.ids import IdRows
from tests.training.encoders.conftest import TEXTS
from tests.training.encoders.opened import encoder
from tests.training.losses.batches import made

POOLINGS = ("mean", "cls", "last", "max", "weighted")
PAIRS = made(17)
COUNT = 17 * 2 + len(PAIRS.negatives)


def with_padding(model: Encoder, texts: list[str]) -> Features:
    lists = model.subwords(texts).rows()
    ids = IdRows(np.concatenate(lists), np.array([len(one) for one in lists]))
    return padded(ids, model.tokenizer.pad_token_id)  # type: ignore[union-attr, arg-type]


def gradients(model: Encoder, vectors: Tensor) -> dict[str, Tensor]:
    """Return the gradients of a loss in which every text meets every other."""
    model.zero_grad()
    (vectors @ vectors.T).logsumexp(1).sum().backward()
    return {n: p.grad.clone() for n, p in model.named_parameters() if p.grad is not None}


def assert_near(found: dict[str, Tensor], expected: dict[str, Tensor]) -> None:
    largest = max(float(gradient.abs().max()) for gradient in expected.values())
    assert found.keys() == expected.keys()
    for name, gradient in expected.items():
        torch.testing.assert_close(found[name], gradient, rtol=1e-4, atol=1e-5 * largest)


@pytest.mark.parametrize("name", ["bert", "minilm"])
def test_vectors_are_those_of_transformers_own_padded_forward_pass(
    request: pytest.FixtureRequest, name: str
) -> None:
    folder = request.getfixturevalue(name)
    mine, theirs = encoder(folder).eval(), AutoModel.from_pretrained(folder).eval()
    features = mine.tokenise(TEXTS)
    assert "attention_mask" not in features
    assert token_count(features).ratio == 1
    rows = with_padding(mine, TEXTS)
    with torch.no_grad():
        states = theirs(**rows).last_hidden_state
        expected = pool(states, rows["attention_mask"], "mean")
        expected /= expected.norm(dim=1, keepdim=True)
        torch.testing.assert_close(mine(features), expected, rtol=0, atol=1e-5)
        # Both layouts go through one model.
        torch.testing.assert_close(mine(rows), expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    "options",
    [
        {"freeze": "embeddings", "pooling": "cls"},
        {"gradient_checkpointing": True, "dense": 8},
        {"lora": 2, "projection": 4},
    ],
)
@pytest.mark.parametrize("name", ["bert", "gpt2", "llama"])
def test_gradients_are_those_of_padded_texts(
    request: pytest.FixtureRequest, name: str, options: dict[str, Any]
) -> None:
    if name == "llama" and "freeze" in options:
        options = {"freeze": 1}
    dropout = {} if name == "llama" else {"dropout": 0.0}
    folder = str(request.getfixturevalue(name))
    ends, rows = (
        encoder(folder, packed=way, **dropout, **options).train() for way in (True, False)
    )
    for each in (ends, rows):  # LoRA begins with updates of 0, which pass no gradient on
        torch.manual_seed(4)
        for weight_name, weight in each.named_parameters():
            if "lora_B" in weight_name:
                torch.nn.init.normal_(weight, std=0.1)
    features = rows.tokenise(TEXTS)
    assert "attention_mask" in features
    found, expected = ends(ends.tokenise(TEXTS)), rows(features)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)
    assert_near(gradients(ends, found), gradients(rows, expected))


@pytest.mark.parametrize("pooling", POOLINGS)
def test_a_text_without_tokens_is_0_among_others_and_alone(gpt2: Path, pooling: str) -> None:
    model = encoder(gpt2, pooling=pooling, append_eos=False)
    texts = ["", "the moon", "", "a ship eats", ""]
    features = model.tokenise(texts)
    assert "cu_seq_lens" in features
    with torch.no_grad():
        rows = with_padding(model, texts)
        expected = model.eval()(rows)
        torch.testing.assert_close(model(features), expected, rtol=0, atol=1e-5)
    assert np.abs(model.encode([""])).max() == 0


def test_on_a_gpu_texts_are_padded_where_one_has_no_tokens(gpt2: Path) -> None:
    model = encoder(gpt2, append_eos=False).to("meta")  # whatever is no CPU
    assert "cu_seq_lens" in model.tokenise(["the moon", "a ship eats"])
    assert "attention_mask" in model.tokenise(["the moon", "", "a ship eats"])


def test_cached_gradients_of_packed_chunks_are_those_of_the_whole_graph(bert: Path) -> None:
    model, objective = encoder(bert, dropout=0.3).train(), Objective(LossConfig())
    texts = (TEXTS * 3)[:COUNT]
    chunks = in_chunks(model.tokenise(texts), COUNT, 5)
    assert all("cu_seq_lens" in chunk for chunk in chunks)

    def loss(vectors: Tensor) -> Outcome:
        told = PAIRS.identities, PAIRS.weight, PAIRS.label, PAIRS.similarity
        outcome: Outcome = objective(vectors[:17], vectors[17:34], vectors[34:], *told)
        return outcome

    torch.manual_seed(11)
    whole = loss(torch.cat([model(chunk) for chunk in chunks]))
    whole.loss.backward()
    expected = {n: p.grad.clone() for n, p in model.named_parameters() if p.grad is not None}
    model.zero_grad()
    torch.manual_seed(11)
    cached = cached_step(model, chunks, loss)
    assert cached.loss.item() == pytest.approx(whole.loss.item(), rel=1e-6)
    assert_near({n: p.grad for n, p in model.named_parameters() if p.grad is not None}, expected)


def test_chunks_have_the_vectors_of_the_batch_and_one_without_texts_the_first(bert: Path) -> None:
    model = encoder(bert).eval()
    chunks = in_chunks(model.tokenise(TEXTS[:3]), 3, 5)
    assert len(chunks) == 5
    with torch.no_grad():
        found = torch.cat([model(chunk) for chunk in chunks]).numpy()
    expected = model.encode(TEXTS[:3])
    np.testing.assert_allclose(found, expected[[0, 1, 2, 0, 0]], atol=1e-5)


def test_a_model_that_cannot_read_texts_end_to_end_pads_them_unless_told_not_to(t5: Path) -> None:
    model = encoder(t5)
    assert isinstance(model, TransformerEncoder)
    assert model.first_position is None
    assert "attention_mask" in model.tokenise(TEXTS)
    with pytest.raises(UserError, match=r"cannot read texts end to end .* --packed False"):
        encoder(t5, packed=True)


@pytest.mark.parametrize("options", [{"attention": "eager"}, {"attention": "sdpa"}])
def test_attention_that_was_asked_for_is_left_alone(bert: Path, options: dict[str, Any]) -> None:
    model = encoder(bert, **options)
    assert isinstance(model, TransformerEncoder)
    assert model.model.config._attn_implementation == options["attention"]
    assert "attention_mask" in model.tokenise(TEXTS)
    with pytest.raises(UserError, match="leave --attention and --compile out"):
        encoder(bert, packed=True, **options)
