"""An endpoint that fails, stalls or goes away is asked again, within bounds, and then named."""

import email.utils
import logging
import pickle
import sys
import threading
import time
import traceback
from concurrent.futures import ThreadPoolExecutor

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pairsmith.augmenters import Cached
from pairsmith.augmenters.rewriting import Rewrite, UnfinishedUserError
from pairsmith.augmenters.rewriting.asking import back_off, traffic
from pairsmith.augmenters.rewriting.endpoint import redacted
from pairsmith.augmenters.settings import as_data
from pairsmith.schemas import UserError
from tests.augmenters.plain_tokens import keys
from tests.augmenters.rewriting.stand_in import (
    RESET,
    STALL,
    completion,
    echo,
    passage,
    problem,
    serving,
)

KEY = "sk-live-0123456789abcdef-0123456789"


def rewriting(endpoint, **settings):
    return Rewrite(
        **{"model": "m", "endpoint": endpoint.url, "backoff": 0.001, "timeout": 5.0, **settings}
    )


def texts(count):
    return pa.array([f"This is text number {number}." for number in range(count)])


def first_time(said):
    """Return a behaviour that says so to the first request for each text, and then echoes."""
    seen = set()

    def behave(request, number):
        text = passage(request)
        if text in seen:
            return echo(request, number)
        seen.add(text)
        return said

    return behave


@pytest.mark.parametrize(
    "said",
    [
        problem(500, "oops"),
        problem(503, "busy"),
        problem(429, "slow down"),
        problem(408, "?"),
        RESET,
    ],
    ids=["500", "503", "429", "408", "reset"],
)
def test_what_may_be_better_next_time_is_asked_again(endpoint, said):
    endpoint.behave = first_time(said)
    views = rewriting(endpoint)(texts(12), keys(12)).to_pylist()
    assert views == [f"In short, {text}" for text in texts(12).to_pylist()]
    assert len(endpoint.requests) == 24


def test_a_stall_is_a_timeout_and_is_asked_again(endpoint):
    endpoint.behave = first_time(STALL)
    started = time.monotonic()
    views = rewriting(endpoint, timeout=0.3)(texts(3), keys(3))
    assert views.null_count == 0
    assert len(endpoint.requests) == 6
    assert 0.3 <= time.monotonic() - started < 5


@pytest.mark.parametrize("form", ["seconds", "date"])
def test_retry_after_is_honoured(endpoint, form):
    wait = "1" if form == "seconds" else email.utils.formatdate(time.time() + 2, usegmt=True)
    endpoint.behave = first_time(problem(429, "slow down", headers=[("Retry-After", wait)]))
    started = time.monotonic()
    assert rewriting(endpoint)(texts(2), keys(2)).null_count == 0
    assert time.monotonic() - started >= (1 if form == "seconds" else 0.9)


def test_waits_double_up_to_a_minute_and_half_of_each_is_left_to_the_key():
    for attempt in range(12):
        longest = min(0.5 * 2**attempt, 60)
        waits = [back_off(0.5, attempt, key) for key in range(200)]
        assert longest / 2 <= min(waits) < 0.6 * longest
        assert 0.9 * longest < max(waits) <= longest
        assert waits == [back_off(0.5, attempt, key) for key in range(200)]


@pytest.mark.parametrize(
    ("said", "told"),
    [
        (problem(500, "oops"), "HTTP 500 oops"),
        (RESET, "asked 3 times"),
        (STALL, "no answer in 0.2 s"),
    ],
    ids=["500", "reset", "stall"],
)
def test_an_endpoint_that_stays_away_is_an_error_that_says_how_many_were_done(endpoint, said, told):
    bad = "This is text number 6."
    endpoint.behave = lambda request, number: (
        said if passage(request) == bad else echo(request, number)
    )
    rewrite = rewriting(endpoint, retries=2, timeout=0.2, concurrency=1)
    with pytest.raises(UnfinishedUserError, match="6 of 20 texts were done") as caught:
        rewrite(texts(20), keys(20))
    assert told in str(caught.value)
    assert "\n" not in str(caught.value)
    assert len(endpoint.requests) == 6 + 3
    assert caught.value.done.tolist() == [True] * 6 + [False] * 14
    assert caught.value.views.texts[5].as_py() == "In short, This is text number 5."
    sent = pickle.loads(pickle.dumps(caught.value))
    assert (type(sent), str(sent)) == (UnfinishedUserError, str(caught.value))
    assert sent.done.tolist() == caught.value.done.tolist()
    assert sent.views == caught.value.views


