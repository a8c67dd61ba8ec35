import json
import pickle
import random
import threading
import warnings
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pairsmith.augmenters.nlpaug_adapter import NlpAug
from pairsmith.augmenters.nlpaug_objects import nlpaug_join
from pairsmith.augmenters.settings import as_data
from pairsmith.augmenters.spacing import cut, respaced_share
from pairsmith.schemas import UserError
from tests.augmenters.properties import check_golden, check_properties

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # it has stray backslashes
    pytest.importorskip("nlpaug.augmenter.word")

WORDNET = str(Path(__file__).parent / "wordnet")
TEXTS = [
    "Don't panic: the long-term rate (3.5 %) rose quickly to $1,200, they said.",
    "The doctor was able to buy a large car because she's rich.",
    "  Their committee   believes that prices will receive attention \n",
    "It happened early; nobody remembers it.",
]
CHARACTERS, WORDS = "nlpaug.augmenter.char", "nlpaug.augmenter.word"


@pytest.fixture(scope="session")
def tfidf(tmp_path_factory):
    """Return a function that trains a TF-IDF model and returns its folder."""
    from nlpaug.model.word_stats import TfIdf

    def train(texts):
        folder = tmp_path_factory.mktemp("tfidf")
        model = TfIdf()
        model.train([cut(text)[1::2] for text in texts])
        model.save(folder)
        return str(folder)

    return train


@pytest.fixture(scope="session")
def family(tfidf):
    """Return a function that makes the `NlpAug` of a family."""
    arguments = {
        "character": ("RandomCharAug", {}),
        "character insert": ("RandomCharAug", {"action": "insert"}),
        "character swap": ("RandomCharAug", {"action": "swap"}),
        "character delete": ("RandomCharAug", {"action": "delete"}),
        "keyboard": ("KeyboardAug", {}),
        "ocr": ("OcrAug", {}),
        "spelling": ("SpellingAug", {}),
        "split": ("SplitAug", {}),
        "word delete": ("RandomWordAug", {}),
        "word substitute": ("RandomWordAug", {"action": "substitute"}),
        "word swap": ("RandomWordAug", {"action": "swap"}),
        "word crop": ("RandomWordAug", {"action": "crop"}),
        "reserved": ("ReservedAug", {"reserved_tokens": [["doctor", "dentist"], ["rose", "fell"]]}),
        "tfidf": ("TfIdfAug", {"model_path": tfidf(TEXTS)}),
        "tfidf insert": ("TfIdfAug", {"model_path": tfidf(TEXTS), "action": "insert"}),
        "synonym": ("SynonymAug", {"model_path": WORDNET}),
        "antonym": ("AntonymAug", {"model_path": WORDNET}),
    }

    def make(name, **more):
        kind, given = arguments[name]
        module = CHARACTERS if kind in ("RandomCharAug", "KeyboardAug", "OcrAug") else WORDS
        return NlpAug(f"{module}.{kind}", **given, **more)

    return make


ALIKE = ["character", "character insert", "character swap", "character delete", "keyboard", "ocr"]
ALIKE += [
    "spelling",
    "split",
    "word delete",
    "word substitute",
    "word swap",
    "word crop",
    "reserved",
    "tfidf",
    "tfidf insert",
]
FAMILIES = [*ALIKE, "synonym", "antonym"]


def arrays(texts=TEXTS, draws=1):
    texts = pa.array(list(texts) * draws, pa.string())
    return texts, np.random.default_rng(7).integers(0, 2**64, len(texts), np.uint64)


def states():
    kind, numbers, *rest = np.random.get_state()
    return random.getstate(), kind, numbers.tolist(), rest


@pytest.mark.parametrize("name", FAMILIES)
def test_every_family_keeps_the_promises_of_augmenters(family, name):
    check_properties(family(name), 12)


