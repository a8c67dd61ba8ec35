"""Attention of texts end to end is attention within each text."""

from typing import Any

import pytest
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel

from pairsmith.training.encoders.packed_attention import in_runs, jagged


@pytest.mark.parametrize("causal", [False, True])
def test_attention_with_dropout_is_that_without_where_nothing_is_dropped(causal: bool) -> None:
    torch.manual_seed(7)
    query, key, value = torch.randn(3, 1, 2, 24, 8).requires_grad_()
    ends = torch.tensor([0, 3, 3, 8, 24], dtype=torch.int32)
    found = []
    for rate in (0.0, 1e-12):
        given = {"dropout_p": rate, "scale": 0.5, "is_causal": causal}
        states = in_runs(query, key, value, ends, (0, 16), given)
        found.append((states, *torch.autograd.grad(states.square().sum(), (query, key, value))))
    owner = torch.repeat_interleave(torch.arange(4), ends.diff().long())
    allowed = owner[:, None] == owner
    if causal:
        allowed = allowed.tril()
    scores = (query @ key.transpose(2, 3) * 0.5).masked_fill(~allowed, -torch.inf)
    states = (scores.softmax(-1) @ value).transpose(1, 2)
    expected = (states, *torch.autograd.grad(states.square().sum(), (query, key, value)))
    for way in found:
        for a, b in zip(way, expected, strict=True):
            torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-5)


@pytest.mark.filterwarnings("ignore:The PyTorch API of nested tensors:UserWarning")
def test_what_a_gpu_computes_is_attention_within_each_text() -> None:
    torch.manual_seed(3)
    query, key, value = torch.randn(3, 1, 2, 9, 8).requires_grad_()
    ends = torch.tensor([0, 3, 4, 9], dtype=torch.int32)
    options: dict[str, Any] = {"dropout_p": 0.0, "scale": 0.5, "is_causal": False}
    with sdpa_kernel(SDPBackend.MATH):  # the one that a CPU has for jagged tensors
        found = jagged(query, key, value, ends.long(), (1, 5), options)
    owner = torch.repeat_interleave(torch.arange(3), ends.diff().long())
    allowed = owner[:, None] == owner
    scores = (query @ key.transpose(2, 3) * 0.5).masked_fill(~allowed, -torch.inf)
    expected = (scores.softmax(-1) @ value).transpose(1, 2)
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)
    for a, b in zip(
        *(
            torch.autograd.grad(x.square().sum(), (query, key, value), retain_graph=True)
            for x in (found, expected)
        ),
        strict=True,
    ):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-5)
