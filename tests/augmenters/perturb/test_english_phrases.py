"""English names: which are found, of which kind, and what stands in their place."""

import pyarrow as pa
import pytest

from pairsmith.augmenters.perturb import Phrase, PhraseSwap
from pairsmith.augmenters.perturb.english_phrases import mentions
from tests.augmenters.perturb.made import every

FOUND = {
    "He lives in Paris now.": [("Paris", "city")],
    "He left the United States for New Zealand.": [
        ("United States", "the country"),
        ("New Zealand", "country"),
    ],
    "Yesterday Mary saw England's coast.": [("Mary", "woman"), ("England", "country")],
    "Paul Volcker met Mr. Darcy.": [("Paul Volcker", "man full"), ("Darcy", "surname")],
    "Lady Russell came.": [("Russell", "after lady")],
    "We asked the Labor Department.": [("Labor Department", "the organisation")],
    "He went to Columbia University.": [("Columbia University", "organisation")],
    "“Come,” said Watson, laughing.": [("Watson", "person")],
    "French troops left.": [("French", "nationality")],
    "Americans left.": [("Americans", "people")],
}
UNKNOWN = [
    "He crossed London Bridge.",
    "He came from Dallas, Tex.",
    "He is the Duke of England.",
    "The Paris Treaty was signed in March on a Monday.",
    "William the Conqueror and Catherine de Medicis",
    "The French like it.",
    "However, the Great Depression came.",
    "I AM LEGEND",
    "",
]
SOME = PhraseSwap(
    tuple(
        Phrase(*pair)
        for pair in [
            ("Rome", "city"),
            ("Oslo", "city"),
            ("Iran", "country"),
            ("Irish", "nationality"),
            ("Greek", "nationality"),
            ("Ann", "woman"),
        ]
    )
)


@pytest.mark.parametrize(("text", "found"), FOUND.items())
def test_names_are_found_with_their_kind_without_possessives(text, found):
    assert [(text[start:stop], kind) for start, stop, kind in mentions(text)] == found


@pytest.mark.parametrize("text", UNKNOWN)
def test_parts_of_longer_names_are_no_names(text):
    assert not mentions(text)


def test_a_name_is_swapped_with_names_of_its_kind_that_are_not_there():
    assert every(SOME, "He left Paris.") == {"He left Rome.", "He left Oslo."}
    assert every(SOME, "He left Paris for Rome.") == {
        "He left Oslo for Rome.",
        "He left Paris for Oslo.",
    }


def test_all_places_of_a_name_change_together():
    text = "Mary came; I saw Mary's hat."
    assert every(SOME, text) == {"Ann came; I saw Ann's hat."}


def test_an_article_stays_right():
    assert every(SOME, "a German car") == {"a Greek car"}
    assert every(SOME, "an English car") == {"an Irish car"}


def test_without_a_fit_there_is_nothing_to_put_in():
    assert not every(PhraseSwap(), "He left Paris.")


def test_a_fit_takes_the_names_of_the_corpus_whatever_its_order():
    texts = ["He lives in Paris.", "Mary saw Rome.", None, "Paris again: I like Paris."]
    fitted = PhraseSwap().fit(pa.array(texts))
    assert fitted == PhraseSwap().fit(pa.array(texts[::-1]))
    assert fitted.phrases == (("Mary", "woman"), ("Paris", "city"), ("Rome", "city"))
    assert every(fitted, "We met in London.") == {"We met in Paris.", "We met in Rome."}


def test_a_fit_keeps_the_most_frequent_names(monkeypatch):
    monkeypatch.setattr("pairsmith.augmenters.perturb.phrases.PER_KIND", 1)
    texts = ["He lives in Paris.", "He lives in Rome.", "He left Rome."]
    assert PhraseSwap().fit(pa.array(texts)).phrases == (("Rome", "city"),)
