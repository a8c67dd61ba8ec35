"""One run over several processes: who computes which rows, and how all of them stop together.

Started by torchrun, which sets RANK, WORLD_SIZE and the rest. Every process is handed its share of
the same global batch, so that the number of processes changes nothing but the time.
"""

import os
import re
import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import torch.distributed as dist
from torch import Tensor
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.nn.parallel import DistributedDataParallel

from pairsmith.schemas import UserError
from pairsmith.training.config import Precision, TrainConfig
from pairsmith.training.encoders.encoder import Encoder
from pairsmith.training.encoders.packing import Features, in_micro_batches, on_device
from pairsmith.training.evaluation.vectors import Encode
from pairsmith.training.precision import computing

TIMEOUT = timedelta(hours=2)
"""How long a process waits for another: longer than the slowest takes to check its data, or rank 0
to write what all wait for. When a process dies, torchrun ends the others much sooner."""
GONE = re.compile(r"ncclRemoteError|closed by peer|reset by peer|Broken pipe|[Tt]imed out")
"""What gloo and NCCL say when the other side is there no more; all else is an error of its own."""


@dataclass(frozen=True)
class World:
    """The processes of a run, seen from one of them; by default it is alone."""

    rank: int = 0
    size: int = 1
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    local: int = 0
    """Its number among the processes of its machine."""

    @property
    def leads(self) -> bool:
        """Tell whether this process writes the files and talks to the user."""
        return self.rank == 0

    def sum(self, *values: float) -> list[float]:
        """Return the sums of `values` over all processes."""
        if self.size == 1:
            return list(values)
        tensor = torch.tensor(values, dtype=torch.float64)
        dist.all_reduce(tensor)
        return list(tensor.tolist())

    def most(self, value: float) -> float:
        """Return the largest `value` of all processes."""
        if self.size == 1:
            return value
        tensor = torch.tensor(value, dtype=torch.float64)
        dist.all_reduce(tensor, dist.ReduceOp.MAX)
        return tensor.item()

    def gather(self, items: list[Any]) -> list[Any]:
        """Return the items of all processes, in the order of ranks."""
        if self.size == 1:
            return items
        everyone: list[list[Any]] = [[] for _ in range(self.size)]
        dist.all_gather_object(everyone, items)
        return [item for mine in everyone for item in mine]

    @property
    def group(self) -> dist.ProcessGroup | None:
        """Return the group of all processes; None: this one is alone."""
        return None if self.size == 1 else dist.group.WORLD

    def broadcast(self, data: Any) -> Any:
        """Return what rank 0 has as `data`, on every process."""
        if self.size == 1:
            return data
        held = [data]
        dist.broadcast_object_list(held, src=0)
        return held[0]

    @contextmanager
    def together(self) -> Iterator[None]:
        """When the body fails on one process, stop all of them: one tells why.

        The body must not wait for other processes. Raises its error on the first process that
        failed, SystemExit on the others.
        """
        failure: Exception | None = None
        try:
            yield
        except Exception as error:  # noqa: BLE001  raised again below, once all know of it
            failure = error
        first = self.size - int(self.most(self.size - self.rank if failure else 0))
        if failure and self.rank == first:
            raise failure
        if first < self.size:
            raise SystemExit(2)


ALONE = World()


def check_alone(what: str, instead: str) -> None:
    """Raise UserError where torchrun has started several processes of `what`, on the first of them.

    instead: says how it is to be started. SystemExit on the others, for which it speaks.
    """
    if int(os.environ.get("WORLD_SIZE", 1)) > 1:
        if int(os.environ.get("RANK", 0)):
            raise SystemExit(2)
        raise UserError(f"{what} is one process: {instead}")


@contextmanager
def open_world(config: TrainConfig) -> Iterator[World]:
    """Join the processes that torchrun started, if it did; then leave them.

    Raises UserError for settings that cannot work, when there is no such device, or when another
    process ends before its time.
    """
    rank, size = int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1))
    local, beside = (
        int(os.environ.get(f"LOCAL_{k}", v)) for k, v in (("RANK", 0), ("WORLD_SIZE", 1))
    )
    world = World(rank, size, local=local)
    if size == 1:
        yield replace(world, device=open_device(config.resolved(), local, beside))
        return
    on_gpu = device_name(config.running.device).startswith("cuda") and torch.cuda.is_available()
    dist.init_process_group("cpu:gloo,cuda:nccl" if on_gpu else "gloo", timeout=TIMEOUT)
    try:
        with world.together():  # what all refuse is told by one, too
            device = open_device(config.resolved(), local, beside)
        yield replace(world, device=device)
    except RuntimeError as error:
        if not GONE.search(str(error)):
            raise
        raise UserError(
            f"another process of the run has ended, so rank {rank} stops too; start it again, and "
            "it resumes from the last checkpoint"
        ) from error
    finally:
        # After a failure the other side may be gone already.
        with suppress(RuntimeError):
            dist.destroy_process_group()


