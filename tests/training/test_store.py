"""Datasets in an object store that fails now and then, and the folder that keeps what was read."""

import json
import select
import socket
import socketserver
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tokenizers import Tokenizer

from pairsmith.schemas import UserError, open_dataset, store
from pairsmith.training.config import make_config
from pairsmith.training.evaluation.scores import EvaluationConfig
from pairsmith.training.settings import change
from pairsmith.training.streaming.corpus import StreamConfig, open_data, open_order, remote_shards
from pairsmith.training.tokens.build import token_cache
from pairsmith.training.tokens.cache import TokenConfig
from pairsmith.training.tokens.ids import IdRows
from pairsmith.training.tokens.kept import open_tokens_of
from pairsmith.training.tokens.remote import RemoteTokens, remote_tokens
from pairsmith.training.train import train
from tests.training.pair_folders import paired_sentences, write_dataset
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
    folder = write_dataset(tmp_path / "data", numbered(0, 200), shards=2, row_group_rows=20)
    return stored(folder, line, monkeypatch)


def stored(folder: Path, line: Line, monkeypatch: pytest.MonkeyPatch) -> str:
    """Put a dataset into the store; return where it lies."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setattr(store, "FIRST_PAUSE", 0.01)
    host = f"127.0.0.1:{line.server_address[1]}"
    bucket = f"bucket{abs(hash(folder))}"
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


@pytest.fixture
def sentences_url(line: Line, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Return where 150 pairs with up to two negatives lie; `tmp_path / "data"` is their copy."""
    rows = [
        row | {"negatives": ("a red house", f"the dog {i}")[: i % 3]}
        for i, row in enumerate(paired_sentences(150))
    ]
    folder = write_dataset(tmp_path / "data", rows, shards=2, row_group_rows=20)
    return stored(folder, line, monkeypatch)


def tokens_of(url: str, tmp_path: Path, tokenizer: Tokenizer) -> RemoteTokens:
    there = open_data(url, checksums=False)
    assert isinstance(there, store.RemoteDataset)
    return remote_tokens(remote_shards(there, config(tmp_path)), tokenizer)


def places(tokens: RemoteTokens) -> list[tuple[int, int]]:
    """Return shard and row group of all ids."""
    footers = [shard.open().metadata for shard in tokens.shards]
    return [(i, g) for i, footer in enumerate(footers) for g in range(footer.num_row_groups)]


def ids_there(tmp_path: Path, tokens: RemoteTokens) -> dict[str, int]:
    """Return the files of ids in the shard cache, and when they were written."""
    found = (tmp_path / "cache").glob(f"*-{tokens.tokenizer[:16]}")
    return {path.name: path.stat().st_ino for path in found}


def test_ids_of_a_dataset_in_a_store_are_those_of_its_local_copy_and_are_kept(
    sentences_url: str, line: Line, tmp_path: Path, tokenizer_file: Path
) -> None:
    tokenizer = Tokenizer.from_file(str(tokenizer_file))
    there = tokens_of(sentences_url, tmp_path, tokenizer)
    here = token_cache(open_dataset(tmp_path / "data"), tokenizer)
    assert not there.complete
    first = [there.read(*place, negatives=True) for place in places(there)]
    assert first == [here.read(*place, negatives=True) for place in places(there)]
    assert there.complete
    assert len(ids_there(tmp_path, there)) == len(first) == 8

    def cut_again(texts: list[str]) -> IdRows:
        raise AssertionError(texts)

    line.broken = 10**6
    try:
        again = replace(there, cut=cut_again)
        assert [again.read(*place, negatives=True) for place in places(there)] == first
    finally:
        line.broken = 0
    with pytest.raises(AssertionError):  # ids of another tokenizer are others
        replace(again, tokenizer="0" * 64).read(0, 0)


def test_of_several_threads_one_cuts_a_row_group(
    sentences_url: str, tmp_path: Path, tokenizer_file: Path
) -> None:
    tokens = tokens_of(sentences_url, tmp_path, Tokenizer.from_file(str(tokenizer_file)))
    times: list[float] = []

    def slowly(texts: list[str]) -> IdRows:
        times.append(time.monotonic())
        time.sleep(0.2)
        return tokens.cut(texts)

    slow = replace(tokens, cut=slowly)
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: slow.read(1, 0), range(4)))
    assert len(times) == 1
    assert all(each == found[0] for each in found)


