"""Back-translation: what goes there comes back in order, or says why not."""

import json
import shutil

import numpy as np
import pyarrow as pa
import pytest

from pairsmith.augmenters import Cached
from pairsmith.augmenters.settings import as_data
from pairsmith.augmenters.translation import BackTranslate, Decoding
from pairsmith.schemas.manifest import digest
from tests.augmenters.properties import HOSTILE, ORDINARY, check_golden, check_properties
from tests.augmenters.translation.fakes import ENDLESS, FakeTranslator, faked

BANK = "The bank raised its rates on Tuesday."
BANQUE = "La banque a relevé ses taux mardi."
INSTITUTE = "The credit institute increased its rates."


def keys(count, first=0):
    return np.arange(first, first + count, dtype=np.uint64)


def views(augmenter, *texts):
    return augmenter.views(pa.array(texts, pa.string()), keys(len(texts)))


@pytest.fixture
def tiny(tiny_models):
    """Return back-translation by the two models that the repository holds."""

    def make(**settings):
        models = (f"{tiny_models}/tiny-en-fr", f"{tiny_models}/tiny-fr-en")
        return BackTranslate("fr", models=models, **{"device": "cpu", **settings})

    return make


@pytest.fixture
def by_words(tiny_models):
    """Return back-translation by dictionaries: sentence by sentence, there and back."""

    def make(there, back, **settings):
        return faked(
            FakeTranslator(lambda text: there.get(text, text)),
            FakeTranslator(lambda text: back.get(text, text)),
            tiny_models,
            **({"source": "en", "to": "fr"} | settings),
        )

    return make


def test_golden_views(tiny):
    """Read by eye. Rows were taken on which int8, float32 and transformers agree."""
    check_golden(tiny(), "back_translate")


def test_golden_views_of_the_reference(checkpoints):
    check_golden(
        BackTranslate("fr", models=checkpoints, engine="transformers", device="cpu"),
        "back_translate",
    )


def test_a_model_s_views_hardly_depend_on_the_batch(tiny, tatoeba):
    """A model rounds otherwise in a batch of another shape, so a near tie may fall otherwise."""
    texts, back_translate = pa.array([*HOSTILE, *ORDINARY, None, *tatoeba]), tiny()
    whole = back_translate(texts, keys(len(texts)))
    parts = [
        back_translate(texts[at : at + 9], keys(9)[: len(texts) - at]) for at in range(0, 117, 9)
    ]
    backwards = back_translate(texts[::-1], keys(len(texts)))[::-1]
    for other in (pa.concat_arrays(parts), backwards):
        equal = [a == b for a, b in zip(whole.to_pylist(), other.to_pylist(), strict=True)]
        assert np.mean(equal) >= 0.97


def test_the_promises_of_an_augmenter_hold_whatever_the_models_do(tiny_models):
    def strange(text):
        return {0: "", 1: text.upper(), 2: "ha" * 9, 3: f"{text} {ENDLESS}"}.get(
            len(text) % 7, text
        )

    pair = FakeTranslator(strange, most=4), FakeTranslator(lambda text: f"Well, {text}", most=5)
    check_properties(faked(*pair, tiny_models))


def test_real_sentences_come_back_in_other_words(tiny, tatoeba):
    made = views(tiny(), *tatoeba)
    details = [json.loads(detail) for detail in made.details.to_pylist()]
    scores = [told["chrf"] for told in details if "chrf" in told]
    assert len(scores) >= 90
    assert np.mean(scores) > 60
    assert len(tatoeba) - made.texts.null_count >= 40
    assert set(made.reasons.to_pylist()) <= {None, "copy", "repetition", "too long", "length"}
    changed = zip(tatoeba, made.texts.to_pylist(), strict=True)
    assert all(view != text for text, view in changed)


