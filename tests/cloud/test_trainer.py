"""The trainer reads, from object stores, what builds put there."""

from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path
from urllib.parse import quote

import pytest

from pairsmith.pipelines.build import BuildConfig, build_at
from pairsmith.pipelines.recipe.shipped import find_recipe
from pairsmith.training.streaming.corpus import StreamConfig, open_data, open_order
from tests.cloud.conftest import Store
from tests.pipelines.corpora import documents, write_parquet
from tests.training.streams import anchors, epoch

WHY = "needs other packages: .ci/cloud-test installs them beside the usual ones and runs this"
pytest.importorskip("moto", reason=WHY)
pytest.importorskip("google.cloud.storage", reason=WHY)


def read(location: str, cache: Path) -> list[list[str]]:
    """Return the anchors of all batches of an epoch."""
    config = StreamConfig(window=2, shard_cache=cache)
    order = open_order([open_data(location)], config, 16, 3)
    return [anchors(share) for share in epoch(order, workers=2)]


@pytest.mark.parametrize("failing", [0.0, 0.05])
def test_an_epoch_from_a_store_is_that_of_the_folder(
    store: Store, tmp_path: Path, failing: float
) -> None:
    recipe = replace(find_recipe("context"), shards=2)
    corpus = str(write_parquet(tmp_path / "in.parquet", documents()))
    build_at(recipe, "context", [corpus], str(tmp_path / "out"))
    place = f"pairs/{tmp_path.name}"
    config = BuildConfig(beam_flags=store.flags)
    build_at(recipe, "context", [corpus], f"{store.scheme}://{place}", config)
    store.proxy.fail(failing, ("503", "reset"))
    # In its own process: pyarrow's size() of a gs:// file lets no other thread work, nor the proxy.
    with ProcessPoolExecutor(1, get_context("spawn")) as other:
        got = other.submit(read, url(store, place), tmp_path / "cache").result(120)
    expected = read(str(tmp_path / "out"), tmp_path / "unused")
    assert len(got) > 30
    assert got == expected


def url(store: Store, place: str) -> str:
    """Return how pyarrow is told of a place in the stand-in."""
    host = quote(store.proxy.url.removeprefix("http://"), safe="")
    nobody = "anonymous@" if store.scheme == "gs" else ""
    return f"{store.scheme}://{nobody}{place}?scheme=http&endpoint_override={host}"
