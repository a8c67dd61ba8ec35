"""Words of a vocabulary put into texts: how often, which ones, where, and in what case."""

import math
import pickle
import re
from collections import Counter

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pairsmith.augmenters import Sequence
from pairsmith.augmenters.augmenter import Fits
from pairsmith.augmenters.compose import fits, fitted
from pairsmith.augmenters.vocabulary import words_table
from pairsmith.augmenters.word_choice import WordInsert, WordSubstitute
from pairsmith.schemas import UserError
from tests.augmenters.plain_tokens import keys, views
from tests.augmenters.properties import check_golden, check_properties

TEN = "a b c d e f g h i j"
LISTED = ("oak", "Elm", "山", "河流")
CORPUS = [
    "The rates rose. The banks of Boston closed, said Banks!",
    "the the well-known banks don't; visit www.example.org, 2021 or e2e 3.5",
    "银行的气温，银行的短信。",
]
AUGMENTERS = {
    "word_insert": WordInsert(0.3).fit(pa.array(CORPUS)),
    "word_substitute": WordSubstitute(0.3, LISTED),
}


def close(share, expected, count):
    """Return whether a share of `count` trials is the expected one, by five deviations."""
    return abs(share - expected) <= 5 * (expected * (1 - expected) / count) ** 0.5


@pytest.mark.parametrize("name", AUGMENTERS)
def test_promises_to_every_text(name):
    check_properties(AUGMENTERS[name], 40)


@pytest.mark.parametrize("name", AUGMENTERS)
def test_views_are_those_read_by_eye(name):
    check_golden(AUGMENTERS[name], name)


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


def test_an_arrow_array_of_words_will_do():
    assert WordInsert(vocabulary=pa.array(LISTED)) == WordInsert(vocabulary=LISTED)


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"p": 1}, ValueError, "p must be"),
        ({"p": float("nan")}, ValueError, "p must be"),
        ({"most_words": 0}, ValueError, "most_words must be at least 1"),
        ({"vocabulary": "oak"}, TypeError, "several words, not one string"),
        ({"vocabulary": ("oak tree",)}, ValueError, "single words"),
        ({"vocabulary": ("",)}, ValueError, "single words"),
        ({"vocabulary": (7,)}, TypeError, "must hold strings"),
        ({"vocabulary": ("a",), "counts": (1, 2)}, ValueError, "counts must be"),
    ],
)
@pytest.mark.parametrize("make", [WordInsert, WordSubstitute])
def test_settings_out_of_range_are_refused(make, settings, error, message):
    with pytest.raises(error, match=message):
        make(**settings)


@given(st.lists(st.tuples(st.floats(1e-3, 1e6), st.booleans()), min_size=1, max_size=30))
def test_the_table_draws_every_word_by_its_weight(given_words):
    weights, chinese = zip(*given_words, strict=True)
    table = words_table([f"w{n}" for n in range(len(weights))], weights, chinese)
    for kind, first, stop in ((False, 0, table.chinese), (True, table.chinese, table.stop)):
        own = [weight for weight, is_so in given_words if is_so == kind]
        chances = (table.draws[first:stop] & np.uint64(2**32 - 1)).astype(np.float64) / 2**32
        others = (table.draws[first:stop] >> np.uint64(32)).astype(np.int64)
        assert len(own) == len(chances)
        shares = (chances + np.bincount(others, 1 - chances, len(own))) / max(len(own), 1)
        assert shares == pytest.approx(np.array(own) / (math.fsum(own) or 1), abs=1e-8)
