import sys
import unicodedata

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given
from hypothesis import strategies as st
from xxhash import xxh3_64_intdigest

from pairsmith.schemas import text_hashes
from pairsmith.schemas.keys import normalise


def normalised(text):
    return normalise(pa.array([text]))[0].as_py()


@pytest.mark.parametrize(
    ("text", "same"),
    [
        ("Prices  rose.", "prices rose."),
        (" Prices “ROSE” — twice ", "prices “rose” — twice"),
        ("Prices rose…", "prices rose..."),
        ("\tPrices\nrose. ", "prices rose."),
        ("ＰＲＩＣＥＳ　ｒｏｓｅ．", "prices rose."),
        ("ﬁne", "fine"),
        ("打开\u3000文件", "打开 文件"),
        ("", ""),
        (" \u2028\x85", ""),
    ],
)
def test_texts_that_differ_in_form_case_or_spacing_are_one(text, same):
    assert normalised(text) == same
    assert text_hashes(pa.array([text]))[0] == text_hashes(pa.array([same]))[0]


@pytest.mark.parametrize("text", ["caf\u00e9", "cafe\u0301", "CAF\u00c9", "ＣＡＦＥ\u0301"])
def test_a_letter_and_its_mark_are_one_however_they_are_encoded(text):
    assert normalised(text) == "cafe\u0301"


@pytest.mark.parametrize(
    ("text", "other"),
    [("prices rose.", "prices rose"), ("now here", "nowhere"), ("打开", "打 开"), ("e", "é")],
)
def test_texts_that_differ_in_words_marks_or_punctuation_are_two(text, other):
    assert text_hashes(pa.array([text]))[0] != text_hashes(pa.array([other]))[0]


def test_every_white_space_character_of_unicode_is_a_space():
    characters = [chr(c) for c in range(sys.maxunicode + 1) if not 0xD800 <= c < 0xE000]
    spaces = pc.utf8_is_space(pa.array(characters)).to_pylist()
    texts = normalise(pa.array([f"a{c}{c}b" for c in characters])).to_pylist()
    wrong = [
        c
        for c, space, text in zip(characters, spaces, texts, strict=True)
        if space != (text == "a b")
    ]
    assert wrong == []


# Characters that Python's Unicode does not know yet may be known to Arrow's.
@given(st.text(st.characters(exclude_categories=["Cs", "Cn"]), max_size=30))
def test_normalisation_is_nfkd_lower_case_and_single_spaces(text):
    lowered = "".join(c.lower() for c in unicodedata.normalize("NFKD", text))
    assert normalised(text) == " ".join(lowered.split())


@given(st.text(max_size=30))
def test_a_normalised_text_stays_as_it_is(text):
    assert normalised(normalised(text)) == normalised(text)


@given(st.text(max_size=30))
def test_a_text_hash_is_the_xxh3_of_the_normalised_text(text):
    assert int(text_hashes(pa.array([text]))[0]) == xxh3_64_intdigest(normalised(text).encode())


def test_a_text_is_normalised_alike_in_every_company():
    texts = pa.array(["a  b", "a b", "A\nB", "c", "D’", " E", "É"])
    alone = [normalised(t) for t in texts.to_pylist()]
    assert normalise(texts).to_pylist() == alone


@given(
    st.lists(st.none() | st.text(max_size=9) | st.sampled_from(["Ünder  die，Brücke…", " É"])),
    st.integers(0, 3),
)
def test_a_text_is_one_with_32_and_with_64_bit_offsets(texts, start):
    small = pa.array(texts, pa.string())[start:]
    large = pa.array(texts, pa.large_string())[start:]
    assert normalise(large).to_pylist() == normalise(small).to_pylist()
    filled = (small.drop_null(), large.drop_null())
    assert text_hashes(filled[0]).tolist() == text_hashes(filled[1]).tolist()
