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
    def letters(sentences):
        return list(map(len, sentences))

    for count in (words, letters):
        ((*pieces,),) = split_long([Part("<", text, ">")], count, most)
        assert joined(pieces) == f"<{text}>"
        assert max(count([piece.text for piece in pieces])) <= most


def test_a_long_sentence_is_cut_where_a_clause_ends_nearest_to_its_middle():
    sentence = "Well, if it rains tomorrow, we shall stay at home, and read."
    ((*pieces,),) = split_long([Part("", sentence, "\n")], words, 8)
    assert pieces == [
        Part("", "Well, if it rains tomorrow,", " "),
        Part("", "we shall stay at home, and read.", "\n"),
    ]


def test_without_clauses_it_is_cut_between_words_and_without_words_between_characters():
    ((*pieces,),) = split_long([Part("", "one two three four", "")], words, 2)
    assert [piece.text for piece in pieces] == ["one two", "three four"]
    ((*pieces,),) = split_long([Part("", "abcdefgh", "")], lambda some: list(map(len, some)), 4)
    assert [piece.text for piece in pieces] == ["abcd", "efgh"]


def test_chinese_is_cut_at_its_own_punctuation():
    ((*pieces,),) = split_long(
        [Part("", "如果明天下雨，我们就在家里。", "")], lambda s: [len(x) for x in s], 10
    )
    assert [piece.text for piece in pieces] == ["如果明天下雨，", "我们就在家里。"]


def test_short_sentences_stay_whole():
    parts = [Part("", "Yes.", " "), Part("", "No.", "")]
    assert split_long(parts, words, 3) == [[parts[0]], [parts[1]]]
