"""Kept ids: aligned with the shards, whole or absent, refused when stale, made once."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tokenizers import Tokenizer, models, processors

from pairsmith.commands.train import parse
from pairsmith.schemas import Dataset, UserError, open_dataset, read_manifest, text_hashes
from pairsmith.schemas.dataset import sha256_file
from pairsmith.training.collate import hard_negatives
from pairsmith.training.streaming.corpus import StreamConfig
from pairsmith.training.tokens import build as token_build
from pairsmith.training.tokens.build import token_cache
from pairsmith.training.tokens.cache import (
    TokenCache,
    TokenConfig,
    open_tokens,
    token_folder,
    tokenizer_digest,
)
from pairsmith.training.tokens.ids import from_bytes, ids_of_pairs
from pairsmith.training.tokens.kept import Kept, open_tokens_of
from pairsmith.training.tokens.work import Run, working
from tests.training.pair_folders import paired_sentences, sentences, write_dataset


def rows(count: int, seed: int = 0) -> list[dict[str, Any]]:
    """Return pairs with 0 to 3 negatives, some of which are the same in another form."""
    others = sentences(count * 3, seed + 1)
    others[2::5] = ["Ünder  die，Brücke…"] * len(others[2::5])
    return [
        {**row, "negatives": others[number * 3 : number * 3 + number % 4]}
        for number, row in enumerate(paired_sentences(count, seed))
    ]


@pytest.fixture
def tokenizer(tokenizer_file: Path) -> Tokenizer:
    return Tokenizer.from_file(str(tokenizer_file))


@pytest.fixture
def pairs(tmp_path: Path) -> Dataset:
    return open_dataset(write_dataset(tmp_path / "d", rows(100), shards=3, row_group_rows=10))


def check(dataset: Dataset, cache: TokenCache, tokenizer: Tokenizer) -> None:
    """Compare every row group of the cache with the shard's texts, cut by the library."""

    def cut(texts: list[str]) -> list[list[int]]:
        return [e.ids for e in tokenizer.encode_batch(texts, add_special_tokens=False)]

    for shard, path in enumerate(dataset.shards):
        with pq.ParquetFile(path) as file:
            for group in range(file.num_row_groups):
                texts = file.read_row_group(group)
                ids = cache.read(shard, group, negatives=True)
                assert ids.num_rows == texts.num_rows
                for name in ("anchor", "positive"):
                    found = from_bytes(ids[f"{name}_ids"].chunks, cache.width)
                    assert found.lists() == cut(texts[name].to_pylist())
                negatives = texts["negatives"].to_pylist()
                lists = ids["negatives_ids"].combine_chunks()
                assert lists.value_lengths().to_pylist() == list(map(len, negatives))
                flat = [text for row in negatives for text in row]
                assert from_bytes([lists.flatten()], cache.width).lists() == cut(flat)
                hashes = ids["negatives_hash"].combine_chunks()
                assert hashes.value_lengths().to_pylist() == list(map(len, negatives))
                expected = text_hashes(pa.array(flat)).tolist() if flat else []
                assert hashes.flatten().to_pylist() == expected


def test_row_groups_hold_the_ids_of_the_shards_row_groups(
    pairs: Dataset, tokenizer: Tokenizer
) -> None:
    cache = token_cache(pairs, tokenizer)
    check(pairs, cache, tokenizer)
    assert cache.root.parent == pairs.root / "tokens"
    assert [part.rows for part in cache.parts] == [s.rows for s in pairs.manifest.shards]
    assert cache.width == 2
    assert open_tokens(pairs, tokenizer) == cache
    open_dataset(pairs.root)  # the dataset is still as its manifest has it


def test_worker_processes_make_the_same_bytes(
    pairs: Dataset, tokenizer: Tokenizer, tmp_path: Path
) -> None:
    one, two = (token_cache(pairs, tokenizer, tmp_path / str(n), workers=n) for n in (1, 2))
    for part in one.parts:
        assert (one.root / part.path).read_bytes() == (two.root / part.path).read_bytes()


def test_large_vocabularies_take_four_bytes(pairs: Dataset) -> None:
    vocabulary = {f"w{number}": number for number in range(70_000)} | {"[UNK]": 70_000}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    cache = token_cache(pairs, tokenizer)
    assert cache.width == 4
    check(pairs, cache, tokenizer)


