"""Word augmenters: what holds for every text, checked by a tokenizer of the tests' own."""

import dataclasses
import pickle
import re
from collections import Counter
from itertools import groupby, pairwise

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pairsmith.augmenters import Augmenter, Crop, SpanMask, WordDropout, WordRepeat, WordShuffle
from tests.augmenters.plain_tokens import TEXTS, is_subsequence, keys, tokens, views

BY_CHARACTER = {"chinese": "characters"}
AUGMENTERS = [
    WordDropout(0.3),
    WordDropout(0.9, **BY_CHARACTER),
    SpanMask(0.4, 1.5),
    SpanMask(0.4, 1.5, "mask", **BY_CHARACTER),
    SpanMask(0.4, 1.5, "mask", mask="「遮", **BY_CHARACTER),
    SpanMask(0.4, 1.5, "delete", **BY_CHARACTER),
    Crop(**BY_CHARACTER),
    Crop(0.2, 0.5),
    WordShuffle(4, **BY_CHARACTER),
    WordRepeat(0.9, **BY_CHARACTER),
    WordRepeat(),
]
REMOVING = [a for a in AUGMENTERS if isinstance(a, WordDropout | Crop)] + [SpanMask(style="delete")]
SEEDS = st.integers(0, 2**32)
every = pytest.mark.parametrize("augmenter", AUGMENTERS, ids=str)
quick = settings(deadline=None, max_examples=60)


@every
@quick
@given(texts=TEXTS, seed=SEEDS)
def test_no_text_raises_or_becomes_empty_and_null_stays_null(augmenter, texts, seed):
    for text, view in zip(texts, views(augmenter, texts, seed), strict=True):
        if text is None:
            assert view is None
        elif not text.split():
            assert view == text
        else:
            assert view.split()


@every
@quick
@given(texts=TEXTS, seed=SEEDS, cut=st.integers(0, 6))
def test_a_view_depends_on_its_text_and_key_alone(augmenter, texts, seed, cut):
    array, own = pa.array(texts, pa.string()), keys(len(texts), seed)
    whole = augmenter(array, own)
    assert augmenter(array, own) == whole
    parts = [augmenter(array[:cut], own[:cut]), augmenter(array[cut:], own[cut:])]
    assert pa.concat_arrays(parts) == whole
    assert augmenter(array.cast(pa.large_string()), own) == whole
    assert augmenter(array[::-1].cast(pa.string_view()), own[::-1]).to_pylist()[::-1] == (
        whole.to_pylist()
    )
    whole.validate(full=True)


@pytest.mark.parametrize("augmenter", REMOVING, ids=str)
@quick
@given(texts=TEXTS, seed=SEEDS)
def test_what_is_left_are_words_of_the_text_in_order(augmenter, texts, seed):
    augmenter = dataclasses.replace(augmenter, chinese="characters")
    for text, view in zip(texts, views(augmenter, texts, seed), strict=True):
        if text is not None:
            assert is_subsequence(tokens(view), tokens(text))


@quick
@given(texts=TEXTS, seed=SEEDS)
def test_words_cut_by_rjieba_keep_their_characters_in_order(texts, seed):
    for text, view in zip(texts, views(WordDropout(0.5), texts, seed), strict=True):
        if text is not None:
            assert is_subsequence("".join(view.split()), "".join(text.split()))


@quick
@given(texts=TEXTS, seed=SEEDS)
def test_shuffling_keeps_every_word_and_moves_none_a_whole_window(texts, seed):
    augmenter = WordShuffle(3, **BY_CHARACTER)
    for text, view in zip(texts, views(augmenter, texts, seed), strict=True):
        if text is None:
            continue
        before, after = tokens(text), tokens(view)
        assert Counter(before) == Counter(after)
        if len(set(before)) == len(before):
            assert all(abs(after.index(token) - i) < 3 for i, token in enumerate(before))


@quick
@given(texts=TEXTS, seed=SEEDS)
def test_repeating_keeps_every_word_and_says_a_word_at_most_twice(texts, seed):
    augmenter = WordRepeat(0.5, **BY_CHARACTER)
    for text, view in zip(texts, views(augmenter, texts, seed), strict=True):
        if text is None:
            continue
        before, after = tokens(text), tokens(view)
        added = len(after) - len(before)
        assert 0 <= added <= min(max(2, int(0.5 * len(before))), len(before))
        runs, longer = (
            [(token, len(list(run))) for token, run in groupby(t)] for t in (before, after)
        )
        for (token, count), (repeated, more) in zip(runs, longer, strict=True):
            assert token == repeated
            assert count <= more <= 2 * count


@quick
@given(texts=TEXTS, seed=SEEDS)
def test_sentinels_count_up_between_words_of_the_text(texts, seed):
    augmenter = SpanMask(0.4, 1.5, **BY_CHARACTER)
    for text, view in zip(texts, views(augmenter, texts, seed), strict=True):
        if text is None:
            continue
        after = tokens(view)
        marks = [t for t in after if t.startswith("<extra_id_")]
        assert marks == [f"<extra_id_{i}>" for i in range(len(marks))]
        assert is_subsequence([t for t in after if t not in marks], tokens(text))
        assert all(a not in marks or b not in marks for a, b in pairwise(after))


