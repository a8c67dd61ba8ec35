"""Texts rewritten by a language model behind an OpenAI-compatible endpoint."""

import json
import os
import threading
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from dataclasses import KW_ONLY, dataclass
from typing import Any, ClassVar, Literal, get_args

import numpy as np
import pyarrow as pa

from pairsmith.augmenters.augmenter import Keys, Views
from pairsmith.augmenters.rewriting.answers import Answer
from pairsmith.augmenters.rewriting.asking import (
    Asking,
    StopAsking,
    no_completions,
    not_understood,
    traffic,
)
from pairsmith.augmenters.rewriting.endpoint import Endpoint, server_message
from pairsmith.augmenters.rewriting.ledger import Budget
from pairsmith.augmenters.rewriting.prompts import PARAPHRASE, Language, Prompt
from pairsmith.augmenters.settings import as_data
from pairsmith.augmenters.unfinished import UnfinishedUserError
from pairsmith.schemas import UserError, require, subkeys

_NOTHING_ASKED = Answer(None, "no words", None)
_NO_TEXT = Answer(None, None, None)
_OURS = ("model", "messages", "stream", "n")
_SEED_BITS = 31
"""What every server takes for a seed."""


@dataclass(frozen=True)
class Rewrite:
    """Ask a model for a paraphrase, a summary, a question or a near miss of each text.

    Costly: a build keeps the answers in its cache, by text at temperature 0, else by record. A text
    without a letter or digit is not sent. `docs/llm.md` shows how to use it.
    """

    version: ClassVar[int] = 1
    needs: ClassVar[str] = "pairsmith[llm] and an OpenAI-compatible endpoint"

    prompt: Prompt = PARAPHRASE
    _: KW_ONLY
    model: str
    """As the endpoint names it. It stands for the endpoint in recipes and caches: give two models
    two names, also where a server does not look at the name."""
    endpoint: str
    """URL that ends before `/chat/completions`: `https://…/v1`. http:// only on this machine."""
    api_key_env: str = "OPENAI_API_KEY"
    """Name of the environment variable that holds the key on every worker; empty for no key."""
    temperature: float = 0.7
    """At least 0. At 0 a view depends on its text alone."""
    max_tokens: int = 512
    """An answer that would be longer is cut by the server, and is no view."""
    seed: bool = True
    """Whether to send a seed from the record's key, at temperatures above 0."""
    parameters: tuple[tuple[str, Any], ...] = ()
    """What else to send, as names and JSON values; None takes a parameter out."""
    language: Language = "text"
    """Of the prompt: that of the text, or always the same."""
    concurrency: int = 8
    """Requests on their way at once: of this step on each machine of a build, whose workers share
    them; elsewhere in this process."""
    timeout: float = 60.0
    """Seconds to wait for an answer."""
    retries: int = 5
    """How often to ask again after 429, 5xx, a broken connection or a timeout."""
    backoff: float = 1.0
    """Seconds before the second try, at most; twice as many before each further, up to 60."""
    price: tuple[float, float] | None = None
    """Of a million tokens, read and written, in any currency."""
    max_cost: float | None = None
    """Stop before the ledger says that more is spent. Needs price and ledger."""
    ledger: str = ""
    """File on a local disk in which all processes, and all builds, add up what they spent."""
    insecure: bool = False
    """Whether http:// may leave this machine."""

    def __post_init__(self) -> None:
        """Raise UserError for an endpoint that must not be asked, ValueError for other settings."""
        if not self.model.strip():
            raise ValueError("model must be the name of a model")
        if self.language not in get_args(Language):
            raise ValueError(f"language must be 'text', 'en' or 'zh', not {self.language!r}")
        for name, least in (
            *(("temperature", 0), ("max_tokens", 1), ("retries", 0), ("concurrency", 1)),
            *(("backoff", 0), ("timeout", 0.001), ("max_cost", 0)),
        ):
            value = getattr(self, name)
            if (value is not None or name != "max_cost") and not least <= value < float("inf"):
                raise ValueError(f"{name} must be a number of at least {least}, not {value}")
        if self.price is not None and (len(self.price) != 2 or not min(self.price) >= 0):
            raise ValueError(f"price must be two numbers >= 0, not {self.price}")
        if self.max_cost is not None and not (self.price and self.ledger):
            raise ValueError("max_cost needs price=(read, written) and a ledger, a file")
        if wrong := [name for name, _ in self.parameters if name in _OURS]:
            raise ValueError(f"parameters must not hold {wrong[0]!r}")
        try:
            json.dumps(self.parameters, allow_nan=False)
            self._endpoint.check()
        except TypeError as error:
            raise ValueError(f"parameters must be names and JSON values: {error}") from error
        bounded = {"max_tokens", "max_completion_tokens"} & {*self.request("a")}
        if self.price and self.ledger and not bounded:
            raise ValueError("price with a ledger needs max_tokens or max_completion_tokens")

    @property
    def name(self) -> str:
        """Return `rewrite_` and the name of the prompt."""
        return f"rewrite_{self.prompt.name}"

    @property
    def languages(self) -> tuple[str, ...]:
        """Return those of the prompt."""
        return self.prompt.languages

    @property
    def keeps_meaning(self) -> bool:
        """Return whether the prompt asks for that."""
        return self.prompt.keeps_meaning

    @property
    def cache_by(self) -> Literal["text", "record"]:
        """Return what a view depends on: at temperature 0 the text alone."""
        return "record" if self.temperature else "text"

    def settings(self) -> dict[str, Any]:
        """Return what decides the views: not where the model stands, nor how it is asked."""
        return {
            "prompt": as_data(self.prompt),
            "model": self.model,
            "temperature": self.temperature,
            "max_tokens": self.max_tokens,
            "seed": self.seed,
            "parameters": dict(self.parameters),
            "language": self.language,
        }

    def setup(self) -> None:
        """Import httpx, look for the key, and try the ledger; asks nothing.

        Raises UserError when one of them is missing.
        """
        require("httpx", extra="llm")
        self._endpoint.key()
        self._budget.check()

    def request(self, text: str, key: int = 0) -> dict[str, Any]:
        """Return the body of the request for a text, as it is sent."""
        body: dict[str, Any] = {
            "model": self.model,
            "messages": self.prompt.messages(text, self.language),
            "temperature": self.temperature,
            "max_tokens": self.max_tokens,
        }
        if self.seed and self.temperature:
            own = int(subkeys(np.array([key], np.uint64), 0)[0])
            body["seed"] = own >> (64 - _SEED_BITS)
        body |= dict(self.parameters)
        return {name: value for name, value in body.items() if value is not None}

    def __call__(self, texts: pa.StringArray, keys: Keys) -> pa.StringArray:
        """Return what the model made of each text; null for null, and where `views` says why."""
        return self.views(texts, keys).texts

    def views(self, texts: pa.StringArray, keys: Keys) -> Views:
        """Return the views, in order, with reasons where there is none, and tokens as details.

        Reasons: `refused`, `cut`, `empty`, `copy`, `too short`, `too long`, `wrong language`,
        `nonsense answer`, `too long for the model`, `bad request`, `no words`.
        Raises UnfinishedUserError, with the views made until then, when the endpoint stays away,
        refuses the key or all requests, or the money is spent.
        """
        given = texts.to_pylist()
        answers: list[Answer | None] = [_unasked(text) for text in given]
        rows = [row for row, answer in enumerate(answers) if answer is None]
        if problem := self._ask(rows, given, keys, answers) if rows else None:
            done = np.array([answer is not None for answer in answers])
            count = int(done[rows].sum())
            line = f"{problem}; of this batch {count:,} of {len(rows):,} texts were done"
            line += ", and a build that is run again goes on from its cache" * (count > 0)
            raise UnfinishedUserError(line, done, _views(answers))
        return _views(answers)

    def _ask(
        self, rows: list[int], given: list[str], keys: Keys, answers: list[Answer | None]
    ) -> str | None:
        """Fill in the answers for the rows; return why not all could be, for the user."""
        endpoint, stop = self._endpoint, threading.Event()
        settings = json.dumps(self.settings(), sort_keys=True)
        known = traffic(os.getpid(), endpoint, self.concurrency, settings)
        with endpoint.client(self.concurrency) as client:
            asking = Asking(
                endpoint=endpoint,
                client=client,
                prompt=self.prompt,
                retries=self.retries,
                backoff=self.backoff,
                budget=self._budget,
                traffic=known,
                stop=stop,
            )
            pool = ThreadPoolExecutor(min(self.concurrency, len(rows)))

            def ask(row: int) -> Answer:
                text, key = given[row], int(keys[row])
                try:
                    return asking.ask(text, key, self.request(text, key))
                except UserError:
                    stop.set()
                    raise

            futures: dict[int, Future[Answer]] = {}
            try:
                futures |= {row: pool.submit(ask, row) for row in rows}
                wait(futures.values(), return_when=FIRST_EXCEPTION)
            finally:  # what is on its way is paid for, so it is waited for
                stop.set()
                pool.shutdown(cancel_futures=True)
        problem: str | None = None
        for row, future in futures.items():
            if not future.cancelled():
                try:
                    answers[row] = future.result()
                except UserError as error:
                    problem = problem or str(error)
                except StopAsking:
                    pass
        if known.understood:
            return problem
        # Nothing was of use yet, so what was of none says nothing about its text: none is done.
        for answer in filter(None, (answers[row] for row in rows)):
            if answer.reason == "bad request":
                problem = problem or not_understood(self.endpoint, answer.said)
            elif answer.reason == "nonsense answer":
                problem = problem or no_completions(self.endpoint, server_message(answer.said))
        for row in rows if problem else ():
            answers[row] = None
        return problem

    @property
    def _endpoint(self) -> Endpoint:
        return Endpoint(self.endpoint, self.api_key_env, self.timeout, self.insecure)

    @property
    def _budget(self) -> Budget:
        return Budget(self.ledger, self.price or (0.0, 0.0), self.max_cost)


def _unasked(text: str | None) -> Answer | None:
    """Return what becomes of a text that is not sent; None for one that is."""
    if text is None:
        return _NO_TEXT
    return None if any(character.isalnum() for character in text) else _NOTHING_ASKED


def _views(answers: list[Answer | None]) -> Views:
    told = [answer or _NO_TEXT for answer in answers]
    columns = (
        [answer.view for answer in told],
        [answer.reason for answer in told],
        [answer.details for answer in told],
    )
    return Views(*(pa.array(column, pa.string()) for column in columns))
