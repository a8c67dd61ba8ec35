"""Views as they were when read by eye: five English and five Chinese texts for every augmenter.

A change here is a change of output: raise the augmenter's `version` with it. The Chinese words
are those of rjieba 0.2; `golden.model` knows pieces of the ten texts.
"""

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from pairsmith.augmenters import (
    Crop,
    SpanMask,
    TokenDropout,
    TokenSpanMask,
    WordDropout,
    WordRepeat,
    WordShuffle,
)

HERE = Path(__file__).parent
GOLDEN = json.loads((HERE / "golden.json").read_text("utf-8"))
MODEL = str(HERE / "golden.model")
AUGMENTERS = {
    "WordDropout": WordDropout(0.3),
    "WordDropout-characters": WordDropout(0.3, chinese="characters"),
    "SpanMask": SpanMask(0.3, 2.0),
    "SpanMask-mask": SpanMask(0.3, 2.0, "mask"),
    "SpanMask-delete": SpanMask(0.3, 2.0, "delete"),
    "Crop": Crop(),
    "WordShuffle": WordShuffle(),
    "WordRepeat": WordRepeat(),
    "TokenDropout": TokenDropout(MODEL, 0.2),
    "TokenSpanMask": TokenSpanMask(MODEL, 0.2),
}


def test_every_augmenter_has_golden_views():
    assert GOLDEN["views"].keys() == AUGMENTERS.keys()


@pytest.mark.parametrize("name", AUGMENTERS)
def test_views_are_those_read_by_eye(name):
    augmenter = AUGMENTERS[name]
    assert augmenter.version == 1
    own = np.array([1, 2, 3, 4, 5] * 2, np.uint64)
    assert augmenter(pa.array(GOLDEN["texts"]), own).to_pylist() == GOLDEN["views"][name]
