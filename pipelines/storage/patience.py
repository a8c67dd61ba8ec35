"""Asking an object store: again after a failure, never for ever, and what was wrong in one line.

Beam and the clients below it try again too, each by rules of its own; some wait ten minutes, some
read from a connection that is dead. So every request gets a time limit from outside, in a thread
that is left behind when it is reached.
"""

import argparse
import random
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

from apache_beam.io.filesystems import FileSystems
from apache_beam.options.pipeline_options import PipelineOptions

from pairsmith.schemas import UserError

T = TypeVar("T")
_SECONDS = 300.0
_ATTEMPTS = 8
_FIRST_PAUSE = 0.25
_LONGEST_PAUSE = 30.0
_BYTES_A_SECOND = 1 << 20
"""A transfer that is slower than this counts as stalled."""
_AGAIN = (408, 425, 429)
_MISTAKES = (FileNotFoundError, ImportError, NotImplementedError, TypeError, ValueError)


class StoreOptions(PipelineOptions):
    """Beam options about object stores."""

    @classmethod
    def _add_argparse_args(cls, parser: argparse.ArgumentParser) -> None:
        parser.add_argument(
            "--store_seconds",
            type=float,
            default=_SECONDS,
            help="How long an object store may fail or be silent before the build gives up.",
        )


def ask(what: str, request: Callable[[], T], size: int = 0, attempts: int | None = None) -> T:
    """Return what the request returns, asking again when it fails.

    At most `attempts` times, by default 8, and for `--store_seconds`. what: for errors, such as
    'read gs://…'. size: bytes sent or received, each MiB of which is a second more. A request may
    run twice at once: it must not mind.
    Raises UserError, one line, when the store refuses or stays away.
    """
    more = size / _BYTES_A_SECOND
    limit = _seconds() / 5 + more  # of one attempt, so that one that hangs leaves time for others
    end = time.monotonic() + _seconds() + more
    pause = _FIRST_PAUSE
    attempts = attempts or _ATTEMPTS
    for attempt in range(1, attempts + 1):
        try:
            return _start(request).result(min(limit, end - time.monotonic()))
        except UserError:
            raise
        except Exception as error:
            silent = isinstance(error, TimeoutError) and not str(error)
            line = f"no answer within {limit:.3g} s" if silent else _line(error)
            if _is_final(error):
                raise UserError(f"cannot {what}: {line}") from error
            wait = pause * random.uniform(0.5, 1)  # noqa: S311 - spreads workers, decides nothing
            pause = min(2 * pause, _LONGEST_PAUSE)
            if attempt == attempts or time.monotonic() + wait >= end:
                raise UserError(
                    f"cannot {what}: tried {attempt} times, at last: {line}; run the same command "
                    "again when the store answers, or give it longer with --store_seconds"
                ) from error
            time.sleep(wait)
    raise AssertionError("the last attempt returns or raises")


def _start(request: Callable[[], T]) -> "Future[T]":
    """Run the request in a thread that nobody need wait for."""
    future: Future[T] = Future()

    def run() -> None:
        try:
            future.set_result(request())
        except Exception as error:  # noqa: BLE001 - raised again by who asks for the result
            future.set_exception(error)

    threading.Thread(target=run, daemon=True).start()
    return future


def _seconds() -> float:
    options = FileSystems._pipeline_options
    if not isinstance(options, PipelineOptions):
        return _SECONDS
    return float(options.view_as(StoreOptions).store_seconds)


def _is_final(error: BaseException) -> bool:
    """Return whether asking again cannot help: it is the request that is wrong."""
    causes = _causes(error)
    if any(map(_is_lost_upload, causes)):
        return False
    return any(
        isinstance(one, _MISTAKES)
        or ((code := _status(one)) is not None and 400 <= code < 500 and code not in _AGAIN)
        for one in causes
    )


def _is_lost_upload(error: object) -> bool:
    """Return whether an upload in parts is unknown to the store: it has ended, or must begin anew.

    That is so where the answer to its last part was lost.
    """
    request = getattr(getattr(error, "response", None), "request", None)
    return "NoSuchUpload" in str(error) or (
        getattr(request, "method", None) == "PUT" and _status(error) in (404, 410)
    )


def _status(error: object) -> int | None:
    """Return the HTTP status that an error of one of the clients carries."""
    for holder in (error, getattr(error, "response", None)):
        for name in ("code", "status_code"):
            if isinstance(code := getattr(holder, name, None), int):
                return code
    return None


def _causes(error: BaseException) -> list[object]:
    """Return the error and what it wraps; Beam keeps errors by path."""
    found: list[object] = [error]
    for one in found:
        details = getattr(one, "exception_details", None)
        found += list(details.values()) if isinstance(details, dict) else []
        cause = getattr(one, "__cause__", None)
        found += [cause] if cause is not None and cause not in found else []
    return found


def _line(error: BaseException) -> str:
    last = _causes(error)[-1]
    said = last.args[0] if isinstance(last, Exception) and len(last.args) > 1 else last
    text = " ".join(str(said).split()) or type(last).__name__
    return text if len(text) <= 300 else text[:299] + "…"
