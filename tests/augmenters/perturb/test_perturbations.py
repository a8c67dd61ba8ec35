"""What all perturbations promise: choice by key, the recorded edit, golden views, languages."""

import time

import numpy as np
import pyarrow as pa
import pytest

from pairsmith.augmenters.perturb import AntonymSwap, Negation, NumberChange, RoleSwap
from pairsmith.augmenters.perturb.edits import Edit, apply, covering, has_han
from tests.augmenters.perturb.made import every, phrases_en, view
from tests.augmenters.properties import check_golden, check_properties

ALL = [Negation(), NumberChange(), phrases_en(), AntonymSwap(), RoleSwap()]
TEXT = "Mary told Joe that the bank in Paris did not raise its low rates in March 2021; he saw her."


@pytest.fixture(params=ALL, ids=lambda augmenter: augmenter.name)
def augmenter(request):
    return request.param


def test_promises_to_every_text(augmenter):
    check_properties(augmenter)


def test_golden_views_in_english(augmenter):
    check_golden(augmenter, f"{augmenter.name}_en")


def test_views_are_hard_negatives_in_english_and_chinese(augmenter):
    assert not augmenter.keeps_meaning
    assert augmenter.languages == ("en", "zh")
    assert augmenter.needs == ""


def test_the_key_chooses_among_all_changes(augmenter):
    keys = np.arange(400, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    views = augmenter(pa.array([TEXT] * 400), keys).to_pylist()
    assert set(views) == every(augmenter, TEXT)
    assert len(set(views)) > 1


def test_the_recorded_edit_makes_the_view_and_is_no_larger_than_needed(augmenter):
    made, details = view(augmenter, TEXT, 3)
    (old, new), at = details["edit"], details["at"]
    assert TEXT[at : at + len(old)] == old
    assert TEXT[:at] + new + TEXT[at + len(old) :] == made
    assert made != TEXT
    assert old.split()[:1] != new.split()[:1]
    assert old.split()[-1:] != new.split()[-1:]


def test_a_text_without_a_change_gets_no_view_and_a_reason(augmenter):
    made = augmenter.views(pa.array(["Hm", None]), np.zeros(2, np.uint64))
    assert made.texts.to_pylist() == [None, None]
    assert made.reasons.to_pylist() == ["nothing to change", None]
    assert made.details.to_pylist() == [None, None]


@pytest.mark.parametrize(
    "text",
    ["x" * 100_000, "中文字" * 15_000, f"3{' ' * 20_000}5"],
    ids=["no spaces", "no stops", "spaces"],
)
def test_a_long_text_of_one_sentence_takes_no_minutes(augmenter, text):
    augmenter.setup()
    view(augmenter, TEXT + "中文", 3)
    begun = time.process_time()
    augmenter(pa.array([text]), np.zeros(1, np.uint64))
    assert time.process_time() - begun < 6  # it takes 0.1 s; quadratic time took 20


def test_the_text_decides_by_which_rules():
    assert has_han("我 like it")
    assert not has_han("I like ひらがな, 한국어 and 1,5 €")
    assert every(Negation(), "他是老师。") == {"他不是老师。"}


def test_edits_are_applied_together_and_covered_by_one():
    swap = (Edit(0, 4, "Mary"), Edit(9, 13, "John"))
    assert apply("John hit Mary.", swap) == "Mary hit John."
    assert covering("So: abc", (Edit(4, 5, "x"), Edit(6, 7, ""))) == Edit(4, 7, "xb")
    assert covering("abc", Edit(1, 1, "z")) == Edit(1, 1, "z")
