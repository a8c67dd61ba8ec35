"""What went wrong on an engine, in one line. Engines wrap what a worker raised, and of that only
the text survives: Python's traceback, often inside Java's."""

import re

from pairsmith.schemas import UserError

_LONGEST = 500
_USER_ERROR = re.compile(r"UserError: (.+?)(?: \[while running|$)", re.MULTILINE)
_WHILE = re.compile(r" \[while running '([^']*)'\]")
_RAISED = re.compile(r"^([A-Za-z_][\w.]*)(?:: (.*))?$")
_JAVA = re.compile(r"^\s+(?:at [\w$.]+|\.\.\. \d+ more)|^Driver stacktrace:")
_JAVA_CAUSE = re.compile(r"Caused by: (?:[\w$]+\.)+([\w$]+(?:Exception|Error)[^\n]*)")
_DIED = re.compile(
    r"SDK worker disconnected|Worker subprocess exited|SDK harness .*(?:exit|disconnect|clos)"
    r"|ExecutorLostFailure|exited before|Process died with exit code|cancelled before receiving",
    re.IGNORECASE,
)
_LOST = re.compile(r"StatusCode\.(?:UNAVAILABLE|CANCELLED|UNKNOWN)|Socket closed|recvmsg")


def mendable(error: Exception) -> str | None:
    """Return the line of a UserError, raised here or on a worker; None when there was none."""
    if isinstance(error, UserError):
        return str(error).rsplit(" [while running", 1)[0]
    found = _USER_ERROR.search(str(error))
    return found[1] if found else None


def cause(error: Exception) -> str:
    """Return the root cause in one line: what a worker raised and where, or how it came to die."""
    text = str(error)
    if raised := _raised_by_python(text):
        return _short(raised)
    if type(error).__name__ == "FutureTimeoutError":
        return "nothing answers at its --job_endpoint"
    first = _short(next((line for line in text.splitlines() if line.strip()), ""))
    if _DIED.search(text):
        return f"a worker process died, most likely for want of memory ({first})"
    if _LOST.search(text):
        details = re.search(r'details = "([^"]*)"', text)
        return f"the connection to the engine was lost ({_short(details[1]) if details else first})"
    if causes := _JAVA_CAUSE.findall(text):
        return _short(causes[-1])
    return f"{type(error).__name__}: {first}"


def _raised_by_python(text: str) -> str | None:
    """Return the exception at the end of the last traceback in the text, with its place."""
    _, found, trace = text.rpartition("Traceback (most recent call last):")
    if not found:
        return None
    lines = [line for line in trace.splitlines() if line.strip() and not _JAVA.match(line)]
    places = [re.search(r'File "([^"]*)", line (\d+)', line) for line in lines]
    ends = [i for i, line in enumerate(lines) if _RAISED.match(line)]
    last = max((i for i, place in enumerate(places) if place), default=-1)
    end = next((i for i in ends if i > last), None)
    if end is None:
        return None
    message = "\n".join(lines[end:]).partition("\nCaused by:")[0]
    step = _WHILE.search(message)
    message = _WHILE.split(message)[0]
    place = places[last]
    where = [f"{place[1].rpartition('/')[2]}:{place[2]}"] if place else []
    where += [f"step {step[1]}"] if step else []
    kind, colon, rest = " ".join(message.split()).partition(": ")
    return f"{kind.rpartition('.')[2]}{colon}{_cut(rest)} ({', '.join(where)})"


def _short(text: str) -> str:
    return _cut(" ".join(text.split()))


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"
