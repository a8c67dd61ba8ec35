"""A build reads from and writes to object stores, also to one that fails, and for a while only."""

import hashlib
import json
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from pairsmith.pipelines.build import BuildConfig, build, build_at
from pairsmith.pipelines.recipe import Recipe
from pairsmith.pipelines.recipe.shipped import find_recipe
from pairsmith.pipelines.storage import store_claim
from pairsmith.pipelines.storage.files import put_file, use_options
from pairsmith.pipelines.storage.store_claim import staged
from pairsmith.schemas import Manifest, UserError
from tests.cloud.conftest import Store
from tests.pipelines.corpora import documents, pairsmith, sums, write_jsonl, write_parquet

WHY = "needs other packages: .ci/cloud-test installs them beside the usual ones and runs this"
pytest.importorskip("moto", reason=WHY)
pytest.importorskip("google.cloud.storage", reason=WHY)

RECIPE: Recipe = replace(find_recipe("context"), shards=2)
IN_PLACE = "--runner=BundleBasedDirectRunner"


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("corpus")
    write_parquet(folder / "a.parquet", documents()[:40], row_group=15)
    write_jsonl(folder / "b.jsonl.gz", documents()[40:])
    return folder


@pytest.fixture(scope="module")
def expected(corpus: Path) -> dict[str, str]:
    build(RECIPE, "context", [f"{corpus}/*"], corpus.parent / "expected")
    return sums(corpus.parent / "expected")


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture
def put(store: Store, corpus: Path, tmp_path: Path) -> Callable[..., Manifest]:
    """Return a function that builds from the store to the folder `out` of this test in it."""
    for file in corpus.iterdir():
        store.put(f"corpus/{tmp_path.name}/{file.name}", file.read_bytes())

    def run(*flags: str) -> Manifest:
        where = [f"{store.scheme}://corpus/{tmp_path.name}/*", f"{store.scheme}://{out(tmp_path)}"]
        config = BuildConfig(beam_flags=(*store.flags, *flags))
        return build_at(RECIPE, "context", where[:1], where[1], config)

    return run


def out(tmp_path: Path) -> str:
    return f"pairs/{tmp_path.name}/out"


def stored(store: Store, folder: str) -> dict[str, str]:
    names = [name for name in store.names(folder) if name.startswith("shards/")]
    return {
        name.removeprefix("shards/"): hashlib.sha256(store.get(f"{folder}/{name}")).hexdigest()
        for name in names
    }


@pytest.mark.parametrize("flags", [(IN_PLACE,), ()], ids=["in place", "built here"])
def test_a_build_from_and_to_a_store_gives_the_same_bytes_and_leaves_nothing_else(
    store: Store,
    put: Callable[..., Manifest],
    expected: dict[str, str],
    tmp_path: Path,
    flags: tuple[str, ...],
) -> None:
    manifest = put(*flags)
    assert stored(store, out(tmp_path)) == expected
    files = (*manifest.shards, *manifest.dropped, *manifest.failed)
    left = {"README.md", "manifest.json", *(file.path for file in files)}
    assert set(store.names(out(tmp_path))) == left
    assert json.loads(store.get(f"{out(tmp_path)}/manifest.json"))["digest"] == manifest.digest
    assert b"| context |" in store.get(f"{out(tmp_path)}/README.md")
    assert not list(tmp_path.glob("cache/pairsmith/builds/*"))
    with pytest.raises(UserError, match="already holds a finished dataset"):
        put(*flags)


def test_the_command_builds_on_a_store_with_worker_processes(
    store: Store, corpus: Path, expected: dict[str, str], tmp_path: Path
) -> None:
    if store.scheme == "gs":
        pytest.skip("workers that no flags reach are told of stores alike; tried with s3://")
    url = f"{store.scheme}://{out(tmp_path)}"
    flags = ("--direct_running_mode=multi_processing", *store.flags)
    done = pairsmith(
        *("build", "context", "--shards", 2, "--input", f"{corpus}/*", "--output", url, *flags)
    )
    assert done.returncode == 0, done.stderr
    assert f"dataset: {url}  card: {url}/README.md" in done.stdout
    assert stored(store, out(tmp_path)) == expected


@pytest.mark.parametrize("flags", [(IN_PLACE,), ()], ids=["in place", "built here"])
def test_same_bytes_when_one_request_in_twenty_fails(
    store: Store,
    put: Callable[..., Manifest],
    expected: dict[str, str],
    tmp_path: Path,
    flags: tuple[str, ...],
) -> None:
    store.proxy.fail(0.05)
    put(*flags, "--store_seconds=30")
    asked, failed = store.proxy.requests, store.proxy.failed
    store.proxy.heal()
    assert failed >= 2
    assert asked < 400
    assert stored(store, out(tmp_path)) == expected


@pytest.mark.parametrize("kind", ["503", "stall", "reset"])
def test_a_store_that_stays_away_is_told_in_one_line_and_in_time(
    store: Store, put: Callable[..., Manifest], tmp_path: Path, kind: str
) -> None:
    store.proxy.fail(1.0, (kind,))
    begun = time.monotonic()
    with pytest.raises(UserError, match=r"tried \d times.*--store_seconds") as caught:
        put(IN_PLACE, "--store_seconds=3")
    assert time.monotonic() - begun < 60  # minutes, were it asked again
    assert "\n" not in str(caught.value)
    assert store.proxy.requests < 60


