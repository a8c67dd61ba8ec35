"""Keys are checked against XXH3 called directly, by the formula in DESIGN and in the docstrings."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from hypothesis import given
from hypothesis import strategies as st
from xxhash import xxh3_64_intdigest, xxh3_128_hexdigest

from pairsmith.schemas import (
    group_ids,
    open_dataset,
    pair_ids,
    record_keys,
    shard_numbers,
    subkeys,
    text_hashes,
    text_ids,
)

INT32 = st.integers(0, 2**31 - 1)
# Sources and texts come from outside and may hold anything; names stand in a recipe.
TEXTS = st.text(max_size=20) | st.text("a1\x1f", max_size=8)
NAMES = st.text("a1-:[", max_size=6)
RECORDS = st.tuples(TEXTS, INT32, NAMES, INT32)


def one_key(record, seed=17):
    source, unit, view, draw = record
    return int(record_keys(seed, pa.array([source]), np.array([unit], np.int32), view, draw)[0])


def one_pair_id(record):
    source, unit, kind, draw = record
    return pair_ids(pa.array([source]), np.array([unit], np.int32), kind, draw)[0].as_py()


@given(RECORDS, st.integers(-(2**65), 2**65))
def test_a_record_key_is_the_seeded_xxh3_of_source_unit_view_and_draw(record, seed):
    source, unit, view, draw = record
    expected = xxh3_64_intdigest(
        f"{source}\x1f{unit}\x1f{view}\x1f{draw}".encode(), seed=seed % 2**64
    )
    assert one_key(record, seed) == expected


@given(RECORDS)
def test_a_pair_id_is_the_128_bit_xxh3_of_source_unit_kind_and_draw_in_hex(record):
    source, unit, kind, draw = record
    expected = xxh3_128_hexdigest(f"{source}\x1f{unit}\x1f{kind}\x1f{draw}".encode())
    assert one_pair_id(record) == expected
    assert len(expected) == 32


@given(RECORDS, RECORDS)
def test_different_records_have_different_keys_whatever_separators_their_source_ids_hold(a, b):
    assert (one_key(a) == one_key(b)) == (a == b)
    assert (one_pair_id(a) == one_pair_id(b)) == (a == b)


@given(TEXTS, TEXTS)
def test_equal_ids_mean_equal_texts(a, b):
    first, second = text_ids(pa.array([a, b])).to_pylist()
    assert (first == second) == (a == b)
    assert first == xxh3_128_hexdigest(a.encode())


@given(st.lists(TEXTS, max_size=5))
def test_a_group_is_the_xxh3_of_the_document(sources):
    expected = [xxh3_64_intdigest(s.encode()) for s in sources]
    assert group_ids(pa.array(sources, pa.string())).tolist() == expected


@given(TEXTS, INT32, st.integers(1, 10_000))
def test_256_neighbouring_units_share_a_shard(source, unit, shards):
    block = unit // 256
    units = np.array([unit, block * 256, min(block * 256 + 255, 2**31 - 1)], np.int32)
    numbers = shard_numbers(pa.array([source] * 3), units, shards)
    expected = xxh3_64_intdigest(f"{source}\x1f{block}".encode()) % shards
    assert numbers.tolist() == [expected] * 3


def test_shards_of_many_documents_are_balanced():
    sources = pa.array([f"document {n}" for n in range(20_000)])
    counts = np.bincount(shard_numbers(sources, np.zeros(20_000, np.int32), 16), minlength=16)
    assert counts.min() > 1_100
    assert counts.max() < 1_400


def test_subkeys_are_splitmix64():
    # The first outputs of the reference implementation (https://prng.di.unimi.it/splitmix64.c)
    # for the state 1234567.
    expected = [6457827717110365317, 3203168211198807973, 9817491932198370423]
    state = np.array([1234567], np.uint64)
    assert [int(subkeys(state, n)[0]) for n in range(3)] == expected


def test_subkeys_of_one_record_look_independent():
    keys = record_keys(1, pa.array(["a"] * 4096), np.arange(4096, dtype=np.int32), "view", 0)
    bits = [np.unpackbits(subkeys(keys, n).view(np.uint8)) for n in range(2)]
    assert abs(np.mean(bits[0] ^ bits[1]) - 0.5) < 0.005


def test_the_hash_is_xxh3_as_published():
    # The vectors of the empty input in xxHash's own self-test.
    nothing = pa.array([""])
    assert f"{int(group_ids(nothing)[0]):x}" == "2d06800538d394c2"
    assert text_ids(nothing).to_pylist() == ["99aa06d3014798d86001c324468d497f"]


def test_keys_never_change():
    source, unit = pa.array(["fed/1996", "zh/帮助"]), np.array([0, 70_000], np.int32)
    assert record_keys(17, source, unit, "word_dropout(p=0.15)", 1).tolist() == [
        7190340631638948581,
        16056207782572848236,
    ]
    assert pair_ids(source, unit, "dropout", 1).to_pylist() == [
        "5f3d9bf632112f9222caa68715f3b808",
        "8032ea3b6a3eb6a238210085f18c1ef6",
    ]
    assert shard_numbers(source, unit, 64).tolist() == [20, 1]
    assert group_ids(source).tolist() == [11946074746227209422, 10628567719947226765]
    assert text_hashes(pa.array(["Prices rose.", "打开文件。"])).tolist() == [
        5862812625067139672,
        2623817555452147446,
    ]
    assert text_ids(pa.array(["Prices rose."])).to_pylist() == ["4bd3ab4b06e98ed27b475302486f152b"]


def test_keys_of_an_empty_batch_are_empty():
    source, unit = pa.array([], pa.string()), np.array([], np.int32)
    assert record_keys(17, source, unit, "view", 0).dtype == np.uint64
    assert group_ids(source).dtype == np.uint64
    assert shard_numbers(source, unit, 4).dtype == np.int64
    assert pair_ids(source, unit, "kind", 0).type == pa.string()


def test_keys_of_a_slice_are_a_slice_of_the_keys():
    source, unit = pa.array(["a", "b", "c", "d"]), np.arange(4, dtype=np.int32)
    whole = record_keys(17, source, unit, "view", 0)
    assert record_keys(17, source.slice(1, 2), unit[1:3], "view", 0).tolist() == whole[1:3].tolist()
    assert text_hashes(source.slice(1, 2)).tolist() == text_hashes(source)[1:3].tolist()


def test_the_golden_rows_carry_the_keys_of_their_own_columns(golden):
    table = open_dataset(golden).read()
    for row in table.to_pylist():
        assert row["pair_id"] == one_pair_id(
            (row["source_id"], row["unit"], row["kind"], row["draw"])
        )
        assert row["group_id"] == xxh3_64_intdigest(row["source_id"].encode())
    for text, hashed in (("anchor", "anchor_hash"), ("positive", "positive_hash")):
        assert (
            table[hashed].to_numpy().tolist() == text_hashes(table[text].combine_chunks()).tolist()
        )


def test_the_golden_shards_hold_the_rows_their_keys_send_there(golden):
    paths = open_dataset(golden).shards
    for number, path in enumerate(paths):
        table = pq.read_table(path)
        source, unit = table["source_id"].combine_chunks(), table["unit"].to_numpy()
        assert set(shard_numbers(source, unit, len(paths))) == {number}
        assert table["pair_id"].to_pylist() == sorted(table["pair_id"].to_pylist())
