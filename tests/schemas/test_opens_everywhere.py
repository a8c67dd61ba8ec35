"""Shards open unchanged in the readers people use, and say the same in each."""

import datasets
import duckdb
import pandas as pd
import polars as pl
import pytest
from sentence_transformers import (
    SentenceTransformer,
    SentenceTransformerTrainer,
    SentenceTransformerTrainingArguments,
)
from sentence_transformers.sentence_transformer.losses import MultipleNegativesRankingLoss
from sentence_transformers.sentence_transformer.modules import StaticEmbedding
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace

from pairsmith.schemas import PAIRS, open_dataset


@pytest.fixture(scope="module")
def rows(golden):
    return open_dataset(golden).read().to_pylist()


def test_pandas(golden, rows):
    frame = pd.read_parquet(golden / "shards")
    assert list(frame.columns) == PAIRS.names
    assert str(frame["group_id"].dtype) == "uint64"
    assert str(frame["kind"].dtype) == "category"
    assert frame["group_id"].tolist() == [row["group_id"] for row in rows]
    assert [list(n) for n in frame["negatives"]] == [row["negatives"] for row in rows]
    assert frame["lang"].isna().sum() == 3


def test_polars(golden, rows):
    frame = pl.scan_parquet(golden / "shards" / "*.parquet").collect()
    assert frame.schema["group_id"] == pl.UInt64
    assert frame.to_dicts() == rows


def test_duckdb(golden, rows):
    found = duckdb.sql(f"from '{golden}/shards/*.parquet'")
    assert found.columns == PAIRS.names
    assert [dict(zip(PAIRS.names, row, strict=True)) for row in found.fetchall()] == rows


def test_duckdb_looks_into_the_negatives(golden):
    query = f"""
        select anchor, unnest(negative_info).teacher as teacher
        from '{golden}/shards/*.parquet' where kind = 'context' and len(negatives) > 0
    """
    assert duckdb.sql(query).fetchall() == [
        ("“Quite impossible!” cried Emma; and she meant it.", "bm25")
    ]


def test_datasets(golden, rows, tmp_path):
    assert list(load(golden, cache_dir=str(tmp_path))) == rows


def test_datasets_streaming(golden, rows):
    assert list(load(golden, streaming=True)) == rows


def test_sentence_transformers_trains_on_anchor_and_positive(golden, tmp_path):
    pairs = load(golden, cache_dir=str(tmp_path / "cache")).select_columns(["anchor", "positive"])
    words = sorted({word for row in pairs for text in row.values() for word in text.split()})
    vocabulary = {word: number for number, word in enumerate(["[UNK]", *words])}
    tokenizer = Tokenizer(WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = Whitespace()
    model = SentenceTransformer(modules=[StaticEmbedding(tokenizer, embedding_dim=8)], device="cpu")
    before = model.encode(["Prices rose"])
    arguments = SentenceTransformerTrainingArguments(
        output_dir=str(tmp_path / "model"),
        max_steps=2,
        per_device_train_batch_size=4,
        learning_rate=0.1,
        use_cpu=True,
        report_to="none",
        save_strategy="no",
        disable_tqdm=True,
    )
    SentenceTransformerTrainer(
        model=model,
        args=arguments,
        train_dataset=pairs,
        loss=MultipleNegativesRankingLoss(model),
    ).train()
    assert (model.encode(["Prices rose"]) != before).any()


def load(golden, **options):
    files = sorted(str(path) for path in (golden / "shards").iterdir())
    return datasets.load_dataset("parquet", data_files=files, split="train", **options)
