"""The trained tokenizer: equal data, equal bytes; Chinese characters stand alone."""

from pathlib import Path

from pairsmith.schemas import open_dataset
from pairsmith.training.streaming.corpus import StreamConfig, shard_files
from pairsmith.training.streaming.row_groups import row_groups
from pairsmith.training.tokens.tokenizer import train_tokenizer
from tests.training.pair_folders import paired_sentences, write_dataset


def test_it_is_a_function_of_data_and_seed(tmp_path: Path) -> None:
    folder = write_dataset(tmp_path / "data", paired_sentences(500), shards=3)
    groups = row_groups(shard_files(open_dataset(folder), StreamConfig()))
    first, again = (train_tokenizer(groups, 200, seed=1).to_str() for _ in range(2))
    assert first == again


def test_it_learns_whole_words_and_keeps_to_its_size(tmp_path: Path) -> None:
    folder = write_dataset(tmp_path / "data", paired_sentences(500))
    groups = row_groups(shard_files(open_dataset(folder), StreamConfig()))
    tokenizer = train_tokenizer(groups, 220, seed=1)
    assert tokenizer.get_vocab_size() <= 220
    encoded = tokenizer.encode("The Committee SEES the river", add_special_tokens=False)
    assert encoded.tokens == ["the", "committee", "sees", "the", "river"]


def test_chinese_characters_are_split_and_accents_removed(tmp_path: Path) -> None:
    rows = [{"anchor": "今天天气很好", "positive": "天气很好，café"}] * 4
    folder = write_dataset(tmp_path / "data", rows)
    tokenizer = train_tokenizer(
        row_groups(shard_files(open_dataset(folder), StreamConfig())), 200, seed=1
    )
    tokens = tokenizer.encode("天气好 CAFÉ", add_special_tokens=False).tokens
    assert tokens == ["天", "气", "好", "cafe"]
