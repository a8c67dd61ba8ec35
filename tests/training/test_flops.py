"""FLOPs of a step against PyTorch's own count."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from pairsmith.training.encoders.config import EncoderConfig
from pairsmith.training.encoders.opening import open_encoder
from pairsmith.training.telemetry.flops import peak_flops, step_flops, token_counts, utilisation


@pytest.mark.parametrize("frozen", [False, True])
def test_a_bert_step_takes_what_pytorch_counts(bert: Path, frozen: bool) -> None:
    encoder: Any = open_encoder(EncoderConfig(model=str(bert)))
    if frozen:
        for name, parameter in encoder.named_parameters():
            parameter.requires_grad_("embeddings" in name)
    features = encoder.tokenise(["the cat sees a red house at night"] * 8)
    lengths = token_counts(features)
    with FlopCounterMode(display=False) as counter:
        encoder(features).sum().backward()
    counted = counter.get_total_flops()
    assert step_flops(encoder, lengths) == pytest.approx(counted, rel=0.1)


@pytest.mark.parametrize(
    "settings", [{"freeze": 1}, {"freeze": 2}, {"freeze": "model", "dense": 64}, {"lora": 2}]
)
def test_no_backward_pass_enters_what_lies_below_all_that_is_trained(
    tokenizer_file: Path, settings: dict[str, Any]
) -> None:
    encoder: Any = open_encoder(EncoderConfig(model=f"bert:{tokenizer_file}:6x64", **settings))
    features = encoder.tokenise(["the cat sees a red house at night"] * 8)
    with FlopCounterMode(display=False) as counter:
        encoder(features).sum().backward()
    told = step_flops(encoder, token_counts(features))
    assert told == pytest.approx(counter.get_total_flops(), rel=0.05)


@pytest.mark.parametrize(
    ("name", "peak"),
    [
        ("NVIDIA H100 80GB HBM3", 989),
        ("NVIDIA H100 PCIe", 756),
        ("NVIDIA GH200 480GB", 989),
        ("NVIDIA A100-SXM4-80GB", 312),
        ("NVIDIA A10G", 70),
        ("NVIDIA A10", 125),
        ("NVIDIA A40", 150),
        ("NVIDIA RTX A4000", None),
        ("NVIDIA RTX A6000", 155),
        ("NVIDIA L4", 121),
        ("NVIDIA L40", 181),
        ("NVIDIA L40S", 362),
        ("Tesla V100-SXM2-16GB", 125),
        ("Tesla T4", 65),
        ("NVIDIA T400", None),
        ("NVIDIA GeForce RTX 4090", 165),
    ],
)
def test_a_peak_is_that_of_the_device_and_of_none_of_a_longer_name(
    monkeypatch: pytest.MonkeyPatch, name: str, peak: int | None
) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda _: name)
    assert peak_flops(torch.device("cuda")) == (peak and peak * 1e12)


def test_padding_is_no_work(bert: Path) -> None:
    encoder = open_encoder(EncoderConfig(model=str(bert)))
    lengths = token_counts(encoder.tokenise(["the cat", "the cat sees a red house at night"]))
    alone = [token_counts(encoder.tokenise([t])) for t in ("the cat", "the cat sees a red house")]
    assert lengths[0] == alone[0][0]
    assert lengths[1] > alone[1][0]


def test_a_static_encoder_multiplies_no_matrices(tokenizer_file: Path) -> None:
    model = f"static:{tokenizer_file}:16"
    encoder = open_encoder(EncoderConfig(model=model))
    lengths = token_counts(encoder.tokenise(["the cat", "a dog sees", ""]))
    assert lengths.tolist()[2] == 0
    assert step_flops(encoder, lengths) == 0
    assert utilisation(0, 1.0, 1e12) is None


def test_the_peak_is_what_the_user_says_or_unknown_on_a_cpu() -> None:
    assert peak_flops(torch.device("cpu")) is None
    assert peak_flops(torch.device("cpu"), 0.5) == 0.5e12
    assert utilisation(1e9, 0.01, 0.5e12) == pytest.approx(0.2)
    assert utilisation(1e9, 0.01, None) is None


def test_counts_of_packed_texts() -> None:
    packed = {"input_ids": torch.arange(9), "cu_seq_lens": torch.tensor([0, 4, 4, 9])}
    assert np.array_equal(token_counts(packed), [4, 0, 5])
