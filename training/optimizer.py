"""From gradients to a step: AdamW, clipping, and what both need to know of shards and scales."""

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributed.tensor import DTensor
from torch.optim import AdamW, Optimizer

from pairsmith.training.config import OptimizerConfig


def make_optimizer(model: nn.Module, config: OptimizerConfig) -> Optimizer:
    """Return AdamW (arXiv 1711.05101) for what is not frozen; biases and norms are not decayed."""
    trained = [p for p in model.parameters() if p.requires_grad]
    matrices = [p for p in trained if p.ndim > 1]
    vectors = [p for p in trained if p.ndim <= 1]
    groups: list[dict[str, Any]]
    groups = [{"params": matrices}, {"params": vectors, "weight_decay": 0.0}]
    used = [group for group in groups if group["params"]]
    return AdamW(used, lr=config.learning_rate, weight_decay=config.weight_decay, fused=True)


def finish_gradients(model: nn.Module, longest: float, scale: float = 1.0) -> float:
    """Undo the scale of the loss, shorten the gradient to `longest` (not if 0); return its norm.

    The norm is that of the whole gradient before it was shortened, on every process. When it is no
    finite number, the gradients are left as they are.
    """
    gradients = [p.grad for p in model.parameters() if p.grad is not None]
    norm = _norm(gradients) / scale
    factor = min(1.0, longest / (norm + 1e-6)) if longest else 1.0
    if math.isfinite(norm) and factor / scale != 1:
        for gradient in gradients:
            gradient.mul_(factor / scale)
    return norm


def _norm(gradients: list[Tensor]) -> float:
    sharded = [g for g in gradients if isinstance(g, DTensor)]
    whole = [g for g in gradients if not isinstance(g, DTensor)]
    norms = [nn.utils.get_total_norm(part) for part in (sharded, whole) if part]
    full = [norm.full_tensor() if isinstance(norm, DTensor) else norm for norm in norms]
    return torch.stack(full).square().sum().sqrt().item() if len(full) > 1 else full[0].item()
