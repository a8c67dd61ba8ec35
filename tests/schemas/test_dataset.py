"""A reader trusts a dataset only when its manifest and its files agree."""

import dataclasses
import shutil

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pairsmith.schemas import (
    PAIRS,
    SCHEMA_VERSION,
    Manifest,
    UserError,
    open_dataset,
    problems,
    read_manifest,
)
from pairsmith.schemas.dataset import sha256_file

SHARD = "shards/00000-of-00002.parquet"


@pytest.fixture
def folder(golden, tmp_path):
    return shutil.copytree(golden, tmp_path / "dataset")


def refusal(folder, **options):
    with pytest.raises(UserError) as caught:
        open_dataset(folder, **options)
    message = str(caught.value)
    assert "\n" not in message
    return message


def sealed(folder, **changes):
    """Write the manifest anew with some fields changed, its digest correct."""
    file = folder / "manifest.json"
    manifest = Manifest.from_json(file.read_text("utf-8"), str(file))
    file.write_text(dataclasses.replace(manifest, **changes).to_json(), "utf-8")


def listed(folder, path=SHARD, **changes):
    """Return the manifest's shards, the first as it now is on disk."""
    shards = open_manifest(folder).shards
    now = folder / path
    sums = {"bytes": now.stat().st_size, "sha256": sha256_file(now), "path": path}
    return (dataclasses.replace(shards[0], **sums | changes), *shards[1:])


def open_manifest(folder):
    return Manifest.from_json((folder / "manifest.json").read_text("utf-8"), "")


def rewrite(folder, table):
    """Replace the first shard by `table` and list it correctly."""
    pq.write_table(table, folder / SHARD)
    sealed(folder, shards=listed(folder, rows=table.num_rows))


def test_a_finished_dataset_opens(golden):
    dataset = open_dataset(golden)
    assert dataset.rows == 10
    assert [path.name for path in dataset.shards] == [
        "00000-of-00002.parquet",
        "00001-of-00002.parquet",
    ]
    assert list(problems(dataset)) == []


def test_a_dataset_opens_from_a_string_and_reads_some_columns(golden):
    table = open_dataset(str(golden)).read(["anchor", "positive"])
    assert table.column_names == ["anchor", "positive"]
    assert table.num_rows == 10


def test_a_dataset_without_pairs_opens_and_reads_as_an_empty_table(folder):
    shutil.rmtree(folder / "shards")
    sealed(folder, shards=())
    dataset = open_dataset(folder)
    assert dataset.rows == 0
    assert dataset.read().schema.equals(PAIRS)
    assert dataset.read(["anchor"]).column_names == ["anchor"]


def test_a_folder_that_is_not_there_is_refused(tmp_path):
    assert f"no dataset at {tmp_path / 'nowhere'}" in refusal(tmp_path / "nowhere")


def test_a_file_in_place_of_the_folder_is_refused(golden):
    assert "it is a file" in refusal(golden / "manifest.json")


def test_a_part_of_a_dataset_is_refused_with_a_hint(golden):
    assert "name the folder that it lies in" in refusal(golden / "shards")


def test_a_folder_without_a_manifest_is_refused_as_not_finished(folder):
    (folder / "manifest.json").unlink()
    message = refusal(folder)
    assert "has no manifest.json: the build did not finish" in message
    assert "run the same `pairsmith build` again" in message


@pytest.mark.parametrize("text", [b"", b"not JSON", b"[1, 2]", b"\xff\xfe"])
def test_a_manifest_that_is_not_one_is_refused(folder, text):
    (folder / "manifest.json").write_bytes(text)
    assert f"{folder / 'manifest.json'} is not a pairsmith manifest" in refusal(folder)


def test_an_edited_manifest_is_refused(folder):
    file = folder / "manifest.json"
    file.write_text(file.read_text("utf-8").replace('"seed": 17', '"seed": 18'), "utf-8")
    assert f"{file} was changed after it was written" in refusal(folder)


def test_a_manifest_of_a_newer_schema_version_is_refused(folder):
    sealed(folder, schema_version=SCHEMA_VERSION + 1)
    message = refusal(folder)
    assert f"has schema version {SCHEMA_VERSION + 1}, this pairsmith reads up to" in message
    assert "upgrade pairsmith" in message


def test_one_changed_byte_is_refused(folder):
    path = folder / SHARD
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    assert f"{path} differs from its sha256 in the manifest" in refusal(folder)


