"""A wheel of the checkout, and empty environments to put it in."""

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import uv


def _run(*command: str | Path, **options: object) -> subprocess.CompletedProcess[str]:
    """Run a command away from the checkout, in an environment without its settings."""
    env = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "VIRTUAL_ENV")}
    return subprocess.run(command, env=env, capture_output=True, text=True, check=False, **options)


@pytest.fixture(scope="session")
def run() -> Callable[..., subprocess.CompletedProcess[str]]:
    """Return a function that runs a command and returns its output and exit code."""
    return _run


@pytest.fixture(scope="session")
def wheel(checkout: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the wheel, built from the sdist."""
    folder = tmp_path_factory.mktemp("dist")
    built = _run(uv.find_uv_bin(), "build", "--out-dir", folder, checkout)
    assert built.returncode == 0, built.stderr
    return next(folder.glob("*.whl"))


@pytest.fixture(scope="session")
def environment(
    checkout: Path, wheel: Path, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], Path]:
    """Return a function that makes an environment with the wheel and one extra; its bin folder."""

    def make(extra: str) -> Path:
        folder = tmp_path_factory.mktemp("environment")
        install = ["--python", folder, "--constraints", checkout / "constraints.txt"]
        for command in (
            ["venv", "--clear", folder],
            ["pip", "install", *install, f"{wheel}[{extra}]" if extra else wheel],
        ):
            made = _run(uv.find_uv_bin(), *command)
            assert made.returncode == 0, made.stderr
        return folder / "bin"

    return make
