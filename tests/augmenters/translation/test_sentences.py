"""Texts as sentences and what stands between, and long sentences in parts."""

from itertools import chain

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pairsmith.augmenters.translation.sentences import Part, split_long, split_sentences

SOME = st.text(alphabet="ab1.!? \n\t。，会é-", max_size=60) | st.text(max_size=40)


def joined(parts):
    return "".join(chain.from_iterable(parts))


def words(sentences):
    return [len(sentence.split()) for sentence in sentences]


def letters(sentences):
    return list(map(len, sentences))


@given(SOME, st.sampled_from(["en", "fr", "zh", "zh-Hans", "tlh"]))
@example("Hello there.\r\n\r\n  Who? \x85Me.", "en")
def test_sentences_and_what_stands_between_make_up_the_text(text, language):
    assert joined(split_sentences(text, language)) == text


def test_each_sentence_is_one_part_trimmed_and_line_breaks_end_it():
    text = " Mr. Smith came.  He said “No!”\nand left\n\n---\n2. He is gone.\t"
    assert split_sentences(text, "en") == [
        Part(" ", "Mr. Smith came.", "  "),
        Part("", "He said “No!”", ""),
        Part("\n", "and left", ""),
        Part("\n\n---\n2. ", "He is gone.", "\t"),
    ]


def test_chinese_sentences_are_cut_without_spaces():
    parts = split_sentences("会议九点开始。你来吗？", "zh-Hans")
    assert [part.text for part in parts] == ["会议九点开始。", "你来吗？"]


@pytest.mark.parametrize("text", ["", "  ", "3.14", "😀 — 1999!\n"])
def test_a_text_without_letters_has_nothing_to_translate(text):
    assert split_sentences(text, "en") == [Part(text, "", "")]


@given(SOME, st.integers(1, 5))
def test_parts_of_long_sentences_fit_and_make_up_the_sentence(text, most):
    for count in (words, letters):
        ((*pieces,),) = split_long([[Part("<", text, ">")]], most, count)
        assert joined(pieces) == f"<{text}>"
        assert max(count([piece.text for piece in pieces])) <= most


def test_a_long_sentence_is_cut_where_a_clause_ends_nearest_to_its_middle():
    sentence = "Well, if it rains tomorrow, we shall stay at home, and read."
    assert split_long([[Part("", sentence, "\n")]], 8, words) == [
        [
            Part("", "Well, if it rains tomorrow,", " "),
            Part("", "we shall stay at home, and read.", "\n"),
        ]
    ]


@pytest.mark.parametrize(
    ("text", "most", "count", "pieces"),
    [
        ("one two three four", 2, words, ["one two", "three four"]),
        ("abcdefgh", 4, letters, ["abcd", "efgh"]),
        ("如果明天下雨，我们就在家里。", 10, letters, ["如果明天下雨，", "我们就在家里。"]),
        ("Oh, and so on and on and on again.", 5, words, ["Oh, and so on and", "on and on again."]),
    ],
)
def test_else_it_is_cut_between_words_else_between_characters(text, most, count, pieces):
    (parts,) = split_long([[Part("", text, "")]], most, count)
    assert [part.text for part in parts] == pieces


def test_short_sentences_stay_whole_and_a_prefix_counts():
    texts = [[Part("", "Yes.", " "), Part("", "Not at all.", "")], []]
    assert split_long(texts, 3, words) == texts
    (cut, none) = split_long(texts, 3, words, prefix=">>fr<< ")
    assert [part.text for part in cut] == ["Yes.", "Not at", "all."]
    assert none == []
