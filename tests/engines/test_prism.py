"""Builds on Prism, with the workers in the command's own process and in one of their own."""

from pathlib import Path

import pytest

from pairsmith.schemas import Manifest
from tests.engines.conftest import SHARDS
from tests.engines.runs import built

SEPARATE = "--experiments=use_loopback_process_worker"
WORKERS = {"loopback": (), "process": (SEPARATE,)}


def flags(prism: Path, *more: str) -> tuple[str, ...]:
    """Return the flags for a Prism of the build's own."""
    own = "--experiments=disable_prism_server_singleton"
    return ("--runner=PrismRunner", f"--prism_location={prism}", own, *more)


@pytest.mark.parametrize("workers", WORKERS.values(), ids=WORKERS)
def test_same_bytes_and_books_as_without_an_engine(
    tmp_path: Path, prism: Path, corpus: Path, expected: Manifest, workers: tuple[str, ...]
) -> None:
    prism_flags = flags(prism, *workers)
    made = built("quickstart", corpus, tmp_path / "out", "--shards", SHARDS, *prism_flags)
    assert made.shards == expected.shards
    assert made == expected
    assert made.counts["sources"]["dropped"] > 0