def test_sentences_come_back_in_order_with_what_stood_between(tiny_models):
    there = FakeTranslator(lambda text: text.replace("a", "ä"))
    back = FakeTranslator(lambda text: text.replace("ä", "aa"))
    text = "\tA cat sat.  Was it fat?\n\n---\n1. Not at all!\r\n"
    made = views(faked(there, back, tiny_models), text)
    assert made.texts.to_pylist() == ["\tA caat saat.  Waas it faat?\n\n---\n1. Not aat aall!\r\n"]
    assert there.asked == ["A cat sat.", "Was it fat?", "Not at all!"]


def test_long_sentences_are_split_for_each_model_and_nothing_is_cut(tiny_models):
    text = " ".join(f"{number}a{number}" for number in range(50))
    there = FakeTranslator(lambda text: text.replace("a", " ä "), most=12)
    back = FakeTranslator(lambda text: text.replace("ä", "b"), most=7)
    made = views(faked(there, back, tiny_models), text)
    assert made.texts.to_pylist() == [text.replace("a", " b ")]
    assert len(there.asked) > 4
    assert len(back.asked) > len(there.asked)


def test_a_real_sentence_that_is_longer_than_the_model_is_translated_in_parts(tiny):
    sentence = ", and ".join(["I saw the doctor"] * 90) + ", and he laughed."
    assert tiny().translators()[0].count_tokens([sentence])[0] > 256
    # The model reads 256 tokens, but learned from short sentences and leaves much of those out.
    pivots = [
        json.loads(views(tiny(longest=longest), sentence).details[0].as_py())["pivot"]
        for longest in (0, 60)
    ]
    assert len(pivots[0]) < len(sentence) / 2 < len(pivots[1])


@pytest.mark.parametrize(
    ("there", "back", "reason"),
    [
        ({}, {BANQUE: INSTITUTE}, None),
        ({}, {BANQUE: BANK}, "copy"),
        ({}, {BANQUE: "the bank raised its rates on tuesday!"}, "copy"),
        ({}, {BANQUE: ""}, "empty"),
        ({BANK: ""}, {}, "empty"),
        ({BANK: f"{BANQUE} {ENDLESS}"}, {}, "too long"),
        ({}, {BANQUE: f"{INSTITUTE} {ENDLESS}"}, "too long"),
        ({BANK: "La banque a relevé 2222222222222"}, {}, "repetition"),
        ({}, {BANQUE: "The institute of the of the of the of the of the"}, "repetition"),
        ({BANK: BANK}, {}, "language"),
        ({BANK: "Die Bank hat am Dienstag ihre Zinsen erhöht."}, {}, "language"),
        ({}, {BANQUE: BANQUE}, "language"),
        ({}, {BANQUE: "Rates."}, "length"),
        (
            {},
            {BANQUE: f"{INSTITUTE} On Tuesday? Perhaps; who knows what such people do next."},
            "length",
        ),
    ],
)
def test_what_went_wrong_is_said_and_gives_no_view(by_words, there, back, reason):
    made = views(by_words({BANK: BANQUE} | there, back), BANK)
    assert made.reasons.to_pylist() == [reason]
    assert made.texts.to_pylist() == [None if reason else INSTITUTE]


def test_one_bad_sentence_spoils_its_text_and_no_other(by_words):
    made = views(by_words({BANK: BANQUE}, {BANQUE: ""}), f"Hello. {BANK}", "Nice day, Tom.", None)
    assert made.reasons.to_pylist() == ["empty", "copy", None]


def test_a_text_without_letters_is_not_translated(tiny_models):
    pair = FakeTranslator(), FakeTranslator()
    made = views(faked(*pair, tiny_models), "3.14", "", " \n", "😀")
    assert made.reasons.to_pylist() == ["copy"] * 4
    assert pair[0].asked == pair[1].asked == []


def test_what_is_lost_on_the_way_there_is_not_brought_back(tiny_models):
    back = FakeTranslator()
    views(faked(FakeTranslator(lambda text: ""), back, tiny_models), BANK)
    assert back.asked == []


