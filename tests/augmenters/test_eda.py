"""EDA: one of four edits a text, by other people's augmenters where they are given."""

from collections import Counter

import pyarrow as pa
import pytest

from pairsmith.augmenters import OneOf, WordDropout, from_function, intensities
from pairsmith.augmenters.compose import fits, fitted
from pairsmith.augmenters.eda import eda
from pairsmith.augmenters.word_choice import WordInsert, WordSubstitute
from tests.augmenters.plain_tokens import views
from tests.augmenters.properties import check_golden, check_properties

CORPUS = pa.array(
    [
        "Interest rates rose again in spring, and small banks closed.",
        "Several companies opened new shops along the river last year.",
        "天气很好，我们去公园散步。",
        "银行昨天关门了。",
    ]
)


def edits_of(augmenter, text, rows):
    """Return how often each kind of edit was made to a text of words that the corpus lacks."""
    found = Counter()
    for view in views(augmenter, [text] * rows):
        before, after = text.split(), view.split()
        kept = [word for word in after if word in before]
        if kept == before:
            found["insert" if len(after) > len(before) else "none"] += 1
        elif sorted(after) == sorted(before):
            found["swap"] += 1
        else:
            found["delete" if len(after) < len(before) else "substitute"] += 1
    return found


def test_promises_to_every_text():
    check_properties(fitted(eda(0.3), CORPUS))


def test_views_are_those_read_by_eye():
    check_golden(fitted(eda(0.2), CORPUS), "eda")


def test_each_edit_is_made_equally_often_and_to_the_share_asked_for():
    text = " ".join(f"w{chr(97 + number)}" for number in range(20))
    # At this rate none of the four leaves a text of twenty words as it is, but once in 10**5.
    found = edits_of(fitted(eda(0.45), CORPUS), text, 8000)
    assert found.keys() <= {"insert", "swap", "delete", "substitute", "none"}
    for kind in ("insert", "swap", "delete", "substitute"):
        assert abs(found[kind] / 8000 - 0.25) < 0.025


def test_its_words_are_those_of_the_corpus_unless_augmenters_are_given():
    assert fits(eda())
    synonyms = from_function(lambda text, rng: text.replace("big", "large"), name="synonyms")
    more = from_function(lambda text, rng: f"{text} indeed", name="more")
    given = eda(0.1, substitute=synonyms, insert=more)
    assert not fits(given)
    assert given.name == "synonyms|more|word_swap|word_dropout"
    assert {"large tree", "big tree indeed"} <= set(views(given, ["big tree"] * 60))
    assert isinstance(fitted(eda(), CORPUS).steps[0], WordSubstitute)
    assert isinstance(fitted(eda(), CORPUS).steps[1], WordInsert)
    assert fitted(eda(), CORPUS).steps[0].vocabulary


def test_settings_reach_all_four():
    steps = eda(0.3, chinese="characters").steps
    assert {step.p for step in steps} == {0.3}
    assert {step.chinese for step in steps} == {"characters"}
    assert steps[2].reach == "anywhere"
    assert steps[3] == WordDropout(0.3, chinese="characters")
    levels = intensities(eda, 0.05, 0.2)
    assert isinstance(levels, OneOf)
    strengths = [level.steps[0].p for level in levels.steps]
    assert strengths == pytest.approx([0.05, 0.1, 0.15, 0.2])
    assert eda().keeps_meaning
