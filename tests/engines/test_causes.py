"""What an engine says of a failure, in one line; the texts are shaped as engines shape theirs."""

import pytest

from pairsmith.pipelines.engines.causes import cause, mendable
from pairsmith.schemas import UserError

PYTHON = """Traceback (most recent call last):
  File "/venv/lib/apache_beam/runners/worker/sdk_worker.py", line 312, in _execute
    response = task()
               ^^^^^^
  File "/home/me/mine.py", line 23, in setup
    raise RuntimeError("no weights")
RuntimeError: no weights

During handling of the above exception, another exception occurred:

Traceback (most recent call last):
  File "/venv/lib/apache_beam/runners/common.py", line 1500, in process
    return self.do_fn_invoker.invoke_process(windowed_value)
  File "/home/me/mine.py", line 23, in setup
    raise RuntimeError("no weights")
RuntimeError: no weights
for you [while running 'Build/FillShards']
"""
JAVA = (
    "org.apache.spark.SparkException: Job aborted due to stage failure: Task 0 in stage 9.0 failed "
    "4 times, most recent failure: Lost task 0.3 in stage 9.0 (TID 41) (10.0.0.7 executor 1): "
    "java.util.concurrent.ExecutionException: java.lang.RuntimeException: Error received from SDK "
    "harness for instruction 12: " + PYTHON + "\n"
    "\tat java.base/java.util.concurrent.CompletableFuture.reportGet(CompletableFuture.java:396)\n"
    "\tat org.apache.beam.sdk.util.MoreFutures.get(MoreFutures.java:59)\n"
    "Caused by: java.lang.RuntimeException: Error received from SDK harness\n"
    "\t... 3 more\n\nDriver stacktrace:"
)
GRPC = """<_MultiThreadedRendezvous of RPC that terminated with:
\tstatus = StatusCode.UNAVAILABLE
\tdetails = "Socket closed"
\tdebug_error_string = "UNKNOWN:Error received from peer {grpc_status:14}"
>"""


class FutureTimeoutError(Exception):
    """Stands for grpc's, which has no text."""


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (RuntimeError(PYTHON), "RuntimeError: no weights for you (mine.py:23, step Build/Fill"),
        (
            RuntimeError(JAVA),
            "RuntimeError: no weights for you (mine.py:23, step Build/FillShards)",
        ),
        (RuntimeError(GRPC), "the connection to the engine was lost (Socket closed)"),
        (
            RuntimeError("bundle inst012 failed:SDK worker disconnected: worker[x], 1 active"),
            "a worker process died, most likely for want of memory (bundle inst012 failed",
        ),
        (
            RuntimeError(
                "java.lang.X: y\n\tat a.b(C.java:1)\nCaused by: java.io.IOException: disk"
            ),
            "IOException: disk",
        ),
        (FutureTimeoutError(), "nothing answers at its --job_endpoint"),
        (ValueError("such a\nthing"), "ValueError: such a"),
        (RuntimeError(), "RuntimeError: "),
        (RuntimeError("Traceback (most recent call last):\n  cut off"), "RuntimeError: Traceback"),
    ],
)
def test_the_root_cause_is_one_line(error: Exception, expected: str) -> None:
    line = cause(error)
    assert line.startswith(expected)
    assert "\n" not in line
    assert len(line) < 700


def test_a_message_without_end_is_cut() -> None:
    assert len(cause(ValueError("x" * 5_000_000))) < 600


def test_what_the_user_can_mend_is_found_in_what_the_engine_says() -> None:
    raised = PYTHON.replace("RuntimeError", "pairsmith.schemas.errors.UserError")
    assert mendable(RuntimeError(raised.replace("\nfor you", ""))) == "no weights"
    told = "Error received from SDK harness: " + raised.replace("\nfor you", " (Java)")
    assert mendable(RuntimeError(told)) == "no weights"
    assert mendable(UserError("this [while running 'X']")) == "this"
    assert mendable(RuntimeError(PYTHON)) is None