def test_details_hold_the_score_the_pivot_and_what_was_rejected(by_words):
    made = views(by_words({BANK: BANQUE}, {BANQUE: INSTITUTE}), BANK)
    (told,) = map(json.loads, made.details.to_pylist())
    assert told == {"chrf": pytest.approx(35, abs=15), "pivot": BANQUE}
    made = views(by_words({BANK: BANQUE}, {BANQUE: "Rates."}), BANK)
    (told,) = map(json.loads, made.details.to_pylist())
    assert (told["rejected"], told["pivot"]) == ("Rates.", BANQUE)


def test_sentences_of_a_pivot_do_not_touch_where_chinese_ones_do(tiny_models):
    there = {"会议九点开始。": "The meeting starts at nine.", "你来吗？": "Are you coming?"}
    back = {"The meeting starts at nine.": "会议在九点开始。", "Are you coming?": "你会来吗？"}
    pair = FakeTranslator(there.get), FakeTranslator(back.get)
    augmenter = faked(*pair, tiny_models, source="zh-Hans", to="en")
    made = views(augmenter, "会议九点开始。你来吗？")
    assert made.texts.to_pylist() == ["会议在九点开始。你会来吗？"]
    (told,) = map(json.loads, made.details.to_pylist())
    assert told["pivot"] == "The meeting starts at nine. Are you coming?"


@pytest.mark.parametrize(
    ("source", "to", "text", "pivot", "halves", "view"),
    [
        (
            *("en", "zh", "She slept when I came in.", "当我回到家的时候，她已经睡着了。"),
            {"当我回到家的时候，": "When I got home,", "她已经睡着了。": "she was asleep."},
            "When I got home, she was asleep.",
        ),
        (
            *("zh", "en", "当我回到家的时候，她已经睡着了。", "When I got in, she slept."),
            {"When I got in,": "我到家时，", "she slept.": "她睡着了。"},
            "我到家时，她睡着了。",
        ),
    ],
    ids=["through Chinese", "through English"],
)
def test_halves_of_a_long_pivot_come_home_spaced_as_the_source_is(
    tiny_models, source, to, text, pivot, halves, view
):
    class Characters(FakeTranslator):
        def count_tokens(self, sentences):
            return list(map(len, sentences))

    there = FakeTranslator({text: pivot, "OK!": "OK!"}.get)
    back = Characters({**halves, "OK!": "OK!"}.get, most=15)
    made = views(faked(there, back, tiny_models, source=source, to=to), f"{text}\nOK!")
    assert made.texts.to_pylist() == [f"{view}\nOK!"]


def test_prefixes_tell_a_model_which_language_to_write(tiny_models):
    there, back = FakeTranslator(), FakeTranslator(str.lower)
    views(faked(there, back, tiny_models, prefixes=(">>fr<< ", ">>en<< ")), "Hello. Tom!")
    assert there.asked == [">>fr<< Hello.", ">>fr<< Tom!"]
    assert back.asked == [">>en<< >>FR<< HELLO.", ">>en<< >>FR<< TOM!"]


def test_a_second_run_asks_no_model_and_gives_the_same_bytes(tiny, tatoeba, tmp_path):
    calls = []

    class Counting(BackTranslate):
        def views_by(self, there, back, texts, keys):
            calls.append(len(texts))
            return super().views_by(there, back, texts, keys)

    augmenter = tiny()
    counting = Counting(augmenter.to, models=augmenter.models, device="cpu")
    texts = pa.array([*tatoeba, None, tatoeba[0]])
    first = Cached(counting, str(tmp_path)).views(texts, keys(102))
    assert calls == [len(set(tatoeba))]
    # Greedy views depend on the text alone: other keys, other order.
    order = np.random.default_rng(0).permutation(102)
    second = Cached(counting, str(tmp_path)).views(texts.take(pa.array(order)), keys(102, 500))
    assert calls == [len(set(tatoeba))]
    for before, after in zip(first, second, strict=True):
        assert after.equals(before.take(pa.array(order)))


