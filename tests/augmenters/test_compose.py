"""Augmenters made of augmenters do what their parts do, in the shares that were asked for."""

import json
import pickle

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from pairsmith.augmenters import (
    Crop,
    KeyboardTypos,
    OneOf,
    PinyinTypos,
    Sequence,
    Sometimes,
    Views,
    WordDropout,
    WordRepeat,
    WordShuffle,
    from_function,
    intensities,
    views_of,
)
from pairsmith.augmenters.compose import fitted
from pairsmith.augmenters.eda import eda
from pairsmith.augmenters.edits import PunctuationInsert, WordSplit, WordSwap
from pairsmith.augmenters.word_choice import WordInsert, WordSubstitute
from pairsmith.schemas import subkeys
from tests.augmenters.plain_tokens import keys
from tests.augmenters.properties import check_golden, check_properties


def upper(text, rng):
    return text.upper()


def marked(text, rng):
    return f"{text}!"


class Telling:
    """Says of each text how long it was, and refuses texts that hold an x."""

    name, version, languages, keeps_meaning, needs = "telling", 1, ("en",), True, "nothing"

    def setup(self):
        pass

    def __call__(self, texts, keys):
        return self.views(texts, keys).texts

    def views(self, texts, keys):
        given = texts.to_pylist()
        good = [text is not None and "x" not in text for text in given]
        return Views(
            pa.array([t if ok else None for t, ok in zip(given, good, strict=True)], pa.string()),
            pa.array(
                [None if ok or t is None else "an x" for t, ok in zip(given, good, strict=True)],
                pa.string(),
            ),
            pa.array([f'{{"length":{len(t)}}}' if t else None for t in given], pa.string()),
        )


UPPER, MARKED = from_function(upper), from_function(marked)
COMPOSED = {
    "sequence": Sequence(WordDropout(0.3), WordShuffle(), Telling()),
    "one of": OneOf(WordDropout(0.3), UPPER, weights=(3, 1)),
    "sometimes": Sometimes(Sequence(UPPER, Telling()), 0.3),
    "intensities": intensities(WordDropout, 0.1, 0.7),
}


@pytest.mark.parametrize("name", COMPOSED)
def test_compositions_hold_for_any_text(name):
    check_properties(COMPOSED[name])


def test_a_sequence_gives_its_steps_the_subkeys_in_order():
    texts, own = pa.array(["one two three four five six seven"] * 50), keys(50)
    whole = Sequence(WordDropout(0.4), WordShuffle(3))(texts, own)
    first = WordDropout(0.4)(texts, subkeys(own, 0))
    assert whole.equals(WordShuffle(3)(first, subkeys(own, 1)))


def test_one_of_chooses_in_proportion_to_the_weights_and_each_step_as_if_alone():
    texts = pa.array(["word"] * 20_000)
    views = OneOf(UPPER, MARKED, weights=(3, 1))(texts, keys(20_000)).to_pylist()
    assert set(views) == {"WORD", "word!"}
    # Binomial(20000, 3/4): a standard deviation is 0.3 %.
    assert abs(views.count("WORD") / 20_000 - 0.75) < 0.015
    equal = OneOf(UPPER, MARKED)(texts, keys(20_000)).to_pylist()
    assert abs(equal.count("WORD") / 20_000 - 0.5) < 0.02


def numbered(number):
    """Return an augmenter whose view is its number."""
    return from_function(lambda text, rng: str(number), name=f"number {number}")


@pytest.mark.parametrize("chinese", ["words", "characters"])
def test_word_augmenters_chosen_in_one_pass_make_the_views_that_each_makes_alone(chinese):
    cut = {"chinese": chinese}
    steps = (
        WordSubstitute(0.3, ("one", "two", "三"), **cut),
        WordDropout(0.3, **cut),
        WordInsert(0.3, ("three", "四"), **cut),
        WordShuffle(2, **cut),
        WordShuffle(9, **cut),
        WordSwap(0.3, **cut),
        WordSwap(0.3, "anywhere", **cut),
        PunctuationInsert(0.3, **cut),
        WordSplit(0.5, 3, **cut),
        WordRepeat(0.5, **cut),
        Crop(**cut),
        WordSubstitute(0.3, ("one", "two", "三"), **cut),
    )
    given = ["One, two three (four) FIVE six.", "我们昨天去公园，看见 Three 三只鸟。", None]
    given += ["a much longer text " * 40, "x" * 70 + " y", " ", ""]
    texts, own = pa.array(given * 200), keys(200 * len(given))
    weights = tuple(range(1, len(steps) + 1))
    choice = OneOf(*steps, weights=weights)
    chosen = OneOf(*map(numbered, range(len(steps))), weights=weights)(texts, own).to_pylist()
    alone = [step(texts, subkeys(own, number)).to_pylist() for number, step in enumerate(steps)]
    expected = [n if n is None else alone[int(n)][row] for row, n in enumerate(chosen)]
    assert {*filter(None, chosen)} == {*map(str, range(len(steps)))}
    assert choice(texts, own).to_pylist() == expected
    assert pickle.loads(pickle.dumps(choice))(texts, own).to_pylist() == expected


def test_a_choice_that_was_used_takes_the_words_of_another_corpus():
    texts, own = pa.array(["some words of a text"] * 20), keys(20)
    used = fitted(eda(0.5), pa.array(["red green blue"]))
    used(texts, own)
    corpus = pa.array(["silver gold"])
    again = fitted(used, corpus)(texts, own)
    assert again.equals(fitted(eda(0.5), corpus)(texts, own))
    assert not again.equals(used(texts, own))


