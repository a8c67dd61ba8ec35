"""Typing and reading mistakes: how often, of which kind, where, and what stays as it is."""

import re
from collections import Counter

import numpy as np
import pyarrow as pa
import pytest

from pairsmith.augmenters.typos import KeyboardTypos, OcrTypos, Typos
from tests.augmenters.plain_tokens import views
from tests.augmenters.properties import check_golden, check_properties

ONLY = {"neighbour": 0, "transposition": 0, "deletion": 0, "doubling": 0}
ROWS = 40_000


def only(kind, p=0.9999, **settings):
    return KeyboardTypos(p, **{**ONLY, kind: 1, **settings})


def shares(augmenter, text):
    """Return how often each view is made of a text."""
    return {view: n / ROWS for view, n in Counter(views(augmenter, [text] * ROWS)).items()}


def assert_close(found, expected):
    """Fail unless the shares are the expected ones, by five standard deviations of each."""
    assert found.keys() == expected.keys()
    for view, share in expected.items():
        assert abs(found[view] - share) < 5 * (share * (1 - share) / ROWS) ** 0.5, view


@pytest.mark.parametrize("augmenter", [KeyboardTypos(0.5), OcrTypos(0.5, 2)], ids=str)
def test_promises_to_every_text(augmenter):
    check_properties(augmenter)


@pytest.mark.parametrize(
    ("augmenter", "file"), [(KeyboardTypos(0.5), "keyboard_typos"), (OcrTypos(0.5), "ocr_typos")]
)
def test_views_are_those_read_by_eye(augmenter, file):
    check_golden(augmenter, file)


@pytest.mark.parametrize("p", [0.05, 0.3])
@pytest.mark.parametrize("make", [KeyboardTypos, OcrTypos])
def test_the_share_of_words_hit_is_the_rate_asked_for(make, p, sentences):
    before = " ".join(sentences).split()
    after = " ".join(views(make(p), sentences)).split()
    letters = [sum(c.isascii() and c.isalnum() for c in word) for word in before]
    hit = [a != b for a, b, n in zip(before, after, letters, strict=True) if n >= 4]
    assert abs(np.mean(hit) - p) < 5 * (p * (1 - p) / len(hit)) ** 0.5
    assert all(a == b for a, b, n in zip(before, after, letters, strict=True) if n < 4)


def test_kinds_of_typing_mistakes_are_as_frequent_as_their_weights():
    # No two kinds, or places, make the same of this word.
    found = shares(KeyboardTypos(0.5, neighbour=3, transposition=1, deletion=2, doubling=2), "maps")
    expected = {"maps": 0.5}
    expected |= dict.fromkeys(("japs", "kaps", "naps"), 0.5 * 3 / 8 / 4 / 3)
    expected |= {f"m{c}ps": 0.5 * 3 / 8 / 4 / 4 for c in "qwsz"}
    expected |= {f"ma{c}s": 0.5 * 3 / 8 / 4 / 2 for c in "ol"}
    expected |= {f"map{c}": 0.5 * 3 / 8 / 4 / 6 for c in "adewxz"}
    expected |= dict.fromkeys(("amps", "mpas", "masp"), 0.5 * 1 / 8 / 3)
    expected |= dict.fromkeys(("aps", "mps", "mas", "map"), 0.5 * 2 / 8 / 4)
    expected |= dict.fromkeys(("mmaps", "maaps", "mapps", "mapss"), 0.5 * 2 / 8 / 4)
    assert_close(found, expected)


def test_one_kind_alone_can_be_asked_for():
    assert views(only("deletion", min_length=2), ["ab"] * 50) != ["ab"] * 50
    assert set(views(only("deletion", min_length=2), ["ab"] * 50)) <= {"a", "b", "ab"}
    assert {len(view) for view in views(only("neighbour"), ["letters"] * 50)} == {7}
    doubled = set(views(only("doubling"), ["word"] * 200))
    assert doubled - {"word"} == {"wword", "woord", "worrd", "wordd"}


