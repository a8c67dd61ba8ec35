"""How functions are compiled: by numba, and kept on disk beside their files until these change."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar, cast

import numba
from xxhash import xxh3_64_hexdigest

F = TypeVar("F", bound=Callable[..., Any])
_KERNEL: Any = {"nogil": True, "cache": True, "error_model": "numpy", "forceinline": True}
_PART: Any = {**_KERNEL, "_nrt": False}
_OTHERS = ("characters", "compiled", "letters", "operations", "plans")


def kernel(function: F) -> F:
    """Return `function`, which makes arrays, compiled at its first call, without the GIL."""
    return _compiled(function, _KERNEL)


def njit(function: F) -> F:
    """Return `function`, which makes no array, compiled and inlined into what calls it.

    Without numba's runtime, which counts up and down, atomically, who holds each array: at every
    call, and at every name that an array gets.
    """
    return _compiled(function, _PART)


def sources() -> list[Path]:
    """Return the files that compiled code is made of: functions and the constants that they use."""
    folder = Path(__file__).parent
    return sorted([*folder.rglob("*kernels.py"), *(folder / f"{name}.py" for name in _OTHERS)])


def _compiled(function: F, options: Any) -> F:
    # numba names what it keeps by the function, and looks only at that function's file to see
    # whether it is stale; but other files are inlined into it.
    function.__qualname__ += _VERSION
    return cast(F, numba.njit(**options)(function))


_VERSION = "_" + xxh3_64_hexdigest(b"".join(path.read_bytes() for path in sources()))
