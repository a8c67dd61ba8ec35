"""Words swapped, put in, replaced, split, joined and recased: how often, where, in what case."""

import pickle
import re
from collections import Counter
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pytest

from pairsmith.augmenters import Sequence
from pairsmith.augmenters.augmenter import Fits
from pairsmith.augmenters.compose import fits, fitted
from pairsmith.augmenters.edits import (
    PunctuationInsert,
    RandomCase,
    WordJoin,
    WordSplit,
    WordSwap,
)
from pairsmith.augmenters.word_choice import WordInsert, WordSubstitute
from pairsmith.schemas import UserError
from tests.augmenters.plain_tokens import keys, tokens, views
from tests.augmenters.properties import check_golden, check_properties

TEN = "a b c d e f g h i j"
LISTED = ("oak", "Elm", "山", "河流")
CORPUS = [
    "The rates rose. The banks of Boston closed, said Banks!",
    "the the well-known banks don't; visit www.example.org, 2021 or e2e 3.5",
    "银行的气温，银行的短信。",
]
AUGMENTERS = {
    "word_swap": WordSwap(0.4),
    "word_swap_anywhere": WordSwap(0.3, "anywhere"),
    "punctuation_insert": PunctuationInsert(),
    "word_insert": WordInsert(0.3).fit(pa.array(CORPUS)),
    "word_substitute": WordSubstitute(0.3, LISTED),
    "word_split": WordSplit(0.4),
    "word_join": WordJoin(0.3),
    "random_case": RandomCase(0.4),
    "random_case_letters": RandomCase(0.1, "letters"),
}
RATED = [
    WordSwap,
    PunctuationInsert,
    WordInsert,
    WordSubstitute,
    WordSplit,
    WordJoin,
    RandomCase,
]


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


@pytest.mark.parametrize("p", [0.05, 0.3])
def test_words_are_put_in_at_the_rate_asked_for_equally_before_each(p):
    before, drawn = Counter(), Counter()
    for view in views(WordInsert(p, ("X", "Y", "Z")), [TEN] * 20_000):
        assert re.sub(r"[XYZ] ", "", view) == TEN
        before.update(re.findall(r"[XYZ] ([a-j])", view))
        drawn.update(re.findall(r"[XYZ]", view))
    assert all(close(before[word] / 20_000, p, 20_000) for word in TEN.split())
    assert all(close(drawn[word] / drawn.total(), 1 / 3, drawn.total()) for word in "XYZ")


@pytest.mark.parametrize("p", [0.05, 0.3])
def test_the_share_of_words_replaced_is_the_rate_asked_for(p, sentences):
    before = " ".join(sentences).split()
    after = " ".join(views(WordSubstitute(p, ("zzz",)), sentences)).split()
    hit = [b.strip(",.()“”").lower() == "zzz" for b in after]
    words = [re.search(r"[a-z]", a.lower()) is not None for a in before]
    assert close(sum(hit) / sum(words), p, sum(words))
    # Only words change, and what stands around them stays.
    for a, b, word in zip(before, after, words, strict=True):
        assert a == b or (word and re.sub(r"[\w']+", "zzz", a) == b.lower())


def test_words_of_a_corpus_are_drawn_by_their_counts_to_the_power_of_three_quarters():
    corpus = pa.array(["often " * 81 + "some " * 16 + "once"])
    augmenter = WordSubstitute(0.9).fit(corpus)
    drawn = Counter(views(augmenter, ["w"] * 40_000))
    for word, share in {"often": 27 / 36, "some": 8 / 36, "once": 1 / 36, "w": None}.items():
        assert close(drawn[word] / 40_000, 0.9 * share if share else 0.1, 40_000)


def test_a_corpus_gives_its_words_without_numbers_addresses_and_punctuation():
    found = WordInsert().fit(pa.array(CORPUS))
    counts = dict(zip(found.vocabulary, found.counts, strict=True))
    assert counts == {
        "the": 4,
        "banks": 3,
        "银行": 2,
        "的": 2,
        "rates": 1,
        "rose": 1,
        "of": 1,
        "Boston": 1,
        "closed": 1,
        "said": 1,
        "well-known": 1,
        "don't": 1,
        "visit": 1,
        "or": 1,
        "气温": 1,
        "短信": 1,
    }
    assert list(found.counts) == sorted(found.counts, reverse=True)


