import json
import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from pairsmith.augmenters.settings import as_data
from pairsmith.augmenters.wordnet import Antonyms, Synonyms
from pairsmith.augmenters.wordnet.inflection import Form, forms, inflected
from pairsmith.augmenters.wordnet.tags import TaggedWords
from pairsmith.augmenters.wordnet.thesaurus import open_thesaurus, open_words
from pairsmith.schemas import UserError
from tests.augmenters.properties import check_golden, check_properties

WORDNET = str(Path(__file__).parent / "wordnet")
ENGLISH = """<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE LexicalResource SYSTEM "http://globalwordnet.github.io/schemas/WN-LMF-1.1.dtd">
<LexicalResource xmlns:dc="https://globalwordnet.github.io/schemas/dc/">
<Lexicon id="t" label="t" language="{language}" email="a@b.c" license="CC0" version="1">
{entries}
{synsets}
</Lexicon>
</LexicalResource>
"""


@pytest.fixture(scope="module")
def words():
    """Return the test's part of WordNet."""
    return open_words(WORDNET)


@pytest.fixture
def lexicon(tmp_path):
    """Return a function that writes a WN-LMF file of (word, part, synset, more, inner) rows."""

    def write(rows, language="en"):
        entries = [
            f'<LexicalEntry id="e{n}"><Lemma writtenForm="{word}" partOfSpeech="{part}"/>{more}'
            f'<Sense id="s{n}" synset="{synset}">{inner}</Sense></LexicalEntry>'
            for n, (word, part, synset, more, inner) in enumerate(rows)
        ]
        synsets = {
            f'<Synset id="{synset}" ili="" partOfSpeech="{part}"/>'
            for _, part, synset, _, _ in rows
        }
        path = tmp_path / f"{language}.xml"
        lines = {"entries": "\n".join(entries), "synsets": "\n".join(sorted(synsets))}
        path.write_text(ENGLISH.format(language=language, **lines), "utf-8")
        return str(path)

    return write


def views(augmenter, *texts, key=0):
    keys = np.arange(key, key + len(texts), dtype=np.uint64)
    return augmenter.views(pa.array(texts, pa.string()), keys)


def ways(augmenter, text, draws=64):
    """Return all the views that keys give a text."""
    return set(views(augmenter, *[text] * draws).texts.to_pylist())


@pytest.mark.parametrize("augmenter", [Synonyms(WORDNET), Antonyms(WORDNET)])
def test_they_keep_the_promises_of_augmenters(augmenter):
    check_properties(augmenter)


def test_views_are_those_that_were_read_by_eye():
    check_golden(Synonyms(WORDNET), "synonyms")
    check_golden(Antonyms(WORDNET), "antonyms")


def test_synonyms_are_positives_and_antonyms_hard_negatives():
    assert Synonyms(WORDNET).keeps_meaning
    assert not Antonyms(WORDNET).keeps_meaning


def test_a_meaning_is_read_with_its_words_and_counts(words):
    # cntlist.rev: big%3:00:01:: 1 107, large%3:00:00:: 1 139, small%3:00:00:: 1 213, …
    first = words.meanings("big", "a")[0]
    assert first == (107, (("large", 139),), (("little", 163),))
    assert words.meanings("large", "a")[0].antonyms == (("small", 213),)
    assert len(words.meanings("big", "a")) == 13
    assert words.meanings("nonsense", "n") == ()
    assert words.counts("unable", "a") == [m.seen for m in words.meanings("unable", "a")]


@pytest.mark.parametrize(
    ("word", "form"),
    [
        ("began", ("begin", "v", "ed")),
        ("beginning", ("begin", "v", "ing")),
        ("errors", ("error", "n", "s")),
        ("children", ("child", "n", "s")),
        ("easier", ("easy", "a", "er")),
        ("largest", ("large", "a", "est")),
        ("purchasing", ("purchase", "v", "ing")),
        ("replied", ("reply", "v", "ed")),
        ("quickly", ("quickly", "r", "")),
    ],
)
def test_a_base_form_is_found_and_gets_its_ending_back(words, word, form):
    assert Form(*form) in forms(word, words)
    base, part, ending = form
    assert inflected(base, part, ending, words) in (word, None)  # None: began, or begun
    assert (inflected(base, part, ending, words) is None) == (word == "began")


@pytest.mark.parametrize(
    ("base", "part", "ending", "expected"),
    [
        ("happen", "v", "ed", "happened"),
        ("occur", "v", "ed", "occurred"),
        ("sell", "v", "ed", "sold"),
        ("sell", "v", "s", "sells"),
        ("reply", "v", "s", "replies"),
        ("purchase", "v", "ing", "purchasing"),
        ("see", "v", "ing", "seeing"),
        ("go", "v", "s", "goes"),
        ("put", "v", "ed", None),
        ("box", "n", "s", "boxes"),
        ("day", "n", "s", "days"),
        ("big", "a", "er", "bigger"),
        ("easy", "a", "est", "easiest"),
        ("cheap", "a", "er", "cheaper"),
        ("expensive", "a", "er", None),
    ],
)
def test_endings_are_those_of_english(words, base, part, ending, expected):
    assert inflected(base, part, ending, words) == expected


