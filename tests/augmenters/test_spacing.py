import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pairsmith.augmenters.spacing import compare, cut, join, put_back, respaced_share

SENTENCE = "He said: \"I can't pay $1,200.50 (or 3.5 %) — it's state-of-the-art!\""
ODD = st.text(alphabet="ab '.,(é你  \n", max_size=20)


def joined(text, new):
    return join(cut(text), new)


@given(st.text(max_size=40))
def test_a_cut_text_joins_to_itself(text):
    parts = cut(text)
    assert "".join(parts) == text
    assert join(parts, parts[1::2]) == (text, [])


def test_replaced_words_stand_where_the_old_ones_stood():
    new = [
        {"pay": "p4y", "state": "st8", "He": "She"}.get(word, word) for word in cut(SENTENCE)[1::2]
    ]
    expected = SENTENCE.replace("pay", "p4y").replace("state", "st8").replace("He", "She")
    assert joined(SENTENCE, new) == (expected, [("He", "She"), ("pay", "p4y"), ("state", "st8")])


@pytest.mark.parametrize(
    ("text", "gone", "expected"),
    [
        ("He can't come, sadly.", {"sadly"}, "He can't come,."),
        ("He can't come, sadly.", {","}, "He can't come sadly."),
        ("He can't come.", {"'"}, "He can t come."),
        ("He can't come.", {"He"}, "can't come."),
        ("He can't come.", {"come", "."}, "He can't"),
        ("(the) state-of-the-art", {"the"}, "() state-of--art"),
        ("他来了，我走", {"，"}, "他来了我走"),
    ],
)
def test_what_is_deleted_leaves_the_rest_spaced_as_it_was(text, gone, expected):
    old = cut(text)[1::2]
    made = joined(text, [word for word in old if word not in gone])
    assert made == (expected, [(word, "") for word in old if word in gone])


@pytest.mark.parametrize(
    ("text", "new", "expected", "edits"),
    [
        ("it's fine.", "it ' s fi ne .", "it's fi ne.", [("fine", "fi ne")]),
        ("it's fine, yes", "oh it ' s fine , yes", "oh it's fine, yes", [("", "oh")]),
        ("it's fine, yes", "it ' s fine now , yes", "it's fine now, yes", [("", "now")]),
        ("so (it is)", "so ( well it is )", "so (well it is)", [("", "well")]),
        ("it is", "it is so", "it is so", [("", "so")]),
        ("It is", "Now it is", "Now it is", [("", "Now"), ("It", "it")]),
    ],
)
def test_what_is_inserted_or_split_leaves_the_rest_spaced_as_it_was(text, new, expected, edits):
    assert joined(text, new.split()) == (expected, edits)


def test_words_never_merge_when_one_takes_the_place_of_punctuation():
    assert joined("don't", ["'", "don", "t"]).text == "'don t"


@pytest.mark.parametrize("new", [["a", "x"], ["x", "y", "z", "v", "w", "a", "b"]])
def test_tokens_in_another_order_are_not_joined_blindly(new):
    assert joined("x y a b c", new) is None


@given(ODD, ODD)
def test_put_back_changes_spacing_only_and_is_done_once(text, view):
    made = put_back(text, view)
    assert "".join(made.split()) == "".join(view.split())
    assert "你" in view or cut(made)[1::2] == cut(view)[1::2]
    assert put_back(text, made) == made


@given(st.text(max_size=40))
def test_spaces_around_every_token_are_taken_back(text):
    assert put_back(text, " ".join(cut(text)[1::2])) == text


def test_words_that_differ_are_told():
    assert compare("It's an old-fashioned way.", "It ' s a modern way .").edits == [
        ("an old - fashioned", "a modern")
    ]
    assert compare("One, two.", "One , TWO .") == ("One, TWO.", [("two", "TWO")])


def test_the_share_of_respaced_views_is_counted():
    texts = pa.array(["It's so.", " plain ", "a (b)", None, "gone"])
    views = pa.array(["It ' s so.", "plein", "a ( b)", None, None])
    assert respaced_share(texts, views) == pytest.approx(2 / 3)
    changed = pa.array(["It's  too", "other", "a  (c)", None, None])
    assert respaced_share(texts, changed) == pytest.approx(1 / 3)
    assert respaced_share(texts[:0], views[:0]) == 0


def test_real_sentences_survive_joining_by_spaces(shared_data):
    table = pq.read_table(shared_data / "corpus" / "fed_sentences_en.parquet", columns=["text"])
    texts = table["text"].to_pylist()[::101]
    assert len(texts) > 1000
    for text in texts:
        assert put_back(text, " ".join(cut(text)[1::2])) == text
