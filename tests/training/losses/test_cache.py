"""The gradient cache: the same gradients as with the whole graph, dropout included."""

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from pairsmith.schemas import UserError
from pairsmith.training.losses.cache import cached_step
from pairsmith.training.losses.config import LossConfig
from pairsmith.training.losses.objective import Objective, Outcome
from pairsmith.training.losses.verify import verify
from tests.training.losses.batches import error, made

PAIRS = made(17)
COUNT = 17 * 2 + len(PAIRS.negatives)


class Tiny(nn.Module):
    """Two layers with dropout, to unit vectors."""

    def __init__(self, dropout: float = 0.5) -> None:
        super().__init__()
        torch.manual_seed(3)
        self.layers = nn.Sequential(
            nn.Linear(12, 32), nn.Tanh(), nn.Dropout(dropout), nn.Linear(32, 24)
        )

    def forward(self, features: Tensor) -> Tensor:
        return nn.functional.normalize(self.layers(features), dim=-1)


def features(size: int) -> list[Tensor]:
    torch.manual_seed(5)
    return list(torch.randn(COUNT, 12).split(size))


def loss(objective: Objective, vectors: Tensor) -> Outcome:
    outcome: Outcome = objective(
        vectors[:17],
        vectors[17:34],
        vectors[34:],
        PAIRS.identities,
        PAIRS.weight,
        PAIRS.label,
        PAIRS.similarity,
    )
    return outcome


@pytest.mark.parametrize("size", [1, 7, COUNT])
@pytest.mark.parametrize("dropout", [0.0, 0.5])
def test_cached_gradients_are_those_of_the_whole_graph(size: int, dropout: float) -> None:
    model, objective = Tiny(dropout), Objective(LossConfig(learn_temperature=True))
    chunks, parameters = features(size), [*model.parameters(), *objective.parameters()]
    torch.manual_seed(11)
    outcome = loss(objective, torch.cat([model(chunk) for chunk in chunks]))
    outcome.loss.backward()
    wanted, after = [p.grad for p in parameters], torch.rand(3)
    for parameter in parameters:
        parameter.grad = None
    torch.manual_seed(11)
    cached = cached_step(model, chunks, lambda vectors: loss(objective, vectors))
    assert cached.loss.item() == pytest.approx(outcome.loss.item(), rel=1e-6)
    found = [p.grad for p in parameters]
    assert error([f for f in found if f is not None], [w for w in wanted if w is not None]) <= 1e-5
    assert len([w for w in wanted if w is not None]) == len(parameters)
    assert torch.equal(torch.rand(3), after)  # the generator is where encoding once leaves it


def test_only_one_chunk_s_graph_is_alive_at_a_time() -> None:
    alive: set[int] = set()
    most = 0

    class Held(torch.autograd.Function):
        @staticmethod
        def forward(ctx: object, value: Tensor) -> Tensor:
            return value.clone()

        @staticmethod
        def backward(ctx: object, upstream: Tensor) -> Tensor:
            alive.clear()
            return upstream

    model = Tiny()

    def encode(chunk: Tensor) -> Tensor:
        nonlocal most
        if torch.is_grad_enabled():
            alive.add(id(chunk))
            most = max(most, len(alive))
            return Held.apply(model(chunk))  # type: ignore[no-any-return]
        return model(chunk)  # type: ignore[no-any-return]

    cached_step(encode, features(7), lambda v: loss(Objective(LossConfig()), v))
    assert most == 1


def test_ranks_speak_only_in_the_last_chunk() -> None:
    told: list[str] = []

    class Quiet:
        def __enter__(self) -> None:
            told.append("quiet")

        def __exit__(self, *_: object) -> None:
            told.append("end")

    model = Tiny()

    def encode(chunk: Tensor) -> Tensor:
        told.append("encode")
        return model(chunk)  # type: ignore[no-any-return]

    chunks = features(20)
    assert len(chunks) == 3
    cached_step(encode, chunks, lambda v: loss(Objective(LossConfig()), v), no_sync=Quiet)
    once = ["quiet", "encode", "end"]
    assert told == ["quiet", "encode", "encode", "encode", "end", *once, *once, "encode"]