def test_rows_without_negatives_and_empty_row_groups_keep_their_places(
    tmp_path: Path, tokenizer: Tokenizer
) -> None:
    folder = write_dataset(tmp_path / "d", paired_sentences(6))
    path = folder / "shards" / "part-00000.parquet"
    table = pq.read_table(path)
    with pq.ParquetWriter(path, table.schema) as writer:
        for start, count in ((0, 2), (0, 0), (2, 4)):
            writer.write_table(table.slice(start, count))
    manifest = read_manifest(folder).manifest
    (shard,) = manifest.shards
    shards = (replace(shard, sha256=sha256_file(path)),)
    dataset = Dataset(folder, replace(manifest, shards=shards))
    check(dataset, token_cache(dataset, tokenizer), tokenizer)


def test_a_shard_without_rows_has_an_empty_part(tmp_path: Path, tokenizer: Tokenizer) -> None:
    dataset = open_dataset(write_dataset(tmp_path / "d", paired_sentences(1), shards=2))
    cache = token_cache(dataset, tokenizer)
    assert [(part.rows, part.tokens > 0) for part in cache.parts] == [(1, True), (0, False)]


def test_what_is_there_is_not_made_again(pairs: Dataset, tokenizer: Tokenizer) -> None:
    cache = token_cache(pairs, tokenizer)
    times = [(cache.root / part.path).stat().st_mtime_ns for part in cache.parts]
    (cache.root / "manifest.json").unlink()
    (cache.root / cache.parts[1].path).unlink()
    again = token_cache(pairs, tokenizer)
    later = [(cache.root / part.path).stat().st_mtime_ns for part in again.parts]
    assert again == cache
    assert [a == b for a, b in zip(times, later, strict=True)] == [True, False, True]


def test_ids_of_other_shards_are_refused_and_made_anew(
    tmp_path: Path, tokenizer: Tokenizer
) -> None:
    folder = tmp_path / "d"
    old = open_dataset(write_dataset(folder, rows(30), shards=3))
    cache = token_cache(old, tokenizer)
    for path in folder.glob("shards/*"):
        path.unlink()
    (folder / "shards").rmdir()
    new = open_dataset(write_dataset(folder, rows(30, seed=5), shards=2))
    with pytest.raises(UserError, match="holds ids of other shards"):
        open_tokens(new, tokenizer)
    check(new, token_cache(new, tokenizer), tokenizer)
    assert len(list(cache.root.glob("*.parquet"))) == 2
    with pytest.raises(UserError, match="was replaced meanwhile"):
        cache.read(0, 0)


def test_tokenizers_that_cut_alike_share_ids_and_others_do_not(tokenizer: Tokenizer) -> None:
    digest = tokenizer_digest(tokenizer)
    tokenizer.enable_truncation(7)
    tokenizer.enable_padding(length=9)
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    assert tokenizer_digest(tokenizer) == digest
    tokenizer.add_tokens(["committee"])
    other = tokenizer_digest(tokenizer)
    tokenizer.encode_special_tokens = True
    assert len({digest, other, tokenizer_digest(tokenizer)}) == 3


def test_a_tokenizer_that_draws_is_refused(pairs: Dataset) -> None:
    with pytest.raises(UserError, match="cuts texts at random"):
        token_cache(pairs, Tokenizer(models.BPE(dropout=0.1)))


@pytest.mark.parametrize("size", [0.5, 1.0])
def test_a_damaged_part_is_refused(pairs: Dataset, tokenizer: Tokenizer, size: float) -> None:
    cache = token_cache(pairs, tokenizer)
    path = cache.root / cache.parts[0].path
    data = bytearray(path.read_bytes())
    data[60] ^= 255  # inside the first page
    path.write_bytes(data[: int(len(data) * size)])
    if size < 1:
        with pytest.raises(UserError, match="is missing or cut off"):
            open_tokens(pairs, tokenizer)
    with pytest.raises(UserError, match="cannot be read any more"):
        cache.read(0, 0)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"parts": [{"path": "x"}]}'])
def test_a_damaged_manifest_is_refused_and_made_anew(
    pairs: Dataset, tokenizer: Tokenizer, text: str
) -> None:
    cache = token_cache(pairs, tokenizer)
    (cache.root / "manifest.json").write_text(text, "utf-8")
    with pytest.raises(UserError, match="is damaged"):
        open_tokens(pairs, tokenizer)
    assert token_cache(pairs, tokenizer) == cache


