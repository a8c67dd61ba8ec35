"""A stand-in endpoint, and no key from outside."""

import pytest

from tests.augmenters.rewriting.stand_in import serving


@pytest.fixture(autouse=True)
def _no_key(monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)


@pytest.fixture
def endpoint():
    """Return a stand-in that echoes, until told otherwise."""
    with serving() as server:
        yield server
