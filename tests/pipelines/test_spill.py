"""The shuffle through files gives back what went in, however many files it takes."""

import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa

from pairsmith.pipelines.pairing.rejected import rejected_batch
from pairsmith.pipelines.shards.parts import rejected_parts
from pairsmith.pipelines.shards.spill import Spill, Spilled

FILES, SHARDS = 200, 3


@contextmanager
def few_open_files(more: int) -> Iterator[None]:
    """Let this process open only so many more files."""
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    opened = len(os.listdir("/proc/self/fd"))  # noqa: PTH208
    resource.setrlimit(resource.RLIMIT_NOFILE, (opened + more, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)


def test_parts_come_out_of_more_files_than_may_be_open(tmp_path: Path) -> None:
    spill = Spill(tmp_path)
    put = []
    for number in range(FILES):
        names = [f"{number}-{row}" for row in range(9)]
        batch = rejected_batch(9, source_id=pa.array(names), stage="read", reason="blank text")
        for part in rejected_parts("dropped", batch, SHARDS):
            spill.add(part)
        spill.flush()
        put += names
    assert len(list(tmp_path.glob("*.arrow"))) == FILES
    with few_open_files(32):
        spilled = Spilled(tmp_path)
        parts = [part for shard in range(SHARDS) for part in spilled.parts(shard)]
    assert {tag for tag, _ in parts} == {"dropped"}
    found = [name for _, batch in parts for name in batch["source_id"].to_pylist()]
    assert sorted(found) == sorted(put)
