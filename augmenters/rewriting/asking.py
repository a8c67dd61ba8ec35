"""Asking until there is an answer: bounded in number, time and money, and in how many at once."""

import functools
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from pairsmith.augmenters.compose import uniform
from pairsmith.augmenters.rewriting.answers import Answer, read_answer
from pairsmith.augmenters.rewriting.endpoint import (
    Endpoint,
    Reply,
    error_code,
    one_line,
    server_message,
)
from pairsmith.augmenters.rewriting.ledger import Budget
from pairsmith.augmenters.rewriting.prompts import Prompt
from pairsmith.schemas import UserError, subkeys

if TYPE_CHECKING:
    import httpx

_AGAIN = (408, 409, 425, 429)
"""Statuses below 500 that may be different next time."""
_LONGEST_WAIT = 60.0
_LONGEST_ASKED_WAIT = 300.0
"""Seconds. A server that wants to be left alone for longer is away."""
_HOPELESS = 16
"""So many answers of no use, and none of any, are no accident."""
_TOO_LONG = ("context_length", "context length", "context size", "context window", "too long")
_JITTER = 0x717732
_KNOWING = threading.Lock()


class StopAsking(Exception):  # noqa: N818 - not an error: another text met one
    """Raised where nothing more is to be asked."""


class Traffic:
    """What the threads of a process know of an endpoint together."""

    def __init__(self, concurrency: int) -> None:
        self.slots = threading.BoundedSemaphore(concurrency)
        self.lock = threading.Lock()
        self.understood = False
        """Whether any answer was a chat completion."""
        self.useless = 0
        """Answers that were none."""

    def count(self, useful: bool) -> bool:
        """Take note of an answer; return whether there is hope of useful ones."""
        with self.lock:
            self.understood |= useful
            self.useless += not useful
            return self.understood or self.useless < _HOPELESS


def traffic(process: int, endpoint: Endpoint, concurrency: int, settings: str) -> Traffic:
    """Return what is known of an endpoint that is asked with these settings by this process.

    process: its number, since one that was forked must not share locks with its parent.
    """
    with _KNOWING:  # or threads that begin at once know a traffic each
        return _traffic(process, endpoint, concurrency, settings)


@functools.cache
def _traffic(process: int, endpoint: Endpoint, concurrency: int, settings: str) -> Traffic:
    return Traffic(concurrency)


@dataclass(frozen=True)
class Asking:
    """How texts of one batch are asked about."""

    endpoint: Endpoint
    client: "httpx.Client"
    prompt: Prompt
    retries: int
    backoff: float
    budget: Budget
    traffic: Traffic
    stop: threading.Event
    """Set when the batch ends early: waits end, and nothing more is sent."""

    def ask(self, text: str, key: int, body: dict[str, Any]) -> Answer:
        """Return what became of a text.

        Raises UserError for what would hold for the next text, too; StopAsking once `stop` is set.
        """
        reply, held = self._reply(key, body)
        said = server_message(reply.said)
        if reply.status >= 300:
            self.budget.release(held)
            return self._refused(reply, said)
        answer = read_answer(reply.said, text, self.prompt)
        self.budget.settle(held, answer.tokens)
        if not self.traffic.count(answer.reason != "nonsense answer"):
            raise UserError(no_completions(self.endpoint.url, self.endpoint.hide_key(said)))
        return answer._replace(said=self.endpoint.hide_key(answer.said))

    def _reply(self, key: int, body: dict[str, Any]) -> tuple[Reply, float]:
        """Return the first reply that will not change by waiting, and the money held for it."""
        for attempt in range(self.retries + 1):
            with self.traffic.slots:
                if self.stop.is_set():
                    raise StopAsking
                held = self.budget.hold(body)
                reply = self.endpoint.post(self.client, body)
            known = reply.outcome == "answered"
            if known and reply.status < 500 and reply.status not in _AGAIN:
                return reply, held
            if reply.outcome != "lost":  # what was lost may have been answered, and costs
                self.budget.release(held)
            problem = one_line(f"HTTP {reply.status} {server_message(reply.said)}")
            problem = problem if known else reply.said
            if error_code(reply.said) == "insufficient_quota" and known:
                break
            if reply.retry_after > _LONGEST_ASKED_WAIT:
                problem += f" (wants to be left alone for {reply.retry_after:.0f} s)"
                break
            wait = max(back_off(self.backoff, attempt, key), reply.retry_after)
            if attempt < self.retries and self.stop.wait(wait):
                raise StopAsking
        tried = f"{attempt + 1} time" + "s" * (attempt > 0)
        raise UserError(f"{self.endpoint.url} does not answer, asked {tried}: {problem}")

    def _refused(self, reply: Reply, said: str) -> Answer:
        """Return why a request of this text, and of this alone, was refused.

        Raises UserError when all would be: for the key, the model, the address or a parameter.
        """
        url, status = self.endpoint.url, f"HTTP {reply.status}"
        told = f"{status}: {said}" if said else status
        if reply.status in (401, 402, 403, 407):
            name = self.endpoint.api_key_env
            whose = f"the key in {name}" if name else "requests without a key (api_key_env='')"
            raise UserError(f"{url} refuses {whose} ({told}); check the key, its rights and credit")
        if reply.status < 400 or reply.status in (404, 405, 410):
            raise UserError(
                f"{url} has no such model or address ({told}); "
                "check model, and endpoint, which ends before /chat/completions, such as in /v1"
            )
        code = error_code(reply.said)
        if reply.status == 413 or any(sign in f"{code} {said}".lower() for sign in _TOO_LONG):
            return Answer(None, "too long for the model", None, told)
        if "content_filter" in code or "content_policy" in code:
            return Answer(None, "refused", None, told)
        if not self.traffic.count(useful=False):
            raise UserError(not_understood(url, told))
        return Answer(None, "bad request", None, told)


def back_off(first: float, attempt: int, key: int) -> float:
    """Return seconds to wait before trying again: twice as long each time, 60 at most.

    Half of it is left to chance, by the record's key, so that what failed at once does not come
    back at once.
    """
    own = subkeys(np.array([key ^ _JITTER], np.uint64), attempt)
    longest = min(first * 2.0**attempt, _LONGEST_WAIT)
    return longest * (0.5 + 0.5 * float(uniform(own)[0]))


def no_completions(url: str, said: str) -> str:
    """Return what to say to a user whose endpoint answers, but with no chat completion."""
    return (
        f"{url} gives no chat completions but: {said or 'nothing'}; "
        "check endpoint, which ends before /chat/completions, such as in /v1"
    )


def not_understood(url: str, told: str) -> str:
    """Return what to say to a user whose requests are all bad."""
    return (
        f"{url} refuses the requests ({told}); check the settings: some servers want other "
        'parameters, such as parameters=(("max_tokens", None), ("max_completion_tokens", 512)), '
        "or seed=False"
    )
