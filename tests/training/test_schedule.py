"""Learning rates against torch's own schedulers, and what follows from evaluations."""

import math
from typing import Literal

import pytest
import torch
from torch.optim import lr_scheduler as reference

from pairsmith.schemas import UserError
from pairsmith.training.schedule import (
    ScheduleConfig,
    best_step,
    drops,
    learning_rate,
    since_best,
)

Kind = Literal["cosine", "linear", "constant", "wsd"]


def optimizer(rate: float) -> torch.optim.Optimizer:
    return torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=rate)


def rates_of_torch(steps: int, highest: float, warmup: int, kind: Kind, decay: int) -> list[float]:
    """Return the rates that torch's schedulers give, put one after the other."""
    work = optimizer(highest)
    rest = steps - warmup
    rise = reference.LinearLR(work, 1 / warmup, 1.0, warmup - 1)  # its first step is 1 / warmup
    parts: list[reference.LRScheduler] = [rise]
    places = [warmup]
    match kind:
        case "cosine":
            parts.append(reference.CosineAnnealingLR(work, rest))
        case "linear":
            parts.append(reference.LinearLR(work, 1.0, 0.0, rest))
        case "constant":
            parts.append(reference.ConstantLR(work, 1.0))
        case "wsd":
            parts.append(reference.ConstantLR(work, 1.0))
            parts.append(reference.LinearLR(work, 1.0, 0.0, decay))
            places.append(steps - decay)
    schedule = reference.SequentialLR(work, parts, places)
    rates = []
    for _ in range(steps):
        rates.append(schedule.get_last_lr()[0])
        work.step()
        schedule.step()
    return rates


@pytest.mark.parametrize("kind", ["cosine", "linear", "constant", "wsd"])
def test_rates_are_those_of_torch(kind: Kind) -> None:
    config = ScheduleConfig(schedule=kind, warmup=0.1, decay=0.25)
    rates = [learning_rate(step, 120, 0.02, config) for step in range(120)]
    assert rates == pytest.approx(rates_of_torch(120, 0.02, 12, kind, 30), rel=1e-6, abs=1e-12)


def test_the_default_rises_then_falls_as_a_cosine() -> None:
    rates = [learning_rate(step, 100, 2.0, ScheduleConfig()) for step in range(100)]
    assert rates[:10] == pytest.approx([0.2 * (i + 1) for i in range(10)])
    assert rates[10] == 2
    assert rates[55] == pytest.approx(1)
    assert rates[99] == pytest.approx(1 - math.cos(math.pi / 90), abs=1e-9)


@pytest.mark.parametrize("kind", ["cosine", "linear", "constant", "wsd"])
@pytest.mark.parametrize("warmup", [0.0, 0.1])
def test_even_the_shortest_run_begins_at_the_highest_rate(kind: Kind, warmup: float) -> None:
    for steps in (1, 10):
        assert learning_rate(0, steps, 2.0, ScheduleConfig(schedule=kind, warmup=warmup)) == 2


@pytest.mark.parametrize("patience", [0, 1, 3])
def test_a_plateau_drops_as_torch_does(patience: int) -> None:
    values = [0.1, 0.3, 0.3, 0.2, 0.31, 0.3, 0.3, 0.3, 0.3, 0.3, 0.4, 0.1, 0.1, 0.1, 0.1, 0.1]
    work = optimizer(1.0)
    torch_one = reference.ReduceLROnPlateau(work, "max", 0.5, patience, threshold=0.0)
    config = ScheduleConfig(schedule="plateau", warmup=0, drop=0.5)
    for count, value in enumerate(values, 1):
        torch_one.step(value)
        dropped = drops(values[:count], patience)
        mine = learning_rate(5, 10, 1.0, config, dropped)
        assert mine == pytest.approx(work.param_groups[0]["lr"])


def test_the_best_evaluation_is_the_first_of_equal_ones() -> None:
    scores = {0: {"a": 0.1}, 5: {"a": 0.7, "b": 1.0}, 10: {"a": 0.7}, 15: {"a": 0.2}}
    assert best_step(scores, "a") == 5
    assert since_best(scores, "a") == 2
    assert best_step(scores, "c") is None
    assert since_best({}, "a") == 0


def test_a_score_that_is_no_number_is_never_the_best() -> None:
    scores = {0: {"a": math.nan}, 5: {"a": -0.1}, 10: {"a": math.nan}, 15: {"a": -0.2}}
    assert best_step(scores, "a") == 5
    assert since_best(scores, "a") == 2
    assert best_step({0: {"a": math.nan}, 5: {"a": math.nan}}, "a") == 0


def test_shares_of_more_than_all_steps_are_refused() -> None:
    with pytest.raises(UserError, match=r"--warmup 0\.6 and --decay 0\.5 are more than all steps"):
        ScheduleConfig(schedule="wsd", warmup=0.6, decay=0.5).check()