@given(texts=TEXTS)
@quick
def test_settings_that_change_nothing_give_the_same_bytes(texts):
    array, own = pa.array(texts, pa.string()), keys(len(texts))
    for augmenter in (WordDropout(0.0), SpanMask(0.0), Crop(1.0, 1.0)):
        assert augmenter(array, own) == array


def test_words_keep_their_spelling_punctuation_and_the_space_before_them():
    text = " Don't—\tstop   (now),\u2003“please”.\n"
    spaced = {"Don't—": "", "stop": "\t", "(now),": "   ", "“please”.": "\u2003"}
    for view in views(WordDropout(0.5), [text] * 200):
        kept = [word for word in spaced if word in view.split()]
        rest = "".join(spaced[word] + word for word in kept[1:])
        assert view == " " + kept[0] + rest + "\n"


def test_a_crop_is_a_piece_of_the_text_without_space_around_it():
    text = "  one two\tthree  four five\n"
    for view in views(Crop(), [text] * 200):
        assert view in text
        assert view == view.strip()


def test_neighbours_without_a_space_get_one_unless_they_are_chinese():
    # Only `abc` and `def` could run into one another.
    found = set(views(WordDropout(0.5, **BY_CHARACTER), ["abc中def国"] * 400))
    assert "abc def国" in found
    assert "abc def" in found
    assert "中国" in found
    assert "abc国" in found
    assert not any("abcdef" in view for view in found)


def test_chinese_words_are_whole_and_characters_are_single():
    text = "我来到北京清华大学"
    words = set(views(Crop(1e-9, 1e-9), [text] * 200))
    assert words == {"我", "来到", "北京", "清华大学"}
    assert set(views(Crop(1e-9, 1e-9, **BY_CHARACTER), [text] * 300)) == set(text)


def test_chinese_words_do_not_depend_on_the_texts_beside_them():
    texts = [
        "南京市长江",
        "大桥",
        "T恤\x00卡拉OK",
        None,
        "他来自\n网易杭研大厦",
        "plain",
        "研究生命",
    ]
    together = views(WordDropout(0.4), texts)
    own = keys(len(texts))
    apart = [
        WordDropout(0.4)(pa.array([text], pa.string()), own[i : i + 1])[0].as_py()
        for i, text in enumerate(texts)
    ]
    assert together == apart


@every
def test_every_augmenter_is_one_and_comes_back_from_pickle(augmenter):
    assert isinstance(augmenter, Augmenter)
    assert augmenter.name
    assert augmenter.version >= 1
    assert pickle.loads(pickle.dumps(augmenter)) == augmenter
    assert hash(augmenter) == hash(dataclasses.replace(augmenter))
    augmenter.setup()


@pytest.mark.parametrize(
    ("kind", "settings", "message"),
    [
        (WordDropout, {"p": 1.0}, "p must be at least 0 and below 1, not 1.0"),
        (WordDropout, {"p": -0.1}, "p must be"),
        (WordDropout, {"p": float("nan")}, "p must be"),
        (WordDropout, {"chinese": "words "}, "chinese must be 'words' or 'characters'"),
        (SpanMask, {"density": 1.0}, "density must be at least 0 and below 1"),
        (SpanMask, {"mean_length": 0.5}, "mean_length must be at least 1"),
        (SpanMask, {"density": 0.8, "mean_length": 2.0}, "mean_length must be at least 4.0"),
        (SpanMask, {"style": "T5"}, "style must be 'sentinel', 'mask' or 'delete'"),
        (SpanMask, {"mask": "a b"}, "mask must be one word"),
        (SpanMask, {"mask": ""}, "mask must be one word"),
        (Crop, {"min": 0.0}, "0 < min <= max <= 1"),
        (Crop, {"min": 0.9}, "0 < min <= max <= 1"),
        (Crop, {"max": 1.1}, "0 < min <= max <= 1"),
        (Crop, {"min_words": 0}, "min_words must be at least 1"),
        (WordShuffle, {"window": 1}, "window must be from 2 to 1000"),
        (WordRepeat, {"rate": 1.1}, "rate must be from 0 to 1"),
    ],
)
def test_settings_out_of_range_are_refused_with_the_range(kind, settings, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        kind(**settings)


@pytest.mark.parametrize(
    "wrong", [np.zeros(1, np.uint64), np.zeros(2, np.int64), np.zeros((2, 1), np.uint64), [1, 2]]
)
def test_keys_of_another_kind_or_number_are_refused(wrong):
    with pytest.raises(ValueError, match=r"uint64 array of shape \(2,\)"):
        WordDropout()(pa.array(["a", "b"]), wrong)


def test_a_text_of_a_million_words_is_as_good_as_any():
    text = "word 词 " * 500_000
    view = views(WordDropout(0.5, **BY_CHARACTER), [text, "short"])[0]
    assert 0.495 < len(view.split()) / 1_000_000 < 0.505
    assert len(views(WordRepeat(1.0), [text])[0]) > len(text)
