"""The hand-checked English views: nine of ten are sentences that mean something else."""

import json

import numpy as np
import pyarrow as pa
import pytest

from pairsmith.augmenters.perturb import AntonymSwap, Negation, NumberChange, RoleSwap
from tests.augmenters.perturb.made import DATA, phrases_en

ALL = [Negation(), NumberChange(), phrases_en(), AntonymSwap(), RoleSwap()]
HINT = "the rules changed? draw again, read every view, and judge it: see SOURCES.md there"


@pytest.mark.parametrize("augmenter", ALL, ids=lambda augmenter: augmenter.name)
def test_nine_of_ten_views_that_were_read_are_sentences_that_mean_something_else(augmenter):
    lines = (DATA / f"{augmenter.name}_en.jsonl").read_text("utf-8").splitlines()
    rows = [json.loads(line) for line in lines]
    assert len({row["text"] for row in rows}) == 100
    texts = pa.array([row["text"] for row in rows])
    keys = np.array([row["key"] for row in rows], np.uint64)
    assert augmenter(texts, keys).to_pylist() == [row["view"] for row in rows], HINT
    good = [row["grammatical"] and row["meaning_changes"] for row in rows]
    assert sum(good) >= 90
