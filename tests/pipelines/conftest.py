"""What tests of whole builds share."""

from collections.abc import Iterator

import pytest

from tests.pipelines.forked import Forks


@pytest.fixture(scope="session")
def forks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Forks]:
    """Return what runs builds without loading what they need each time."""
    process = Forks(tmp_path_factory.mktemp("temporary"))
    yield process
    process.close()
