"""How much is changed and where: measured over 20,000 sentences against the theory.

Bounds are at least five standard errors wide, keys are fixed.
"""

import re
from collections import Counter

import numpy as np
import pytest

from pairsmith.augmenters import Crop, SpanMask, WordDropout, WordRepeat, WordShuffle
from pairsmith.augmenters.plans import draw
from tests.augmenters.plain_tokens import is_subsequence, views


def words(texts):
    return [text.split() for text in texts]


def total(lists):
    return sum(map(len, lists))


def test_random_numbers_are_those_of_splitmix64():
    # The first numbers of the reference implementation (https://prng.di.unimi.it) for seed 0.
    numbers = [int(draw(np.uint64(0), counter)) for counter in range(3)]
    assert numbers == [0xE220A8397B1DCDAF, 0x6E789E6AA1B965F4, 0x06C45D188009454F]


@pytest.mark.parametrize("p", [0.05, 0.1, 0.3, 0.7])
def test_the_share_of_words_dropped_is_the_rate_asked_for(sentences, p):
    before, after = words(sentences), words(views(WordDropout(p), sentences))
    assert abs(1 - total(after) / total(before) - p) < 0.005
    assert all(is_subsequence(a, b) for a, b in zip(after, before, strict=True))


def test_every_place_is_dropped_equally_often_and_independently():
    text = " ".join(map(str, range(10)))
    left = words(views(WordDropout(0.3), [text] * 40_000))
    kept = np.zeros((40_000, 10), bool)
    for row, numbers in enumerate(left):
        kept[row, [int(number) for number in numbers]] = True
    assert np.abs(kept.mean(0) - 0.7).max() < 0.0125
    assert np.abs(np.corrcoef(kept.T) - np.eye(10)).max() < 0.027
    # Binomial(10, 0.7), but for the texts that would have become empty.
    assert abs(kept.sum(1).var() - 2.1) < 0.1


@pytest.mark.parametrize(("density", "mean_length"), [(0.15, 3.0), (0.3, 1.0), (0.5, 4.5)])
def test_span_density_and_mean_length_are_those_asked_for(sentences, density, mean_length):
    masked = words(views(SpanMask(density, mean_length), sentences))
    before = total(words(sentences))
    spans = sum(word.startswith("<extra_id_") for text in masked for word in text)
    hidden = before - (total(masked) - spans)
    assert abs(hidden / before - density) < 0.005
    assert abs(hidden / spans - mean_length) < 0.03 * mean_length


@pytest.mark.parametrize("style", ["mask", "delete"])
def test_styles_mask_the_same_spans(sentences, style):
    few = sentences[:2000]
    marked = views(SpanMask(), few)
    mark = {"mask": "[MASK]", "delete": ""}[style]
    expected = [re.sub(r"<extra_id_\d+>", mark, text).split() for text in marked]
    assert words(views(SpanMask(style=style), few)) == expected


def test_spans_start_anywhere_equally_often():
    # Ten words, 0.3 of them in spans of three: one span each, with eight places to start.
    text = " ".join(map(str, range(10)))
    starts = Counter(
        view.split().index("[MASK]") for view in views(SpanMask(0.3, style="mask"), [text] * 40_000)
    )
    assert sorted(starts) == list(range(8))
    assert max(abs(count / 40_000 - 1 / 8) for count in starts.values()) < 0.009


def test_the_lengths_of_spans_are_uniform_among_those_that_fit():
    # Twelve words, half of them in two spans: 1 + 5, 2 + 4, 3 + 3, 4 + 2 or 5 + 1.
    text = " ".join(map(str, range(12)))
    firsts = Counter()
    for view in views(SpanMask(0.5), [text] * 40_000):
        first, second = view.split("<extra_id_0>")
        after = second.split("<extra_id_1>")[0].split()
        firsts[int(after[0]) - len(first.split())] += 1
    assert sorted(firsts) == [1, 2, 3, 4, 5]
    assert max(abs(count / 40_000 - 0.2) for count in firsts.values()) < 0.011


def test_crops_have_every_share_and_every_place_equally_often(sentences):
    long = [text for text in sentences if len(text.split()) == 40]
    long = (long * 60)[:30_000]
    shares = np.array([len(view.split()) / 40 for view in views(Crop(0.25, 0.75), long)])
    # Uniform on [0.25, 0.75], rounded to fortieths.
    assert shares.min() == 0.25
    assert shares.max() == 0.75
    assert abs(shares.mean() - 0.5) < 0.005
    assert abs(shares.var() - 0.5**2 / 12) < 0.0008
    text = " ".join(map(str, range(10)))
    first = Counter(view.split()[0] for view in views(Crop(0.4, 0.4), [text] * 35_000))
    assert sorted(first) == list("0123456")
    assert max(abs(count / 35_000 - 1 / 7) for count in first.values()) < 0.01


def test_a_crop_keeps_at_least_the_words_asked_for():
    text = "one two three four five six"
    lengths = {len(view.split()) for view in views(Crop(0.1, 0.9, 4), [text] * 300)}
    assert lengths == {4, 5}
    assert views(Crop(0.1, 0.2, 4), ["one two", " one "]) == ["one two", " one "]


def test_two_words_change_places_as_often_as_the_formula_says():
    # 0 + U > 1 + V for U, V uniform in [0, 2): one eighth.
    found = Counter(views(WordShuffle(2), ["a b"] * 40_000))
    assert abs(found["b a"] / 40_000 - 1 / 8) < 0.009
    # For a window of 3, U > 1 + V: (2 / 3) ** 2 / 2.
    found = Counter(views(WordShuffle(3), ["a b"] * 40_000))
    assert abs(found["b a"] / 40_000 - 2 / 9) < 0.011


@pytest.mark.parametrize(("count", "most"), [(1, 1), (5, 2), (20, 6)])
def test_repeated_words_are_as_many_as_esimcse_draws(count, most):
    text = " ".join(map(str, range(count)))
    added, twice = Counter(), Counter()
    for view in words(views(WordRepeat(0.32), [text] * 30_000)):
        repeated = [word for word, times in Counter(view).items() if times == 2]
        assert len(view) == count + len(repeated)
        added[len(repeated)] += 1
        twice.update(repeated)
    # Uniform in [0, max(2, int(0.32 * count))], but there is no more to repeat than there is.
    drawn = max(2, int(0.32 * count))
    expected = np.bincount(np.minimum(np.arange(drawn + 1), count)) / (drawn + 1)
    assert sorted(added) == list(range(most + 1))
    assert max(abs(added[k] / 30_000 - share) for k, share in enumerate(expected)) < 0.0145
    mean = expected @ np.arange(most + 1) / count
    assert max(abs(times / 30_000 - mean) for times in twice.values()) < 0.0145
