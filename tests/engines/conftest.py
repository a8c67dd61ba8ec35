"""Engines that tests run on: found here, or the test is skipped with what to do about it."""

import importlib.metadata
import os
import shutil
from pathlib import Path

import pytest

from pairsmith.schemas import Manifest
from tests.engines.runs import built
from tests.pipelines.corpora import documents, write_parquet

SHARDS = 5


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


@pytest.fixture(scope="session")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a Parquet file that is read in nine splits, with copies in several of them."""
    rows = [*documents(), *documents()[::7]]
    return write_parquet(tmp_path_factory.mktemp("corpus") / "all.parquet", rows, row_group=8)


@pytest.fixture(scope="session")
def expected(corpus: Path) -> Manifest:
    """Return the manifest, with all sums and counts, of a build on this machine."""
    return built("quickstart", corpus, corpus.parent / "expected", "--shards", SHARDS)


@pytest.fixture
def recipes(tmp_path: Path) -> Path:
    """Return a file of recipes in a folder that is no package."""
    (tmp_path / "recipes").mkdir()
    copied = shutil.copy(Path(__file__).with_name("own_recipes.py"), tmp_path / "recipes/mine.py")
    return Path(copied)


@pytest.fixture(scope="session")
def loud(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Manifest:
    """Return the manifest of a recipe of one's own, built without an engine."""
    path = tmp_path_factory.mktemp("recipes") / "mine.py"
    shutil.copy(Path(__file__).with_name("own_recipes.py"), path)
    return built(f"{path}:loud", corpus, path.with_name("out"))