@pytest.mark.parametrize(
    ("word", "synonyms", "antonyms"),
    [
        ("bought", ("purchased",), ("sold",)),
        ("largest", ("biggest",), ("smallest",)),
        ("quickly", (), ("slowly",)),  # rapidly is rarer
        ("rapidly", ("quickly",), ()),
        ("end", (), ()),  # noun or verb, of many meanings
        ("the", (), ()),
        ("xyzzy", (), ()),
    ],
)
def test_only_what_is_clear_without_context_is_replaced(word, synonyms, antonyms):
    thesaurus = open_thesaurus(WORDNET)
    assert (thesaurus.synonyms(word), thesaurus.antonyms(word)) == (synonyms, antonyms)


def test_an_article_goes_with_the_word_behind_it():
    assert ways(Antonyms(WORDNET), "It was a difficult one.") == {None}
    assert ways(Antonyms(WORDNET), "It was the difficult one.") == {"It was the easy one."}
    assert ways(Antonyms(WORDNET), "It was a rich one.") == {"It was a poor one."}


def test_names_stay_and_capitals_at_the_start_are_kept():
    assert ways(Antonyms(WORDNET), "Ask Mr Rich or Ms Strong.") == {None}
    assert ways(Antonyms(WORDNET), "Rich or not?") == {"Poor or not?"}
    assert ways(Antonyms(WORDNET), 'No. "Rich or not?"') == {'No. "Poor or not?"'}
    assert ways(Synonyms(WORDNET), "BUY it.") == {"BUY it."}


def test_what_was_changed_is_told():
    said = views(Synonyms(WORDNET, p=1), "They bought it rapidly.", "Nothing.", None)
    assert said.texts.to_pylist() == ["They purchased it quickly.", "Nothing.", None]
    changed = [["bought", "purchased"], ["rapidly", "quickly"]]
    told = json.dumps({"changed": changed}, separators=(",", ":"))
    assert said.details.to_pylist() == [told, None, None]
    edit = views(Antonyms(WORDNET), "Yes: they sold it.", "Nothing.", None)
    assert edit.texts.to_pylist() == ["Yes: they bought it.", None, None]
    assert json.loads(edit.details[0].as_py()) == {"edit": ["sold", "bought"], "at": 10}
    assert edit.reasons.to_pylist() == [None, "no antonym", None]


def test_words_are_replaced_with_probability_p_and_at_least_some(tmp_path):
    source = tmp_path / "list.tsv"
    source.write_text("a\tx\ty\n")
    text = " ".join(["a"] * 20)
    for p in (0.1, 0.5):
        made = views(Synonyms(str(source), p=p, least=0), *[text] * 500).texts.to_pylist()
        counts = Counter(word for view in made for word in view.split())
        assert 1 - counts["a"] / 10_000 == pytest.approx(p, abs=0.02)
        assert counts["x"] / (counts["x"] + counts["y"]) == pytest.approx(0.5, abs=0.06)
    few = views(Synonyms(str(source), p=0.001, least=2), *[text] * 50).texts.to_pylist()
    assert {view.count("a") for view in few} == {18}
    assert len(set(few)) > 10
    assert views(Synonyms(str(source), p=0.001, least=2), "a b").texts.to_pylist() != ["a b"]


@pytest.mark.parametrize("suffix", [".tsv", ".json"])
def test_a_list_of_ones_own_serves_chinese(tmp_path, suffix):
    rows = {"高兴": ["快乐", "愉快"], "医生": ["大夫"], "OK": ["fine"]}
    source = tmp_path / f"zh{suffix}"
    lines = "# 近义词\n\n" + "".join("\t".join((w, *o)) + "\n" for w, o in rows.items())
    source.write_text(json.dumps(rows) if suffix == ".json" else lines, "utf-8")
    augmenter = Synonyms(str(source), p=1)
    assert ways(augmenter, "医生今天很高兴。") == {"大夫今天很快乐。", "大夫今天很愉快。"}
    assert ways(augmenter, "OK, 医生") == {"fine, 大夫"}
    assert ways(Antonyms(str(source)), "医生来了") == {"大夫来了"}  # the list says what is opposite
    assert augmenter.languages == ()
    check_properties(augmenter, 30)


def test_a_folder_of_wordnet_is_english_and_a_file_is_not_whatever_their_names(tmp_path):
    folder, file = tmp_path / "wordnet-3.1", tmp_path / "synonyms"
    shutil.copytree(WORDNET, folder)
    file.write_text("医生\t大夫\n", "utf-8")
    assert [Synonyms(str(place)).languages for place in (folder, file)] == [("en",), ()]
    assert ways(Synonyms(str(file), p=1), "医生") == {"大夫"}
    assert Antonyms().languages == ("en",)


