"""Model FLOPs utilisation: the arithmetic that a step needs, by what the device could do."""

import math
import re
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from pairsmith.training.encoders.packing import BOUNDS

PEAKS = {
    "GB200": 2500,
    "B200": 2250,
    "GH200": 989,
    "H200": 989,
    "H100 PCIe": 756,
    "H100 NVL": 835,
    "H100": 989,
    "A100": 312,
    "A10G": 70,
    "A10": 125,
    "A40": 150,
    "A6000": 155,
    "L40S": 362,
    "L40": 181,
    "L4": 121,
    "4090": 165,
    "3090": 71,
    "V100": 125,
    "T4": 65,
}
"""Dense 16-bit matrix TFLOP/s by the words that the device's name has, from NVIDIA's data sheets;
the first that fits counts."""


def peak_flops(device: torch.device, given: float = 0.0) -> float | None:
    """Return the FLOP/s that `device` could do in 16 bits, None where unknown.

    given: TFLOP/s that the user states; 0: look the device up.
    """
    if given:
        return given * 1e12
    if device.type != "cuda":
        return None
    name = torch.cuda.get_device_name(device)
    return next((p * 1e12 for part, p in PEAKS.items() if re.search(rf"\b{part}\b", name)), None)


def step_flops(encoder: nn.Module, lengths: npt.NDArray[np.int64]) -> float:
    """Return the FLOPs of a forward and backward pass over texts of these lengths in tokens.

    lengths: (texts,), without padding, which is no use. Each token takes 2 FLOPs a weight of the
    linear layers forward, 2 backward for its input if something before it is trained, and 2 for
    the weight if it is; attention 4 L d T forward and twice that backward where that goes through
    (PaLM, arXiv 2204.02311, appendix B), half where the mask is causal or not: counted in full.
    Layers behind the pooling take a text as a token. Where training begins inside a block, that
    one's query, key and value count as one behind the other. What is recomputed is not counted.
    Embedding tables and norms do no matrix arithmetic: a static encoder has 0.
    """
    config: Any = getattr(getattr(encoder, "model", None), "config", None)
    if config is None:
        return 0.0
    whole: Any = encoder
    flops, reached, entered = 0.0, 0, False
    blocks = set(map(id, whole.blocks()))
    for part, count in (
        (whole.model, lengths.sum()),
        (whole.dense, len(lengths)),
        (whole.head, len(lengths)),
    ):
        for name, module in part.named_modules():
            if "pooler" in name:
                continue
            if id(module) in blocks:
                reached += entered or any(p.requires_grad for p in module.parameters())
            if _is_linear(module):
                weight: torch.Tensor = module.weight
                flops += 2 * (1 + entered + weight.requires_grad) * weight.numel() * float(count)
            entered |= any(p.requires_grad for p in module.parameters(recurse=False))
    squares = float(np.square(lengths.astype(np.float64)).sum())
    heads = int(config.num_attention_heads)
    width = heads * int(getattr(config, "head_dim", None) or config.hidden_size // heads)
    return flops + 4 * (int(config.num_hidden_layers) + 2 * reached) * width * squares


def utilisation(flops: float, seconds: float, peak: float | None) -> float | None:
    """Return the share of what the device could have done, None where that is unknown."""
    if not peak or not flops or not math.isfinite(seconds) or seconds <= 0:
        return None
    return flops / seconds / peak


def token_counts(features: dict[str, torch.Tensor]) -> npt.NDArray[np.int64]:
    """Return the real tokens of each text of `features`: int64, shape (texts,)."""
    if "attention_mask" in features:
        counts = features["attention_mask"].sum(1)
    elif BOUNDS in features:
        counts = features[BOUNDS].diff()
    else:
        ends = torch.tensor([len(features["input_ids"])], device=features["offsets"].device)
        counts = torch.cat([features["offsets"], ends]).diff()
    result: npt.NDArray[np.int64] = counts.cpu().numpy().astype(np.int64)
    return result


def _is_linear(module: nn.Module) -> bool:
    return isinstance(module, nn.Linear) or type(module).__name__ == "Conv1D"