def test_scaled_losses_give_scaled_gradients() -> None:
    model, objective, chunks = Tiny(0.0), Objective(LossConfig()), features(9)
    cached_step(model, chunks, lambda v: loss(objective, v))
    once = [p.grad.clone() for p in model.parameters() if p.grad is not None]
    model.zero_grad()
    cached_step(
        model, chunks, lambda v: loss(objective, v), backward=lambda value: (value * 64).backward()
    )
    found = [p.grad / 64 for p in model.parameters() if p.grad is not None]
    assert error(found, once) <= 1e-6


def test_no_chunks_are_refused() -> None:
    with pytest.raises(ValueError, match="at least one"):
        cached_step(Tiny(), [], lambda v: loss(Objective(LossConfig()), v))


@pytest.mark.parametrize("name", ["infonce", "cosent"])
def test_verification_shows_every_path_and_leaves_no_trace(name: str) -> None:
    model, chunks = Tiny(), features(9)
    config = LossConfig(loss=name, matryoshka=(8,), learn_temperature=name == "infonce")  # type: ignore[arg-type]
    torch.manual_seed(2)
    state = torch.get_rng_state()
    told = PAIRS.identities, PAIRS.weight, PAIRS.label, PAIRS.similarity
    lines = verify(config, model, chunks, model.parameters(), *told)
    assert len(lines) == (6 if config.learn_temperature else 4)
    assert all(line.endswith("ok") and "relative error" in line for line in lines)
    assert any("cache" in line for line in lines)
    assert torch.equal(torch.get_rng_state(), state)
    assert all(parameter.grad is None for parameter in model.parameters())


@pytest.mark.parametrize("name", ["infonce", "symmetric", "ntxent"])
def test_a_low_temperature_is_not_taken_for_an_error(name: str) -> None:
    # Vectors of an encoder that is not trained yet lie in one corner: logits are near 100, of which
    # float32 has 5 digits behind the point.
    config = LossConfig(loss=name, temperature=0.01)  # type: ignore[arg-type]
    for seed in range(10):
        pairs = made(64, 32, seed)
        parts = pairs.anchors, pairs.positives, pairs.negatives
        common = torch.full((32,), 2 * 32**-0.5)
        leaf = nn.Parameter(nn.functional.normalize(torch.cat(parts) + common, dim=1))
        rows = list(torch.arange(len(leaf)).split(50))
        told = pairs.identities, pairs.weight, pairs.label, pairs.similarity
        verify(config, lambda chunk, leaf=leaf: leaf[chunk], rows, [leaf], *told)


@pytest.mark.parametrize("temperature", [0.01, 0.05])
def test_a_kernel_that_is_wrong_fails_at_any_temperature(
    temperature: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    forward = Objective.forward

    def a_little_cooler(self: Objective, *told: Any) -> Outcome:
        self.config = replace(self.config, temperature=temperature * 0.999)
        return forward(self, *told)

    monkeypatch.setattr(Objective, "forward", a_little_cooler)
    told = PAIRS.identities, PAIRS.weight
    model = Tiny(0.0)
    with pytest.raises(UserError, match="--verify: loss is off by"):
        verify(LossConfig(temperature=temperature), model, features(9), model.parameters(), *told)


def test_an_encoder_that_draws_by_itself_fails_verification() -> None:
    model, generator = Tiny(0.0), torch.Generator().manual_seed(1)

    def encode(chunk: Tensor) -> Tensor:
        return model(chunk + 0.3 * torch.randn(chunk.shape, generator=generator))  # type: ignore[no-any-return]

    told = PAIRS.identities, PAIRS.weight
    with pytest.raises(UserError, match="--verify: gradient of the encoder, through the cache is"):
        verify(LossConfig(), encode, features(9), model.parameters(), *told)
