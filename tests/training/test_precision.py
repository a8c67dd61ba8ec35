"""What is computed in float16 and bfloat16, and how the loss is scaled."""

import random
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AttentionInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward

from pairsmith.schemas import UserError
from pairsmith.training.config import make_config
from pairsmith.training.precision import FIRST_SCALE, LossScale, computing, resolve
from pairsmith.training.train import train

CPU = torch.device("cpu")


def test_the_loss_is_scaled_as_by_torch() -> None:
    theirs, mine = torch.amp.GradScaler("cpu"), LossScale(FIRST_SCALE)
    work = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.1)
    draw = random.Random(3)
    theirs.scale(torch.zeros(1))  # it begins lazily
    for _ in range(9000):
        overflow = draw.random() < 0.0006
        work.param_groups[0]["params"][0].grad = torch.tensor([float("inf") if overflow else 1.0])
        theirs.step(work)
        theirs.update()
        if overflow:
            mine.overflowed()
        else:
            mine.held()
        assert mine.scale == theirs.get_scale()
    assert mine.skipped > 2
    assert mine.scale != FIRST_SCALE


def test_what_overflows_at_any_scale_is_refused() -> None:
    scale = LossScale(2.0)
    scale.overflowed()
    with pytest.raises(UserError, match="--precision bf16"):
        scale.overflowed()


@pytest.mark.parametrize(
    ("precision", "kind"),
    [("fp32", torch.float32), ("bf16", torch.bfloat16), ("fp16", torch.float16)],
)
def test_matrices_are_multiplied_in_what_was_asked(precision: str, kind: torch.dtype) -> None:
    with computing(precision, CPU):  # type: ignore[arg-type]
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == kind


def test_attention_that_cannot_do_float32_trains_and_is_evaluated_in_bfloat16(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, dataset: Path, bert: Path, sts_file: Path
) -> None:
    plain, kinds = sdpa_attention_forward, []

    def half_only(module: Any, query: torch.Tensor, *others: Any, **more: Any) -> Any:
        kinds.append(query.dtype)
        if query.dtype == torch.float32:
            raise RuntimeError("only fp16 and bf16 are supported")  # as of flash_attention_2
        return plain(module, query, *others, **more)

    monkeypatch.setitem(AttentionInterface._global_mapping, "sdpa", half_only)
    given: dict[str, Any] = {"model": str(bert), "attention": "sdpa", "sts": (sts_file,)}
    given |= {"device": "cpu", "tensorboard": False, "curves": False, "steps": 2, "batch_size": 8}
    scores = train(make_config((dataset,), tmp_path / "model", precision="bf16", **given))
    assert scores.keys() == {0, 1, 2}
    assert set(kinds) == {torch.bfloat16}


def test_a_gpu_that_only_plays_bfloat16_computes_in_float32(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    gpu = torch.device("cuda:0")

    def plays(including_emulation: bool = True) -> bool:
        return including_emulation

    monkeypatch.setattr(torch.cuda, "is_bf16_supported", plays)
    assert resolve("auto", gpu) == "fp32"
    with pytest.raises(UserError, match="cuda:0 cannot; try --precision fp16"):
        resolve("bf16", gpu)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda **_: True)
    assert resolve("auto", gpu) == resolve("bf16", gpu) == "bf16"


def test_a_cpu_computes_in_float32_unless_told_otherwise() -> None:
    assert resolve("auto", CPU) == "fp32"
    assert resolve("fp16", CPU) == "fp16"