def test_the_words_of_a_corpus_do_not_depend_on_its_order_or_parts():
    texts = CORPUS * 3 + [None, ""]
    found = WordInsert().fit(pa.array(texts))
    assert WordInsert().fit(pa.array(texts[::-1])) == found
    assert found.fit(pa.array(texts)) == found
    many = pa.array(["tea time"] * 20_000 + ["Tea"] * 20_001)
    assert WordInsert().fit(many).vocabulary == ("Tea", "time")
    assert WordInsert().fit(many).counts == (40_001, 20_000)
    few = WordInsert(most_words=1).fit(many)
    assert few.vocabulary == ("Tea",)


def test_listed_words_are_kept_when_a_build_fits():
    augmenter = WordSubstitute(0.5, ("oak",))
    assert augmenter.fit(pa.array(CORPUS)) is augmenter
    assert isinstance(augmenter, Fits)
    step = Sequence(WordInsert(0.5), augmenter)
    assert fits(step)
    assert fitted(step, pa.array(CORPUS)).steps[0].vocabulary[:2] == ("the", "banks")


@pytest.mark.parametrize("make", [WordInsert, WordSubstitute])
def test_without_words_setup_works_and_a_call_says_what_to_do(make):
    augmenter = make()
    augmenter.setup()
    with pytest.raises(UserError, match=r"has no words: give it vocabulary=.*or call fit\(texts\)"):
        augmenter(pa.array(["some text"]), keys(1))
    wordless = augmenter.fit(pa.array(["12 — 3.5", None]))
    assert views(wordless, ["some text", "文字"]) == ["some text", "文字"]


def test_a_pickled_augmenter_makes_the_same_views():
    augmenter = WordSubstitute(0.5).fit(pa.array(CORPUS))
    before = views(augmenter, [TEN] * 20)
    again = pickle.loads(pickle.dumps(augmenter))
    assert views(again, [TEN] * 20) == before
    assert again == augmenter


def test_chinese_is_replaced_by_chinese_and_cut_as_asked():
    for view in views(WordSubstitute(0.9, LISTED), ["We like 银行的气温, too."] * 200):
        assert re.fullmatch(
            r"(We|Oak|Elm) (like|oak|Elm) (银行|山|河流)(的|山|河流)(气温|山|河流), "
            r"(too|oak|Elm)\.",
            view,
        )
    single = WordSubstitute(0.9, ("山",), chinese="characters")
    assert any(view == "山山山山山" for view in views(single, ["银行的气温"] * 50))
    assert set(views(WordSubstitute(0.9, ("oak",)), ["银行的气温。"] * 20)) == {"银行的气温。"}
    corpus = pa.array(["银行的气温"])
    assert set(WordInsert(chinese="characters").fit(corpus).vocabulary) == set("银行的气温")


def test_words_take_the_case_of_what_they_replace():
    oak = WordSubstitute(0.999, ("oak",))
    text = "The BANK, O'Neill and I (Åse) saw A.B. “ÉTÉ” iPhones."
    assert views(oak, [text])[0] == "Oak OAK, Oak oak oak (Oak) oak A.B. “OAK” oak."
    assert views(oak, ["I"])[0] == "Oak"
    assert views(WordSubstitute(0.999, ("Elm",)), ["a BIG tree"])[0] == "Elm ELM Elm"
    assert views(WordSubstitute(0.999, ("élan",)), ["Big TREE Ạn"])[0] == "Élan ÉLAN Élan"


def test_words_put_in_begin_a_text_with_a_capital():
    put = WordInsert(0.999, ("oak",))
    assert views(put, ["The Bank"])[0] == "Oak The oak Bank"
    assert views(put, ["the bank"])[0] == "oak the oak bank"
    assert views(put, ["THE BANK"])[0] == "OAK THE OAK BANK"
    assert views(WordInsert(0.999, ("山",)), ["银行的“气温”"])[0] == "山银行山的山“气温”"


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
        (lambda: WordInsert(most_words=0), ValueError, "most_words must be at least 1"),
        (lambda: WordInsert(vocabulary="oak"), TypeError, "several words, not one string"),
        (lambda: WordInsert(vocabulary=("oak tree",)), ValueError, "single words"),
        (lambda: WordInsert(vocabulary=("",)), ValueError, "single words"),
        (lambda: WordInsert(vocabulary=(7,)), TypeError, "must hold strings"),
        (lambda: WordInsert(vocabulary=("a",), counts=(1, 2)), ValueError, "counts must be"),
        (lambda: PunctuationInsert(marks=(". ",)), ValueError, "single words"),
    ],
)
def test_settings_out_of_range_are_refused(make, error, message):
    with pytest.raises(error, match=message):
        make()


def test_an_arrow_array_of_words_will_do():
    assert WordInsert(vocabulary=pa.array(LISTED)) == WordInsert(vocabulary=LISTED)
