"""What is trained of an encoder, what is dropped when it is saved, and what dropout does."""

import json
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from pairsmith.schemas import UserError
from pairsmith.training.encoders.encoder import Encoder
from pairsmith.training.encoders.transformer import TransformerEncoder
from tests.training.encoders.conftest import TEXTS
from tests.training.encoders.opened import (
    FAMILIES,
    assert_opens_with_equal_vectors,
    encoder,
    sentence_vectors,
)

TRANSFORMERS = ("bert", "gpt2", "t5")


def step(model: Encoder, texts: list[str] = TEXTS) -> float:
    """Take one step of SGD towards a fixed direction; return the loss before."""
    model.train()
    vectors = model(model.tokenise(texts))
    loss = (1 - vectors[:, 0]).mean()
    loss.backward()
    with torch.no_grad():
        for weight in model.parameters():
            if weight.grad is not None:
                weight -= 0.5 * weight.grad
                weight.grad = None
    return loss.item()


def weights(model: Encoder) -> dict[str, Tensor]:
    return {name: value.detach().clone() for name, value in model.named_parameters()}


def changed(model: Encoder, before: dict[str, Tensor]) -> set[str]:
    after = dict(model.named_parameters())
    return {name for name, value in before.items() if not torch.equal(value, after[name])}


@pytest.mark.parametrize("family", FAMILIES)
def test_a_text_twice_in_a_batch_is_seen_through_two_dropout_masks(
    families: dict[str, str], family: str
) -> None:
    model = encoder(families[family], dropout=0.3).train()
    features = model.tokenise([TEXTS[0], TEXTS[1], TEXTS[0]])
    one, _, other = model(features).detach()
    assert not torch.allclose(one, other, atol=1e-3)
    again = model(features).detach()[0]
    assert not torch.allclose(one, again, atol=1e-3)
    plain = model.eval()(features).detach()
    assert torch.allclose(plain[0], plain[2], atol=1e-6)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("checkpointing", [False, True])
def test_a_text_in_two_micro_batches_is_seen_through_two_dropout_masks(
    families: dict[str, str], family: str, checkpointing: bool
) -> None:
    if family == "static" and checkpointing:
        pytest.skip("a static encoder has no activations to recompute")
    model = encoder(families[family], dropout=0.3, gradient_checkpointing=checkpointing).train()
    features = model.tokenise([TEXTS[0]])
    one, other = model(features), model(features)
    assert not torch.allclose(one, other, atol=1e-3)
    (one * other).sum().backward()
    assert any(weight.grad is not None for weight in model.parameters())


@pytest.mark.parametrize("family", TRANSFORMERS)
def test_without_dropout_training_mode_gives_the_vectors_of_evaluation(
    families: dict[str, str], family: str
) -> None:
    model = encoder(families[family], dropout=0.0).train()
    vectors = model(model.tokenise(TEXTS)).detach().numpy()
    np.testing.assert_allclose(vectors, model.encode(TEXTS), atol=1e-5)


@pytest.mark.parametrize("family", TRANSFORMERS)
def test_gradient_checkpointing_replays_the_same_masks(
    families: dict[str, str], family: str
) -> None:
    gradients = []
    for checkpointing in (False, True):
        model = encoder(families[family], dropout=0.3, gradient_checkpointing=checkpointing).train()
        torch.manual_seed(3)
        model(model.tokenise(TEXTS))[:, 0].sum().backward()
        gradients.append({n: p.grad for n, p in model.named_parameters() if p.grad is not None})
    plain, replayed = gradients
    assert plain.keys() == replayed.keys()
    assert all(torch.allclose(plain[name], replayed[name], atol=1e-6) for name in plain)


def test_gradient_checkpointing_keeps_fewer_activations(tokenizer_file: Path) -> None:
    def kept(checkpointing: bool) -> int:
        model = encoder(f"bert:{tokenizer_file}:4x32", gradient_checkpointing=checkpointing).train()
        sizes: list[int] = []

        def pack(tensor: Tensor) -> Tensor:
            sizes.append(tensor.nbytes)
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
            model(model.tokenise(TEXTS))
        return sum(sizes)

    assert kept(True) < kept(False) / 2


