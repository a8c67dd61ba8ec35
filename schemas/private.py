"""What must not be told: secrets anywhere, and in what is kept, whose machine made it.

Logs may name files, which the user has typed or must find; a dataset travels, and may not.
"""

import os
import re
import socket
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

_SHORTEST = 8
"""Characters of a secret; shorter values of such variables are settings such as `true`."""
_WORDS = {"APIKEY", "CREDENTIAL", "CREDENTIALS", "KEY", "PASSWD", "PASSWORD", "PAT", "SAS"}
_WORDS |= {"SECRET", "TOKEN"}
_ASSIGNED = re.compile(
    r"((?:secret|token|passwd|password|api_?key|access_?key(?:_?id)?|connection_?string)"
    r"['\"]?\s*[=:]\s*['\"]?)(?!<)[^\s'\",&;)]+",
    re.IGNORECASE,
)
_BEARER = re.compile(r"(\b(?:bearer|basic)\s+)[\w.~+/=-]{8,}", re.IGNORECASE)
_IN_URL = re.compile(r"(://)[^\s/@'\"]+@")
_FOLDERS = re.compile(r"(?<![\w.:/~>])~?/(?:[^\s/'\"<>|:,;()]+/)+")


def without_secrets(text: str, environment: Mapping[str, str] = os.environ) -> str:
    """Return the text with `<secret>` for what is one.

    Those are the values of environment variables whose names have a word such as KEY, TOKEN or
    PASSWORD, what is assigned to such a name, the user and password in a URL, and bearer tokens.
    """
    values = {
        value
        for name, value in environment.items()
        if len(value) >= _SHORTEST and _WORDS & set(re.split(r"[^A-Z]+", name.upper()))
    }
    for value in sorted(values, key=len, reverse=True):
        text = text.replace(value, "<secret>")
    text = _IN_URL.sub(r"\1<secret>@", text)
    text = _BEARER.sub(r"\1<secret>", text)
    return _ASSIGNED.sub(r"\1<secret>", text)


def without_places(text: str) -> str:
    """Return the text without secrets, without folders before a file's name, and without hosts."""
    text = without_secrets(text)
    for folder in {str(Path.home()), os.path.realpath(Path.home()), os.environ.get("HOME", "")}:
        if len(folder) > 1:
            text = text.replace(f"{folder}/", "").replace(folder, "~")
    text = _FOLDERS.sub("", text)
    host = socket.gethostname()
    for name in {host, host.split(".")[0]}:
        if len(name) > 3 and name != "localhost":
            text = re.sub(rf"(?<![\w-]){re.escape(name)}(?![\w-])", "<host>", text)
    return text


def kept(data: Any, told: Callable[[str], str] = without_places) -> Any:
    """Return JSON data as it may be kept, or with every text of it as `told` returns it."""
    if isinstance(data, str):
        return told(data)
    if isinstance(data, Mapping):
        return {name: kept(value, told) for name, value in data.items()}
    if isinstance(data, list | tuple):
        return [kept(value, told) for value in data]
    return data


def described(error: BaseException) -> str:
    """Return an error's type and text as they may be kept."""
    return without_places(f"{type(error).__name__}: {error}")
