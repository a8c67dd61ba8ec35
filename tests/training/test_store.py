"""Datasets in an object store that fails now and then, and the folder that keeps what was read."""

import multiprocessing
import os
import select
import signal
import socket
import socketserver
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from pairsmith.schemas import UserError, open_dataset, store
from pairsmith.training.corpus import StreamConfig, open_data, open_order
from pairsmith.training.shard_cache import ShardCache
from tests.training.pair_folders import write_dataset
from tests.training.streams import anchors, epoch, numbered


class Line(socketserver.ThreadingTCPServer):
    """Passes connections on to the store; while it is `broken` in so many, it hangs up."""

    daemon_threads = True
    allow_reuse_address = True
    target: tuple[str, int]
    broken = 0
    connections = 0


class Connection(socketserver.BaseRequestHandler):
    server: Line

    def handle(self) -> None:
        self.server.connections += 1
        if self.server.broken > 0:
            self.server.broken -= 1
            return
        with socket.create_connection(self.server.target) as other:
            ends = {self.request: other, other: self.request}
            while True:
                for end in select.select(list(ends), [], [])[0]:
                    data = end.recv(65536)
                    if not data:
                        return
                    ends[end].sendall(data)


@pytest.fixture(scope="module")
def line() -> Iterator[Line]:
    """Return the way to an S3 server of this machine."""
    moto = pytest.importorskip("moto.server")
    server = moto.ThreadedMotoServer(port=0, verbose=False)
    server.start()
    with Line(("127.0.0.1", 0), Connection) as way:
        way.target = server.get_host_and_port()
        threading.Thread(target=way.serve_forever, daemon=True).start()
        yield way
        way.shutdown()
    server.stop()