@pytest.mark.parametrize("family", FAMILIES)
def test_the_projection_head_is_trained_through_and_dropped(
    tmp_path: Path, families: dict[str, str], family: str
) -> None:
    model = encoder(families[family], projection=6, dropout=0.0)
    assert model.train()(model.tokenise(TEXTS)).shape[1] == 6
    assert model.dimension == encoder(families[family]).dimension
    before, plain = weights(model), model.encode(TEXTS)
    step(model)
    moved = changed(model, before)
    assert any(name.startswith("head.") for name in moved)
    assert any(not name.startswith("head.") for name in moved)
    assert not np.allclose(model.encode(TEXTS), plain, atol=1e-4)
    assert_opens_with_equal_vectors(model, tmp_path / "saved")
    assert not any(name.startswith("head.") for name in weights(encoder(tmp_path / "saved")))


def test_the_projection_head_is_simclrs(families: dict[str, str]) -> None:
    model = encoder(families["static"], projection=6).train()
    first, _, second = model.head
    pooled = model.pooled(model.tokenise(TEXTS))
    hidden = (pooled @ first.weight.T + first.bias).clamp(min=0)
    expected = hidden @ second.weight.T + second.bias
    expected = expected / expected.norm(dim=1, keepdim=True)
    assert torch.allclose(model(model.tokenise(TEXTS)), expected, atol=1e-6)


@pytest.mark.parametrize("family", TRANSFORMERS)
def test_lora_trains_its_updates_only_and_is_merged_when_saved(
    tmp_path: Path, families: dict[str, str], family: str
) -> None:
    pytest.importorskip("peft", reason="needs the extra lora")
    plain = encoder(families[family]).encode(TEXTS)
    model = encoder(families[family], lora=4, dropout=0.0, projection=8)
    np.testing.assert_allclose(model.encode(TEXTS), plain, atol=1e-6)
    before = weights(model)
    for _ in range(3):
        step(model)
    moved = changed(model, before)
    assert all("lora_" in name or name.startswith("head.") for name in moved)
    assert any("lora_B" in name for name in moved)
    assert not np.allclose(model.encode(TEXTS), plain, atol=1e-3)
    assert_opens_with_equal_vectors(model, tmp_path / "saved")
    assert not (tmp_path / "saved" / "adapter_config.json").exists()
    assert not any("lora_" in name for name in weights(encoder(tmp_path / "saved")))
    step(model)  # what was saved is a copy


def test_lora_may_be_kept_apart(tmp_path: Path, bert: Path) -> None:
    pytest.importorskip("peft", reason="needs the extra lora")
    targets = ("query", "value")
    model = encoder(bert, lora=2, lora_targets=targets, lora_merge=False, pooling="cls")
    trained = {name for name, value in model.named_parameters() if value.requires_grad}
    assert {name.split(".lora_")[0].rpartition(".")[2] for name in trained} == set(targets)
    for _ in range(3):
        step(model)
    assert_opens_with_equal_vectors(model, tmp_path / "saved")
    saved = sum(path.stat().st_size for path in (tmp_path / "saved").glob("*.safetensors"))
    assert saved < (bert / "model.safetensors").stat().st_size / 2
    again = encoder(tmp_path / "saved")
    np.testing.assert_allclose(again.encode(TEXTS), model.encode(TEXTS), atol=1e-5)


def test_an_adapter_is_refused_where_it_could_not_name_what_it_belongs_to(
    tmp_path: Path, bert: Path
) -> None:
    """It would be put on other weights, or on none, when it is opened."""
    pytest.importorskip("peft", reason="needs the extra lora")
    encoder(bert, lora=2, lora_merge=False).save(tmp_path / "adapter")
    encoder(bert).save(tmp_path / "deep")
    inner = tmp_path / "deep" / "0_Transformer"
    inner.mkdir()
    for file in [path for path in inner.parent.glob("*") if path.is_file()]:
        if file.name not in ("modules.json", "config_sentence_transformers.json"):
            file.rename(inner / file.name)
    listed = json.loads((tmp_path / "deep" / "modules.json").read_text())
    listed[0]["path"] = inner.name
    (tmp_path / "deep" / "modules.json").write_text(json.dumps(listed))
    for model in (tmp_path / "adapter", tmp_path / "deep", "bert::1x32"):
        with pytest.raises(UserError, match=f"^--no-lora-merge: {model} is "):
            encoder(model, lora=2, lora_merge=False)
    for model in (tmp_path / "adapter", tmp_path / "deep"):
        assert_opens_with_equal_vectors(encoder(model, lora=2), tmp_path / f"{model.name}-merged")


