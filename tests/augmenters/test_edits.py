"""Words swapped, put in, replaced, split, joined and recased: how often, where, in what case."""

import re
from collections import Counter
from itertools import pairwise

import numpy as np
import pytest

from pairsmith.augmenters.edits import (
    PunctuationInsert,
    RandomCase,
    WordJoin,
    WordSplit,
    WordSwap,
)
from tests.augmenters.plain_tokens import tokens, views
from tests.augmenters.properties import check_golden, check_properties

TEN = "a b c d e f g h i j"
AUGMENTERS = {
    "word_swap": WordSwap(0.4),
    "word_swap_anywhere": WordSwap(0.3, "anywhere"),
    "punctuation_insert": PunctuationInsert(),
    "word_split": WordSplit(0.4),
    "word_join": WordJoin(0.3),
    "random_case": RandomCase(0.4),
    "random_case_letters": RandomCase(0.1, "letters"),
}
RATED = [WordSwap, PunctuationInsert, WordSplit, WordJoin, RandomCase]


def close(share, expected, count):
    """Return whether a share of `count` trials is the expected one, by five deviations."""
    return abs(share - expected) <= 5 * (expected * (1 - expected) / count) ** 0.5


@pytest.mark.parametrize("name", AUGMENTERS)
def test_promises_to_every_text(name):
    check_properties(AUGMENTERS[name], 40)


@pytest.mark.parametrize("name", AUGMENTERS)
def test_views_are_those_read_by_eye(name):
    check_golden(AUGMENTERS[name], name)


def test_neighbours_change_places_at_the_rate_asked_for():
    rows = [view.split() for view in views(WordSwap(0.3), [TEN] * 40_000)]
    moved = np.array([[a != b for a, b in zip(row, TEN.split(), strict=True)] for row in rows])
    for place, share in enumerate(moved.mean(0)):
        assert close(share, 0.15 if place in (0, 9) else 0.3, 40_000)
    for row in rows[:2000]:
        numbers = ["abcdefghij".index(word) for word in row]
        assert sorted(numbers) == list(range(10))
        assert all(abs(number - place) <= 1 for place, number in enumerate(numbers))


def test_words_change_places_anywhere_at_the_rate_asked_for():
    rows = [view.split() for view in views(WordSwap(0.3, "anywhere"), [TEN] * 40_000)]
    moved = np.array([[a != b for a, b in zip(row, TEN.split(), strict=True)] for row in rows])
    # 0.3 * 10 words are one pair or two, as often.
    assert Counter(moved.sum(1).tolist()).keys() == {2, 4}
    assert close((moved.sum(1) == 4).mean(), 0.5, 40_000)
    assert all(close(share, 0.3, 40_000) for share in moved.mean(0))
    partners = Counter(row[0] for row in rows if row[0] != "a")
    assert all(close(n / partners.total(), 1 / 9, partners.total()) for n in partners.values())
    for row in rows[:2000]:
        numbers = ["abcdefghij".index(word) for word in row]
        assert all(numbers[number] == place for place, number in enumerate(numbers))


def test_spaces_stay_where_they_are_when_words_change_places():
    text = "a  b\tc\n d"
    for view in views(WordSwap(0.9), [text] * 50):
        assert re.split(r"\w", view) == re.split(r"\w", text)


@pytest.mark.parametrize(("count", "most"), [(1, 1), (3, 1), (10, 4), (40, 13)])
def test_punctuation_is_as_much_as_aeda_puts_in(count, most):
    text = " ".join(f"w{number}" for number in range(count))
    put, before = Counter(), Counter()
    for view in views(PunctuationInsert(), [text] * 20_000):
        marks = re.findall(r"(?:^| )([^\sw]) (w\d+)", view)
        assert re.sub(r"(^| )[^\sw](?= )", "", view).strip() == text
        put[len(marks)] += 1
        before.update(word for _, word in marks)
    assert sorted(put) == list(range(1, most + 1))
    assert all(close(n / 20_000, 1 / most, 20_000) for n in put.values())
    mean = (1 + most) / 2 / count
    assert len(before) == count
    assert all(close(n / 20_000, mean, 20_000) for n in before.values())


def test_punctuation_fits_the_script_that_follows():
    marks = Counter()
    for view in views(PunctuationInsert(), ["我们 like 银行的 tea"] * 3000):
        marks.update(re.findall(r"([。；？：！，])(?=[\u4e00-\u9fff])", view))
        assert re.sub(r"[。；？：！，]|[.;?:!,] ", "", view) == "我们 like 银行的 tea"
    assert len(marks) == 6
    assert all(close(n / marks.total(), 1 / 6, marks.total()) for n in marks.values())
    number = set("".join(views(PunctuationInsert(0.9), ["气温是35度"] * 100)))
    assert number == set("气温是35度。；？：！，")
    own = PunctuationInsert(0.9, marks=("…", "—"), chinese_marks=())
    assert set("".join(views(own, ["some words here", "银行的气温"]))) & set("…—")
    assert views(own, ["银行的气温"]) == ["银行的气温"]