@pytest.fixture
def url(line: Line, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Return where a dataset of 200 rows lies in the store; `tmp_path / "data"` is its copy."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setattr(store, "FIRST_PAUSE", 0.01)
    folder = write_dataset(tmp_path / "data", numbered(0, 200), shards=2, row_group_rows=20)
    host = f"127.0.0.1:{line.server_address[1]}"
    bucket = f"bucket{abs(hash(tmp_path))}"
    query = f"?endpoint_override={host}&scheme=http&region=us-east-1&allow_bucket_creation=true"
    made = store.open_store(f"s3://{bucket}/some/data{query}")
    made.files.create_dir(bucket)
    for path in folder.rglob("*.*"):
        with made.files.open_output_stream(made.path(str(path.relative_to(folder)))) as stream:
            stream.write(path.read_bytes())
    return f"s3://{bucket}/some/data{query}"


def config(tmp_path: Path, **more: Any) -> StreamConfig:
    return StreamConfig(window=2, shard_cache=tmp_path / "cache", **more)


def test_a_dataset_in_a_store_gives_what_its_local_copy_gives(url: str, tmp_path: Path) -> None:
    there, here = open_data(url), open_data(tmp_path / "data")
    assert there.manifest == here.manifest
    remote, local = (open_order([each], config(tmp_path), 16, 3) for each in (there, here))
    expected = [share.pairs for share in epoch(local)]
    got = [share.pairs for share in epoch(remote, workers=3)]
    assert all(a.equals(b) for a, b in zip(got, expected, strict=True))


def test_a_file_url_is_a_folder(tmp_path: Path) -> None:
    folder = write_dataset(tmp_path / "data", numbered(0, 5))
    assert open_data(f"file://{folder}") == open_dataset(folder)


def test_a_store_that_hangs_up_is_asked_again(url: str, line: Line, tmp_path: Path) -> None:
    order = open_order([open_data(url)], config(tmp_path), 16, 3)
    line.broken = 4
    assert sum(share.pairs.num_rows for share in epoch(order)) == 200
    assert line.broken == 0


def test_a_store_that_is_gone_is_named_after_so_many_attempts(
    url: str, line: Line, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "ATTEMPTS", 2)
    order = open_order([open_data(url)], config(tmp_path), 16, 3)
    line.broken = 10**6
    try:
        with pytest.raises(UserError, match=r"cannot read s3://.*after 2 attempts"):
            epoch(order)
    finally:
        line.broken = 0


def test_what_was_read_is_not_asked_for_again(url: str, line: Line, tmp_path: Path) -> None:
    order = open_order([open_data(url)], config(tmp_path), 16, 3)
    first = [anchors(share) for share in epoch(order)]
    line.broken = 10**6
    try:
        assert [anchors(share) for share in epoch(order)] == first
    finally:
        line.broken = 0


@pytest.mark.parametrize("how", ["missing", "cut", "changed", "absent"])
def test_a_dataset_that_is_not_whole_is_refused(url: str, how: str) -> None:
    place = store.open_store(url)
    name = place.path("shards/part-00001.parquet")
    data = place.read("shards/part-00001.parquet").to_pybytes()
    if how == "missing":
        place.files.delete_file(name)
    elif how == "absent":
        place.files.delete_file(place.path("manifest.json"))
    else:
        changed = data[:-1] if how == "cut" else bytes([data[0]]) + b"?" + data[2:]
        with place.files.open_output_stream(name) as stream:
            stream.write(changed)
    said = {"missing": "is missing", "cut": "bytes, its manifest says", "changed": "sha256"}
    with pytest.raises(UserError, match=said.get(how, "there is no s3://")):
        open_data(url)


def test_a_url_of_an_unknown_kind_is_refused() -> None:
    with pytest.raises(UserError, match="cannot open nowhere://x"):
        open_data("nowhere://x")


KEY = "{:032x}-00000"


def test_the_cache_stays_within_its_size_and_drops_what_was_used_longest_ago(
    tmp_path: Path,
) -> None:
    cache = ShardCache(tmp_path, 3000)
    fetched: list[int] = []

    def get(number: int) -> bytes:
        def fetch() -> pa.Buffer:
            fetched.append(number)
            return pa.py_buffer(bytes([number]) * 1000)

        time.sleep(0.002)  # times of use are told apart
        return cache.get(KEY.format(number), fetch).to_pybytes()  # type: ignore[no-any-return]

    held = cache.get(KEY.format(9), lambda: pa.py_buffer(b"9" * 1000))
    for number in (0, 1, 0, 2, 0, 3):
        assert get(number) == bytes([number]) * 1000
        kept = [path for path in tmp_path.iterdir() if not path.name.startswith("lock-")]
        assert sum(path.stat().st_size for path in kept) <= 3000
    assert fetched == [0, 1, 2, 3]
    get(0)
    assert fetched == [0, 1, 2, 3]
    get(1)
    assert fetched == [0, 1, 2, 3, 1]
    assert held.to_pybytes() == b"9" * 1000


def fetch_slowly(folder: Path, told: Any, seconds: float) -> None:
    def fetch() -> pa.Buffer:
        told.put("fetching")
        time.sleep(seconds)
        return pa.py_buffer(b"x" * 5000)

    told.put(len(ShardCache(folder, 10**6).get(KEY.format(1), fetch)))


def test_of_two_processes_one_fetches_and_a_killed_one_leaves_nothing_half(tmp_path: Path) -> None:
    spawned = multiprocessing.get_context("spawn")
    told = spawned.Queue()
    killed = spawned.Process(target=fetch_slowly, args=(tmp_path, told, 100.0))
    killed.start()
    assert told.get(timeout=60) == "fetching"
    others = [spawned.Process(target=fetch_slowly, args=(tmp_path, told, 0.2)) for _ in range(2)]
    for process in others:
        process.start()
    time.sleep(1)
    assert not [path for path in tmp_path.iterdir() if not path.name.startswith("lock-")]
    os.kill(killed.pid or 0, signal.SIGKILL)
    said = [told.get(timeout=60) for _ in range(3)]
    assert sorted(map(str, said)) == ["5000", "5000", "fetching"]
    for process in (killed, *others):
        process.join(60)


def test_a_cache_that_cannot_be_written_to_is_named(small_disk: Path) -> None:
    cache = ShardCache(small_disk / "cache", 10**9)
    with pytest.raises(UserError, match=r"No space left.*choose another --shard-cache"):
        cache.get(KEY.format(1), lambda: pa.py_buffer(bytes(2 << 20)))
