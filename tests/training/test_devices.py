"""Where a process computes, with how many threads, and what its device's errors mean."""

import os
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
from torch.distributed.tensor import DTensor
from torch.testing._internal.distributed.fake_pg import FakeStore

from pairsmith.schemas import UserError
from pairsmith.training.config import make_config
from pairsmith.training.distributed import (
    GONE,
    World,
    device_name,
    open_device,
    spread,
)
from pairsmith.training.encoders.config import EncoderConfig
from pairsmith.training.encoders.opening import open_encoder


@pytest.mark.parametrize(
    ("model", "beside", "threads"),
    [("bert::2x128", 1, 4), ("bert::2x128", 3, 1), ("static::8", 1, 3), ("static::8", 4, 1)],
)
def test_all_cores_compute_but_one_that_tokenises_for_a_static_encoder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, model: str, beside: int, threads: int
) -> None:
    before = torch.get_num_threads()
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1, 2, 3}, raising=False)
    try:
        open_device(make_config(("data",), tmp_path, model=model, device="cpu"), 0, beside)
        assert torch.get_num_threads() == threads
        config = make_config(("data",), tmp_path, model=model, device="cpu", threads=2)
        open_device(config, 0, beside)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize("asked", ["auto", "cuda"])
def test_a_process_alone_names_its_gpu_by_number_as_cuda_wants(
    monkeypatch: pytest.MonkeyPatch, asked: str
) -> None:
    from torch.cuda._utils import _get_device_index  # by which torch.cuda.set_device reads it

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert _get_device_index(torch.device(device_name(asked))) == 0
    assert _get_device_index(torch.device(device_name(asked, 3))) == 3
    assert device_name("cuda:1", 0) == "cuda:1"
    assert device_name("cpu", 2) == "cpu"


def test_weights_are_sharded_over_the_device_asked_for_where_there_are_gpus(
    monkeypatch: pytest.MonkeyPatch, bert: Path
) -> None:
    monkeypatch.setattr(torch._C, "_get_accelerator", lambda: torch.device("cuda"))
    encoder = open_encoder(EncoderConfig(model=str(bert)))
    dist.init_process_group("fake", store=FakeStore(), rank=0, world_size=2)
    try:
        spread(encoder, World(0, 2, torch.device("cpu")), "fsdp", "fp32")
    finally:
        dist.destroy_process_group()
    meshes = {p.device_mesh.device_type for p in encoder.parameters() if isinstance(p, DTensor)}
    assert meshes == {"cpu"}


def test_one_gpu_is_refused_to_several_processes(tmp_path: Path) -> None:
    config = make_config(("data",), tmp_path, device="cuda:1")
    with pytest.raises(UserError, match=r"cuda:1 is one GPU, and 2 .*give --device cuda:"):
        open_device(config, 0, 2)


@pytest.mark.parametrize(
    ("gone", "said"),
    [
        (True, "NCCL error in: x.cpp:94, remote process exited, NCCL 2.2\nncclRemoteError: A call"),
        (True, "[../pair.cc:534] Connection closed by peer [10.0.0.2]:4712"),
        (True, "Read error [10.0.0.2]:4712: Connection reset by peer"),
        (True, "writev [10.0.0.2]:4712: Broken pipe"),
        (True, "[../unbound_buffer.cc:81] Timed out waiting 7200000ms for recv operation"),
        (
            False,
            "NCCL error in: x.cpp:94, invalid usage, NCCL version 2.2\nncclInvalidUsage: This "
            "usually reflects invalid usage of NCCL library.\nLast error:\nDuplicate GPU detected",
        ),
        (
            False,
            "NCCL error in: x.cpp:94, unhandled system error, NCCL version 2.2\nncclSystemError: "
            "System call (e.g. socket, malloc) or external library call failed or device error.\n"
            "Last error:\nError while creating shared memory segment /dev/shm/nccl-a (size 9637)",
        ),
        (False, "CUDA out of memory. Tried to allocate 2.00 GiB"),
    ],
)
def test_only_what_is_said_of_the_other_side_means_that_a_process_has_ended(
    gone: bool, said: str
) -> None:
    assert bool(GONE.search(said)) == gone
