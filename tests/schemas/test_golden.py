"""Datasets of earlier versions open unchanged: the folder's bytes are never written again."""

import pyarrow.parquet as pq

from pairsmith.schemas import PAIRS, REJECTED, open_dataset

DIGEST = "ddf89a3e38226d145787256d0605c4a7212c9956060d83d46dc8d167b32e5929"


def test_the_golden_dataset_is_the_one_that_was_written(golden):
    assert open_dataset(golden).manifest.digest == DIGEST


def test_the_golden_rows_read_back_value_for_value(golden):
    table = open_dataset(golden).read()
    assert table.schema.equals(PAIRS)
    rows = {row["pair_id"]: row for row in table.to_pylist()}
    assert rows["6541a975a471a5964afe33216ec65295"] == {
        "pair_id": "6541a975a471a5964afe33216ec65295",
        "anchor": "“Quite impossible!” cried Emma; and she meant it.",
        "positive": "Mr. Knightley said\tnothing.",
        "negatives": ["Prices rose by 3 % in May."],
        "negative_info": [
            {
                "kind": "lexical",
                "source_id": "fed/1996",
                "rank": 12,
                "score": 0.5,
                "teacher": "bm25",
            }
        ],
        "source_id": "novel/emma",
        "unit": 300,
        "group_id": 15270816622813624690,
        "anchor_hash": 9225304038521124683,
        "positive_hash": 15725973765503447246,
        "kind": "context",
        "anchor_view": "identity",
        "positive_view": "neighbours",
        "draw": 0,
        "lang": "en",
        "similarity": None,
        "overlap": None,
        "weight": 1.0,
        "label": None,
    }
    chinese = rows["90815368fed26e0169f928a3d11c2784"]
    assert chinese["anchor"] == "如果单元格为空，则返回错误值。"
    assert chinese["negatives"] == ["打开文件。", "The ship sailed at dawn."]
    assert [info["source_id"] for info in chinese["negative_info"]] == ["zh/help-2", "novel/emma"]
    assert sum(row["lang"] is None for row in rows.values()) == 3


def test_what_was_dropped_and_what_failed_can_be_read(golden):
    dropped = pq.read_table(golden / "dropped")
    failed = pq.read_table(golden / "failed")
    assert dropped.schema.equals(REJECTED)
    assert dropped["reason"].to_pylist() == ["overlap", "same text"]
    assert failed["position"].to_pylist() == [4096]
