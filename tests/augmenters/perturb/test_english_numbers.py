"""English numbers and dates: other values, the same format, and which numbers are names."""

import re
from datetime import datetime

import pytest

from pairsmith.augmenters.perturb import NumberChange
from pairsmith.augmenters.perturb.english_dates import MONTHS
from pairsmith.augmenters.perturb.english_numerals import SMALL
from tests.augmenters.perturb.made import every, phrases_en

SHAPES = {
    "It rose by 3.5 % then.": r"It rose by \d+\.\d % then\.",
    "It costs $1,200 now.": r"It costs \$(\d{3}|\d,\d00) now\.",
    "In March 2021 it fell.": r"In [A-Z][a-z]+ 20[12]\d it fell\.",
    "Before March 4, 2021, it fell.": r"Before [A-Z][a-z]+ \d\d?, 20[12]\d, it fell\.",
    "He came on the 10th of May.": r"He came on the \d+(st|nd|rd|th) of [A-Z][a-z]+\.",
    "It was 2021-03-04 then.": r"It was 20[12]\d-\d\d-04 then\.",
    "The bus leaves at 7:40 am.": r"The bus leaves at ([1-9]|1[0-2]):[0-5]\d am\.",
    "I saw three cats.": r"I saw (two|four|five|six|eight|eleven|seven|nine) cats\.",
    "Twenty-five men came.": r"(Thirty|Forty|Fifty|Seventy)-five men came\.",
    "In the third quarter it fell.": r"In the (first|second|fourth) quarter it fell\.",
    "In the 19th century it fell.": r"In the \d+(st|nd|rd|th) century it fell\.",
    "In the mid-1990s it fell.": r"In the mid-(19|20)\d0s it fell\.",
    "They won a hundred pounds.": r"They won a (thousand) pounds\.",
    "In the nineteenth century it fell.": r"In the [a-z]+ century it fell\.",
    "He comes on Sunday.": r"He comes on [A-Z][a-z]+day\.",
    "At five o'clock he left.": r"At [a-z]+ o'clock he left\.",
    "It took 90 percent of it.": r"It took \d\d? percent of it\.",
}
NAMES = [
    "No. 5",
    "See Section 3.2 and Chapter 12.",
    "Resolutions 242 and 338",
    "World War 2 and Apollo 11",
    "The A320, the COVID-19 and H2O",
    "Call 707-881-7063 now.",
    "Call 911 at once.",
    "Call 0800 123 456 or text STOP to 60777.",
    "It wants a two-factor code.",
    "Text 4636 and wait.",
    "My card ending in 4821 is lost.",
    "The card ending 4821 is lost.",
    "http://example.org/12 and a12@b.org",
    "v2.1.3 of it",
    "247 Miller Ave.",
    "the Group of Thirty",
    "two or three",
    "He was two-and-twenty.",
    "two-thirds of it, 1/2 cup, 5-1/4 percent",
    "a 5-4 vote",
    "one cat",
    "He may march on.",
    "in Juneau, by Mayor Brown",
    "Henry VIII",
    "1984 was dull.",
    "1. Go.",
    "as Smith (1998) says [12]",
    "Fifth Avenue and 5th Avenue",
    "",
]


@pytest.mark.parametrize(("text", "shape"), SHAPES.items())
def test_the_format_stays_and_the_value_does_not(text, shape):
    views = every(NumberChange(), text)
    assert views
    assert text not in views
    for view in views:
        assert re.fullmatch(shape, view), view


@pytest.mark.parametrize("text", NAMES)
def test_numbers_that_name_a_thing_or_are_no_amount_stay(text):
    assert not every(NumberChange(), text)


RANGES = [
    (r"between (\d+) and (\d+) men", "between 3 and 5 men"),
    (r"from (\d+) to (\d+)", "from 1998 to 2004"),
    (r"from \$(\d+) million to \$(\d+) million", "from $3 million to $5 million"),
    (r"from (\d+) miles to (\d+) miles", "from 30 miles to 50 miles"),
    (r"from [A-Z]\w+ (\d+) to [A-Z]\w+ (\d+)", "from May 2019 to June 2020"),
    (r"from (\d+:\d+) to (\d+:\d+)", "from 9:00 to 10:30"),
    (r"from (\d+:\d+) to (\d+:\d+)", "from 9:10 to 9:40"),
    (r"from (\w+ \d+) to (\w+ \d+)", "from March 3 to June 5"),
    (r"from (\w+ 2019) to (\w+ 2019)", "from March 2019 to June 2019"),
    (r"Nearly (\d+) out of (\d+) dentists", "Nearly 4 out of 5 dentists"),
    (r"Nearly (\d+) of the (\d+) dentists", "Nearly 4 of the 5 dentists"),
    (r"Nearly (\d+) in every (\d+) dentists", "Nearly 4 in every 5 dentists"),
    (r"Nearly (\w+) out of (\w+) dentists", "Nearly four out of five dentists"),
    (r"(\w+) times out of (\w+)", "nine times out of ten"),
    (r"from May (2\d+) to June (2\d+)", "from May 2019 to June 2019"),
]


def _value(end: str) -> tuple[int, ...]:
    return tuple(
        int(part) if part.isdigit() else (SMALL + MONTHS).index(part)
        for part in re.findall(r"\w+", end)
    )


@pytest.mark.parametrize(("shape", "text"), RANGES)
def test_the_ends_of_a_range_keep_their_order(shape, text):
    views = every(NumberChange(), text)
    ends = [match.groups() for view in views if (match := re.fullmatch(shape, view))]
    assert ends
    for start, end in ends:
        assert _value(start) < _value(end)


def test_an_article_keeps_a_number_that_goes_with_it():
    assert every(NumberChange(), "an 8 percent rise") == {"an 18 percent rise"}
    views = every(NumberChange(), "a 9 percent rise")
    assert views
    assert not {view for view in views if re.match("a (8|11|18)", view)}


DATES = {
    "on %B %d, %Y": ["on February 29, 2020", "on January 31, 2021", "on February 29, 1904"],
    "on %d %B %Y": ["on 29 February 2020", "on 31 March 2021"],
    "on %Y-%m-%d": ["on 2020-02-29", "on 2021-03-31"],
    "on %b. %d, %Y": ["on Feb. 29, 2020", "on Jan. 31, 2021"],
    "on %d %b %Y": ["on 31 Aug 2021"],
    "on %m/%d/%Y": ["on 02/29/2020", "on 12/31/2021"],
}


@pytest.mark.parametrize(("shape", "text"), [(s, text) for s in DATES for text in DATES[s]])
def test_dates_stay_dates(shape, text):
    views = every(NumberChange(), text)
    assert views
    for view in views:
        assert datetime.strptime(view, shape), view


def test_a_month_never_gets_a_day_that_it_has_not():
    assert "on February 30" not in every(NumberChange(), "on March 30")
    assert "on February 28" in every(NumberChange(), "on March 28")


def test_other_values_are_of_about_the_same_size():
    views = every(NumberChange(), "It sold 81 million.")
    assert views
    for view in views:
        assert 20 <= int(view.split()[2]) <= 200


def test_names_are_no_numbers_for_the_swap_of_phrases():
    assert not every(phrases_en(), "It fell in March 2021 on a Monday.")
