"""The cache of shards: bounded, shared by processes, whole whatever is killed."""

import fcntl
import multiprocessing
import os
import signal
import time
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from pairsmith.schemas import UserError
from pairsmith.training.streaming.shard_cache import ShardCache, hash_number

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


def test_only_the_caches_own_files_are_counted_and_removed(tmp_path: Path) -> None:
    mine = [tmp_path / name for name in ("thesis.parquet", "notes.part", f"{KEY.format(8)}.txt")]
    for path in mine:
        path.write_bytes(bytes(5000))
        os.utime(path, (1, 1))  # used longer ago than anything else
    (tmp_path / KEY.format(7)).mkdir()
    cache = ShardCache(tmp_path, 3000)
    for number in range(5):
        cache.get(KEY.format(number), lambda: pa.py_buffer(bytes(1000)))
        time.sleep(0.002)
    assert all(path.stat().st_size == 5000 for path in mine)
    assert (tmp_path / KEY.format(7)).is_dir()
    assert [number for number in range(5) if (tmp_path / KEY.format(number)).exists()] == [2, 3, 4]


def test_what_a_killed_process_was_writing_makes_room(tmp_path: Path) -> None:
    cache = ShardCache(tmp_path, 3000)
    other = f"{8:08x}{0:024x}-00000"  # of another lock than all of KEY
    killed, written = (tmp_path / f"{key}.part" for key in (KEY.format(7), other))
    for path in (killed, written):
        path.write_bytes(bytes(1000))
        os.utime(path, (1, 1))
    with (tmp_path / f"lock-{hash_number(other):03d}").open("a") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        for number in range(3):
            cache.get(KEY.format(number), lambda: pa.py_buffer(bytes(1000)))
            time.sleep(0.002)
        assert not killed.exists()
        assert written.exists()  # by who holds its lock
    assert [number for number in range(3) if (tmp_path / KEY.format(number)).exists()] == [1, 2]


def fetch_slowly(folder: Path, told: Any, seconds: float) -> None:
    def fetch() -> pa.Buffer:
        told.put("fetching")
        time.sleep(seconds)
        return pa.py_buffer(b"x" * 5000)

    told.put("begun")
    told.put(len(ShardCache(folder, 10**6).get(KEY.format(1), fetch)))


def test_of_two_processes_one_fetches_and_a_killed_one_leaves_nothing_half(tmp_path: Path) -> None:
    spawned = multiprocessing.get_context("spawn")
    told = spawned.Queue()
    killed = spawned.Process(target=fetch_slowly, args=(tmp_path, told, 100.0))
    killed.start()
    assert [told.get(timeout=60) for _ in range(2)] == ["begun", "fetching"]
    others = [spawned.Process(target=fetch_slowly, args=(tmp_path, told, 0.2)) for _ in range(2)]
    for process in others:
        process.start()
    assert [told.get(timeout=60) for _ in others] == ["begun", "begun"]
    time.sleep(0.2)  # in which they would fetch, if they did not wait for the first
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