@pytest.mark.parametrize("name", ALIKE)
def test_views_are_those_of_nlpaug_with_the_keys_as_seeds(family, name):
    import nlpaug.augmenter.char as nac
    import nlpaug.augmenter.word as naw

    ours = family(name, keep_spacing=False)
    kind = ours.augmenter.rpartition(".")[2]
    theirs = getattr(nac, kind, None) or getattr(naw, kind)
    theirs = theirs(**dict(ours.arguments))
    if kind in ("SpellingAug", "TfIdfAug"):  # the process read another file before
        theirs.model = theirs.get_model(force_reload=True)
    if kind == "SpellingAug":  # whose order is that of a set
        theirs.model.dict = {word: sorted(o) for word, o in theirs.model.dict.items()}
    texts, keys = arrays(draws=10)
    expected = []
    for text, key in zip(texts.to_pylist(), keys.tolist(), strict=True):
        random.seed(key)
        np.random.seed(key % 2**32)
        try:
            expected += theirs.augment(text)
        except ValueError:  # it crops one word from an empty range
            assert name == "word crop"
            expected.append(None)
    assert ours(texts, keys).to_pylist() == expected
    assert sum(v != t.strip() for v, t in zip(expected, texts.to_pylist(), strict=True)) > 15


@pytest.mark.parametrize("name", FAMILIES)
def test_words_that_nlpaug_left_alone_are_spaced_as_they_were(family, name):
    texts, keys = arrays(draws=10)
    kept, plain = family(name)(texts, keys), family(name, keep_spacing=False)(texts, keys)
    assert respaced_share(texts, plain) > 0.2
    if name != "word swap":  # which makes new neighbours; one in forty may be so by chance, too
        assert respaced_share(texts, kept) <= 0.025
    for ours, theirs in zip(kept.to_pylist(), plain.to_pylist(), strict=True):
        assert (ours and "".join(ours.split())) == (theirs and "".join(theirs.split()))


def test_swapped_words_stand_where_the_others_stood(family):
    texts, keys = arrays(["(one two   three-four five, six"], 20)
    for view in family("word swap")(texts, keys).to_pylist():
        assert sorted(cut(view.lower())[1::2]) == sorted(cut(texts[0].as_py())[1::2])
        assert sum(gap == "   " for gap in cut(view)[::2]) == 1


def test_respaced_rows_are_told_when_they_stay_so(family):
    texts, keys = arrays(["it's so, but plainly", "plain words stand here"])
    said = family("keyboard", keep_spacing=False).views(texts, keys)
    assert [json.loads(d).get("respaced") for d in said.details.to_pylist()] == [True, None]
    assert "respaced" not in "".join(family("keyboard").views(texts, keys).details.to_pylist())


@pytest.mark.parametrize("name", FAMILIES)
def test_what_changed_is_told_word_by_word(family, name):
    texts, keys = arrays(draws=5)
    said = family(name).views(texts, keys)
    changes = 0
    for text, view, detail in zip(
        texts.to_pylist(), said.texts.to_pylist(), said.details.to_pylist(), strict=True
    ):
        if view is None or view == text:
            assert detail is None
            continue
        for old, new in json.loads(detail)["changed"]:
            assert old in text
            assert new in view
            assert old != new
            changes += 1
    assert changes > 5


def test_synonyms_and_antonyms_are_those_of_wordnet(family):
    texts, keys = arrays(["the doctor was rich and bought a large car quickly"], draws=200)
    found = {"synonym": set(), "antonym": set()}
    for name, pairs in found.items():
        for detail in family(name).views(texts, keys).details.drop_null().to_pylist():
            pairs.update(map(tuple, json.loads(detail)["changed"]))
    assert {("bought", "purchase"), ("large", "big"), ("car", "automobile")} <= found["synonym"]
    assert {("bought", "sell"), ("large", "small"), ("rich", "poor")} <= found["antonym"]
    assert {old for old, _ in found["antonym"]} <= {"rich", "bought", "large", "quickly"}
    assert family("synonym").keeps_meaning
    assert not family("antonym").keeps_meaning


