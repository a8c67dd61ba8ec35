"""English opposites: their forms, their articles, and where the usual sense is not meant."""

import pytest

from pairsmith.augmenters.perturb import AntonymSwap
from pairsmith.augmenters.perturb.english_antonyms import starts_with_vowel
from tests.augmenters.perturb.made import every

SWAPPED = {
    "Prices increased.": "Prices decreased.",
    "Prices are rising fast.": "Prices are falling fast.",
    "He always comes.": "He never comes.",
    "It was a hot day.": "It was a cold day.",
    "He accepted the offer.": "He rejected the offer.",
    "They left before the war.": "They left after the war.",
    "It is an easy task.": "It is a difficult task.",
    "It was a happy end.": "It was an unhappy end.",
    "At least ten people came.": "At most ten people came.",
    "He opened the door.": "He closed the door.",
    "The door was open.": "The door was closed.",
    "They allow it.": "They forbid it.",
    "She was allowed to go.": "She was forbidden to go.",
    "He came without his dog.": "He came with his dog.",
    "Many people came.": "Few people came.",
    "That is more important.": "That is less important.",
    "Unlike him, she came.": "Like him, she came.",
    "Why is it correct?": "Why is it incorrect?",
}
LEFT = [
    "more or less",
    "as soon as possible",
    "How old are you?",
    "He rose from his chair.",
    "prices rose and fell",
    "It went from good to bad.",
    "a kind of bird",
    "in the long run",
    "Good morning, sir.",
    "What if he is here?",
    "New Deal",
    "He was of no use.",
    "The room was half empty again.",
    "The room was half full again.",
    "He was half asleep.",
    "Your direct debit, direct deposit and direct message were sent.",
    "It is by direct mail, on a direct flight.",
    "The safe deposit box is here.",
    "How long does a transfer usually take?",
    "You can freeze your card.",
    "The card was lost or stolen.",
    "Prices climbed above $90.",
    "I will buy from them.",
    "The common cold is a virus.",
    "He has cold symptoms and takes cold medicine in the cold season.",
    "Saturated fat and milk fat are bad.",
    "A minor cannot sign for a minor child.",
    "We do not ask if he knows any of them.",
    "Is that correct?",
    "Atlanta. Correct?",
    "Great, is it possible to get a refund?",
    "Are pets allowed there?",
    "Don't you accept cards?",
    "is it possible to get a refund",
    "Please check if the store is open.",
    "I wonder whether the answer is correct.",
    "He eased himself into the chair.",
    "",
]


@pytest.mark.parametrize(("text", "swapped"), SWAPPED.items())
def test_a_word_becomes_its_opposite_in_the_same_form(text, swapped):
    assert every(AntonymSwap(), text) == {swapped}


@pytest.mark.parametrize("text", LEFT)
def test_idioms_and_texts_that_have_both_words_are_left_alone(text):
    assert not every(AntonymSwap(), text)


def test_an_article_stands_by_the_sound_of_the_next_word():
    assert all(map(starts_with_vowel, ("hour", "honest", "apple", "unhappy")))
    assert not any(map(starts_with_vowel, ("useful", "university", "European", "one")))