def test_sometimes_leaves_the_others_as_they_are():
    views = Sometimes(UPPER, 0.2)(pa.array(["word"] * 20_000), keys(20_000)).to_pylist()
    assert set(views) == {"WORD", "word"}
    assert abs(views.count("WORD") / 20_000 - 0.2) < 0.015


def test_large_strings_are_taken_where_steps_leave_some_out():
    texts = pa.array(["word", None] * 20)
    views = Sometimes(UPPER, 0.5)(texts.cast(pa.large_string()), keys(40))
    assert views.equals(Sometimes(UPPER, 0.5)(texts, keys(40)))


def test_intensities_are_spread_from_low_to_high():
    strengths = [step.p for step in intensities(WordDropout, 0.1, 0.7, 4).steps]
    assert strengths == pytest.approx([0.1, 0.3, 0.5, 0.7])
    with pytest.raises(ValueError, match="levels"):
        intensities(WordDropout, 0.1, 0.7, 1)


def test_reasons_and_details_come_through_under_the_names_of_the_steps():
    chain = Sequence(UPPER, Telling(), MARKED, Telling())
    views = views_of(chain, pa.array(["ab", "xx", None]), keys(3))
    assert views.texts.to_pylist() == ["AB!", "XX!", None]
    small = views_of(Sequence(Telling(), UPPER), pa.array(["ab", "xx", None]), keys(3))
    assert small.texts.to_pylist() == ["AB", None, None]
    assert small.reasons.to_pylist() == [None, "an x", None]
    assert json.loads(small.details[0].as_py()) == {"telling": {"length": 2}}
    assert small.details[2].as_py() is None


def test_details_of_steps_with_one_name_are_told_apart():
    told = views_of(Sequence(Telling(), MARKED, Telling()), pa.array(["ab"]), keys(1)).details
    named = json.loads(told[0].as_py(), object_pairs_hook=list)
    assert named == [("telling", [("length", 2)]), ("telling:2", [("length", 3)])]
    # One of several is one step, whatever the others are called.
    one = views_of(OneOf(Telling(), Telling()), pa.array(["ab"] * 20), keys(20)).details
    assert set(one.to_pylist()) == {'{"telling":{"length":2}}'}


def test_what_a_composition_declares_follows_from_its_parts():
    changing = from_function(upper, languages=("zh", "en"), keeps_meaning=False)
    both = OneOf(Telling(), changing)
    # A part is given all texts that the whole is, so that the whole is for no more than each is.
    assert both.languages == ("en",)
    assert not both.keeps_meaning
    assert both.needs == "nothing"
    assert OneOf(Telling(), UPPER).languages == ("en",)
    assert Sequence(UPPER, Sometimes(changing)).languages == ("en", "zh")
    assert Sequence(UPPER, MARKED).languages == ()
    assert Sequence(Telling(), UPPER).name == "telling+upper"
    assert (both.name, Sometimes(UPPER).name) == ("telling|upper", "upper?")


def test_of_a_language_only_the_primary_code_counts():
    given = ("zh-Hans", "fr"), ("ZH", "pt-BR")
    parts = [from_function(upper, languages=codes) for codes in given]
    assert Sequence(*parts).languages == OneOf(*parts).languages == ("zh",)


@pytest.mark.parametrize("composition", [OneOf, Sequence])
def test_parts_that_no_language_suits_together_are_refused(composition):
    says = "no text suits all of: keyboard_typos for en, pinyin_typos. for zh; write a pair kind"
    with pytest.raises(ValueError, match=says):
        composition(KeyboardTypos(), WordDropout(), Sometimes(PinyinTypos()))


@pytest.mark.parametrize(
    ("make", "error"),
    [
        (lambda: Sequence(), ValueError),
        (lambda: Sequence("dropout"), TypeError),
        (lambda: OneOf(UPPER, weights=(1, 2)), ValueError),
        (lambda: OneOf(UPPER, MARKED, weights=(0, 0)), ValueError),
        (lambda: OneOf(UPPER, MARKED, weights=(-1, 2)), ValueError),
        (lambda: Sometimes(UPPER, 0), ValueError),
        (lambda: Sometimes(UPPER, 1.1), ValueError),
    ],
)
def test_settings_that_mean_nothing_are_refused(make, error):
    with pytest.raises(error):
        make()


def test_choices_do_not_depend_on_the_steps_own_draws():
    own = np.arange(4000, dtype=np.uint64)
    texts = pa.array(["a b"] * len(own))
    chosen = OneOf(WordDropout(0.5), UPPER)(texts, own).to_pylist()
    dropped = [view for view in chosen if view != "A B"]
    # Dropout alone decides what it drops: a word of two with p = 1/2 each, one always stays.
    assert abs(dropped.count("a b") / len(dropped) - 0.25) < 0.04


@pytest.mark.parametrize(
    ("file", "augmenter"),
    [
        ("sequence", Sequence(WordShuffle(3), WordDropout(0.3))),
        ("one_of", OneOf(WordDropout(0.3), WordShuffle(3), weights=(1, 2))),
        ("sometimes", Sometimes(WordRepeat(0.5), 0.5)),
        ("intensities", intensities(WordDropout, 0.1, 0.7)),
    ],
)
def test_views_are_those_read_by_eye(file, augmenter):
    check_golden(augmenter, file)


class Louder(WordDropout):
    """Drops words, and raises its voice."""

    def __call__(self, texts, keys):
        return pc.utf8_upper(super().__call__(texts, keys))


def test_a_subclass_of_ones_own_is_called_inside_a_choice():
    one = OneOf(Louder(p=0.3), WordDropout(p=0.3))
    one.setup()
    texts = pa.array(["all these words are small"] * 20)
    views = one(texts, np.arange(20, dtype=np.uint64)).to_pylist()
    assert {view.isupper() for view in views} == {True, False}
