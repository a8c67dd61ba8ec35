"""What is noticed in a translation that went wrong, and what is let through."""

import numpy as np
import pytest
import sacrebleu

from pairsmith.augmenters.translation import quality

BANK = "The bank raised its rates, and the shares fell."


@pytest.mark.parametrize(
    ("text", "view", "copy"),
    [
        ("Hurry up.", "hurry up!", True),
        ("It costs  5 €.", "It costs 5 €", True),
        ("Ｈｅｌｌｏ “you”", "Hello you", True),
        ("你好。", "你好！", True),
        ("...", "…", True),
        ("", "", True),
        ("Hurry up.", "Be quick.", False),
        ("I can't.", "I can.", False),
        ("...", "!", False),
        ("5 %", "6 %", False),
    ],
)
def test_a_copy_is_the_same_but_for_case_width_and_punctuation(text, view, copy):
    assert quality.copies([text], [view]).tolist() == [copy]


@pytest.mark.parametrize(
    ("text", "length"),
    [
        ("22222222", 8),
        ("and so and so and so", 21),
        ("A de la maison de la maison de la maison.", 39),
        ("很好很好很好", 6),
        ("no no", 0),
        (BANK, 0),
    ],
)
def test_loops_are_stretches_that_say_the_same_three_times(text, length):
    assert quality.loops([text]).tolist() == [length]


@pytest.mark.parametrize(
    "view",
    [
        "The bank raised 22222222222",
        "The bank raised and raised and raised and raised and raised its rates.",
        "J'ai lacececesité de voir la banque.",
        "I need the house and a while I need the house for the time and I need the house.",
        "银行银行银行银行提高了利率",
        "La loi a désérapté et la responsabilité de la banque, de la responsabilité de la loi, "
        "de la responsabilité.",
    ],
)
def test_a_view_that_repeats_itself_is_noticed(view):
    assert quality.repetitions([BANK], [view]).tolist() == [True]


@pytest.mark.parametrize(
    ("text", "view"),
    [
        (BANK, "The bank has raised its rates, and its shares have fallen."),
        ("It is very, very, very good.", "It's very, very, very good."),
        ("Ha ha ha ha ha!", "Hahahahaha!"),
        ("* * * * *\nThe end.", "* * * * *\nThis is the end."),
        ("很好很好很好很好", "非常好非常好非常好"),
        (
            "Basel I and Basel II: Basel I applies, Basel II will apply, Basel III is planned.",
            "Basel I and Basel II: Basel I is in force, Basel II will be, Basel III is planned.",
        ),
    ],
)
def test_repetition_that_the_text_has_too_is_let_through(text, view):
    assert quality.repetitions([text], [view]).tolist() == [False]


@pytest.mark.parametrize(
    ("language", "texts"),
    [
        ("en", [BANK, "Where can I buy a ticket to Lyon?"]),
        ("en-GB", [BANK]),
        ("fr", ["La banque a relevé ses taux hier matin.", "Où puis-je acheter un billet ?"]),
        ("zh", ["银行提高了利率，股票下跌了。"]),
        ("zh-Hant", ["銀行提高了利率，股票下跌了。"]),
        ("sv", ["Banken höjde sina räntor i går morse."]),
    ],
)
def test_a_text_is_foreign_in_every_language_but_its_own(language, texts):
    assert not quality.foreign(texts, language, ("nb",)).any()
    for other in {"en", "fr", "zh", "de"} - {language.split("-")[0]}:
        assert quality.foreign(texts, other, (language,)).all(), other


def test_short_texts_and_languages_that_are_unknown_are_not_judged():
    assert not quality.foreign(["Oui, merci.", "D'accord !", "Tom", "", "好的"], "en").any()
    assert not quality.foreign([BANK, "银行提高了利率，股票下跌了。"], "tlh").any()


def test_people_s_sentences_pass_all_checks(shared_data):
    import pyarrow.parquet as pq

    table = pq.read_table(shared_data / "parallel" / "tatoeba_en_fr.parquet")
    table = table.take(np.arange(0, len(table), 80))
    english, french = table["en"].to_pylist(), table["fr"].to_pylist()
    assert quality.repetitions(english, french).mean() < 0.001
    assert quality.foreign(french, "fr", ("en",)).mean() < 0.001
    assert quality.foreign(english, "en", ("fr",)).mean() < 0.001
    long = [len(text) >= 20 for text in french]
    assert quality.foreign(french, "en", ("fr",))[long].mean() > 0.85


def test_good_translations_of_long_texts_repeat_nothing_either_way(shared_data):
    import pyarrow.parquet as pq

    table = pq.read_table(shared_data / "parallel" / "libreoffice_help_en_zh.parquet")
    english, chinese = table["en"].to_pylist(), table["zh"].to_pylist()
    assert quality.repetitions(chinese, english).mean() < 0.005
    assert quality.repetitions(english, chinese).mean() < 0.005
    long = [row for row, text in enumerate(english) if len(text) >= 300]
    assert len(long) > 20
    found = quality.repetitions([chinese[row] for row in long], [english[row] for row in long])
    assert found.mean() < 0.02


def test_length_ratios_forgive_short_texts():
    ratios = quality.length_ratios(["No.", "x" * 90, ""], ["Not at all.", "x" * 30, ""])
    assert ratios.tolist() == [21 / 13, 0.4, 1.0]


def test_chrf_is_what_sacrebleu_says():
    texts, views = [BANK, "Go.", "银行"], ["The bank has raised rates.", "Go.", "股票"]
    expected = [
        sacrebleu.sentence_chrf(view, [text]).score for text, view in zip(texts, views, strict=True)
    ]
    assert quality.chrf(texts, views).tolist() == pytest.approx(expected)
    assert expected[1] == 100
