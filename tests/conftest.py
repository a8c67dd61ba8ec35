"""What tests of every folder share."""

import contextlib
import logging
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

# No test may reach a model hub; these must be set before any of the libraries is imported.
os.environ.update(HF_HUB_OFFLINE="1", TRANSFORMERS_OFFLINE="1", HF_DATASETS_OFFLINE="1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
# torch's threads must not spin while they wait for each other, since other tests run beside.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

# A job that a shell put into the background ignores Ctrl-C, and so would all that it starts; some
# tests press it.
signal.signal(signal.SIGINT, signal.default_int_handler)

with contextlib.suppress(ModuleNotFoundError):  # the clouds' environment has no hypothesis
    from hypothesis import settings

    settings.register_profile("untimed", deadline=None)  # what is slow on a busy machine is right
    settings.load_profile("untimed")

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(autouse=True)
def _logs() -> Iterator[None]:
    """Let the next test log: a command that was run in this process has silenced Beam's logs."""
    yield
    logging.disable(logging.NOTSET)


@pytest.fixture(scope="session")
def checkout() -> Path:
    """Return the root of the repository; such tests are marked `checkout`."""
    return ROOT


@pytest.fixture(scope="session")
def golden() -> Path:
    """Return the golden dataset folder: written once, opened unchanged by every version."""
    return ROOT / "tests" / "data" / "golden"


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Return the folder of larger test data beside the checkout, or skip."""
    folder = Path(os.environ.get("PAIRSMITH_SHARED", ROOT.parent / "shared")) / "data"
    if not folder.is_dir():
        pytest.skip(f"needs larger test data: no folder {folder}; PAIRSMITH_SHARED names another")
    return folder


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """Return a folder that is a real file system of one MiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)]
    if subprocess.run(command, capture_output=True).returncode:
        pytest.skip("needs to mount tmpfs (CAP_SYS_ADMIN), for a small disk to fill")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)