def test_no_kept_ids_are_named(pairs: Dataset, tokenizer: Tokenizer) -> None:
    with pytest.raises(UserError, match="no ids were kept; make them anew with --token-cache True"):
        open_tokens(pairs, tokenizer)


@pytest.mark.parametrize(("dropout", "asked"), [(None, True), (0.1, False)])
def test_what_errors_advise_is_a_flag(
    pairs: Dataset, tmp_path: Path, dropout: float | None, asked: bool
) -> None:
    with pytest.raises(UserError) as refused:
        open_tokens(pairs, Tokenizer(models.BPE(dropout=dropout)))
    flag = re.search(r"--token-cache.*$", str(refused.value))
    assert flag
    options = parse(["pairs", "--output", str(tmp_path), *flag[0].split()])
    assert options.config.tokens.token_cache is asked


def test_a_full_disk_leaves_no_part(tmp_path: Path, small_disk: Path, tokenizer: Tokenizer) -> None:
    rng = np.random.default_rng(1)
    words = ["the", "old", "king", "forgets", "two", "apples"]
    texts = [" ".join(rng.choice(words, 2000)) for _ in range(600)]
    long = [{"anchor": text, "positive": text[::-1]} for text in texts]
    dataset = open_dataset(write_dataset(tmp_path / "d", long, row_group_rows=20))
    with pytest.raises(UserError, match="make room, choose another --token-folder"):
        token_cache(dataset, tokenizer, small_disk)
    root = token_folder(dataset, tokenizer, small_disk)
    assert [path.name for path in root.iterdir()] == ["tokenizer.json"]


@pytest.mark.parametrize("workers", [1, 2])
def test_a_shard_that_was_cut_meanwhile_is_named(
    pairs: Dataset, tokenizer: Tokenizer, workers: int
) -> None:
    path = pairs.shards[1]
    data = bytearray(path.read_bytes())
    data[4:400] = bytes(396)  # the first pages; the footer is whole
    path.write_bytes(data)
    with pytest.raises(UserError, match=f"{path.name} cannot be read any more"):
        token_cache(pairs, tokenizer, workers=workers)
    path.write_bytes(data[:-100])
    with pytest.raises(UserError, match=f"{path.name} cannot be read any more"):
        token_cache(pairs, tokenizer, workers=workers)


def test_a_folder_that_cannot_be_written_to_is_named(
    pairs: Dataset, tokenizer: Tokenizer, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="Not a directory; make room, choose another --token-f"):
        token_cache(pairs, tokenizer, tmp_path / "file")


def test_ids_are_made_for_several_epochs_and_read_where_they_are(
    pairs: Dataset, tokenizer: Tokenizer
) -> None:
    def opened(config: TokenConfig, epochs: float, cutter: Tokenizer = tokenizer) -> list[Kept]:
        return open_tokens_of([pairs], cutter, config, StreamConfig(), epochs)

    assert opened(TokenConfig(), 1) == []
    assert opened(TokenConfig(token_cache=False), 9) == []
    assert opened(TokenConfig(), 9, Tokenizer(models.BPE(dropout=0.1))) == []
    read = TokenConfig(token_cache="read")
    assert opened(read, 9) == []
    assert not (pairs.root / "tokens").exists()
    made = opened(TokenConfig(), 2)
    assert made
    assert opened(TokenConfig(), 1) == made
    assert opened(TokenConfig(token_cache=True), 1) == made
    assert opened(read, 1) == made


def test_a_batch_of_ids_stands_in_the_order_of_its_texts(
    pairs: Dataset, tokenizer: Tokenizer
) -> None:
    ids = token_cache(pairs, tokenizer).read(0, 0, negatives=True)
    texts = pq.ParquetFile(pairs.shards[0]).read_row_group(0)
    rows = pa.array([7, 2, 5])
    columns = {name: t[name] for t in (texts, ids) for name in t.column_names}
    batch = pa.table(columns).take(rows).combine_chunks().to_batches()[0]
    lists = batch["negatives"].to_pylist()
    keep = np.array([rank < 2 for row in lists for rank in range(len(row))]).nonzero()[0]
    assert hard_negatives(batch, batch["negatives"], 2)[0].tolist() == keep.tolist()
    negatives = [text for row in lists for text in row[:2]]
    expected = [*batch["anchor"].to_pylist(), *batch["positive"].to_pylist()]
    expected += negatives
    assert len(expected) > 6
    found = ids_of_pairs(batch, 2, keep).lists()
    assert found == [e.ids for e in tokenizer.encode_batch(expected, add_special_tokens=False)]
    assert ids_of_pairs(batch, 2).lists() == found[:6]


