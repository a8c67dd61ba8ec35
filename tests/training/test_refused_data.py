"""Datasets that are not what their manifest says are refused before anything is written."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from pairsmith.schemas import SCHEMA_VERSION, Manifest, UserError
from pairsmith.schemas.dataset import sha256_file
from pairsmith.schemas.pair import VERSION_KEY
from pairsmith.training.config import make_config
from pairsmith.training.train import train

NEWER = SCHEMA_VERSION + 1


def unfinished(data: Path) -> None:
    (data / "manifest.json").unlink()


def one_shard_short(data: Path) -> None:
    next((data / "shards").iterdir()).unlink()


def one_shard_more(data: Path) -> None:
    shard = next((data / "shards").iterdir())
    shutil.copy(shard, shard.with_name("part-99999.parquet"))


def one_bit_flipped(data: Path) -> None:
    shard = next((data / "shards").iterdir())
    found = bytearray(shard.read_bytes())
    found[len(found) // 3] ^= 1
    shard.write_bytes(found)


def of_a_newer_manifest(data: Path) -> None:
    file = data / "manifest.json"
    manifest = json.loads(file.read_text())
    manifest["schema_version"] = NEWER
    file.write_text(json.dumps(manifest))


def of_newer_shards(data: Path) -> None:
    """Write shards of a newer schema, and sums that fit them."""
    file = data / "manifest.json"
    manifest, shards = Manifest.from_json(file.read_bytes(), str(file)), []
    for listed in manifest.shards:
        path = data / listed.path
        table = pq.read_table(path)
        metadata = {**(table.schema.metadata or {}), VERSION_KEY: str(NEWER).encode()}
        pq.write_table(table.replace_schema_metadata(metadata), path)
        size = path.stat().st_size
        shards.append(replace(listed, bytes=size, sha256=sha256_file(path)))
    file.write_text(replace(manifest, shards=tuple(shards)).to_json())


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (unfinished, "the build did not finish"),
        (one_shard_short, "is missing"),
        (one_shard_more, "is not in the manifest"),
        (one_bit_flipped, "differs from its sha256"),
        (of_a_newer_manifest, "version"),
        (of_newer_shards, f"schema version {NEWER}, this pairsmith reads up to {SCHEMA_VERSION}"),
    ],
)
def test_data_that_is_not_what_was_built_is_refused(
    tmp_path: Path,
    dataset: Path,
    tokenizer_file: Path,
    spoil: Callable[[Path], None],
    message: str,
) -> None:
    data = tmp_path / "data"
    shutil.copytree(dataset, data)
    spoil(data)
    config = make_config((dataset, data), tmp_path / "model", model=f"static:{tokenizer_file}:8")
    with pytest.raises(UserError, match=message) as caught:
        train(config)
    assert "\n" not in str(caught.value)
    assert [path.name for path in tmp_path.iterdir()] == ["data"]
