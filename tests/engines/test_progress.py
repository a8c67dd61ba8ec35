"""Progress on engines whose workers the driver does not hear: they are asked what they counted."""

import json
from pathlib import Path

from pairsmith.schemas import Manifest
from tests.engines.conftest import SHARDS
from tests.engines.runs import run
from tests.engines.test_prism import SEPARATE, flags


def test_counters_of_prism_become_progress(
    tmp_path: Path, prism: Path, corpus: Path, expected: Manifest
) -> None:
    asked = ("--shards", SHARDS, "--log", "json", *flags(prism, SEPARATE))
    done = run("quickstart", corpus, tmp_path / "out", *asked)
    assert done.returncode == 0, done.stderr
    assert done.stdout == ""
    told = [json.loads(line) for line in done.stderr.splitlines()]
    last = [event for event in told if event["event"] == "progress"][-1]
    counts = expected.counts
    assert last["rows"] == counts["sources"]["read"]
    assert last["pairs"] == counts["pairs"]["written"]
    assert last["dropped"] == counts["pairs"]["dropped"]
    assert last["shards"] == SHARDS
    assert told[-1]["event"] == "done"
    assert told[-1]["counts"] == counts