def open_device(config: TrainConfig, local: int = 0, beside: int = 1) -> torch.device:
    """Return the device of process `local` of the `beside` on this machine; on a CPU, set threads.

    Raises UserError when there is no such device, or when all processes would share it.
    """
    name = device_name(config.running.device, local)
    if beside > 1 and config.running.device.startswith("cuda:"):
        raise UserError(
            f"--device {name} is one GPU, and {beside} processes of this machine would share it; "
            "give --device cuda: each takes its own"
        )
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as error:
        raise UserError(f"--device {name} is not there; try --device cpu") from error
    if device.type == "cuda":
        torch.cuda.set_device(device)
    else:
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
        # A static encoder learns a batch sooner than the next is tokenised: that takes a core.
        free = (cores or 1) - config.encoder.is_static
        torch.set_num_threads(config.running.threads or max(1, free // beside))
    return device


def device_name(asked: str, local: int = 0) -> str:
    """Return the device of process `local` of its machine; a GPU with its number, as CUDA wants."""
    if asked == "auto":
        asked = "cuda" if torch.cuda.is_available() else "cpu"
    return f"cuda:{local}" if asked == "cuda" else asked


@dataclass(frozen=True)
class Spread:
    """An encoder as it is called in training, over all processes."""

    forward: Callable[[Features], Tensor]
    no_sync: Callable[[], AbstractContextManager[Any]] = nullcontext
    """Within it, gradients are added up, and not yet averaged over processes."""

    def __call__(self, features: Features) -> Tensor:
        """Return unit vectors: shape (number of texts, dimension)."""
        return self.forward(features)


def spread(encoder: Encoder, world: World, parallel: str, precision: Precision) -> Spread:
    """Return what to call in place of `encoder` in training, its weights now on `world.device`.

    Afterwards each process's gradients are the mean over all. fsdp: the weights of `encoder`
    are sharded in place, block by block (FSDP2). On a CPU, a batch is computed in runs of texts of
    like length; not with fsdp, where all processes must call equally often.
    """
    encoder.to(world.device)
    freeze_unreached(encoder, world.device, precision)
    sorted_runs = partial(in_micro_batches, encoder)
    if world.size == 1:
        return Spread(sorted_runs if world.device.type == "cpu" else encoder)
    if parallel == "fsdp":
        # By default that of the machine's GPUs, whatever --device says.
        mesh = init_device_mesh(world.device.type, (world.size,))
        for part in (*encoder.blocks(), encoder):
            fully_shard(part, mesh=mesh)
        return Spread(encoder)
    with warnings.catch_warnings():
        # The argument's new name is not there in older versions. Buffers are constants, and sending
        # them would make processes wait at every forward pass.
        warnings.simplefilter("ignore", FutureWarning)
        # Gradients lie in the buckets that are sent, so none is held twice.
        whole = DistributedDataParallel(
            encoder, broadcast_buffers=False, gradient_as_bucket_view=True
        )
    sorted_runs = partial(in_micro_batches, whole)
    return Spread(sorted_runs if world.device.type == "cpu" else whole, whole.no_sync)


def freeze_unreached(encoder: Encoder, device: torch.device, precision: Precision) -> None:
    """Freeze the parameters that no vector depends on, such as a pooler that is not used.

    They have no gradient anyway; processes would wait for it.
    """
    training = encoder.training
    encoder.train()  # the projection head is passed in training only
    with computing(precision, device):  # as in training: not all attention can do float32
        vectors = encoder(on_device(encoder.tokenise(["text"]), device))
    vectors.sum().backward()
    for parameter in encoder.parameters():
        if parameter.grad is None:
            parameter.requires_grad_(False)
        parameter.grad = None
    encoder.train(training)


def shared_encode(encoder: Encoder, world: World, precision: Precision) -> Encode:
    """Return an `encode` that every process calls with the same texts and that shares the work."""

    def encode_mine(texts: list[str]) -> npt.NDArray[np.float32]:
        with computing(precision, world.device):
            return encoder.encode(texts)

    if world.size == 1:
        return encode_mine

    def encode(texts: list[str]) -> npt.NDArray[np.float32]:
        mine = texts[world.rank :: world.size]
        # Of equal length everywhere: a sharded encoder waits for all at every batch.
        mine += texts[:1] * (-(-len(texts) // world.size) - len(mine))
        vectors = torch.from_numpy(encode_mine(mine))
        parts = [torch.empty_like(vectors) for _ in range(world.size)]
        dist.all_gather(parts, vectors)
        result: npt.NDArray[np.float32] = torch.stack(parts, dim=1).flatten(0, 1).numpy()
        return result[: len(texts)]

    return encode
