"""An OpenAI-compatible endpoint on this machine that does what a test tells it, and counts."""

import json
import re
import socket
import struct
import threading
from collections.abc import Callable
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import NamedTuple

USAGE = {"prompt_tokens": 100, "completion_tokens": 10, "total_tokens": 110}
RESET = "reset"
"""Break the connection without an answer."""
STALL = "stall"
"""Take the request and say nothing."""


class Said(NamedTuple):
    """An answer over HTTP."""

    body: bytes
    status: int = 200
    headers: tuple[tuple[str, str], ...] = ()


def passage(request: dict) -> str:
    """Return the text that a request asks to be rewritten."""
    asked = request["messages"][-1]["content"]
    return re.search(r"<(passage\d*)>\n(.*)\n</\1>", asked, re.DOTALL)[2]


def completion(content, finish="stop", usage=USAGE, **message) -> Said:
    """Return a chat completion."""
    message = {"role": "assistant", "content": content, **message}
    data = {"choices": [{"index": 0, "message": message, "finish_reason": finish}]}
    return Said(json.dumps({**data, **({"usage": usage} if usage else {})}).encode())


def problem(status, message, code=None, headers=()) -> Said:
    """Return an error as OpenAI words it."""
    error = {"message": message, "type": "invalid_request_error", "code": code}
    return Said(json.dumps({"error": error}).encode(), status, tuple(headers))


def echo(request: dict, number: int) -> Said:
    """Return the text with a few words before it."""
    text = passage(request)
    chinese = any("\u4e00" <= character <= "\u9fff" for character in text)
    return completion(("也就是说，" if chinese else "In short, ") + text)


Behave = Callable[[dict, int], Said | str]


class StandIn:
    """A server whose `behave` is asked for each request, with the number of it, from 0."""

    def __init__(self, behave: Behave = echo) -> None:
        self.behave = behave
        self.requests: list[dict] = []
        self.headers: list[dict[str, str]] = []
        self.paths: list[str] = []
        self.in_flight = self.most_in_flight = 0
        self.lock = threading.Lock()
        self.dead = threading.Event()
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}/v1"
        # A short poll, since ending waits for it.
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True)
        self.thread.start()

    def die(self) -> None:
        """Answer nobody any more; connections that are open break."""
        if not self.dead.is_set():
            self.dead.set()
            self.server.shutdown()
            self.server.server_close()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        stand_in = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True
            wbufsize = -1

            def do_POST(self) -> None:
                data = self.rfile.read(int(self.headers["Content-Length"]))
                with stand_in.lock:
                    number = len(stand_in.requests)
                    stand_in.requests.append(json.loads(data))
                    stand_in.headers.append(dict(self.headers))
                    stand_in.paths.append(self.path)
                    stand_in.in_flight += 1
                    stand_in.most_in_flight = max(stand_in.most_in_flight, stand_in.in_flight)
                try:
                    dead = stand_in.dead.is_set()
                    said = RESET if dead else stand_in.behave(stand_in.requests[number], number)
                finally:
                    with stand_in.lock:
                        stand_in.in_flight -= 1
                if said == STALL:
                    stand_in.dead.wait(30)
                if isinstance(said, Said):
                    self.answer(said)
                else:
                    self.break_off()

            def answer(self, said: Said) -> None:
                self.send_response(said.status)
                for name, value in said.headers:
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(said.body)))
                self.end_headers()
                self.wfile.write(said.body)

            def break_off(self) -> None:
                linger = struct.pack("ii", 1, 0)
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
                self.close_connection = True

            def log_message(self, *_: object) -> None:
                pass

        return Handler


@contextmanager
def serving(behave: Behave = echo):
    """Run a stand-in for as long as the block lasts."""
    server = StandIn(behave)
    try:
        yield server
    finally:
        server.die()
