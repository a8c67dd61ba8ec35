"""Each loss against float64 autograd of its plain formula; what telemetry is given."""

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from pairsmith.schemas import UserError
from pairsmith.training.losses.config import LossConfig
from pairsmith.training.losses.objective import Objective
from pairsmith.training.losses.plain import Pairs, false_negatives
from pairsmith.training.telemetry.breakdown import measures, row_means
from tests.training.losses.batches import LOSSES, error, fast, made, plainly, settings, vectors

EXACT = 1e-5


def name(config: LossConfig) -> str:
    changed = {k: v for k, v in vars(config).items() if v != getattr(LossConfig, k)}
    return " ".join(f"{k}={v}" for k, v in changed.items())


@pytest.mark.parametrize("config", list(settings()), ids=name)
def test_loss_and_gradients_are_those_of_the_plain_formula_in_float64(config: LossConfig) -> None:
    pairs = made()
    wanted, slopes, to_temperature = plainly(config, pairs)
    outcome, found, objective = fast(config, pairs)
    assert error([outcome.loss], [wanted]) <= EXACT
    for one, other in zip(found, slopes, strict=True):
        assert error([one], [other]) <= EXACT
    if objective.log_scale is not None:
        assert objective.log_scale.grad is not None
        assert error([objective.log_scale.grad], [to_temperature]) <= EXACT


@pytest.mark.parametrize("loss", ["infonce", "ntxent", "symmetric", "supcon", "triplet"])
@pytest.mark.parametrize("sizes", [(), (8,)])
def test_many_tiles_make_one_loss(loss: Any, sizes: tuple[int, ...]) -> None:
    config = LossConfig(loss=loss, matryoshka=sizes, temperature=0.02, consistency=0.1)
    pairs = made(rows=900, dimension=16, most_negatives=3)
    wanted, slopes, _ = plainly(config, pairs)
    outcome, found, _ = fast(config, pairs)
    assert error([outcome.loss], [wanted]) <= EXACT
    assert error(found, slopes) <= EXACT


@pytest.mark.parametrize("loss", LOSSES)
def test_no_tensor_is_as_large_as_the_similarities(loss: Any) -> None:
    rows, dimension = 3072, 8
    config = LossConfig(loss=loss, consistency=0.1 * (loss == "infonce"), bidirectional=0.1)
    pairs = made(rows, dimension)
    largest = 0

    class Watch(TorchDispatchMode):
        def __torch_dispatch__(
            self, func: Any, types: Any, args: Any = (), kwargs: Any = None
        ) -> Any:
            nonlocal largest
            result = func(*args, **(kwargs or {}))
            for one in result if isinstance(result, (tuple, list)) else [result]:
                if isinstance(one, torch.Tensor):
                    largest = max(largest, one.numel())
            return result

    with Watch():
        fast(config, pairs)
    # A tile is 512 rows x 2048 columns at most, whatever the batch.
    assert largest <= rows * rows / 8
    assert largest >= rows * dimension


def test_logits_are_float32_of_bf16_vectors_and_under_autocast() -> None:
    config, pairs = LossConfig(consistency=0.1, matryoshka=(8,)), made()
    rounded = replace(
        pairs,
        anchors=pairs.anchors.bfloat16(),
        positives=pairs.positives.bfloat16(),
        negatives=pairs.negatives.bfloat16(),
    )
    wanted, slopes, _ = plainly(config, rounded)
    outcome, found, _ = fast(config, rounded)
    assert outcome.loss.dtype == torch.float32
    assert error([outcome.loss], [wanted]) <= EXACT
    assert error(found, slopes) <= 2**-8  # gradients of bf16 vectors are bf16
    exact, _, _ = fast(config, pairs)
    with torch.autocast("cpu", torch.bfloat16):
        cast, found, _ = fast(config, pairs)
    assert cast.loss.item() == exact.loss.item()
    assert error(found, plainly(config, pairs)[1]) <= EXACT


@pytest.mark.parametrize("loss", LOSSES)
def test_rows_without_weight_count_for_nothing(loss: Any) -> None:
    pairs = made()
    outcome, found, _ = fast(LossConfig(loss=loss), replace(pairs, weight=pairs.weight * 0))
    assert outcome.loss.item() == 0
    assert all(not slope.any() for slope in found)


@pytest.mark.parametrize("loss", LOSSES)
def test_a_pair_alone_has_a_loss_of_finite_gradient(loss: Any) -> None:
    config = LossConfig(loss=loss, consistency=0.5, bidirectional=0.5, matryoshka=(4,))
    outcome, found, _ = fast(config, made(rows=1, most_negatives=0))
    assert outcome.loss.isfinite()
    assert all(slope.isfinite().all() for slope in found)