def test_what_is_built_here_is_kept_until_it_is_on_the_store(
    store: Store, put: Callable[..., Manifest], expected: dict[str, str], tmp_path: Path
) -> None:
    store.proxy.fail(1.0, ("503",), only="00001.parquet")
    with pytest.raises(UserError, match=r"cannot write \S+/shards/00001.parquet: tried"):
        put("--store_seconds=5")
    assert "manifest.json" not in store.names(out(tmp_path))
    (wave,) = tmp_path.glob("cache/pairsmith/builds/*/.work/wave-00000.json")
    built = wave.stat().st_mtime_ns
    store.proxy.heal()
    store.proxy.fail(1.0, ("503",), only="UNFINISHED")
    with pytest.raises(UserError, match="UNFINISHED"):
        put("--store_seconds=3")
    assert wave.stat().st_mtime_ns == built
    store.proxy.heal()
    put()
    assert stored(store, out(tmp_path)) == expected
    assert not list(tmp_path.glob("cache/pairsmith/builds/*"))


def test_a_build_that_fails_half_way_can_be_run_again(
    store: Store, put: Callable[..., Manifest], expected: dict[str, str], tmp_path: Path
) -> None:
    store.put(f"{out(tmp_path)}/UNFINISHED", b"killed")
    store.put(f"{out(tmp_path)}/shards/00077.parquet", b"of the killed one")
    put(IN_PLACE)
    assert stored(store, out(tmp_path)) == expected


@pytest.mark.parametrize("flags", [(IN_PLACE,), ()], ids=["in place", "built here"])
def test_a_last_upload_that_is_interrupted_leaves_no_dataset(
    store: Store,
    put: Callable[..., Manifest],
    expected: dict[str, str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    flags: tuple[str, ...],
) -> None:
    def pressed(path: str, data: bytes) -> None:
        put_file(path, data)
        if path.endswith("manifest.json"):
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(store_claim, "put_file", pressed)
        with pytest.raises(KeyboardInterrupt):
            put(*flags)
    assert store.names(out(tmp_path)) == ["UNFINISHED"]
    put(*flags)
    assert stored(store, out(tmp_path)) == expected


def test_a_manifest_that_arrives_when_its_build_was_given_up_is_no_dataset(
    store: Store,
    put: Callable[..., Manifest],
    expected: dict[str, str],
    corpus: Path,
    tmp_path: Path,
) -> None:
    manifest = (corpus.parent / "expected/manifest.json").read_bytes()
    store.put(f"{out(tmp_path)}/UNFINISHED", b"given up")
    store.put(f"{out(tmp_path)}/manifest.json", manifest)
    put(IN_PLACE)
    assert stored(store, out(tmp_path)) == expected
    store.put(f"{out(tmp_path)}/UNFINISHED", b"killed when all was there")
    with pytest.raises(UserError, match="already holds a finished dataset"):
        put(IN_PLACE)
    assert stored(store, out(tmp_path)) == expected


def test_a_job_that_nobody_waits_for_finishes_the_dataset_itself(
    store: Store, put: Callable[..., Manifest], expected: dict[str, str], tmp_path: Path
) -> None:
    assert put(IN_PLACE, "--no_wait_until_finish") is None
    end = time.monotonic() + 120
    while "UNFINISHED" in store.names(out(tmp_path)):
        assert time.monotonic() < end
        time.sleep(0.5)
    assert stored(store, out(tmp_path)) == expected
    folders = {name.split("/")[0] for name in store.names(out(tmp_path))}
    assert folders == {"shards", "README.md", "manifest.json"}
    manifest = Manifest.from_json(store.get(f"{out(tmp_path)}/manifest.json"), "there")
    assert {Path(file.path).name: file.sha256 for file in manifest.shards} == expected


def test_what_is_not_a_builds_own_is_left_alone(
    store: Store, put: Callable[..., Manifest], tmp_path: Path
) -> None:
    store.put(f"{out(tmp_path)}/diary.txt", b"mine")
    with pytest.raises(UserError, match="files of something else"):
        put(IN_PLACE)
    assert store.names(out(tmp_path)) == ["diary.txt"]


def test_a_build_that_is_refused_leaves_what_another_uploads(
    store: Store, put: Callable[..., Manifest], tmp_path: Path
) -> None:
    use_options(store.flags)
    with staged(f"{store.scheme}://{out(tmp_path)}"):
        store.put(f"{out(tmp_path)}/shards/00000.parquet", b"of the one at work")
        with pytest.raises(UserError, match="another build is at work"):
            put()
        assert {*store.names(out(tmp_path))} == {"UNFINISHED", "shards/00000.parquet"}


def test_the_objects_that_consoles_make_for_folders_are_no_files(
    store: Store, put: Callable[..., Manifest], expected: dict[str, str], tmp_path: Path
) -> None:
    store.put(f"corpus/{tmp_path.name}/", b"")
    store.put(f"{out(tmp_path)}/", b"")
    put(IN_PLACE)
    assert stored(store, out(tmp_path)) == expected


def test_a_missing_bucket_is_told_at_once(store: Store, corpus: Path) -> None:
    begun = time.monotonic()
    with pytest.raises(UserError, match="no-such-bucket"):
        build_at(
            *(RECIPE, "context", [f"{corpus}/*"], f"{store.scheme}://no-such-bucket/out"),
            BuildConfig(beam_flags=(IN_PLACE, *store.flags)),
        )
    assert time.monotonic() - begun < 40  # minutes, were it asked again