@pytest.mark.parametrize("suffix", [".tsv", ".json"])
def test_a_byte_order_mark_is_no_part_of_a_list_s_first_word(tmp_path, suffix):
    source = tmp_path / f"marked{suffix}"
    source.write_text('{"big": ["large"]}' if suffix == ".json" else "big\tlarge\n", "utf-8-sig")
    assert ways(Synonyms(str(source), p=1), "so big") == {"so large"}


def test_words_that_are_always_written_with_a_capital_are_no_names(tmp_path):
    source = tmp_path / "de.tsv"
    source.write_text("Auto\tFahrzeug\nschnell\tflott\n")
    assert ways(Synonyms(str(source), p=1), "Das Auto ist schnell.") == {"Das Fahrzeug ist flott."}
    assert ways(Synonyms(str(source), p=1), "Schnell! Herr Schnell") == {"Flott! Herr Schnell"}


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("a.tsv", "one\ttwo\nthree\n", "a.tsv, line 2"),
        ("b.tsv", "one\t\ttwo\n", "b.tsv, line 1"),
        ("c.json", "[1]", "must hold an object"),
        ("d.json", '{"one": "two"}', "'one' must stand before a list"),
        ("e.json", "{", "is not JSON"),
        ("f.xml", "<a/>\n", "is not a WN-LMF file"),
        ("g.tsv", "gro\xdf\tweit\n", r"g\.tsv is not UTF-8 .*position 3.*; save it as UTF-8"),
    ],
)
def test_a_source_of_another_form_is_told_in_one_line(tmp_path, name, text, says):
    (tmp_path / name).write_text(text, "latin-1")
    with pytest.raises(UserError, match=says) as caught:
        Synonyms(str(tmp_path / name)).setup()
    assert "\n" not in str(caught.value)


def test_a_missing_source_is_told_with_what_to_install(tmp_path):
    with pytest.raises(UserError, match="apt-get install wordnet-base"):
        Synonyms(str(tmp_path / "nowhere")).setup()
    with pytest.raises(UserError, match=r"index\.noun is missing"):
        Antonyms(str(tmp_path)).setup()


def test_a_wordnet_in_lmf_gives_words_endings_and_opposites(lexicon):
    pytest.importorskip("wn")
    taken = '<Form writtenForm="took"/>'
    source = lexicon(
        [
            ("take", "v", "1", taken, "<Count>9</Count>"),
            ("grab", "v", "1", "", "<Count>5</Count>"),
            ("snatch", "v", "1", "", "<Count>1</Count>"),
            ("hot", "a", "2", "", '<SenseRelation target="s4" relType="antonym"/>'),
            ("cold", "s", "3", "", "<Count>1</Count>"),
            ("thing", "x", "9", "", ""),
        ]
    )
    assert ways(Synonyms(source), "They took it.") == {"They grabbed it."}
    assert ways(Synonyms(source), "They take it.") == {"They grab it."}
    assert ways(Antonyms(source), "It is hot.") == {"It is cold."}


def test_a_chinese_wordnet_gives_synonyms_without_endings(lexicon):
    pytest.importorskip("wn")
    rows = [("高兴", "a", "1", "", ""), ("快乐", "a", "1", "", ""), ("快乐+的", "a", "1", "", "")]
    source = lexicon(rows, "zh")
    assert ways(Synonyms(source), "他很高兴。") == {"他很快乐。"}


def test_the_digest_is_of_the_content_not_of_the_place(tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(WORDNET, copy)
    assert as_data(Synonyms(str(copy))) == as_data(Synonyms(WORDNET))
    other = tmp_path / "other"
    shutil.copytree(WORDNET, other)
    (other / "cntlist.rev").write_text("")
    assert as_data(Synonyms(str(other))) != as_data(Synonyms(WORDNET))
    assert as_data(Synonyms(WORDNET, p=0.3)) != as_data(Synonyms(WORDNET))


@pytest.mark.parametrize("wrong", [{"p": 0}, {"p": 1.5}, {"least": -1}, {"clear": 0.4}])
def test_settings_out_of_range_are_refused(wrong):
    with pytest.raises(ValueError, match="must be"):
        Synonyms(WORDNET, **wrong)


def test_more_is_replaced_when_less_must_be_clear():
    assert ways(Synonyms(WORDNET), "It happened.") == {"It happened."}
    assert ways(Synonyms(WORDNET, clear=0.6), "It happened.") == {"It occurred."}


def test_code_paths_and_the_like_stay():
    text = "Set buy_all in /dev/rich or rich.big<large> of 5large."
    assert ways(Antonyms(WORDNET), text) == {None}


def test_words_are_tagged_as_they_are_used_most(words):
    tagged = TaggedWords(words, synonyms=True).pos_tag(
        ["The", "doctor", "bought", "it", "quickly", ",", "big"]
    )
    assert [tag for _, tag in tagged] == ["DT", "NN", "VB", "DT", "RB", "NN", "JJ"]
    assert {"buy", "purchase"} <= set(TaggedWords(words, True).predict("bought", "v"))
    assert TaggedWords(words, False).predict("buying", "v") == ["sell"]
    assert TaggedWords(words, False).predict("buying", "n") == []