SCRIPT = """
import sys
from pathlib import Path
from tokenizers import Tokenizer
from pairsmith.schemas import open_dataset
from pairsmith.training.tokens.build import token_cache

if __name__ == "__main__":
    dataset, tokenizer, folder, workers = sys.argv[1:]
    tokenizer = Tokenizer.from_file(tokenizer)
    token_cache(open_dataset(dataset), tokenizer, Path(folder), workers=int(workers))
"""


def start(tmp_path: Path, *arguments: str | Path) -> subprocess.Popen[bytes]:
    """Start a process that makes ids."""
    script = tmp_path / "make_ids.py"
    script.write_text(SCRIPT, "utf-8")
    return subprocess.Popen([sys.executable, str(script), *map(str, arguments)])


def test_a_killed_process_leaves_whole_parts_and_no_orphans(
    tmp_path: Path, tokenizer: Tokenizer, tokenizer_file: Path
) -> None:
    shards = 200  # so many that some are left, however late this process sees the first
    folder = write_dataset(tmp_path / "d", rows(6000), shards=shards, row_group_rows=50)
    dataset = open_dataset(folder)
    root = token_folder(dataset, tokenizer, tmp_path / "ids")
    process = start(tmp_path, folder, tokenizer_file, tmp_path / "ids", 2)
    deadline = time.monotonic() + 240
    while not list(root.glob("*.parquet")) and time.monotonic() < deadline:
        time.sleep(0.005)
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    workers = children.read_text().split() if children.exists() else []
    process.kill()
    assert process.wait() == -signal.SIGKILL
    left = {path.name: path.stat().st_mtime_ns for path in root.glob("*.parquet")}
    assert 0 < len(left) < shards
    assert not (root / "manifest.json").exists()
    old = root / ".00000.parquet.abandoned"
    old.touch()
    os.utime(old, (1, 1))
    cache = token_cache(dataset, tokenizer, tmp_path / "ids")
    check(dataset, cache, tokenizer)
    assert {name: (root / name).stat().st_mtime_ns for name in left} == left
    assert not old.exists()
    deadline = time.monotonic() + 120
    while any(map(alive, workers)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(map(alive, workers))


def alive(pid: str) -> bool:
    """Tell whether a process still runs; a dead one that nobody waited for does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_processes_of_torchrun_share_the_cores_and_begin_far_apart(
    tmp_path: Path, tokenizer: Tokenizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset = open_dataset(write_dataset(tmp_path / "d", rows(80), shards=8))
    workers: list[int] = []

    def counted(count: int) -> AbstractContextManager[Run]:
        workers.append(count)
        return working(1)

    monkeypatch.setattr(token_build, "working", counted)
    monkeypatch.setattr(token_build, "cores", lambda: 9)
    monkeypatch.setattr(token_build, "_POOL_BYTES", 0)
    for path in dataset.shards:
        path.write_bytes(b"")  # the first that a process comes to is named
    monkeypatch.setenv("WORLD_SIZE", "4")
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "2")
    for rank, first in enumerate((0, 2, 4, 6)):
        monkeypatch.setenv("RANK", str(rank))
        with pytest.raises(UserError, match=f"part-0000{first}.parquet cannot be read"):
            token_cache(dataset, tokenizer, tmp_path / "ids")
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "16")
    with pytest.raises(UserError):
        token_cache(dataset, tokenizer, tmp_path / "ids")
    assert workers == [4, 4, 4, 4, 1]


def test_two_processes_at_once_make_one_whole_cache(
    tmp_path: Path, tokenizer: Tokenizer, tokenizer_file: Path
) -> None:
    folder = write_dataset(tmp_path / "d", rows(1000), shards=10, row_group_rows=50)
    both = [start(tmp_path, folder, tokenizer_file, tmp_path / "ids", 1) for _ in range(2)]
    assert [process.wait(240) for process in both] == [0, 0]
    dataset = open_dataset(folder)
    cache = open_tokens(dataset, tokenizer, tmp_path / "ids")
    check(dataset, cache, tokenizer)
    files = {path.name for path in cache.root.iterdir()}
    parts = {part.path for part in cache.parts}
    assert files == parts | {"manifest.json", "tokenizer.json"}
    assert json.loads((cache.root / "manifest.json").read_text("utf-8"))["format"] == 2
