"""An HTTP proxy before a stand-in for an object store: some requests fail, stall or are cut."""

import http.client
import itertools
import random
import re
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

KINDS = ("503", "reset", "cut", "503", "stall")


class Proxy(ThreadingHTTPServer):
    """Forwards to `port`, but for the requests that `fail` asks for."""

    daemon_threads = True
    block_on_close = False

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Forward)
        self.port = 0
        """Where the stand-in listens."""
        self.over = threading.Event()
        self.requests = 0
        self.failed = 0
        self._lock = threading.Lock()
        self.heal()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def heal(self) -> None:
        """Fail no request."""
        self.fail(0.0, ("503",))

    def fail(self, share: float, kinds: tuple[str, ...] = KINDS, only: str = "") -> None:
        """Fail a share of all requests, in turn in each of these ways.

        only: those to a path with this in it.
        """
        with self._lock:
            self.requests = self.failed = 0
            self._only = only
            self._share, self._kinds = share, itertools.cycle(kinds)
            self._random = random.Random(17)

    def fault(self, path: str) -> str | None:
        with self._lock:
            self.requests += 1
            if self._only not in path or self._random.random() >= self._share:
                return None
            self.failed += 1
            return next(self._kinds)

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing: that clients go away is what is tested."""


class _Forward(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Proxy

    def forward(self) -> None:
        fault = self.server.fault(self.path)
        if fault == "stall":
            self.server.over.wait(60)
            self.close_connection = True
            return
        if fault == "reset":
            now = struct.pack("ii", 1, 0)
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, now)
            self.connection.close()
            self.close_connection = True
            return
        body = self._body()
        if fault == "503":
            self._answer(503, [("Content-Length", "0")], b"")
            return
        upstream = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=60)
        if self.path == "/batch/storage/v1":
            # fake-gcs-server passes over parts without an id, which Google's client leaves out.
            numbers = itertools.count()
            part = rb"Content-Type: application/http\n"
            body = re.sub(part, lambda m: m[0] + b"Content-ID: <part+%d>\n" % next(numbers), body)
        headers = {
            k: v
            for k, v in self.headers.items()
            if k.lower() not in ("transfer-encoding", "content-length", "expect")
        }
        upstream.request(self.command, self.path, body, headers | {"Content-Length": len(body)})
        answer = upstream.getresponse()
        # As MinIO lists them; moto, like Amazon, knows whole seconds only.
        data = answer.read().replace(b".000Z</LastModified>", b".123Z</LastModified>")
        upstream.close()
        kept = [
            (k, v)
            for k, v in answer.getheaders()
            if k.lower() not in ("transfer-encoding", "content-length", "connection")
        ]
        length = answer.headers.get("Content-Length") if self.command == "HEAD" else None
        kept.append(("Content-Length", length or str(len(data))))
        self._answer(answer.status, kept, data[: len(data) // 2] if fault == "cut" else data)
        if fault == "cut":
            self.close_connection = True

    do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = do_PATCH = forward  # noqa: N815

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        chunks = []
        while size := int(self.rfile.readline().split(b";")[0], 16):
            chunks.append(self.rfile.read(size))
            self.rfile.readline()
        while self.rfile.readline().strip():
            pass
        return b"".join(chunks)

    def _answer(self, status: int, headers: list[tuple[str, str]], data: bytes) -> None:
        self.send_response_only(status)
        for name, value in headers:
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@contextmanager
def running() -> Iterator[Proxy]:
    """Yield a proxy that serves until the end."""
    proxy = Proxy()
    thread = threading.Thread(target=proxy.serve_forever, daemon=True)
    thread.start()
    try:
        yield proxy
    finally:
        proxy.over.set()
        proxy.shutdown()
        proxy.server_close()
