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
from pairsmith.training.losses.config import LossConfig
from pairsmith.training.plan import plan
from pairsmith.training.settings import change
from pairsmith.training.train import train
from tests.training.pair_folders import paired_sentences, write_dataset

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


@pytest.mark.parametrize(
    ("loss", "column"), [("supcon", "label"), ("cosine", "similarity"), ("cosent", "similarity")]
)
def test_a_loss_without_the_column_that_it_learns_from_is_refused(
    tmp_path: Path, dataset: Path, tokenizer_file: Path, loss: str, column: str
) -> None:
    config = make_config(
        (dataset,), tmp_path / "model", model=f"static:{tokenizer_file}:8", loss=loss
    )
    for work in (train, plan):
        with pytest.raises(UserError, match=f"no pair has a {column}, .* --loss {loss}") as caught:
            work(config)
        assert "\n" not in str(caught.value)
    assert not list(tmp_path.iterdir())
    # One pair that has it, in the last of all row groups, is enough.
    rows = [dict(row) for row in paired_sentences(40)]
    rows[-1][column] = {"label": "one", "similarity": 0.5}[column]
    some = write_dataset(tmp_path / "some", rows, row_group_rows=8)
    assert plan(change(config, data=(str(some),), batch_size=8)).rows == 40
    # Of losses for single datasets, each is for its own.
    other, mine = LossConfig(), LossConfig(loss=loss)  # type: ignore[arg-type]
    single = change(config, data=(str(dataset), str(some)), batches="single", batch_size=8)
    assert plan(replace(single, loss=other, losses=(other, mine))).rows == 640
    with pytest.raises(UserError, match=f"pairs: no pair has a {column}"):
        plan(replace(single, loss=other, losses=(mine, other)))


def test_a_margin_where_no_pair_has_a_negative_is_refused(
    tmp_path: Path, dataset: Path, tokenizer_file: Path
) -> None:
    config = make_config(
        (dataset,), tmp_path / "model", model=f"static:{tokenizer_file}:8", bidirectional=1.0
    )
    for work in (train, plan):
        with pytest.raises(UserError, match="no pair has a negative, which --bid") as caught:
            work(config)
        assert "\n" not in str(caught.value)
    assert not list(tmp_path.iterdir())
    rows = [dict(row) for row in paired_sentences(40)]
    rows[-1]["negatives"] = ["a ship"]  # one pair, in the last of all row groups, is enough
    some = write_dataset(tmp_path / "some", rows, row_group_rows=8)
    assert plan(change(config, data=(str(some),), batch_size=8)).rows == 40