def test_damaged_ids_in_the_shard_cache_are_named(
    sentences_url: str, tmp_path: Path, tokenizer_file: Path
) -> None:
    tokens = tokens_of(sentences_url, tmp_path, Tokenizer.from_file(str(tokenizer_file)))
    tokens.read(0, 0)
    (name,) = ids_there(tmp_path, tokens)
    path = tmp_path / "cache" / name
    data = bytearray(path.read_bytes())
    data[60] ^= 255  # inside the first page
    path.write_bytes(data)
    with pytest.raises(UserError, match=f"{name} cannot be read .*; delete it"):
        tokens.read(0, 0)


def test_a_damaged_row_group_is_named_when_ids_are_made_of_it(
    sentences_url: str, tmp_path: Path, tokenizer_file: Path
) -> None:
    tokens = tokens_of(sentences_url, tmp_path, Tokenizer.from_file(str(tokenizer_file)))
    tokens.shards[0].open(0).close()
    path = tmp_path / "cache" / tokens.shards[0].key("00000")
    path.write_bytes(bytes(path.stat().st_size))
    with pytest.raises(UserError, match=r"part-00000\.parquet cannot be read any more"):
        tokens.read(0, 0)
    assert not ids_there(tmp_path, tokens)


def test_ids_in_a_store_are_made_for_several_epochs_where_there_is_room(
    sentences_url: str, tmp_path: Path, tokenizer_file: Path
) -> None:
    tokenizer = Tokenizer.from_file(str(tokenizer_file))
    datasets = [open_data(sentences_url, checksums=False)]
    tokens = tokens_of(sentences_url, tmp_path, tokenizer)
    stream = config(tmp_path)

    def opened(epochs: float, asked: Any = None, **more: Any) -> bool:
        kept = open_tokens_of(
            datasets, tokenizer, TokenConfig(token_cache=asked), replace(stream, **more), epochs
        )
        return bool(kept)

    assert [opened(1), opened(2), opened(1, True), opened(2, False)] == [False, True, True, False]
    size = sum(shard.bytes for shard in datasets[0].manifest.shards)
    assert opened(2, shard_cache_gb=2 * size / 1e9)
    assert not opened(2, shard_cache_gb=1.9 * size / 1e9)
    assert opened(2, True, shard_cache_gb=1.9 * size / 1e9)
    assert not opened(2, "read")
    for place in places(tokens):
        tokens.read(*place)
    assert opened(1)  # they are there
    assert opened(1, "read")


def test_a_run_over_a_store_keeps_ids_and_the_next_run_reads_them(
    sentences_url: str, tmp_path: Path, tokenizer_file: Path
) -> None:
    asked = make_config(
        (sentences_url,),
        tmp_path / "kept",
        model=f"static:{tokenizer_file}:16",
        **{"batch_size": 32, "epochs": 2, "window": 2, "threads": 1},
        shard_cache=tmp_path / "cache",
        tensorboard=False,
        curves=False,
    )
    train(change(asked, groups_every=1))
    told = [
        path for path in (tmp_path / "kept").iterdir() if path.suffix in (".json", ".jsonl", ".md")
    ]
    assert len(told) > 3
    assert not any("127.0.0.1" in path.read_text("utf-8") for path in told)
    tokens = tokens_of(sentences_url, tmp_path, Tokenizer.from_file(str(tokenizer_file)))
    written = ids_there(tmp_path, tokens)
    assert len(written) == 8
    for name, more in (("cut", {"token_cache": False}), ("read", {}), ("one", {"epochs": 1})):
        train(change(asked, output=tmp_path / name, **more))
    logs = {name: losses(tmp_path / name) for name in ("kept", "cut", "read", "one")}
    assert logs["kept"] == logs["cut"] == logs["read"]
    assert len(logs["one"]) == 5
    assert ids_there(tmp_path, tokens) == written


def test_a_run_over_a_store_looks_for_leaks(
    sentences_url: str, tmp_path: Path, tokenizer_file: Path
) -> None:
    leaked = paired_sentences(150)[120:122]
    table = {
        "sentence1": [row["anchor"] for row in leaked],
        "sentence2": [row["positive"] for row in leaked],
        "score": [1.0, 2.0],
    }
    pq.write_table(pa.table(table), tmp_path / "sts.parquet")
    asked = make_config(
        (sentences_url,),
        tmp_path / "model",
        model=f"static:{tokenizer_file}:16",
        shard_cache=tmp_path / "cache",
        evaluation=EvaluationConfig(sts=(tmp_path / "sts.parquet",)),
    )
    with pytest.raises(UserError, match=r"4 of the 4 texts of .* are among the pairs"):
        train(asked)


def losses(model: Path) -> list[float]:
    lines = (model / "log.jsonl").read_text("utf-8").splitlines()
    return [json.loads(line)["loss"] for line in lines]