def test_without_checksums_a_changed_byte_passes_and_a_cut_file_does_not(folder):
    path = folder / SHARD
    data = bytearray(path.read_bytes())
    data[10] ^= 1
    path.write_bytes(data)
    assert open_dataset(folder, checksums=False).rows == 10
    path.write_bytes(data[:-1])
    assert f"has {len(data) - 1:,} bytes, its manifest says" in refusal(folder, checksums=False)


@pytest.mark.parametrize("kept", [0, 1, 4000])
def test_a_cut_shard_is_refused(folder, kept):
    path = folder / SHARD
    path.write_bytes(path.read_bytes()[:kept])
    assert f"{path} has {kept:,} bytes, its manifest says" in refusal(folder)


@pytest.mark.parametrize("part", ["shards", "dropped", "failed"])
def test_a_missing_file_is_refused(folder, part):
    path = next((folder / part).iterdir())
    path.unlink()
    assert f"{path} is missing" in refusal(folder)


@pytest.mark.parametrize("part", ["shards", "dropped", "failed"])
def test_an_added_file_is_refused(folder, part):
    added = folder / part / "00009-of-00002.parquet"
    shutil.copy(folder / SHARD, added)
    assert f"{added} is not in the manifest" in refusal(folder)


def test_files_beside_the_three_folders_are_no_part_of_the_dataset(folder):
    (folder / "README.md").write_text("a card")
    assert open_dataset(folder).rows == 10


@pytest.mark.parametrize("outside", ["../stray.parquet", "shards/../../stray.parquet"])
def test_a_path_that_leaves_the_folder_is_refused(folder, outside):
    shutil.copy(folder / SHARD, folder.parent / "stray.parquet")
    sealed(folder, shards=listed(folder, outside))
    assert f"{outside} lies outside {folder}" in refusal(folder)


def test_an_absolute_path_is_refused(folder):
    path = str(folder / SHARD)
    sealed(folder, shards=listed(folder, path))
    assert f"{path} lies outside {folder}" in refusal(folder)


def test_a_dataset_whose_files_are_links_opens(folder, golden):
    # Download caches keep the bytes elsewhere, named by their hash.
    (folder / SHARD).unlink()
    (folder / SHARD).symlink_to(golden / SHARD)
    assert open_dataset(folder).rows == 10


def test_a_shard_of_a_newer_schema_version_is_refused(folder):
    table = pq.read_table(folder / SHARD)
    version = str(SCHEMA_VERSION + 1).encode()
    rewrite(folder, table.replace_schema_metadata({b"pairsmith.schema_version": version}))
    message = refusal(folder)
    assert f"has schema version {SCHEMA_VERSION + 1}, this pairsmith reads up to" in message


@pytest.mark.parametrize(
    "change",
    [
        lambda table: table.drop_columns("weight"),
        lambda table: table.append_column("extra", table["unit"]),
        lambda table: table.set_column(6, "unit", table["unit"].cast(pa.int64())),
    ],
    ids=["lacks a column", "has one more", "has another type"],
)
def test_a_shard_with_other_columns_is_refused(folder, change):
    rewrite(folder, change(pq.read_table(folder / SHARD)))
    assert "does not have the columns of schema version" in refusal(folder)


def test_a_shard_with_another_number_of_rows_is_refused(folder):
    sealed(folder, shards=listed(folder, rows=5))
    assert "has 4 rows, its manifest says 5" in refusal(folder)


def test_a_shard_that_is_not_parquet_is_refused(folder):
    (folder / SHARD).write_text("not Parquet")
    sealed(folder, shards=listed(folder))
    assert "is not readable Parquet" in refusal(folder)


def test_every_problem_is_named_not_only_the_first(folder):
    first, second = open_dataset(folder).shards
    stray = open_manifest(folder).failed[0]
    sealed(folder, failed=(dataclasses.replace(stray, path="../stray"),))
    data = bytearray(first.read_bytes())
    data[100] ^= 1
    first.write_bytes(data)
    second.write_bytes(second.read_bytes()[:-1])
    shutil.rmtree(folder / "dropped")
    found = list(problems(read_manifest(folder)))
    assert all("\n" not in line for line in found)
    assert [line.split(" ", 1)[1] for line in found if "bytes" not in line] == [
        "differs from its sha256 in the manifest",
        "is missing",
        f"lies outside {folder}",
        "is not in the manifest",
    ]
    assert len(found) == 5
