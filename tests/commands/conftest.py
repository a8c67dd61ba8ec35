"""Engines that tests of commands run on."""

import importlib.metadata
import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def prism() -> Path:
    """Return the program of Prism."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    version = importlib.metadata.version("apache-beam")
    kept = cache / "pairsmith" / f"prism-v{version}" / "prism"
    path = Path(os.environ.get("PAIRSMITH_PRISM") or kept)
    if not path.is_file():
        pytest.skip(f"no Prism at {path}: run .ci/prism (needs Go), or set PAIRSMITH_PRISM to one")
    return path
