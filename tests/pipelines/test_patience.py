"""Requests to an object store are tried again, not for ever, and not when that cannot help."""

import threading
import time
from collections.abc import Iterator

import pytest
from apache_beam.io.filesystem import BeamIOError
from apache_beam.io.filesystems import FileSystems
from apache_beam.options.pipeline_options import PipelineOptions

from pairsmith.pipelines.storage.files import use_options
from pairsmith.pipelines.storage.patience import ask
from pairsmith.pipelines.storage.stores import check_store
from pairsmith.schemas import UserError


class ServerError(Exception):
    def __init__(self, code: int) -> None:
        super().__init__(f"the store says {code}")
        self.code = code


@pytest.fixture(autouse=True)
def _options() -> Iterator[None]:
    before = FileSystems._pipeline_options
    give_up_after(10)  # so that an answer that a busy machine holds up is no silence
    yield
    FileSystems.set_options(before)


def give_up_after(seconds: float) -> None:
    FileSystems.set_options(PipelineOptions([f"--store_seconds={seconds}"]))


def failing(times: int, error: Exception):
    calls = []

    def request() -> str:
        calls.append(time.monotonic())
        if len(calls) <= times:
            raise error
        return "answer"

    return request, calls


@pytest.mark.parametrize(
    "error",
    [
        *(ServerError(503), ServerError(429), ServerError(408), ConnectionResetError("gone")),
        *(OSError("cut"), BeamIOError("listing failed", {"gs://b/o": ServerError(500)})),
    ],
    ids=str,
)
def test_what_may_pass_is_asked_again(error: Exception) -> None:
    request, calls = failing(2, error)
    assert ask("read it", request) == "answer"
    assert len(calls) == 3
    assert calls[2] - calls[1] >= 0.25  # the second pause is longer


@pytest.mark.parametrize(
    "error",
    [
        *(ServerError(403), ServerError(404), FileNotFoundError("none"), ValueError("no path")),
        *(BeamIOError("listing failed", {"gs://b/o": ServerError(401)}), UserError("wrong")),
    ],
    ids=str,
)
def test_what_cannot_pass_is_asked_once(error: Exception) -> None:
    request, calls = failing(9, error)
    with pytest.raises(UserError) as caught:
        ask("read it", request)
    assert len(calls) == 1
    assert "tried" not in str(caught.value)


def test_an_upload_whose_last_answer_was_lost_begins_anew() -> None:
    lost = Exception("An error occurred (NoSuchUpload)")
    lost.code = 404  # type: ignore[attr-defined]
    request, calls = failing(1, lost)
    assert ask("write it", request) == "answer"
    assert len(calls) == 2


def test_a_store_that_stays_away_is_given_up_in_time() -> None:
    give_up_after(2)
    request, calls = failing(99, ServerError(503))
    begun = time.monotonic()
    with pytest.raises(UserError, match=r"cannot read it: tried \d times, at last: the store says"):
        ask("read it", request)
    assert time.monotonic() - begun < 4
    assert 3 <= len(calls) <= 8


def test_silence_is_given_up_in_time() -> None:
    give_up_after(2)
    silent, begun = threading.Event(), time.monotonic()
    with pytest.raises(UserError, match=r"no answer within 0\.4 s"):
        ask("read it", lambda: silent.wait(60))
    silent.set()
    assert time.monotonic() - begun < 4


def test_one_silence_does_not_end_it() -> None:
    give_up_after(2)
    silent, calls = threading.Event(), []

    def request() -> str:
        calls.append(1)
        if len(calls) == 1:
            silent.wait(60)
        return "answer"

    assert ask("read it", request) == "answer"
    silent.set()


def test_what_cannot_be_reached_is_told_before_anything_is_built() -> None:
    with pytest.raises(UserError, match="there are gs:// and s3://"):
        check_store("ftp://host/file")
    with pytest.raises(UserError, match="--store_seconds must be above 0"):
        use_options(["--store_seconds=0"])
