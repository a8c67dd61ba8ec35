"""`pairsmith augmenters` lists all there are, and runs them on the spot."""

import subprocess

import numpy as np
import pyarrow as pa
import pytest

import pairsmith.augmenters as public
from pairsmith.augmenters import Augmenter, Crop, Sequence, WordDropout
from pairsmith.augmenters.catalogue import asking, catalogue
from pairsmith.commands.augmenters import shown, what
from pairsmith.commands.main import main
from tests.pipelines.corpora import pairsmith


@pytest.fixture(scope="module")
def listed() -> subprocess.CompletedProcess[str]:
    return pairsmith("augmenters")


def test_every_public_augmenter_is_listed() -> None:
    classes = {type(entry.augmenter) for entry in (*catalogue("x.model"), *asking())}
    wraps = {"Cached", "FunctionAugmenter"}
    for name in public.__all__:
        thing = getattr(public, name)
        augments = isinstance(thing, type) and hasattr(thing, "keeps_meaning")
        if augments and name not in wraps and thing is not Augmenter:
            assert thing in classes, f"{name} is not in the catalogue"


def test_each_has_a_name_of_its_own_says_what_it_does_and_declares_itself() -> None:
    entries = (*catalogue("x.model"), *asking())
    names = [entry.augmenter.name for entry in entries]
    assert len(names) == len(set(names))
    for augmenter, texts in entries:
        assert what(augmenter)[0].isupper(), augmenter.name
        assert texts
        assert isinstance(augmenter.keeps_meaning, bool)
        assert set(augmenter.languages) <= {"en", "zh", "fr", "de", "es"}


def test_all_are_run_on_the_spot_but_those_that_ask_a_model(
    listed: subprocess.CompletedProcess[str],
) -> None:
    assert listed.returncode == 0, listed.stderr
    blocks = [block.splitlines() for block in listed.stdout.strip().split("\n\n")]
    ran = {lines[0].split()[0] for lines in blocks if any("  → " in line for line in lines)}
    for entry in catalogue("x.model"):
        assert entry.augmenter.name in ran
    for entry in asking():
        assert entry.augmenter.name in {lines[0].split()[0] for lines in blocks}
    assert "/tmp" not in listed.stdout  # the model of the examples is named, not placed


def test_views_shown_are_those_of_the_augmenter_and_depend_on_the_key() -> None:
    def run(*arguments: object) -> list[str]:
        done = pairsmith("augmenters", "word_dropout", "--text", "one two three four", *arguments)
        return done.stdout.splitlines()

    first, second = run("--key", 1), run("--key", 2)
    assert first != second
    assert first[3].strip() == "one two three four"
    given = pa.array(["one two three four"] * 2)
    views = WordDropout(0.2)(given, np.array([1, 2], np.uint64)).to_pylist()
    assert [lines[4].removeprefix("  → ") for lines in (first, second)] == views


def test_only_those_named_are_listed_and_unknown_names_are_one_line(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["augmenters", "crop", "negation"]) == 0
    out = capsys.readouterr().out
    assert [line.split()[0] for line in out.splitlines() if line[:1].strip()] == [
        "crop",
        "negation",
    ]
    assert main(["augmenters", "nonsense"]) == 2
    error = capsys.readouterr().err
    assert error.startswith("pairsmith augmenters: no augmenter 'nonsense'; there are word_dropout")
    assert main(["augmenters", "--key", "-1"]) == 2


def test_settings_are_shown_as_one_would_write_them() -> None:
    assert shown(Crop()) == "Crop()"
    assert shown(Crop(0.2, min_words=3)) == "Crop(min=0.2, min_words=3)"
    assert shown(Sequence(WordDropout(0.2), Crop())) == "Sequence(WordDropout(p=0.2), Crop())"
