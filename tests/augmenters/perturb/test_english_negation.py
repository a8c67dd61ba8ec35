"""English negation: what is negated and how, what loses its negation, and what is left alone."""

import pytest

from pairsmith.augmenters.perturb import Negation
from tests.augmenters.perturb.made import every

NEGATED = {
    "He likes tea.": "He does not like tea.",
    "They like tea.": "They do not like tea.",
    "I love and respect him.": "I do not love and respect him.",
    "They liked tea.": "They did not like tea.",
    "She goes to school.": "She does not go to school.",
    "He carries the bag.": "He does not carry the bag.",
    "He had a dog.": "He did not have a dog.",
    "She used to sing.": "She did not use to sing.",
    "I have to go.": "I do not have to go.",
    "Rates are high.": "Rates are not high.",
    "He can swim.": "He cannot swim.",
    "The rate will rise.": "The rate will not rise.",
    "He has gone.": "He has not gone.",
    "I'm tired.": "I'm not tired.",
    "I’m tired.": "I’m not tired.",
    "I'll come.": "I won't come.",
    "I’ll come.": "I won’t come.",
    "It is probably true.": "It is probably not true.",
    "The will of the people is strong.": "The will of the people is not strong.",
    "It's probably the best.": "It's probably not the best.",
    "She is unfortunately ill.": "She is unfortunately not ill.",
    "I'll definitely come.": "I'll definitely not come.",
    "I want to know if it is open.": "I do not want to know if it is open.",
    "I want to know where the nearest branch is.": (
        "I do not want to know where the nearest branch is."
    ),
    "The best player has gone.": "The best player has not gone.",
    "This is the best blender I have used.": "This is not the best blender I have used.",
    "It is the first time the bank has failed.": "It is not the first time the bank has failed.",
}
AFFIRMED = {
    "I won't go.": "I will go.",
    "I won’t go.": "I will go.",
    "We cannot leave now.": "We can leave now.",
    "We can't leave now.": "We can leave now.",
    "It isn't true.": "It is true.",
    "He did not see her.": "He saw her.",
    "She does not have a car.": "She has a car.",
    "She doesn't carry it.": "She carries it.",
    "I don't know him.": "I know him.",
    "Do not go there.": "Go there.",
    "Don't touch it.": "Touch it.",
    "He has never been there.": "He has been there.",
    "Nobody came.": "Somebody came.",
    "No one knows him.": "Someone knows him.",
    "She said nothing.": "She said something.",
    "There were no changes.": "There were some changes.",
    "It is no longer needed.": "It is still needed.",
    "He decided not to go.": "He decided to go.",
    "Neither John nor Mary came.": "Either John or Mary came.",
    "He neither smokes nor drinks.": "He either smokes or drinks.",
    "I have none, alas.": "I have some, alas.",
    "He left, not knowing the way.": "He left, knowing the way.",
    "I don't know whether he came.": "I know whether he came.",
    "I'm not sure about it.": "I'm sure about it.",
    "I still don't like it.": "I still like it.",
}
LEFT = [
    "Haven't we seen this film.",
    "Not he, but I went.",
    "It cannot be helped.",
    "Are not we friends!",
    "Not to mention him, I went.",
    "He left and not wishing to stay.",
    "They don't mind.",
    "Don't get me wrong, I like it.",
    "Don't worry, we have it.",
    "Please do not hesitate to contact us.",
    "Don't forget your card.",
    "I wonder if don't go is right.",
    "And did not go.",
    "Never mind the rain.",
    "And never a word he said.",
    "He had never a word.",
    "No one of them came.",
    "He is kind but also strict.",
    "He may well come.",
    "The may tree blossoms.",
    "I'm just tired.",
    "They put it there.",
    "She is not only rich but kind.",
    "Nobody ever came.",
    "He did not say anything.",
    "It is not at all clear.",
    "I do not know, nor do I care.",
    "It is not that he did not know.",
    "Is he at home?",
    "He isn't here, is he?",
    "Can you come with me?",
    "What a fool he is!",
    "You're welcome.",
    "That is all.",
    "No. 5 is open.",
    "He did not go and see her.",
    "She reads and writes Greek.",
    "They ate and drank.",
    "I called support and spoke with a rep.",
    "He opened the door slowly, and then quickly left.",
    "He was as good as he could be.",
    "You had better go.",
    "None of them was there.",
    "Nothing at the moment.",
    "He has limited means.",
    "That need not concern us.",
    "We could not help laughing.",
    "She couldn't help laughing.",
    "If it weren't for you, I would leave.",
    "I haven't seen him in years.",
    "He had not eaten in days.",
    "They have not met for ages.",
    "I still haven't received my card.",
    "I still have not received my card.",
    "I'm not sure why it failed.",
    "I am not quite certain what it is.",
    "I can't seem to log in.",
    "She could not seem to stop.",
    "Please check if my card is active.",
    "Please tell me when my new card will be delivered.",
    "I would like to know how long an international transfer will take.",
    "Please check if my card isn't active.",
    "Please verify whether the order that I placed last week is here.",
    "No thanks, I am full.",
    "No problems, we can wait.",
    "She said no thanks and left.",
    "Ash Is Purest White",
    "",
]


@pytest.mark.parametrize(("text", "negated"), NEGATED.items())
def test_a_sentence_is_negated_with_do_where_it_needs_it(text, negated):
    assert every(Negation(), text) == {negated}


@pytest.mark.parametrize(("text", "affirmed"), AFFIRMED.items())
def test_a_negated_sentence_loses_its_negation_and_its_verb_its_do(text, affirmed):
    assert every(Negation(), text) == {affirmed}


@pytest.mark.parametrize("text", LEFT)
def test_what_would_become_ungrammatical_or_mean_the_same_is_left_alone(text):
    assert not every(Negation(), text)


def test_each_sentence_of_a_text_is_an_edit_of_its_own():
    text = "He is old. She did not go; they won."
    assert every(Negation(), text) == {
        "He is not old. She did not go; they won.",
        "He is old. She went; they won.",
        "He is old. She did not go; they did not win.",
    }
