"""FLOPs of a step against PyTorch's own count."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from pairsmith.training.encoders.config import EncoderConfig
from pairsmith.training.encoders.opening import open_encoder
from pairsmith.training.flops import peak_flops, step_flops, token_counts, utilisation


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
