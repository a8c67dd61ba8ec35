"""The tiled loss against the plain one and sentence-transformers' chunked one: seconds and bytes.

    python benchmarks/losses.py [--rows 8192] [--large 65536] [--dimension 768] [--runs 5]

Forward and backward, float32, on a CPU. All variants run in one process, in turn, on the same unit
vectors; the table has the median and range of wall seconds, and the median of CPU seconds, which
other work on the machine disturbs less. `plain` writes out the formula with the same identity masks
(a tenth of the rows share a group); `unmasked` is cross_entropy of all similarities. Bytes are the
rise of the process's resident high-water mark over what it was with the vectors made, gradients
included, one fresh process a variant. Then one optimizer-less step of a small BERT with and without
the gradient cache, at one batch size.
"""

import argparse
import gc
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional

from pairsmith.training.collate import Identities
from pairsmith.training.losses.cache import cached_step
from pairsmith.training.losses.config import LossConfig
from pairsmith.training.losses.objective import Objective
from pairsmith.training.losses.plain import false_negatives

TEMPERATURE = 0.05


@dataclass(frozen=True)
class Inputs:
    """A made batch without hard negatives."""

    anchors: Tensor
    positives: Tensor
    identities: Identities
    weight: Tensor

    def leaves(self) -> tuple[Tensor, Tensor]:
        """Return vectors that take gradients, of the same memory."""
        return self.anchors.detach().requires_grad_(), self.positives.detach().requires_grad_()


def make(rows: int, dimension: int) -> Inputs:
    """Return unit vectors; the first tenth of the rows is in the groups of the second."""
    torch.manual_seed(1)
    anchors = torch.randn(rows, dimension)
    positives = torch.randn(rows, dimension).mul_(0.5).add_(anchors)
    for vectors in (anchors, positives):
        vectors.div_(torch.linalg.vector_norm(vectors, dim=1, keepdim=True))
    number, none = torch.arange(rows), torch.zeros(0, dtype=torch.int64)
    group = number.clone()
    tenth = rows // 10
    group[:tenth] = group[tenth : 2 * tenth]
    identities = Identities(group, number, number + rows, none, none, none)
    return Inputs(anchors, positives, identities, torch.ones(rows))


def plain(inputs: Inputs) -> float:
    """InfoNCE over whole matrices, as the trainer had it before."""
    anchors, positives = inputs.leaves()
    masked = false_negatives(inputs.identities)
    logits = (anchors @ positives.T / TEMPERATURE).masked_fill(masked, float("-inf"))
    losses = functional.cross_entropy(logits, torch.arange(len(logits)), reduction="none")
    loss = (losses * inputs.weight).sum() / inputs.weight.sum()
    loss.backward()
    return loss.item()


def unmasked(inputs: Inputs) -> float:
    """InfoNCE without masks and weights, as short as it gets."""
    anchors, positives = inputs.leaves()
    logits = anchors @ positives.T / TEMPERATURE
    loss = functional.cross_entropy(logits, torch.arange(len(logits)))
    loss.backward()
    return loss.item()


def plain_symmetric(inputs: Inputs) -> float:
    """CLIP's loss over whole matrices, with masks."""
    anchors, positives = inputs.leaves()
    masked = false_negatives(inputs.identities)
    logits = (anchors @ positives.T / TEMPERATURE).masked_fill(masked, float("-inf"))
    target = torch.arange(len(logits))
    loss = (
        functional.cross_entropy(logits, target) + functional.cross_entropy(logits.T, target)
    ) / 2
    loss.backward()
    return loss.item()


def plain_matryoshka(inputs: Inputs) -> float:
    """InfoNCE at four sizes over whole matrices, with masks."""
    anchors, positives = inputs.leaves()
    masked = false_negatives(inputs.identities)
    total = torch.zeros(())
    for size in (64, 128, 256, anchors.shape[1]):
        left = functional.normalize(anchors[:, :size], dim=1)
        right = functional.normalize(positives[:, :size], dim=1)
        logits = (left @ right.T / TEMPERATURE).masked_fill(masked, float("-inf"))
        total = total + functional.cross_entropy(logits, torch.arange(len(logits))) / 4
    total.backward()
    return total.item()


def ours(config: LossConfig) -> Callable[[Inputs], float]:
    """Return a run of the tiled loss."""

    def run(inputs: Inputs) -> float:
        anchors, positives = inputs.leaves()
        loss = Objective(config)(
            anchors, positives, anchors[:0], inputs.identities, inputs.weight
        ).loss
        loss.backward()
        return float(loss.item())

    return run


def sentence_transformers(inputs: Inputs) -> float:
    """CachedMultipleNegativesRankingLoss's loss stage, in chunks of 512 rows; no masks."""
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.losses import (
        CachedMultipleNegativesRankingLoss,
    )

    empty = SentenceTransformer(modules=[torch.nn.Identity()], device="cpu")
    chunked = CachedMultipleNegativesRankingLoss(empty, scale=1 / TEMPERATURE, mini_batch_size=512)
    anchors, positives = inputs.leaves()
    return float(chunked.calculate_loss([[anchors], [positives]], with_backward=True))


VARIANTS: dict[str, Callable[[Inputs], float]] = {
    "plain": plain,
    "unmasked": unmasked,
    "sentence-transformers, chunked": sentence_transformers,
    "pairsmith": ours(LossConfig()),
    "plain, symmetric": plain_symmetric,
    "pairsmith, symmetric": ours(LossConfig(loss="symmetric")),
    "plain, 4 Matryoshka sizes": plain_matryoshka,
    "pairsmith, 4 Matryoshka sizes": ours(LossConfig(matryoshka=(64, 128, 256))),
}