def test_a_word_of_one_letter_over_and_over_is_mistyped_by_a_neighbour():
    found = set(views(only("transposition"), ["oooo"] * 300))
    assert found - {"oooo"} == {"oooo"[:i] + c + "oooo"[i + 1 :] for i in range(4) for c in "iklp"}


def test_capitals_stay_where_they_were():
    assert set(views(only("transposition"), ["Word"] * 200)) - {"Word"} == {"Owrd", "Wrod", "Wodr"}
    assert set(views(only("doubling"), ["Word"] * 200)) - {"Word"} == {
        "Wword",
        "Woord",
        "Worrd",
        "Wordd",
    }
    for view in views(KeyboardTypos(0.9), ["WORDS"] * 300):
        assert view.isupper()


@pytest.mark.parametrize(
    "text",
    [
        "2021 $1,200.50 3.5% 10am covid19",
        "www.example.org a@example.org https://example.org/page 192.168.0.1 file_name U.S.A.",
        "the cat is 大学生",
        "день добрый",
    ],
)
def test_what_is_no_word_of_latin_letters_is_never_mistyped(text):
    assert set(views(KeyboardTypos(0.9), [text] * 100)) == {text}


def test_punctuation_around_a_word_and_space_stay():
    text = "“Isn't  it well-known?”\n\tasked (naïve) O'Neill!  "
    for view in views(KeyboardTypos(0.7), [text] * 300):
        assert re.split(r"[\w'-]+", view) == re.split(r"[\w'-]+", text)


def test_readings_are_equally_likely_wherever_they_fit():
    # i -> l, j, 1; m -> rn, nn, in, ni, and nothing else but what m begins or ends.
    found = shares(OcrTypos(0.5, 3), "Aim.")
    wrong = ("Alm.", "Ajm.", "A1m.", "Airn.", "Ainn.", "Aiin.", "Aini.")
    assert_close(found, {"Aim.": 0.5, **dict.fromkeys(wrong, 0.5 / 7)})


def test_strings_of_two_letters_are_read_as_one_and_one_as_two():
    found = set(views(OcrTypos(0.99), ["ARNE barn"] * 3000))
    assert any("bam" in view for view in found)
    assert not any("AM" in view for view in found)
    assert any("w" in view for view in views(OcrTypos(0.99, 2), ["Avv"] * 100))


def test_no_digit_is_read_as_another_digit():
    text = "1234567890"
    found = set(views(OcrTypos(0.9), [text] * 2000))
    for view in found:
        assert sum(a != b for a, b in zip(view, text, strict=True)) <= 1
        assert all(a == b or b.isalpha() for a, b in zip(text, view, strict=True))
    assert len(found) > 10


def test_a_word_with_nothing_to_misread_stays():
    assert set(views(OcrTypos(0.9), ["AAAA pppp ——— 大学"] * 100)) == {"AAAA pppp ——— 大学"}


@pytest.mark.parametrize("make", [KeyboardTypos, OcrTypos])
def test_settings_out_of_range_are_refused(make):
    for settings, message in (
        ({"p": 1.0}, "p must be"),
        ({"p": -0.1}, "p must be"),
        ({"min_length": 1}, "min_length must be at least 2"),
    ):
        with pytest.raises(ValueError, match=message):
            make(**settings)
    with pytest.raises(ValueError, match="weights"):
        KeyboardTypos(**ONLY)
    with pytest.raises(ValueError, match="weights"):
        KeyboardTypos(deletion=-1)


def test_integer_settings_and_sliced_arrays_give_the_same_views():
    texts = pa.array(["skip", None, "some ordinary words", "other wordings here"])
    own = np.arange(4, dtype=np.uint64)
    augmenter = KeyboardTypos(0.5, deletion=1, neighbour=0, transposition=0, doubling=0)
    whole = augmenter(texts, own)
    assert augmenter(texts[2:], own[2:]).to_pylist() == whole.to_pylist()[2:]
    assert isinstance(augmenter, Typos)
    assert KeyboardTypos(0)(texts, own) == texts