def test_nobody_there_is_an_error(endpoint):
    endpoint.die()
    with pytest.raises(
        UserError, match=rf"{endpoint.url} does not answer, asked 2 times: .*refused"
    ):
        rewriting(endpoint, retries=1)(texts(1), keys(1))


@pytest.mark.parametrize(
    "said",
    [
        problem(429, "slow down", headers=[("Retry-After", "3600")]),
        problem(429, "You exceeded your current quota", "insufficient_quota"),
    ],
)
def test_what_will_not_be_better_soon_is_not_asked_again(endpoint, said):
    endpoint.behave = lambda request, number: said
    with pytest.raises(UserError, match="asked 1 time: HTTP 429"):
        rewriting(endpoint)(texts(1), keys(1))
    assert len(endpoint.requests) == 1


@pytest.mark.parametrize(
    ("status", "told"),
    [
        (401, "refuses the key in OPENAI_API_KEY"),
        (403, "refuses the key in OPENAI_API_KEY"),
        (402, "credit"),
        (404, "no such model or address"),
        (405, "no such model or address"),
        (307, "no such model or address"),
    ],
)
def test_a_wrong_key_model_or_address_is_one_error_at_once(endpoint, status, told):
    endpoint.behave = lambda request, number: problem(
        status, "No way", headers=[("Location", "http://127.0.0.1:9/")]
    )
    with pytest.raises(UserError, match="No way") as caught:
        rewriting(endpoint, concurrency=1)(texts(50), keys(50))
    assert told in str(caught.value)
    assert len(endpoint.requests) == 1


