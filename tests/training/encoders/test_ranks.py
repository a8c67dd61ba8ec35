"""Encoders over two processes: the weights that one process would have, and saved whole."""

import socket
from pathlib import Path

import numpy as np
import torch
import torch.distributed as dist
from torch.distributed.checkpoint.state_dict import StateDictOptions, get_model_state_dict
from torch.distributed.fsdp import fully_shard
from torch.nn.parallel import DistributedDataParallel

from pairsmith.training.encoders.encoder import Encoder
from tests.training.encoders.conftest import TEXTS
from tests.training.encoders.opened import assert_opens_with_equal_vectors, encoder
from tests.training.ranks import FORKS

ADAPTED = {"lora": 2, "dense": 8, "projection": 4, "gradient_checkpointing": True}
WORLD = 2
Case = tuple[str, dict[str, object]]


def work(rank: int, port: int, cases: list[Case], out: Path) -> None:
    torch.set_num_threads(1)
    dist.init_process_group(
        "gloo", init_method=f"tcp://127.0.0.1:{port}", rank=rank, world_size=WORLD
    )
    ends = [
        ended(encoder(model, dropout=0.0, **options).train(), parallel, TEXTS[rank::WORLD][:20])
        for model, options in cases
        for parallel in ("ddp", "fsdp")
    ]
    if rank == 0:
        torch.save(ends, out)
    dist.destroy_process_group()


def ended(model: Encoder, parallel: str, texts: list[str]) -> dict[str, torch.Tensor]:
    """Return the weights after two steps: DDP tells of a missing gradient at the second."""
    forward: torch.nn.Module = model
    if parallel == "ddp":
        forward = DistributedDataParallel(model)
    if parallel == "fsdp":
        for block in model.blocks():
            fully_shard(block)
        fully_shard(model)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
    for _ in range(2):
        (1 - forward(model.tokenise(texts))[:, 0]).mean().backward()
        optimizer.step()
        optimizer.zero_grad()
    options = StateDictOptions(full_state_dict=True, cpu_offload=True)
    return get_model_state_dict(model, options=options)


def test_two_processes_train_and_save_what_one_would(
    tmp_path: Path, families: dict[str, str]
) -> None:
    cases: list[Case] = [(families["bert"], {}), (families["static"], {"projection": 4})]
    cases += [(families[family], ADAPTED) for family in ("bert", "gpt2", "t5")]
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    out = tmp_path / "ends.pt"
    processes = [FORKS.Process(target=work, args=(rank, port, cases, out)) for rank in range(WORLD)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(240)
        process.kill()
    assert [process.exitcode for process in processes] == [0, 0]
    ends = iter(torch.load(out))
    texts = [text for rank in range(WORLD) for text in TEXTS[rank::WORLD][:20]]
    for number, (model, options) in enumerate(cases):
        alone = encoder(model, dropout=0.0, **options).train()
        ended(alone, "alone", texts)
        for weights in (next(ends), next(ends)):
            other = encoder(model, seed=3, **options)
            other.load_state_dict(weights)
            np.testing.assert_allclose(other.encode(TEXTS), alone.encode(TEXTS), atol=1e-5)
        assert_opens_with_equal_vectors(other, tmp_path / str(number))
