"""What a view shows of a document, and how documents are cut into units and blocks."""

import sys

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pairsmith.pipelines.pairing.pairs import list_units
from pairsmith.pipelines.reading.blocks import segment_documents
from pairsmith.pipelines.reading.read import DOCUMENTS
from pairsmith.pipelines.recipe import Base, Lines, Neighbours, Passage, Sentences, Unit, Whole
from pairsmith.pipelines.recipe.bases import Around
from pairsmith.schemas import UserError


def test_english_and_chinese_are_cut_into_sentences() -> None:
    cut = Sentences()
    assert cut("Mr. Smith paid $3.50 for it. “Why?” she asked. He left.", None) == [
        "Mr. Smith paid $3.50 for it.",
        "“Why?” she asked.",
        "He left.",
    ]
    assert cut("今天天气很好。我们去公园吧！你说：“好的。”然后呢？", None) == [
        "今天天气很好。",
        "我们去公园吧！",
        "你说：“好的。”",
        "然后呢？",
    ]


def test_a_line_break_ends_a_sentence_unless_the_text_is_wrapped() -> None:
    text = "Los Angeles\nWhat date? The\nfirst"
    assert Sentences()(text, "en") == ["Los Angeles", "What date?", "The", "first"]
    assert Sentences(line_breaks="wrap")(text, "en") == ["Los Angeles What date?", "The first"]
    assert Lines()(text, None) == ["Los Angeles", "What date? The", "first"]
    assert Whole()(f" {text} ", None) == [text]


def test_white_space_of_every_kind_becomes_one_space_within_a_sentence() -> None:
    ends = "\r\n\v\f\x1c\x1d\x1e\x85\u2028\u2029"
    spaces = [c for c in map(chr, range(sys.maxunicode)) if c.isspace() and c not in ends]
    for text in [f"{c}One {c}{c}two{c}three.{c}" for c in spaces]:
        assert Sentences()(text, "en") == ["One two three."]


def seen(base: Base, units: list[str]) -> list[str | None]:
    """What a base sees from each unit of a document."""
    places = np.arange(len(units))
    end = np.full(len(units), len(units))
    return base(Around(pa.array(units, pa.string())), places, np.zeros_like(end), end).to_pylist()


def test_neighbours_are_the_sentences_around_without_the_sentence_itself() -> None:
    units = ["One.", "Two.", "Three.", "Two.", "Five."]
    assert seen(Neighbours(1), units) == [
        "Two.",
        "One. Three.",
        "Two. Two.",
        "Three. Five.",
        "Two.",
    ]
    assert seen(Neighbours(3), units)[1] == "One. Three. Five."
    assert seen(Neighbours(3), ["Alone."]) == [None]
    assert seen(Neighbours(2), ["Same."] * 3) == [None, None, None]
    assert seen(Neighbours(2), []) == []


def test_chinese_sentences_are_joined_without_a_space() -> None:
    units = ["天气好。", "他说：“好。”", "Then he left.", "“Yes.”", "结束。"]
    assert seen(Passage(5), units)[0] == "天气好。他说：“好。”Then he left. “Yes.” 结束。"
    assert seen(Passage(2), units)[2:] == ["Then he left. “Yes.”", "“Yes.” 结束。", "结束。"]
    assert seen(Unit(), units) == units
    told = ["他沉默了……", "“我走了——”", "他说“好”……", "Well…", "then—", "“Oh……”", "好。"]
    assert seen(Passage(7), told)[0] == "他沉默了……“我走了——”他说“好”……Well… then— “Oh……” 好。"


@given(
    st.lists(st.text("a。 ”)ア한𠀀…—", min_size=1).filter(lambda t: t == t.strip())),
    st.integers(1, 3),
)
def test_neighbours_are_those_that_a_loop_over_the_sentences_finds(
    units: list[str], each_side: int
) -> None:
    def spaced(text: str) -> str:
        return text if text.rstrip("”)…—")[-1:] in ("。", "ア", "𠀀") else f"{text} "

    found = []
    for i, unit in enumerate(units):
        around = [*units[max(0, i - each_side) : i], *units[i + 1 : i + 1 + each_side]]
        found.append("".join(spaced(text) for text in around if text != unit).rstrip(" ") or None)
    assert seen(Neighbours(each_side), units) == found


def test_a_missing_segmenter_is_one_error_and_not_one_for_each_document(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "sentencex", None)
    row = {"source_id": "d", "text": "A text.", "text_id": "t", "position": 0}
    with pytest.raises(UserError, match=r"sentencex.*pip install '\.\[build\]'"):
        segment_documents(pa.RecordBatch.from_pylist([row], DOCUMENTS), Sentences(), (0, 0))


@given(st.integers(1, 700), st.integers(1, 4))
def test_a_unit_sees_the_same_neighbours_in_blocks_as_in_the_whole_document(
    count: int, each_side: int
) -> None:
    lines = [f"line {n}" for n in range(count)]
    text = "\n".join(lines)
    row = {"source_id": "d", "text": text, "text_id": "t", "lang": None, "label": None}
    base = Neighbours(each_side)
    cut = segment_documents(
        pa.RecordBatch.from_pylist([row], DOCUMENTS), Lines(), (base.before, base.after)
    )
    assert len(cut.blocks) == -(-count // 256)
    units = list_units(cut.blocks)
    assert units.table["unit"].to_pylist() == list(range(count))
    assert units.table["text"].to_pylist() == lines
    everywhere = np.arange(count)
    assert units.of_base(base, everywhere).to_pylist() == seen(base, lines)
    some = np.random.default_rng(count).permutation(everywhere)[: count // 2]
    expected = [seen(base, lines)[row] for row in some]
    assert units.of_base(base, some).to_pylist() == expected
