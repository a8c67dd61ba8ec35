"""Where texts are cut, seen through counts and through the pieces that crops leave."""

import sys
import unicodedata

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings

from pairsmith.augmenters import Crop, count_words, word_overlap
from pairsmith.augmenters.buffers import string_buffers
from pairsmith.augmenters.chinese_cuts import word_insides
from tests.augmenters.plain_tokens import ANY, HARD, keys, tokens

ONE_TOKEN = Crop(1e-9, 1e-9, chinese="characters")
CASES = {
    "plain words, kept with “their” (punctuation).": None,
    "我来到北京。": ["我", "来", "到", "北", "京。"],
    "他说：“你好！”": ["他", "说：", "“你", "好！”"],
    "（晴）天……真的": ["（晴）", "天……", "真", "的"],
    "买T恤,用iPhone15。好": ["买", "T", "恤,", "用", "iPhone15。", "好"],
    "see (图1) and [表2].": ["see", "(图", "1)", "and", "[表", "2]."],
    "カタカナ ｶﾞ がき": ["カ", "タ", "カ", "ナ", "ｶﾞ", "が", "き"],
    "か\u3099き": ["か\u3099", "き"],
    "葛\U000e0100城": ["葛\U000e0100", "城"],
    "👩‍🚀中👍🏽 🇫🇷": ["👩‍🚀", "中", "👍🏽", "🇫🇷"],
    "一\u3000二\u2003three\x85four\x1cfive": ["一", "二", "three", "four", "five"],
    "𠮷野家": ["𠮷", "野", "家"],
    "한국어 글": ["한국어", "글"],
    "กรุงเทพ": ["กรุงเทพ"],
}


@pytest.mark.parametrize("text", CASES)
def test_single_tokens_are_those_of_the_rule(text):
    expected = CASES[text] or text.split()
    many = 60 * len(expected)
    found = ONE_TOKEN(pa.array([text] * many), keys(many)).to_pylist()
    assert set(found) == set(expected)
    assert tokens(text) == expected


@settings(deadline=None)
@given(ANY | HARD)
def test_words_are_counted_as_an_independent_tokenizer_does(text):
    assert count_words(pa.array([text])).tolist() == [len(tokens(text))]


def test_spaces_are_those_of_str_split():
    points = [c for c in range(sys.maxunicode + 1) if not 0xD800 <= c < 0xE000]
    # Between two letters only a space cuts in two; a Chinese character makes three.
    texts = [f"a{chr(c)}b" for c in points]
    assert count_words(pa.array(texts)).tolist() == [len(tokens(text)) for text in texts]
    assert [chr(c) for c, text in zip(points, texts, strict=True) if len(tokens(text)) == 2] == [
        chr(c) for c in points if chr(c).isspace()
    ]


def test_marks_stay_with_the_character_before_them():
    # What was a mark in Unicode 3.2 and still is: the same in every Python.
    kinds = (unicodedata.category, unicodedata.ucd_3_2_0.category)
    points = map(chr, range(sys.maxunicode + 1))
    marks = [c for c in points if all(kind(c)[0] == "M" for kind in kinds)]
    assert len(marks) > 500
    assert set(count_words(pa.array([f"中{mark}文" for mark in marks]))) == {2}
    assert set(count_words(pa.array([f"e{mark}f" for mark in marks]))) == {1}


def test_counting_takes_every_string_type_slices_and_nulls():
    texts = pa.array(["one", "two words", None, "", " \n", "三 个 word"])
    expected = [1, 2, 0, 0, 0, 3]
    for kind in (pa.string(), pa.large_string(), pa.string_view()):
        assert count_words(texts.cast(kind)).tolist() == expected
        assert count_words(texts.cast(kind)[1:5]).tolist() == expected[1:5]
    assert count_words(pa.chunked_array([texts, texts[:2]])).tolist() == [*expected, 1, 2]
    assert count_words(pa.array([], pa.string())).tolist() == []


def test_what_is_no_string_array_is_refused_by_name():
    with pytest.raises(TypeError, match="int64"):
        count_words(pa.array([1]))
    with pytest.raises(TypeError, match="list"):
        count_words(["a"])


def test_texts_beyond_32_bit_offsets_are_refused_clearly():
    offsets = pa.py_buffer(np.array([0, 2**31 + 8], np.int64))
    untouched = pa.py_buffer(np.zeros(2**31 + 8, np.uint8))  # Never read, so never in memory.
    texts = pa.LargeStringArray.from_buffers(1, offsets, untouched)
    with pytest.raises(ValueError, match="2 GiB"):
        count_words(texts)


def test_a_short_slice_of_texts_beyond_32_bit_offsets_is_read():
    end = 2**31 + 8
    offsets = pa.py_buffer(np.array([0, end, end + 9], np.int64))
    data = np.zeros(end + 9, np.uint8)  # Only its end is ever in memory.
    data[end:] = np.frombuffer(b"two words", np.uint8)
    texts = pa.LargeStringArray.from_buffers(2, offsets, pa.py_buffer(data))
    assert count_words(texts[1:]).tolist() == [2]


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string(), pa.string_view()])
def test_of_a_slice_only_its_own_bytes_are_looked_at(kind):
    column = pa.array(["一只小猫", None, "喝牛奶", "and more"], kind)
    buffers = string_buffers(column[1:3])
    assert buffers.data.tobytes() == "喝牛奶".encode()
    assert buffers.offsets.tolist() == [0, 0, 9]
    assert word_insides(buffers).size == 9


@settings(deadline=None)
@given(HARD | ANY, HARD | ANY)
def test_overlap_is_the_jaccard_index_of_sets_of_tokens(a, b):
    # Tokens without letters that fold to something else; folding has its own test.
    left, right = ({*tokens(text.replace("B", "b"))} for text in (a, b))
    if any(token != token.casefold() for token in left | right):
        return
    expected = len(left & right) / len(left | right) if left | right else 1.0
    assert word_overlap(pa.array([a]), pa.array([b]))[0] == np.float32(expected)


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        ("The CAT sat", "the cat SAT", 1.0),
        ("ÀÉÎ Žluťoučký", "àéî žluťoučký", 1.0),
        ("ΑΘΉΝΑ МОСКВА ＡＢＣ", "αθήνα москва ａｂｃ", 1.0),
        ("a a a b", "b", 0.5),
        ("中文", "文中国", 2 / 3),
        ("word", "word.", 0.0),
        ("", "  ", 1.0),
        ("", "a", 0.0),
    ],
)
def test_overlap_compares_folded_words_once_each(a, b, expected):
    assert word_overlap(pa.array([a]), pa.array([b]))[0] == np.float32(expected)


def test_overlap_beside_a_null_is_unknown_and_lengths_must_agree():
    overlap = word_overlap(pa.array(["a", None, None]), pa.array([None, "a", None]))
    assert np.isnan(overlap).all()
    with pytest.raises(ValueError, match="2 texts, b has 1"):
        word_overlap(pa.array(["a", "b"]), pa.array(["a"]))