@pytest.mark.parametrize("family", TRANSFORMERS)
def test_frozen_parts_do_not_move(families: dict[str, str], family: str) -> None:
    def moved(freeze: object) -> set[str]:
        model = encoder(families[family], freeze=freeze, dense=8)
        before = weights(model)
        step(model)
        return changed(model, before)

    words = ("embed", "wte", "wpe", "shared")
    everything, tables = moved("nothing"), moved("embeddings")
    assert any(word in name for name in everything for word in words)
    assert not any(word in name for name in tables for word in words)
    first = moved(1)
    assert first < tables
    stem = {"bert": "encoder.layer.0.", "gpt2": ".h.0.", "t5": ".block.0."}[family]
    assert any(stem in name for name in tables)
    assert not any(stem in name for name in first)
    assert {name.partition(".")[0] for name in moved("model")} == {"dense"}


@pytest.mark.parametrize("family", FAMILIES)
def test_everything_that_is_trained_has_a_gradient(families: dict[str, str], family: str) -> None:
    """What DDP waits for."""
    model = encoder(families[family], projection=6, dense=8).train()
    (model(model.tokenise(TEXTS))[:, 0]).sum().backward()
    without = {n for n, p in model.named_parameters() if p.requires_grad and p.grad is None}
    assert not without


@pytest.mark.parametrize("family", TRANSFORMERS)
def test_blocks_are_the_layers_of_the_model(families: dict[str, str], family: str) -> None:
    count = {"bert": 1, "gpt2": 2, "t5": 2}[family]
    for options in ({}, {"lora": 2}):
        model = encoder(families[family], **options)
        blocks = model.blocks()
        assert len(blocks) == count
        assert len({type(block) for block in blocks}) == 1


@pytest.mark.parametrize("family", TRANSFORMERS)
def test_a_checkpoint_of_an_adapted_encoder_fits_a_new_one(
    tmp_path: Path, families: dict[str, str], family: str
) -> None:
    """How weights that are spread over ranks are saved: gathered, put into a new one."""
    options = {"lora": 2, "dense": 8, "projection": 4}
    model = encoder(families[family], **options)
    step(model)
    other = encoder(families[family], seed=5, **options)
    other.load_state_dict(model.state_dict())
    assert_opens_with_equal_vectors(other, tmp_path / "saved")
    np.testing.assert_allclose(sentence_vectors(tmp_path / "saved"), model.encode(TEXTS), atol=1e-5)


@pytest.mark.skipif(not (shutil.which("g++") or shutil.which("clang++")), reason="needs a compiler")
def test_a_compiled_encoder_gives_the_same_vectors_and_is_saved(tmp_path: Path, bert: Path) -> None:
    plain = encoder(bert, dropout=0.0).train()
    model = encoder(bert, dropout=0.0, compile=True).train()
    vectors, expected = (one(one.tokenise(TEXTS)) for one in (model, plain))
    assert torch.allclose(vectors, expected, atol=1e-5)
    vectors[:, 0].sum().backward()
    expected[:, 0].sum().backward()
    gradients = dict(plain.named_parameters())
    for name, weight in model.named_parameters():
        if weight.grad is not None:
            assert torch.allclose(weight.grad, gradients[name].grad, atol=1e-5)
    assert model.state_dict().keys() == plain.state_dict().keys()
    model.save(tmp_path / "saved")
    np.testing.assert_allclose(sentence_vectors(tmp_path / "saved"), plain.encode(TEXTS), atol=1e-5)


def test_lora_without_peft_names_the_extra(bert: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "peft", None)
    with pytest.raises(UserError, match=r"install it with: pip install '\.\[lora\]'"):
        encoder(bert, lora=2)


def test_pooler_and_dropout_are_as_the_model_has_them(minilm: Path) -> None:
    model = encoder(minilm)
    assert isinstance(model, TransformerEncoder)
    assert model.model.config.hidden_dropout_prob == 0.1
    assert not any(p.requires_grad for n, p in model.named_parameters() if ".pooler." in n)
