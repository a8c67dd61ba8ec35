"""What was spent is written down, and never more than was allowed."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from pairsmith.augmenters import Cached
from pairsmith.augmenters.rewriting import Rewrite, spent
from pairsmith.schemas import UserError
from tests.augmenters.plain_tokens import keys
from tests.augmenters.rewriting.stand_in import STALL, USAGE, completion, echo, passage, problem

PRICE = (1_000_000.0, 3_000_000.0)
"""1 for a token that is read, 3 for one that is written."""
COST = USAGE["prompt_tokens"] + 3 * USAGE["completion_tokens"]
ROOT = Path(__file__).parents[3]


def rewriting(endpoint, ledger, **settings):
    given = {"price": PRICE, "backoff": 0.001, "max_tokens": 50, **settings}
    return Rewrite(model="m", endpoint=endpoint.url, ledger=str(ledger), **given)


def texts(count):
    return pa.array([f"This is text number {number}." for number in range(count)])


def test_every_answer_is_paid_for_once_whatever_came_of_it(endpoint, tmp_path):
    good = iter([False, False, True, True] * 100)
    endpoint.behave = lambda request, number: (
        echo(request, number)
        if next(good)
        else (problem(500, "oops") if number % 2 else completion("", finish="length"))
    )
    ledger = tmp_path / "spent.jsonl"
    assert spent(ledger) == (0, 0, 0, 0, 0)
    cached = Cached(rewriting(endpoint, ledger), str(tmp_path / "cache"))
    views = cached.views(texts(40), keys(40))
    details = [json.loads(detail)["tokens"] for detail in views.details.to_pylist()]
    assert "cut" in views.reasons.to_pylist()
    assert spent(ledger) == (40, 4000, 400, 40 * COST, 0)
    assert np.sum(details, axis=0).tolist() == [4000, 400]
    cached.views(texts(40), keys(40))
    assert spent(ledger).requests == 40


def test_no_more_is_spent_than_allowed_and_a_higher_bound_goes_on(endpoint, tmp_path):
    ledger, cache = tmp_path / "spent.jsonl", str(tmp_path / "cache")
    rewrite = rewriting(endpoint, ledger, max_cost=5000.0)
    with pytest.raises(UserError, match=r"max_cost=5000 is reached.*of 200 texts were done"):
        Cached(rewrite, cache)(texts(200), keys(200))
    paid = len(endpoint.requests)
    assert 0 < paid * COST <= 5000
    assert spent(ledger) == (paid, 100 * paid, 10 * paid, paid * COST, pytest.approx(0))
    with pytest.raises(UserError, match="max_cost"):
        rewriting(endpoint, ledger, max_cost=float(paid * COST))(texts(1), keys(1))
    assert len(endpoint.requests) == paid
    more = rewriting(endpoint, ledger, max_cost=1e6)
    assert Cached(more, cache)(texts(200), keys(200)).null_count == 0


def test_processes_share_one_budget(endpoint, tmp_path):
    ledger = tmp_path / "spent.jsonl"
    code = f"""
import numpy as np, pyarrow as pa
from pairsmith.augmenters.rewriting import Rewrite
from pairsmith.schemas import UserError
rewrite = Rewrite(model="m", endpoint={endpoint.url!r}, ledger={str(ledger)!r}, price={PRICE},
                  max_cost=40_000.0, max_tokens=50)
try:
    rewrite(pa.array([f"text {{n}}" for n in range(400)]), np.arange(400, dtype=np.uint64))
except UserError as error:
    print(error)
"""
    runs = [
        subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, cwd=ROOT)
        for _ in range(2)
    ]
    said = [run.communicate(timeout=60)[0] for run in runs]
    assert all(text.startswith("max_cost=40000 is reached") for text in said)
    paid = len(endpoint.requests)
    assert 40_000 * 0.5 < paid * COST <= 40_000
    assert spent(ledger)[:4] == (paid, 100 * paid, 10 * paid, paid * COST)


@pytest.mark.parametrize("bound", [1e6, None])
def test_an_answer_that_does_not_tell_its_tokens_costs_the_most_it_can(endpoint, tmp_path, bound):
    endpoint.behave = lambda request, number: completion(f"So: {passage(request)}", usage=None)
    rewrite = rewriting(endpoint, tmp_path / "spent", max_cost=bound)
    rewrite(texts(1), keys(1))
    sent = sum(len(m["content"].encode()) for m in endpoint.requests[0]["messages"])
    requests, _, _, money, held = spent(tmp_path / "spent")
    assert (requests, held) == (1, 0)
    assert money >= sent + 3 * 50


def test_what_was_sent_and_never_answered_stays_held(endpoint, tmp_path):
    endpoint.behave = lambda request, number: STALL if number == 0 else echo(request, number)
    rewrite = rewriting(endpoint, tmp_path / "spent", max_cost=1e6, timeout=0.2)
    rewrite(texts(1), keys(1))
    assert spent(tmp_path / "spent").money == COST
    assert spent(tmp_path / "spent").held > COST


@pytest.mark.parametrize("lose", [Path.unlink, lambda path: path.write_text("")])
def test_a_ledger_that_was_removed_or_emptied_begins_anew(endpoint, tmp_path, lose):
    ledger = tmp_path / "spent.jsonl"
    rewrite = rewriting(endpoint, ledger, max_cost=5000.0, concurrency=1)
    rewrite(texts(10), keys(10))
    lose(ledger)
    with ledger.open("a") as file:
        file.write('{"money":4900.0}\n')  # another build spends
    with pytest.raises(UserError, match="max_cost=5000 is reached: 4900 is spent"):
        rewrite(texts(1), keys(1))
    assert len(endpoint.requests) == 10


def test_a_ledger_that_is_none_is_the_users_mistake(endpoint, tmp_path):
    with pytest.raises(UserError, match="cannot write the ledger"):
        rewriting(endpoint, tmp_path / "no" / "folder").setup()
    (tmp_path / "notes").write_text("milk, eggs\n")
    with pytest.raises(UserError, match="is no ledger"):
        spent(tmp_path / "notes")
