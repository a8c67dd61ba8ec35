"""One request to an OpenAI-compatible endpoint, and what came of it. The key is told to nobody.

The key is read from the environment for each request and stands in its header only. What a server
says is rid of it before it is shown, recorded or kept.
"""

import json
import os
import ssl
import time
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from functools import cache
from typing import TYPE_CHECKING, Any, Literal, NamedTuple
from urllib.parse import urlsplit

from pairsmith.schemas import UserError, require

if TYPE_CHECKING:
    import httpx

_LOCAL = ("localhost", "127.0.0.1", "::1")
_MOST_BYTES = 16 * 2**20
"""More than any answer: what goes on for longer is none."""
_FRAGMENT = 8
"""So many characters of a key, in a row, are not shown either."""
_WORTH_HIDING = 4
"""A shorter key is a stand-in such as `x`, for servers that ask for none."""
_SECRET = 16
"""A key at least so long is no word: an answer that holds it is no view."""
_SHOWN_CHARS = 200
_HIDDEN = "[key]"


class Reply(NamedTuple):
    """What came of one request."""

    outcome: Literal["answered", "not sent", "lost"]
    """`not sent`: nothing listens there. `lost`: sent, and no whole answer came back."""
    said: str
    """The body of the answer; else what went wrong."""
    status: int = 0
    retry_after: float = 0.0
    """Seconds that the server asks to wait."""


@dataclass(frozen=True)
class Endpoint:
    """Where chat completions are had, whose key is used, and how long an answer is waited for."""

    url: str
    api_key_env: str
    timeout: float
    insecure: bool = False

    @property
    def local(self) -> bool:
        """Return whether the endpoint is on this machine."""
        return urlsplit(self.url).hostname in _LOCAL

    def check(self) -> None:
        """Raise UserError for an address that cannot or must not be asked."""
        # What is wrong with an address is said without repeating it: it may hold a password.
        try:
            parts = urlsplit(self.url)
            host, _ = parts.hostname, parts.port
        except ValueError:
            host = None
        if not host or parts.scheme not in ("http", "https") or self.url != self.url.strip():
            raise UserError("endpoint must be a URL such as https://api.example.com/v1")
        if parts.username is not None or parts.password is not None:
            raise UserError(
                "endpoint must not hold a user or password; "
                "put the key into an environment variable and name it by api_key_env"
            )
        if parts.query or parts.fragment or "?" in self.url or "#" in self.url:
            raise UserError("endpoint must end with its path, such as /v1, without ? or #")
        if parts.path.rstrip("/").endswith("/completions"):
            raise UserError("endpoint must end before /chat/completions, such as in /v1")
        if parts.scheme == "http" and not self.local and not self.insecure:
            raise UserError(
                f"endpoint {self.url} would send texts and key unencrypted; "
                "use https, or insecure=True if the network is yours"
            )

    def key(self) -> str:
        """Return the key, from the environment; empty for none.

        Raises UserError when the variable is not set, unless the endpoint is on this machine.
        """
        key = os.environ.get(self.api_key_env, "").strip() if self.api_key_env else ""
        if not key and self.api_key_env and not self.local:
            raise UserError(
                f"the environment variable {self.api_key_env} holds no key for {self.url}; set it, "
                "or api_key_env to the name of another, or to '' for an endpoint that needs none"
            )
        if not key.isascii() or not key.isprintable():
            raise UserError(
                f"the environment variable {self.api_key_env} holds characters that no key has; "
                "set it to the key alone"
            )
        return key

    def client(self, connections: int) -> "httpx.Client":
        """Return a client for `post`, to be closed. Raises UserError when httpx is missing."""
        httpx = require("httpx", extra="llm")
        try:
            httpx.URL(self.url)
        except httpx.InvalidURL as error:
            raise UserError(f"endpoint {self.url!r} is no URL: {error}") from error
        limits = httpx.Limits(max_connections=None, max_keepalive_connections=connections)
        # A proxy is never asked for what is on this machine.
        return httpx.Client(  # type: ignore[no-any-return]
            verify=_certificates(), timeout=self.timeout, limits=limits, trust_env=not self.local
        )

    def hide_key(self, text: str) -> str:
        """Return a text without the key, and without good parts of it."""
        return redacted(text, self.key())

    def post(self, client: "httpx.Client", body: dict[str, Any]) -> Reply:
        """Return what the endpoint answers to a request for a chat completion.

        It takes `timeout` seconds at most, and as long again if the answer stops half-way.
        """
        httpx = require("httpx", extra="llm")
        key = self.key()
        url = f"{self.url.rstrip('/')}/chat/completions"
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        ends = time.monotonic() + self.timeout
        data = bytearray()
        try:
            with client.stream("POST", url, json=body, headers=headers) as response:
                for part in response.iter_bytes():
                    data += part
                    if time.monotonic() > ends:
                        return Reply("lost", f"no whole answer in {self.timeout:g} s")
                    if len(data) > _MOST_BYTES:
                        break
        except httpx.TimeoutException as error:
            sent = not isinstance(error, httpx.ConnectTimeout)
            return Reply("lost" if sent else "not sent", f"no answer in {self.timeout:g} s")
        except (httpx.TransportError, httpx.DecodingError) as error:
            sent = not isinstance(error, httpx.ConnectError)
            told = redacted(one_line(str(error)), key) or type(error).__name__
            return Reply("lost" if sent else "not sent", told)
        said = data.decode("utf-8", "replace")
        if response.is_error or response.is_redirect:
            said = redacted(said, key)
        elif len(key) >= _SECRET and key in said:
            said = ""  # no model knows the key: whatever this is, it is not kept
        wait = _seconds(response.headers.get("Retry-After", ""))
        return Reply("answered", said, response.status_code, wait)


