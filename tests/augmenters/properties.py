"""What must hold of every augmenter, and the golden files of those that have one each."""

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pairsmith.augmenters import Augmenter, Views, views_of

GOLDEN = Path(__file__).parent / "golden"
HOSTILE = [
    "",
    " ",
    "\n\t ",
    "a",
    "。",
    "3",
    "é\u0301",
    "\u200b",
    "‮abc",
    "😀👩‍👩‍👧",
    "一二 three",
    "\x00",
]
ORDINARY = [
    "The bank did not raise its rates in March 2021, said Jerome Powell.",
    "New York is larger than Boston; the rent rose by 3.5 % to $1,200.",
    "昨天北京的气温是35度，比上海高。",
    "他没有收到银行的短信，请问怎么办？",
]
texts = st.text(max_size=40) | st.sampled_from(HOSTILE + ORDINARY)


def check_properties(augmenter: Augmenter, examples: int = 60) -> None:
    """Fail unless the augmenter keeps its promises on any text.

    It never raises, never makes an empty text of one that is not, gives null for null, and its view
    of a text depends on the text and its key alone, however texts are batched. What it explains
    has as many rows, and details are JSON objects.
    """
    assert isinstance(augmenter, Augmenter)
    assert augmenter.name
    assert isinstance(augmenter.version, int)
    assert isinstance(augmenter.needs, str)
    assert isinstance(augmenter.keeps_meaning, bool)
    augmenter.setup()

    @settings(deadline=None, max_examples=examples)
    @given(
        st.lists(st.tuples(st.none() | texts, st.integers(0, 2**64 - 1)), max_size=8),
        st.integers(0, 8),
    )
    @example([(text, key) for key, text in enumerate([*HOSTILE, *ORDINARY, None])], 5)
    def holds(rows, cut):
        given_texts = pa.array([text for text, _ in rows], pa.string())
        keys = np.array([key for _, key in rows], np.uint64)
        views = views_of(augmenter, given_texts, keys)
        assert isinstance(views, Views)
        for column in views:
            assert (column.type, len(column)) == (pa.string(), len(rows))
        assert augmenter(given_texts, keys).to_pylist() == views.texts.to_pylist()
        for text, view, detail in zip(
            given_texts.to_pylist(), views.texts.to_pylist(), views.details.to_pylist(), strict=True
        ):
            assert text is not None or view is None
            assert view is None or view.strip() or not text.strip()
            assert detail is None or isinstance(json.loads(detail), dict)
        parts = [
            views_of(augmenter, given_texts[part], keys[part])
            for part in (slice(cut), slice(cut, None))
        ]
        for whole, *halves in zip(views, *parts, strict=True):
            assert pa.concat_arrays(halves).to_pylist() == whole.to_pylist()
        backwards = views_of(augmenter, given_texts[::-1], keys[::-1].copy())
        assert backwards.texts.to_pylist()[::-1] == views.texts.to_pylist()

    holds()


def check_golden(augmenter: Augmenter, file: str) -> None:
    """Fail unless the augmenter makes the views of `golden/<file>.json`, which were read by eye.

    The file has `version`, and `rows` of `text`, `key` and `view`.
    """
    golden = json.loads((GOLDEN / f"{file}.json").read_text("utf-8"))
    rows = golden["rows"]
    assert len(rows) >= 5
    assert golden["version"] == augmenter.version, "the output changed? read the new views by eye"
    keys = np.array([row["key"] for row in rows], np.uint64)
    views = augmenter(pa.array([row["text"] for row in rows]), keys).to_pylist()
    assert views == [row["view"] for row in rows]
