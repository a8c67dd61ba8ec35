"""What is computed in float16 and bfloat16, and how the loss is scaled."""

import random

import pytest
import torch

from pairsmith.schemas import UserError
from pairsmith.training.precision import FIRST_SCALE, LossScale, computing, resolve

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
