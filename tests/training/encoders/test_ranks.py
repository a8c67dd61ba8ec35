"""Encoders over two processes: the weights that one process would have, and saved whole."""

import copy
import socket
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.distributed as dist
from torch import multiprocessing
from torch.distributed.checkpoint.state_dict import StateDictOptions, get_model_state_dict
from torch.distributed.fsdp import fully_shard
from torch.nn.parallel import DistributedDataParallel

from pairsmith.training.encoders.encoder import Encoder
from tests.training.encoders.conftest import TEXTS
from tests.training.encoders.opened import assert_opens_with_equal_vectors, encoder

ADAPTED = {"lora": 2, "dense": 8, "projection": 4, "gradient_checkpointing": True}
WORLD = 2


def loss_of(model: torch.nn.Module, tokenise: Encoder, texts: list[str]) -> torch.Tensor:
    return (1 - model(tokenise.tokenise(texts))[:, 0]).mean()


def gathered(model: torch.nn.Module) -> dict[str, torch.Tensor]:
    options = StateDictOptions(full_state_dict=True, cpu_offload=True)
    return get_model_state_dict(model, options=options)


def work(rank: int, port: int, model: str, options: dict[str, object], out: Path) -> None:
    dist.init_process_group(
        "gloo", init_method=f"tcp://127.0.0.1:{port}", rank=rank, world_size=WORLD
    )
    start = encoder(model, dropout=0.0, **options).train()
    mine = TEXTS[rank::WORLD][:20]
    ends = {}
    for kind in ("ddp", "fsdp"):
        whole = copy.deepcopy(start)
        forward: torch.nn.Module = whole
        if kind == "ddp":
            forward = DistributedDataParallel(whole)
        else:
            for block in whole.blocks():
                fully_shard(block)
            fully_shard(whole)
        optimizer = torch.optim.SGD(whole.parameters(), lr=0.5)
        for _ in range(2):  # DDP tells of a missing gradient at the second step
            loss_of(forward, whole, mine).backward()
            optimizer.step()
            optimizer.zero_grad()
        ends[kind] = gathered(whole)
    if rank == 0:
        torch.save(ends, out)
    dist.destroy_process_group()


@pytest.mark.parametrize("family", ["bert", "gpt2", "t5"])
@pytest.mark.parametrize("options", [{}, ADAPTED], ids=["plain", "adapted"])
def test_two_processes_train_and_save_what_one_would(
    tmp_path: Path, families: dict[str, str], family: str, options: dict[str, object]
) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    out = tmp_path / "ends.pt"
    context = multiprocessing.get_context("fork")
    processes = [
        context.Process(target=work, args=(rank, port, families[family], options, out))
        for rank in range(WORLD)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join(120)
        alive = process.is_alive()
        process.kill()
        assert not alive
        assert process.exitcode == 0
    alone = encoder(families[family], dropout=0.0, **options).train()
    optimizer = torch.optim.SGD(alone.parameters(), lr=0.5)
    texts = [text for rank in range(WORLD) for text in TEXTS[rank::WORLD][:20]]
    for _ in range(2):
        loss_of(alone, alone, texts).backward()
        optimizer.step()
        optimizer.zero_grad()
    for weights in torch.load(out).values():
        other = encoder(families[family], seed=3, **options)
        other.load_state_dict(weights)
        np.testing.assert_allclose(other.encode(TEXTS), alone.encode(TEXTS), atol=1e-5)
    assert_opens_with_equal_vectors(other, tmp_path / "saved")
