"""English role swaps: cases, agreement, capitals, and what is not surely such a pattern."""

import pytest

from pairsmith.augmenters.perturb import RoleSwap
from tests.augmenters.perturb.made import every

SWAPPED = {
    "John hit Mary.": "Mary hit John.",
    "I saw her.": "She saw me.",
    "He likes them.": "They like him.",
    "They have told us.": "We have told them.",
    "He has told us.": "We have told him.",
    "She doesn't love me.": "I don't love her.",
    "I was watching them.": "They were watching me.",
    "I was followed by them.": "They were followed by me.",
    "He said that she loved me.": "He said that I loved her.",
    "The boys chase the girl.": "The girl chases the boys.",
    "He gave her a book.": "She gave him a book.",
    "He smiled at her.": "She smiled at him.",
    "Mr. Darcy loved Elizabeth.": "Elizabeth loved Mr. Darcy.",
    "He went out; he could not tell her.": "He went out; she could not tell him.",
    "“I saw him,” he said.": "“He saw me,” he said.",
    "“Why?” he asked her.": "“Why?” she asked him.",
    "We are taller than they.": "They are taller than we.",
    "My brother is older than my sister.": "My sister is older than my brother.",
    "New York is larger than Boston.": "Boston is larger than New York.",
    "The United States is richer than Mexico.": "Mexico is richer than the United States.",
    "We flew from Paris to New Orleans.": "We flew from New Orleans to Paris.",
    "They chose Paris over London.": "They chose London over Paris.",
    "The benefits outweigh the costs.": "The costs outweigh the benefits.",
    "It improved rather than worsened.": "It worsened rather than improved.",
    "a political rather than economic question": "an economic rather than political question",
    "The storm caused the flood.": "The flood caused the storm.",
    "She is more careful than he.": "He is more careful than she.",
    "I preferred the king to the queen.": "I preferred the queen to the king.",
    "But Congress asked us.": "But we asked Congress.",
}
LEFT = [
    "Rather than he, she",
    "stocks rather than the bonds",
    "slowly rather than in haste",
    "He chose wisely over there.",
    "They chose Paris over Paris.",
    "He found the",
    "We asked Mary Smith about it.",
    "We asked Members about it.",
    "We asked Mary, Bishop of London.",
    "I saw these child.",
    "He is more, than she.",
    "He is taller than she thought.",
    "He is older than the house.",
    "He painted the child.",
    "They loves her.",
    "He",
    "He is",
    "He often",
    "I am looking",
    "I don't care",
    "He saw him.",
    "He hurt himself.",
    "I saw her face.",
    "She met him.",
    "They helped each other.",
    "John and Mary saw me.",
    "You and Miss Fairfax gave us music.",
    "Do you love me?",
    "You see me, don't you?",
    "I fear you are right.",
    "I understand you need a refund.",
    "I understand you still need it.",
    "I know Mary just left.",
    "I talked to her.",
    "Mr. and Miss Brown wanted the girl.",
    "He thought of his brothers and sisters.",
    "We flew from Paris to Rome, from London to Berlin.",
    "He spoke to me.",
    "She fought him.",
    "The book was written by him.",
    "from time to time",
    "from the top to the bottom",
    "from Europe to Asia",
    "We flew from Paris to London, Ontario.",
    "It is 344 kilometres from Paris to London.",
    "We saw the road from Paris to London.",
    "“What brings you here?”",
    "It is better than nothing.",
    "",
]


@pytest.mark.parametrize(("text", "swapped"), SWAPPED.items())
def test_arguments_change_places_with_their_case_and_the_verb_agrees(text, swapped):
    assert every(RoleSwap(), text) == {swapped}


@pytest.mark.parametrize("text", LEFT)
def test_what_is_symmetrical_or_not_surely_whole_is_left_alone(text):
    assert not every(RoleSwap(), text)