def test_a_run_that_was_killed_goes_on_from_the_cache(tiny_models, tmp_path):
    texts = pa.array([f"The bank raised rate number {number}." for number in range(3000)])

    def run(fails_at):
        there = FakeTranslator(lambda text: text.replace("The", "la"), fails_at=fails_at)
        back = FakeTranslator(lambda text: text.replace("la", "A"))
        augmenter = Cached(faked(there, back, tiny_models), str(tmp_path))
        return there, lambda: augmenter.views(texts, keys(3000))

    there, go = run(fails_at=2000)
    with pytest.raises(ConnectionError):
        go()
    # The first 1,024 were kept; the call that failed is made again.
    there, go = run(fails_at=10**9)
    finished = go()
    assert len(there.asked) == 3000 - 1024
    assert finished.texts[0].as_py() == "A bank raised rate number 0."
    there, go = run(fails_at=1)
    assert go() == finished
    assert there.asked == []


def test_sampled_views_belong_to_records_others_to_texts(tiny):
    assert tiny().cache_by == tiny(beam=4).cache_by == "text"
    assert tiny(temperature=1.0).cache_by == "record"


def test_sampled_views_differ_by_key_and_come_again(tiny):
    sampling = tiny(temperature=1.0, top_k=20)
    texts = pa.array(["We had dinner together yesterday evening."] * 12)
    made = sampling(texts, keys(12)).to_pylist()
    assert sampling(texts, keys(12)).to_pylist() == made
    assert len(set(made)) > 4
    assert sampling(texts, keys(12, 100)).to_pylist() != made


def test_sampling_by_the_reference_does_not_depend_on_the_batch(checkpoints):
    sampling = BackTranslate(
        "fr", models=checkpoints, engine="transformers", device="cpu", temperature=0.8, top_p=0.9
    )
    texts = pa.array(["We had dinner together. It was good.", "He left early.", BANK] * 2)
    whole = sampling(texts, keys(6)).to_pylist()
    single = [sampling(texts[row : row + 1], keys(1, row))[0].as_py() for row in range(6)]
    assert single == whole
    assert whole[:3] != whole[3:]


def test_each_sentence_of_a_text_is_drawn_anew(tiny_models):
    seen = []

    class Seeds(FakeTranslator):
        def translate(self, sentences, decoding, seeds, batch_tokens=0):
            seen.append(list(seeds))
            return super().translate(sentences, decoding, seeds)

    augmenter = faked(Seeds(), Seeds(str.lower), tiny_models, temperature=1.0)
    augmenter(pa.array(["No. No. No.", "No."]), keys(2))
    there, back = seen
    assert len({*there, *back}) == 8
    augmenter(pa.array(["No."]), keys(1, 1))
    assert seen[2] == there[3:]


def test_settings_tell_what_decides_the_views_and_not_where_it_was_made(
    tiny, tiny_models, tmp_path
):
    elsewhere = tmp_path / "models"
    shutil.copytree(tiny_models, elsewhere)
    moved = BackTranslate(
        "fr",
        models=(f"{elsewhere}/tiny-en-fr", f"{elsewhere}/tiny-fr-en"),
        device="cpu",
        threads=1,
        batch_tokens=100,
    )
    told = digest(as_data(tiny()))
    assert digest(as_data(moved)) == told
    for other in (
        tiny(compute_type="float32"),
        tiny(beam=4),
        tiny(temperature=1.0),
        tiny(length=(0.3, 3.0)),
        tiny(longest=60),
        tiny(prefixes=(">>fr<< ", "")),
        BackTranslate("fr", models=tiny().models[::-1], device="cpu"),
    ):
        assert digest(as_data(other)) != told
    assert as_data(tiny())["models"][0]["name"] == "tiny-en-fr"
    assert as_data(tiny())["compute_type"] == "int8"
    assert str(tmp_path) not in json.dumps(as_data(moved))


def test_decoding_is_what_the_settings_say(tiny_models):
    seen = []

    class Listening(FakeTranslator):
        def translate(self, sentences, decoding, seeds, batch_tokens=0):
            seen.append((decoding, batch_tokens))
            return super().translate(sentences, decoding, seeds)

    listening = Listening(), Listening(str.lower)
    views(faked(*listening, tiny_models, beam=4, batch_tokens=99), "Hello.")
    assert seen == [(Decoding(beam=4), 99)] * 2