def redacted(text: str, key: str) -> str:
    """Return a text with every occurrence of the key, or of a good part of it, hidden."""
    if len(key) < _WORTH_HIDING:
        return text
    size = min(len(key), _FRAGMENT)
    parts = {key[start : start + size] for start in range(len(key) - size + 1)}
    if not any(part in text for part in parts):
        return text
    hidden, shown, at = [], 0, 0
    while at <= len(text) - size:
        if text[at : at + size] not in parts:
            at += 1
            continue
        end = at + size
        while end < len(text) and text[end - size + 1 : end + 1] in parts:
            end += 1
        hidden += [text[shown:at], _HIDDEN]
        shown = at = end
    return "".join([*hidden, text[shown:]])


def server_message(body: str) -> str:
    """Return what an error's body says, in one line; empty when it says nothing."""
    said = _member(body, "message") or body
    return one_line(said)[:_SHOWN_CHARS]


def error_code(body: str) -> str:
    """Return the `code` or the `type` of an error's body; empty when there is none."""
    return _member(body, "code") or _member(body, "type")


def one_line(text: str) -> str:
    """Return a text without line breaks and other characters that are not printed."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


def _member(body: str, name: str) -> str:
    """Return a text that stands under a name in an error's body, as servers nest it."""
    try:
        data = json.loads(body)
    except (ValueError, RecursionError):
        return ""
    for outer in ("error", "detail", ""):
        inner = data.get(outer) if outer and isinstance(data, dict) else data
        if isinstance(inner, str) and outer and name == "message":
            return inner
        if isinstance(inner, dict) and isinstance(inner.get(name), str):
            return str(inner[name])
    return ""


def _seconds(header: str) -> float:
    """Return how long `Retry-After` asks to wait: seconds or a date (RFC 9110, 10.2.3)."""
    try:
        wait = float(header)
    except ValueError:
        try:
            wait = parsedate_to_datetime(header).timestamp() - time.time()
        except (ValueError, TypeError):
            return 0.0
    return wait if 0 < wait < float("inf") else 0.0


@cache
def _certificates() -> ssl.SSLContext:
    """Return whom to trust, read from disk once in a process."""
    return require("httpx", extra="llm").create_ssl_context()  # type: ignore[no-any-return]