def test_threads_make_the_views_of_one_thread_and_leave_the_global_generators_alone(family):
    texts, keys = arrays(draws=40)
    augmenters = [family("keyboard"), family("split"), family("tfidf")]
    random.seed(1)
    np.random.seed(2)
    before = states()
    alone = [augmenter(texts, keys).to_pylist() for augmenter in augmenters]
    assert states() == before
    together: dict[int, list[str]] = {}

    def run(number):
        together[number] = augmenters[number % 3](texts, keys).to_pylist()

    threads = [threading.Thread(target=run, args=[number]) for number in range(9)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert states() == before
    assert together == {number: alone[number % 3] for number in range(9)}


def test_the_global_generators_are_put_back_after_an_error():
    from nlpaug.augmenter.char import KeyboardAug

    class Broken(KeyboardAug):
        def substitute(self, data):
            self.sample([1, 2], 1)
            raise OSError("disk")

    before = states()
    with pytest.raises(OSError, match="disk"):
        NlpAug(Broken())(*arrays())
    assert states() == before


def test_a_class_of_ones_own_is_seeded_in_all_generators():
    torch = pytest.importorskip("torch")
    from nlpaug.augmenter.word import ContextualWordEmbsAug, WordAugmenter

    class Draws(WordAugmenter):
        def substitute(self, data):
            return f"{data} {random.random()} {np.random.random()}"

    class Sampled(ContextualWordEmbsAug):
        def __init__(self):
            WordAugmenter.__init__(self, "substitute")

        def substitute(self, data):
            return f"{data} {torch.rand(1).item()}"

    texts, keys = arrays(draws=3)
    for augmenter in (NlpAug(Draws("substitute")), NlpAug(Sampled())):
        before = states(), torch.get_rng_state().tolist()
        views = augmenter(texts, keys).to_pylist()
        assert augmenter(texts, keys).to_pylist() == views
        assert len(set(views)) == len(views)
        assert (states(), torch.get_rng_state().tolist()) == before


def test_flows_and_objects_with_a_tokenizer_of_their_own_work():
    import nlpaug.flow as naf
    from nlpaug.augmenter.char import KeyboardAug
    from nlpaug.augmenter.word import RandomWordAug

    flow = naf.Sequential([KeyboardAug(aug_char_max=1), RandomWordAug(aug_max=2)])
    check_properties(NlpAug(flow), 10)
    texts, keys = arrays(draws=5)
    assert respaced_share(texts, NlpAug(flow)(texts, keys)) <= 0.1
    own = RandomWordAug(tokenizer=str.split, reverse_tokenizer="_".join)
    view = NlpAug(own, keep_spacing=False)(*arrays(["one two three, four's"]))[0].as_py()
    assert view.count("_") == 1 or view.count("_") == 2
    assert own.tokenizer is str.split
    assert flow[0].tokenizer is KeyboardAug().tokenizer  # the user's object is left as it was


@given(st.lists(st.sampled_from([*".,:;?!%()[]{}<>'`\" ", "...", "a b", "word", "é", "x\t"])))
def test_tokens_are_joined_as_nlpaug_joins_them(tokens):
    from nlpaug.util.text.tokenizer import Tokenizer

    assert nlpaug_join(tokens) == Tokenizer.reverse_tokenizer(tokens)


def test_a_text_that_nlpaug_cannot_do_or_leaves_empty_has_a_reason():
    crop = NlpAug(f"{WORDS}.RandomWordAug", action="crop").views(*arrays(["one"], 20))
    for view, reason in zip(crop.texts.to_pylist(), crop.reasons.to_pylist(), strict=True):
        assert (view, reason) in ((None, "nlpaug: ValueError"), ("one", None))
    assert 0 < crop.texts.null_count < 20
    gone = NlpAug(f"{CHARACTERS}.RandomCharAug", action="delete", min_char=1, aug_char_p=1)
    said = gone.views(*arrays(["ab", "", None]))
    assert said.texts.to_pylist() == [None, "", None]
    assert said.reasons.to_pylist() == ["nothing left", None, None]


def test_models_of_two_files_are_not_mixed_up(tfidf):
    folders = [tfidf([f"{word} x", f"y {word}{word} z"]) for word in ("abab", "cdcd")]
    augmenters = [
        NlpAug(f"{WORDS}.TfIdfAug", model_path=folder, action="insert") for folder in folders
    ]
    for augmenter in augmenters:
        augmenter.setup()
    texts, keys = arrays(["one two"], 30)
    said = ["".join(augmenter(texts, keys).to_pylist()).lower() for augmenter in augmenters]
    assert ["abab" in said[0], "cdcd" in said[0]] == [True, False]
    assert ["abab" in said[1], "cdcd" in said[1]] == [False, True]


def test_views_and_digest_do_not_depend_on_the_order_of_a_set():
    from nlpaug.augmenter.word import SpellingAug

    one, other = SpellingAug(), SpellingAug()
    other.model = type(other.model)(other.dict_path)
    other.model.dict = {word: sorted(o, reverse=True) for word, o in one.model.dict.items()}
    texts, keys = arrays(draws=10)
    assert NlpAug(one)(texts, keys).to_pylist() == NlpAug(other)(texts, keys).to_pylist()
    assert as_data(NlpAug(one)) == as_data(NlpAug(other))


def test_names_and_objects_go_to_workers():
    from nlpaug.augmenter.char import OcrAug

    texts, keys = arrays()
    for augmenter in (NlpAug(f"{CHARACTERS}.OcrAug", min_char=2), NlpAug(OcrAug(min_char=2))):
        augmenter.setup()
        copy = pickle.loads(pickle.dumps(augmenter))
        assert copy(texts, keys).to_pylist() == augmenter(texts, keys).to_pylist()
        assert as_data(copy) == as_data(augmenter)
        assert copy.name == "nlpaug.OcrAug"
    with pytest.raises(TypeError, match="an object has its own"):
        NlpAug(OcrAug(), min_char=2)


def test_the_digest_tells_settings_apart_and_files_by_their_content(tmp_path):
    name = f"{CHARACTERS}.KeyboardAug"
    for folder, keys in (("a", "qw"), ("b", "qw"), ("c", "qe")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "keys.json").write_text(json.dumps({keys[0]: [keys[1]]}))
    same, moved, other = (NlpAug(name, model_path=str(tmp_path / f / "keys.json")) for f in "abc")
    assert as_data(same) == as_data(moved)
    assert as_data(same) != as_data(other)
    assert as_data(NlpAug(name)) != as_data(NlpAug(name, aug_char_p=0.1))
    assert as_data(NlpAug(name)) != as_data(NlpAug(name, keep_spacing=False))
    json.dumps(as_data(same))
    from nlpaug.augmenter.char import KeyboardAug

    few, many = (as_data(NlpAug(KeyboardAug(aug_char_p=p))) for p in (0.1, 0.5))
    assert few != many
    assert len(json.dumps(few)) < 5000


def test_the_digest_holds_the_model_of_the_working_folder_and_nothing_else_of_it(
    tfidf, monkeypatch, tmp_path
):
    from nlpaug.augmenter.word import TfIdfAug

    named = NlpAug(f"{WORDS}.TfIdfAug")
    found = []
    for folder in (tfidf(TEXTS), tfidf(TEXTS[:2])):
        monkeypatch.chdir(folder)
        made = TfIdfAug()
        made.model = made.get_model(force_reload=True)  # the process may have read another
        told = as_data(named), as_data(NlpAug(made))
        assert told[0] == as_data(NlpAug(f"{WORDS}.TfIdfAug", model_path=folder))
        Path("notes.txt").write_text("milk, eggs")
        assert (as_data(named), as_data(NlpAug(made))) == told
        found.append(told)
    assert all(one != other for one, other in zip(*found, strict=True))
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=r"no tfidfaug_w2idf\.txt in \.; name the folder"):
        as_data(named)


def test_views_are_those_that_were_read_by_eye():
    check_golden(NlpAug(f"{CHARACTERS}.KeyboardAug", aug_char_max=1, aug_word_p=0.2), "nlpaug")


def test_real_sentences_are_respaced_by_nlpaug_and_not_by_us(shared_data, family):
    table = pq.read_table(shared_data / "corpus" / "fed_sentences_en.parquet", columns=["text"])
    texts, keys = arrays(table["text"].to_pylist()[::700])
    for name in ("keyboard", "split", "word delete", "tfidf"):
        assert respaced_share(texts, family(name, keep_spacing=False)(texts, keys)) > 0.15
        assert respaced_share(texts, family(name)(texts, keys)) < 0.01