def test_no_more_are_on_their_way_at_once_than_allowed_even_from_two_threads(endpoint):
    together = threading.Barrier(5)

    def behave(request, number):
        together.wait(10)  # breaks unless five are there at once
        return echo(request, number)

    endpoint.behave = behave
    rewrite = rewriting(endpoint, concurrency=5, retries=0)
    got = []
    threads = [
        threading.Thread(target=lambda: got.append(rewrite(texts(20), keys(20)))) for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [views.null_count for views in got] == [0, 0]
    assert endpoint.most_in_flight == 5


def test_threads_that_begin_at_once_know_one_traffic(endpoint):
    place = rewriting(endpoint)._endpoint
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(8) as pool:
            for turn in range(100):
                begin = threading.Barrier(8)

                def know(_, begin=begin, turn=turn):
                    begin.wait()
                    return traffic(0, place, 1, f"settings {turn}")

                assert len(set(pool.map(know, range(8)))) == 1
    finally:
        sys.setswitchinterval(before)


def test_answers_that_come_late_still_stand_in_order(endpoint):
    def behave(request, number):
        time.sleep(0.02 if number % 3 == 0 else 0)
        return echo(request, number)

    endpoint.behave = behave
    views = rewriting(endpoint)(texts(30), keys(30)).to_pylist()
    assert views == [f"In short, {text}" for text in texts(30).to_pylist()]


def test_a_second_run_asks_nothing_and_gives_the_same(endpoint, tmp_path):
    endpoint.behave = lambda request, number: completion(f"{passage(request)} Take {number}.")
    cached = Cached(rewriting(endpoint), str(tmp_path))
    first = cached.views(texts(30), keys(30))
    assert len(endpoint.requests) == 30
    elsewhere = Cached(rewriting(endpoint, concurrency=1, timeout=9.0), str(tmp_path))
    assert all(
        a.equals(b) for a, b in zip(first, elsewhere.views(texts(30), keys(30)), strict=True)
    )
    assert len(endpoint.requests) == 30


def test_a_run_that_lost_its_endpoint_goes_on_from_the_cache(endpoint, tmp_path):
    endpoint.behave = lambda request, number: RESET if number >= 50 else echo(request, number)
    cached = Cached(rewriting(endpoint, retries=1), str(tmp_path))
    cached(texts(80)[:40], keys(80)[:40])
    with pytest.raises(UserError, match="goes on from its cache"):
        cached(texts(80)[40:], keys(80)[40:])
    kept = sum(pq.read_metadata(path).num_rows for path in tmp_path.rglob("*.parquet"))
    assert kept == 50
    with serving() as other:
        again = Cached(rewriting(other), str(tmp_path))
        views = again(texts(80), keys(80)).to_pylist()
        assert views == [f"In short, {text}" for text in texts(80).to_pylist()]
        assert len(other.requests) == 80 - kept


def test_at_temperature_0_a_text_is_asked_about_once_whatever_its_key(endpoint, tmp_path):
    cached = Cached(rewriting(endpoint, temperature=0), str(tmp_path))
    cached(pa.array(["One text."] * 5), keys(5))
    cached(pa.array(["One text."]), keys(1, seed=3))
    assert len(endpoint.requests) == 1


def tell_all(request, number):
    """Answer with the key, in every place that there is for one."""
    masked = f"Incorrect API key provided: {KEY[:12]}**** or {KEY[4:]}"
    return [
        completion(f"Your key is {KEY}."),
        completion(f"Your key begins with {KEY[:20]}", finish="length"),
        problem(400, f"{masked}, {KEY}"),
        problem(413, KEY),
        problem(429, KEY),
        problem(401, f"{masked}, Bearer {KEY}", KEY),
    ][number]


def test_the_key_is_sent_and_told_to_nobody(endpoint, tmp_path, monkeypatch, caplog):
    caplog.set_level(logging.DEBUG)
    monkeypatch.setenv("MY_KEY", f"{KEY}\n")
    endpoint.behave = lambda request, number: echo(request, number)
    rewrite = rewriting(endpoint, api_key_env="MY_KEY", concurrency=1, retries=0)
    cached = Cached(rewrite, str(tmp_path))
    cached.views(texts(1), keys(1))
    assert endpoint.headers[0]["Authorization"] == f"Bearer {KEY}"

    endpoint.behave = lambda request, number: tell_all(request, number - 1)
    told = [repr(cached.views(texts(4), keys(4, seed=5))), repr(rewrite), str(as_data(rewrite))]
    told += [str(pickle.dumps(cached))]
    for count in (1, 2):
        with pytest.raises(UserError, match="HTTP 4") as caught:
            cached(texts(1), keys(1, seed=5 + count))
        told += traceback.TracebackException.from_exception(
            caught.value, capture_locals=True
        ).format()
    told += [str(pq.read_table(path).to_pylist()) for path in tmp_path.rglob("*.parquet")]
    told += [caplog.text]
    assert "HTTP Request: POST" in caplog.text
    assert "[key]" in "".join(told)
    shown = [KEY[start : start + 8] for start in range(len(KEY) - 7)]
    assert not [part for part in shown for text in told if part in text]


def test_without_a_key_none_is_sent(endpoint):
    rewriting(endpoint)(texts(1), keys(1))
    assert "Authorization" not in endpoint.headers[0]


@pytest.mark.parametrize(
    ("text", "key", "shown"),
    [
        ("a secret-key-123 b", "secret-key-123", "a [key] b"),
        ("secret-key-12345", "secret-key-123", "[key]45"),
        ("secret-k and ret-key-1", "secret-key-123", "[key] and [key]"),
        ("secret and key", "secret-key-123", "secret and key"),
        ("EMPTY or empty", "EMPTY", "[key] or empty"),
        ("xxx", "x", "xxx"),
        ("anything", "", "anything"),
    ],
)
def test_a_key_and_good_parts_of_it_are_hidden(text, key, shown):
    assert redacted(text, key) == shown