def test_a_masked_candidate_gets_no_gradient() -> None:
    pairs = made(3, most_negatives=0)
    apart, none = torch.tensor([1, 2, 3]), torch.zeros(0, dtype=torch.int64)
    identities = replace(
        pairs.identities, group=torch.tensor([7, 7, 9]), anchor=apart, positive=apart * 10
    )
    pairs = replace(pairs, identities=identities, weight=torch.tensor([1.0, 0.0, 0.0]))
    _, (_, positives, _), _ = fast(LossConfig(), pairs)
    assert len(identities.owner) == len(none)
    assert positives[1].abs().max() == 0
    assert positives[2].abs().max() > 0


@pytest.mark.parametrize("loss", ["infonce", "symmetric", "triplet"])
def test_telemetry_is_that_of_the_similarities(loss: Any) -> None:
    pairs = made()
    outcome, _, _ = fast(LossConfig(loss=loss), pairs)
    cosines = pairs.anchors @ torch.cat([pairs.positives, pairs.negatives]).T
    masked = false_negatives(pairs.identities)
    own = cosines.diagonal()
    others = cosines.masked_fill(masked, -2).fill_diagonal_(-2).amax(1)
    torch.testing.assert_close(outcome.positive_similarity, own)
    torch.testing.assert_close(outcome.hardest_similarity, others)
    assert outcome.correct.tolist() == (own > others).float().tolist()
    torch.testing.assert_close(outcome.masked, masked.sum(1) / (masked.shape[1] - 1))
    assert all(v.dtype == torch.float32 for v in vars(outcome).values() if v is not None)
    weighted = (outcome.losses * pairs.weight).sum() / pairs.weight.sum()
    torch.testing.assert_close(outcome.loss.detach(), weighted)


def test_texts_of_the_row_s_label_are_no_hard_negatives_in_telemetry() -> None:
    pairs = replace(made(most_negatives=0), label=torch.ones(40, dtype=torch.int64))
    outcome, _, _ = fast(LossConfig(loss="supcon"), pairs)
    assert outcome.hardest_similarity.isnan().all()
    assert outcome.correct.all()


@pytest.mark.parametrize("loss", ["cosine", "cosent"])
def test_a_loss_that_looks_at_no_negatives_tells_nothing_of_them(loss: Any) -> None:
    outcome, _, _ = fast(LossConfig(loss=loss), made())
    assert outcome.correct.isnan().all()
    assert outcome.hardest_similarity.isnan().all()
    told = row_means(measures(outcome))
    assert told["accuracy"] is told["gap"] is None
    assert told["alignment"] is not None


def test_a_learned_temperature_stays_in_its_limits_and_can_come_back() -> None:
    config = LossConfig(learn_temperature=True, lowest_temperature=0.04)
    objective, pairs = Objective(config), made()
    assert objective.log_scale is not None
    outcome = objective(*vectors(pairs), pairs.identities, pairs.weight)
    assert outcome.temperature.item() == pytest.approx(0.05)
    with torch.no_grad():
        objective.log_scale.fill_(9.0)
    outcome = objective(*vectors(pairs), pairs.identities, pairs.weight)
    assert outcome.temperature.item() == pytest.approx(0.04)
    outcome.loss.backward()
    assert objective.log_scale.grad is not None
    assert objective.log_scale.grad.abs() > 0


def test_gradients_that_were_taken_are_not_taken_again() -> None:
    pairs = made()
    loss = Objective(LossConfig())(*vectors(pairs), pairs.identities, pairs.weight).loss
    loss.backward(retain_graph=True)
    with pytest.raises(RuntimeError, match="taken already"):
        loss.backward()


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"temperature": 0.0}, "--temperature 0.0 must be above 0"),
        ({"learn_temperature": True, "temperature": 2.0}, "not between --lowest-temperature 0.01"),
        ({"negative_weight": -1.0}, "--negative-weight -1.0 must be 0 or above"),
        ({"least_gap": 0.4}, "--least-gap 0.4 is above --most-gap 0.3"),
        ({"loss": "symmetric", "hardness": 1.0}, "--hardness goes with --loss infonce"),
        ({"loss": "cosine", "learn_temperature": True}, "--loss cosine has no temperature"),
        ({"matryoshka": (8, 8)}, "--matryoshka 8 8: give different sizes"),
        ({"matryoshka": (8,), "matryoshka_weights": (1.0, 1.0)}, "has 2 numbers for 1"),
        ({"matryoshka": (8,), "matryoshka_weights": (-1.0,)}, "give numbers from 0 up"),
    ],
)
def test_settings_that_cannot_work_are_refused(wrong: Any, message: str) -> None:
    with pytest.raises(UserError, match=message):
        Objective(LossConfig(**wrong))


def test_matryoshka_sizes_are_refused_above_the_model_s() -> None:
    pairs: Pairs = made()
    with pytest.raises(UserError, match="--matryoshka 32 is above the 24 dimensions"):
        fast(LossConfig(matryoshka=(32,)), pairs)
    nothing = LossConfig(matryoshka=(24,), matryoshka_weights=(0.0,))
    with pytest.raises(UserError, match="--matryoshka-weights are all 0"):
        fast(nothing, pairs)
