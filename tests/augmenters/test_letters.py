"""What counts as a letter, against the categories of Unicode."""

import unicodedata

import pytest

from pairsmith.augmenters.letters import (
    CASE_COUNT,
    DIGIT,
    INNER,
    LETTER,
    LOWER,
    MARK,
    UPPER,
    letter_kinds,
    other_cases,
    to_lower,
    to_upper,
)

# Latin, Greek, Cyrillic, Hebrew, Arabic, Devanagari, Thai; kana, Han, Hangul.
SCRIPTS = [(0x20, 0x2C2), (0x370, 0x700), (0x900, 0x980), (0xE00, 0xE50), (0x2010, 0x2070)]
SCRIPTS += [(0x3000, 0x30FF), (0x4E00, 0xA000), (0xAC00, 0xD7A4), (0xFF01, 0xFF60)]


@pytest.mark.parametrize("span", SCRIPTS, ids=lambda span: f"{span[0]:X}")
def test_letters_digits_and_punctuation_are_those_of_unicode(span):
    kinds = letter_kinds()
    for point in range(*span):
        category = unicodedata.category(chr(point))
        if category[0] == "L":
            assert kinds[point] in (LETTER, LOWER, UPPER), hex(point)
        elif category[0] in "PSZM":
            assert kinds[point] in (MARK, INNER), hex(point)
        elif category == "Nd":
            assert kinds[point] == DIGIT, hex(point)


def test_cases_are_those_of_unicode_and_lead_back_in_as_many_bytes():
    kinds, cases = letter_kinds(), other_cases()
    for point in range(CASE_COUNT):
        character, other = chr(point), chr(cases[point])
        if character == other:
            assert kinds[point] not in (LOWER, UPPER)
            continue
        assert cases[ord(other)] == point
        assert len(character.encode()) == len(other.encode())
        upper = kinds[point] == UPPER
        assert other == (character.lower() if upper else character.upper())
        assert (to_lower() if upper else to_upper())[point] == ord(other)
    for sample in "azAZéÉßẞжЖωΩŞşỆệ":
        assert (cases[ord(sample)] != ord(sample)) == (sample not in "ßẞ")