def test_words_are_split_at_the_rate_asked_for_at_any_place_alike():
    found = Counter(views(WordSplit(0.4), ["(words)"] * 40_000))
    expected = {"(words)": 0.6}
    expected |= dict.fromkeys(("(w ords)", "(wo rds)", "(wor ds)", "(word s)"), 0.1)
    assert found.keys() == expected.keys()
    assert all(close(found[view] / 40_000, share, 40_000) for view, share in expected.items())


def test_what_is_too_short_or_no_word_is_not_split():
    for text in ("the cat", "12345 3.14159 covid19 www.example.org", "—————", "的"):
        assert set(views(WordSplit(0.9), [text] * 50)) == {text}
    assert "c at" in views(WordSplit(0.9, 3), ["cat"] * 50)
    assert set(views(WordSplit(0.99), ["银行"] * 50)) <= {"银 行", "银行"}
    assert set(views(WordSplit(0.9, chinese="characters"), ["银行"] * 50)) == {"银行"}
    # What changes a character stays with it.
    assert set(views(WordSplit(0.99, 2), ["e\u0301a\u0300"] * 50)) <= {
        "e\u0301 a\u0300",
        "e\u0301a\u0300",
    }


def test_spaces_between_words_go_at_the_rate_asked_for():
    text = " a b  c\td 中 文 "
    rows = views(WordJoin(0.3), [text] * 20_000)
    assert all(re.sub(r"\s", "", row) == "abcd中文" for row in rows)
    assert all(row.startswith(" a") and row.endswith("文 ") for row in rows)
    for left, right in pairwise("abcd中文"):
        gone = sum(left + right in row for row in rows)
        assert close(gone / 20_000, 0.3, 20_000)
    spaces = {" a", "a b", "b  c", "c\td", "d 中", "中 文", "文 "}
    assert all(any(s in row for row in rows) for s in spaces)


@pytest.mark.parametrize(
    ("word", "others"),
    [
        ("word", {"Word", "WORD"}),
        ("Word", {"word", "WORD"}),
        ("WORD", {"word", "Word"}),
        ("wOrd", {"word", "Word", "WORD"}),
        ("(i)", {"(I)"}),
        ("I", {"i"}),
        ("“élan-Vital,”", {"“élan-vital,”", "“Élan-vital,”", "“ÉLAN-VITAL,”"}),
        ("день", {"День", "ДЕНЬ"}),
        ("được", {"Được", "ĐƯỢC"}),
        ("straße", {"Straße", "STRAßE"}),
    ],
)
def test_words_get_each_other_case_equally_often(word, others):
    found = Counter(views(RandomCase(0.6), [word] * 10_000))
    assert found.keys() == {word} | others
    assert all(close(found[view] / 10_000, 0.6 / len(others), 10_000) for view in others)


def test_letters_are_flipped_at_the_rate_asked_for():
    text = "abcdeABCDE éÉ дД 12.— 中"
    rows = views(RandomCase(0.2, "letters"), [text] * 20_000)
    assert all(row.casefold() == text.casefold() for row in rows)
    flipped = np.array([[a != b for a, b in zip(row, text, strict=True)] for row in rows])
    for character, share in zip(text, flipped.mean(0), strict=True):
        assert close(share, 0.2 if character.isalpha() and character != "中" else 0, 20_000)
    assert np.abs(np.corrcoef(flipped[:, :10].T) - np.eye(10)).max() < 0.036


def test_words_are_cut_as_for_other_word_augmenters(sentences):
    text = "He said「你好」to 张三, (and) “left”."
    cut = WordSwap(0.3, chinese="characters")
    for view in views(cut, [text] * 50):
        assert sorted(tokens(view)) == sorted(tokens(text))


@pytest.mark.parametrize("make", RATED)
def test_rates_out_of_range_are_refused(make):
    for p in (-0.1, 1, float("nan")):
        with pytest.raises(ValueError, match="p must be"):
            make(p)


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: WordSwap(reach="far"), ValueError, "reach must be"),
        (lambda: WordSwap(chinese="radicals"), ValueError, "chinese must be"),
        (lambda: RandomCase(unit="texts"), ValueError, "unit must be"),
        (lambda: WordSplit(min_length=1), ValueError, "min_length must be at least 2"),
        (lambda: PunctuationInsert(marks=(". ",)), ValueError, "single words"),
    ],
)
def test_settings_out_of_range_are_refused(make, error, message):
    with pytest.raises(error, match=message):
        make()
