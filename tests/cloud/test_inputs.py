"""Input on object stores is known by exact names, sizes and checksums, whatever clocks say."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pairsmith.pipelines.reading.inputs import Input, check_unchanged, plan_inputs
from pairsmith.pipelines.recipe import Documents
from pairsmith.pipelines.refused import RefusedUserError
from pairsmith.pipelines.storage.files import use_options
from pairsmith.pipelines.storage.stores import match, remove
from tests.cloud.conftest import Store

WHY = "needs other packages: .ci/cloud-test installs them beside the usual ones and runs this"
pytest.importorskip("moto", reason=WHY)
pytest.importorskip("google.cloud.storage", reason=WHY)

LINE = b'{"text": "A line of some words."}\n'
ZONES = ("CET-1CEST,M3.5.0,M10.5.0/3", "AEST-10AEDT,M10.1.0,M4.1.0/3")
"""Berlin's and Sydney's: in one of them it is summer."""


@pytest.fixture
def planned(store: Store, tmp_path: Path) -> Callable[..., tuple[Input, ...]]:
    """Return a function that puts files of these names on the store, and plans to read them."""
    use_options(store.flags)

    def run(*names: str) -> tuple[Input, ...]:
        for name in names:
            store.put(f"corpus/{tmp_path.name}/{name}", LINE)
        files = plan_inputs([f"{store.scheme}://corpus/{tmp_path.name}/*"], Documents())
        assert [file.path.rsplit("/", 1)[1] for file in files] == sorted(names)
        return files

    return run


@pytest.fixture
def set_zone(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], None]]:
    def run(zone: str) -> None:
        monkeypatch.setenv("TZ", zone)
        time.tzset()

    yield run
    monkeypatch.undo()
    time.tzset()


def test_an_object_is_the_same_for_a_worker_in_another_time_zone(
    planned: Callable[..., tuple[Input, ...]], set_zone: Callable[[str], None]
) -> None:
    for zone in ZONES:
        set_zone(zone)
        files = planned("a.jsonl")
        set_zone("UTC")
        check_unchanged(files)


def test_an_object_is_the_same_where_lists_tell_more_of_its_time(
    store: Store, planned: Callable[..., tuple[Input, ...]]
) -> None:
    if store.scheme == "gs":
        pytest.skip("Google's store tells the same time everywhere")
    files = planned("a.jsonl")
    listed, looked_up = match(files[0].path.replace("a.j", "*.j")), match(files[0].path)
    assert listed[0].last_updated_in_seconds != looked_up[0].last_updated_in_seconds
    check_unchanged(files)


def test_a_name_may_hold_what_is_special_in_patterns(
    planned: Callable[..., tuple[Input, ...]],
) -> None:
    check_unchanged(planned("a[1].jsonl", "b*.jsonl", "c?.jsonl"))


def test_an_object_that_is_another_or_gone_is_told(
    store: Store, planned: Callable[..., tuple[Input, ...]], tmp_path: Path
) -> None:
    files = planned("a.jsonl", "b.jsonl")
    store.put(f"corpus/{tmp_path.name}/a.jsonl", LINE)  # the same again
    check_unchanged(files)
    store.put(f"corpus/{tmp_path.name}/a.jsonl", LINE.replace(b"some", b"more"))
    with pytest.raises(RefusedUserError, match=r"a\.jsonl changed while it was read"):
        check_unchanged(files)
    remove([files[1].path])
    with pytest.raises(RefusedUserError, match=r"b\.jsonl changed while it was read"):
        check_unchanged(files[1:])
