"""A made dataset, a tiny random BERT and evaluation files that the tests of training share."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from tokenizers import Tokenizer

from pairsmith.schemas import open_dataset
from pairsmith.training.config import TrainConfig, make_config
from pairsmith.training.streaming.corpus import StreamConfig, shard_files
from pairsmith.training.streaming.row_groups import row_groups
from pairsmith.training.tokens.tokenizer import train_tokenizer
from tests.training.pair_folders import paired_sentences, write_dataset


@pytest.fixture(scope="session")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a dataset of 600 pairs in 3 shards."""
    folder = tmp_path_factory.mktemp("dataset") / "pairs"
    return write_dataset(folder, paired_sentences(600), shards=3, row_group_rows=64)


@pytest.fixture(scope="session")
def tokenizer_file(tmp_path_factory: pytest.TempPathFactory, dataset: Path) -> Path:
    """Return a tokenizer.json of 150 subwords."""
    path = tmp_path_factory.mktemp("tokenizer") / "tokenizer.json"
    groups = row_groups(shard_files(open_dataset(dataset), StreamConfig()))
    train_tokenizer(groups, 150, seed=1).save(str(path))
    return path


@pytest.fixture
def config(tmp_path: Path, dataset: Path, tokenizer_file: Path) -> TrainConfig:
    """Return a short run of a small static encoder."""
    return make_config(
        (dataset,),
        tmp_path / "model",
        model=f"static:{tokenizer_file}:16",
        batch_size=64,
        steps=20,
        learning_rate=0.02,
        threads=1,
        tensorboard=False,
        curves=False,
    )


@pytest.fixture(scope="session")
def bert(tmp_path_factory: pytest.TempPathFactory, tokenizer_file: Path) -> Path:
    """Return the folder of a BERT of one layer with random weights and dropout of 0.1."""
    from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

    folder = tmp_path_factory.mktemp("bert")
    tokenizer = Tokenizer.from_file(str(tokenizer_file))
    torch.manual_seed(1)
    config = BertConfig(
        vocab_size=tokenizer.get_vocab_size(),
        hidden_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=64,
    )
    BertModel(config).save_pretrained(folder)
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="[PAD]",
        unk_token="[UNK]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        mask_token="[MASK]",
    )
    fast.save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def sts_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a similarity file: sentences that share ever more words have ever higher scores."""
    words = ["the", "old", "king", "forgets", "two", "apples", "by", "train"]
    others = ["my", "aunt", "paints", "a", "ship", "in", "spring", "again"]
    rows = [
        {
            "split": split,
            "sentence1": " ".join(words[shift:] + words[:shift]),
            "sentence2": " ".join(words[:count] + others[count:]),
            "score": float(count if split == "dev" else -count),
        }
        for split in ("train", "dev")
        for shift in range(3)
        for count in range(len(words) + 1)
    ]
    path = tmp_path_factory.mktemp("sts") / "made.parquet"
    pq.write_table(pa.Table.from_pylist(rows), path)
    return path