def main() -> None:
    """Print Markdown tables."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rows", type=int, default=8192)
    parser.add_argument("--large", type=int, default=65_536, help="0: leave it out")
    parser.add_argument("--dimension", type=int, default=768)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--only", choices=VARIANTS, help="print one variant's bytes and seconds")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    if options.only:
        print(*rise(options.only, options.rows, options.dimension))
        return
    print(f"{options.rows} rows x {options.dimension}, {options.threads} threads\n")
    in_turn(options.rows, options.dimension, options.runs)
    if options.large:
        print(f"\n{options.large} rows x {options.dimension}, one run\n")
        print("| | seconds | CPU seconds | MiB |\n|---|---:|---:|---:|")
        for name in ("sentence-transformers, chunked", "pairsmith"):
            size, wall, cpu = alone(name, options.large, options.dimension)
            print(f"| {name} | {wall:.0f} | {cpu:.0f} | {size:,.0f} |", flush=True)
    cache(options.runs)


def in_turn(rows: int, dimension: int, runs: int) -> None:
    """Print seconds and bytes of all variants."""
    inputs = make(rows, dimension)
    walls: dict[str, list[float]] = {name: [] for name in VARIANTS}
    cpus: dict[str, list[float]] = {name: [] for name in VARIANTS}
    for turn in range(runs + 1):
        for name, run in VARIANTS.items():
            gc.collect()
            wall, cpu = time.perf_counter(), time.process_time()
            run(inputs)
            if turn:  # the first warms up
                walls[name].append(time.perf_counter() - wall)
                cpus[name].append(time.process_time() - cpu)
    print("| | seconds, median (range) | CPU seconds | MiB |\n|---|---:|---:|---:|")
    for name in VARIANTS:
        middle, low, high = statistics.median(walls[name]), min(walls[name]), max(walls[name])
        size, *_ = alone(name, rows, dimension)
        cpu = statistics.median(cpus[name])
        print(
            f"| {name} | {middle:.2f} ({low:.2f}–{high:.2f}) | {cpu:.2f} | {size:,.0f} |",
            flush=True,
        )


def alone(name: str, rows: int, dimension: int) -> tuple[float, float, float]:
    """Return MiB, seconds and CPU seconds of one run in a process of its own."""
    command = [sys.executable, __file__, "--only", name, "--rows", str(rows)]
    command += ["--dimension", str(dimension), "--threads", str(torch.get_num_threads())]
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    size, wall, cpu = map(float, output.split()[-3:])
    return size, wall, cpu


def rise(name: str, rows: int, dimension: int) -> tuple[float, float, float]:
    """Return by how many MiB one run raises this process's memory, and its seconds."""
    VARIANTS[name](make(128, dimension))  # libraries allocate on their first use
    inputs = make(rows, dimension)
    gc.collect()
    Path("/proc/self/clear_refs").write_text("5")  # the high-water mark starts from here
    before = high_water()
    wall, cpu = time.perf_counter(), time.process_time()
    VARIANTS[name](inputs)
    seconds = time.perf_counter() - wall, time.process_time() - cpu
    return (high_water() - before) / 1024, *seconds


def high_water() -> int:
    """Return the highest resident size of this process, KiB."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM"):
            return int(line.split()[1])
    raise SystemExit("no VmHWM in /proc/self/status: this needs Linux")


def cache(runs: int, rows: int = 256, chunk: int = 64) -> None:
    """Print seconds of a step of a small BERT with and without the gradient cache."""
    from transformers import BertConfig, BertModel

    torch.manual_seed(1)
    config = BertConfig(
        vocab_size=5000,
        hidden_size=256,
        num_hidden_layers=4,
        num_attention_heads=4,
        intermediate_size=1024,
    )
    model = BertModel(config, add_pooling_layer=False).train()
    ids = torch.randint(0, 5000, (2 * rows, 32))
    inputs, objective = make(rows, 8), Objective(LossConfig())

    def encode(part: Tensor) -> Tensor:
        states: Tensor = model(input_ids=part).last_hidden_state
        return functional.normalize(states.mean(1), dim=-1)

    def loss(vectors: Tensor):  # type: ignore[no-untyped-def]
        left, right = vectors[:rows], vectors[rows:]
        return objective(left, right, left[:0], inputs.identities, inputs.weight)

    def uncached() -> None:
        loss(encode(ids)).loss.backward()

    def cached() -> None:
        cached_step(encode, ids.split(chunk), loss)

    steps = {"whole graph": uncached, f"gradient cache, chunks of {chunk} texts": cached}
    walls: dict[str, list[float]] = {name: [] for name in steps}
    cpus: dict[str, list[float]] = {name: [] for name in steps}
    for turn in range(runs + 1):
        for name, step in steps.items():
            model.zero_grad()
            wall, cpu = time.perf_counter(), time.process_time()
            step()
            if turn:
                walls[name].append(time.perf_counter() - wall)
                cpus[name].append(time.process_time() - cpu)
    print(f"\nBERT of 4 layers x 256, {rows} pairs of 32 tokens: one step\n")
    print("| | seconds, median (range) | CPU seconds |\n|---|---:|---:|")
    for name in steps:
        low, high = min(walls[name]), max(walls[name])
        middle, cpu = statistics.median(walls[name]), statistics.median(cpus[name])
        print(f"| {name} | {middle:.2f} ({low:.2f}–{high:.2f}) | {cpu:.2f} |")


if __name__ == "__main__":
    main()
