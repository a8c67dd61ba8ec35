"""What a step computes in: float32, bfloat16, or float16 with a scaled loss."""

from contextlib import AbstractContextManager
from dataclasses import dataclass

import torch

from pairsmith.schemas import UserError
from pairsmith.training.config import Precision

FIRST_SCALE = 2.0**16
PATIENCE = 2000
"""Steps without an overflow after which the scale is doubled."""


@dataclass
class LossScale:
    """The factor that keeps small gradients from vanishing in float16.

    Dynamic loss scaling (Micikevicius et al., arXiv 1710.03740) with the constants of torch's
    GradScaler. Whether a step overflowed is told by the norm of the whole gradient, which all ranks
    know, also where each holds only its shard of it.
    """

    scale: float = 1.0
    """1: gradients are not scaled. A power of 2, so that scaling loses nothing."""
    steps: int = 0
    """Since the scale was last changed."""
    skipped: int = 0
    """Steps of the run whose gradient overflowed and was thrown away."""

    def overflowed(self) -> None:
        """Halve the scale.

        Raises UserError when there is nothing left to halve.
        """
        self.scale, self.steps, self.skipped = self.scale / 2, 0, self.skipped + 1
        if self.scale < 1:
            raise UserError(
                "gradients overflow float16 at any scale of the loss; train with --precision bf16, "
                "or fp32, or a smaller --learning-rate"
            )

    def held(self) -> None:
        """Count a step without overflow, and double the scale after many."""
        self.steps += 1
        if self.steps == PATIENCE:
            self.scale, self.steps = self.scale * 2, 0


def resolve(precision: Precision, device: torch.device) -> Precision:
    """Return what to compute in on `device`: where it is open, bfloat16 on a GPU that has it.

    Raises UserError for what the device cannot do.
    """
    on_gpu = device.type == "cuda"
    # A GPU without bfloat16 can play that it has it, more slowly than it computes in float32.
    has_it = on_gpu and torch.cuda.is_bf16_supported(including_emulation=False)
    if precision == "auto":
        return "bf16" if has_it else "fp32"
    if precision == "bf16" and on_gpu and not has_it:
        raise UserError(f"--precision bf16: {device} cannot; try --precision fp16")
    return precision


def computing(precision: Precision, device: torch.device) -> AbstractContextManager[object]:
    """Return the context in which the encoder computes; weights and losses stay float32."""
    kind = torch.float16 if precision == "fp16" else torch.bfloat16
    return torch.autocast(device.type, kind, enabled=precision != "fp32")
