"""Subword sampling: the distributions of Kudo (2018) and of BPE-dropout, by the record's key."""

import math
import re
from collections import Counter
from itertools import pairwise, product
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pairsmith.augmenters.subword_model import kind_of, load_model
from pairsmith.augmenters.subwords import SubwordSampling, sample_ids
from pairsmith.schemas import UserError
from tests.augmenters.plain_tokens import TEXTS, keys
from tests.augmenters.properties import check_golden, check_properties

CHINESE = ["我来到北京清华大学", "你好世界", "猫喝牛奶。", "他来自中国！", "今天天气很好。"]
ROWS = 20_000


@pytest.fixture(scope="session")
def bpe_model(train_model):
    return train_model(
        "bpe",
        vocab_size=600,
        model_type="bpe",
        byte_fallback=True,
        user_defined_symbols=["<mask>"],
    )


@pytest.fixture(scope="session")
def unknown_model(train_model):
    """A unigram model that knows few characters, has no bytes, and two symbols of its own."""
    return train_model(
        "unknown", vocab_size=160, character_coverage=0.98, user_defined_symbols=["<mask>", "sta"]
    )


@pytest.fixture(scope="session")
def mixed(sentences):
    return [*sentences[:400], *CHINESE, "sta <mask>stasta x", "日本語 ☃☃ a☃", "", "  a   b "]


def ids_of(path, texts, alpha, nbest=-1, seed=0):
    sampled = sample_ids(pa.array(texts), keys(len(texts), seed), load_model(path), alpha, nbest)
    return [sampled.ids[a:b].tolist() for a, b in pairwise(sampled.offsets)]


def frequencies(path, text, alpha, nbest=-1):
    counts = Counter(map(tuple, ids_of(path, [text] * ROWS, alpha, nbest)))
    return {cut: count / ROWS for cut, count in counts.items()}


def differs(found, expected):
    """Return by how many standard errors the worst share is off."""
    worst = 0.0
    for cut in found.keys() | expected.keys():
        share = expected.get(cut, 0.0)
        error = math.sqrt(max(share * (1 - share), 1 / ROWS) / ROWS)
        worst = max(worst, abs(found.get(cut, 0.0) - share) / error)
    return worst


def all_cuts(model, text):
    """Return every way to cut a normalised text into pieces of the model, with its score."""
    processor = model.processor
    known = {
        processor.id_to_piece(i): i
        for i in range(processor.get_piece_size())
        if not (processor.is_control(i) or processor.is_unknown(i) or processor.is_byte(i))
    }
    found = {}
    for breaks in product((False, True), repeat=len(text) - 1):
        places = [0, *(i + 1 for i, cut in enumerate(breaks) if cut), len(text)]
        pieces = [text[a:b] for a, b in pairwise(places)]
        if all(piece in known for piece in pieces):
            ids = tuple(known[piece] for piece in pieces)
            found[ids] = sum(processor.get_score(i) for i in ids)
    return found


@pytest.mark.parametrize("alpha", [0.0, 0.3, 1.0])
def test_every_cut_has_the_probability_of_its_power(pieces_model, alpha):
    model = load_model(pieces_model)
    text = "stationver"
    scores = all_cuts(model, model.processor.normalize(text))
    assert len(scores) > 20
    weights = {ids: math.exp(alpha * score) for ids, score in scores.items()}
    total = sum(weights.values())
    expected = {ids: weight / total for ids, weight in weights.items()}
    assert differs(frequencies(pieces_model, text, alpha), expected) < 5


def test_only_the_likeliest_are_drawn_when_there_is_a_number_of_them(pieces_model):
    model = load_model(pieces_model)
    text, alpha, best = "stationver", 0.3, 7
    scores = all_cuts(model, model.processor.normalize(text))
    kept = sorted(scores, key=lambda ids: -scores[ids])[:best]
    total = sum(math.exp(alpha * scores[ids]) for ids in kept)
    expected = {ids: math.exp(alpha * scores[ids]) / total for ids in kept}
    found = frequencies(pieces_model, text, alpha, best)
    assert differs(found, expected) < 5
    few = frequencies(pieces_model, text, 0.0, best)
    # At a power of 0 all seven are equally likely.
    assert max(abs(share - 1 / best) for share in few.values()) < 0.02


def test_dropped_merges_give_the_cuts_that_sentencepiece_gives(bpe_model):
    import sentencepiece

    processor = sentencepiece.SentencePieceProcessor(model_file=bpe_model)
    text, dropout = "station verqua", 0.3
    drawn = processor.encode(
        [text] * ROWS, enable_sampling=True, alpha=dropout, nbest_size=-1, num_threads=1
    )
    counts = Counter(map(tuple, drawn))
    found = frequencies(bpe_model, text, dropout)
    common = {cut: n / ROWS for cut, n in counts.items() if n > 50}
    assert len(common) > 20
    # Both are samples, so their difference varies by a factor of the square root of two more.
    assert differs({cut: found.get(cut, 0.0) for cut in common}, common) < 5 * math.sqrt(2)


def test_without_chance_the_cut_is_sentencepieces_own(
    pieces_model, unknown_model, bpe_model, mixed
):
    for path, alpha in ((pieces_model, 999.0), (unknown_model, 999.0), (bpe_model, 0.0)):
        model = load_model(path)
        expected = model.processor.encode(mixed)
        for nbest in (-1, 2):
            for text, ids, own in zip(
                mixed, ids_of(path, mixed, alpha, nbest), expected, strict=True
            ):
                if ids != own:  # equally likely: "--" and "-" either way
                    scores = [sum(map(model.processor.get_score, some)) for some in (ids, own)]
                    assert kind_of(model) == "unigram"
                    assert scores[0] == pytest.approx(scores[1], abs=0.02), text


def test_all_merges_dropped_leaves_characters(bpe_model, sentences):
    model = load_model(bpe_model)
    (ids,) = ids_of(bpe_model, [sentences[0]], 1.0)
    pieces = [model.processor.id_to_piece(i) for i in ids]
    assert "".join(pieces) == model.processor.normalize(sentences[0])
    assert {len(piece) for piece in pieces} == {1}


@pytest.mark.parametrize(("kind", "alpha"), [("pieces_model", 0.2), ("bpe_model", 0.2)])
def test_sampled_ids_say_what_the_text_says(kind, alpha, mixed, request):
    path = request.getfixturevalue(kind)
    processor = load_model(path).processor
    drawn = ids_of(path, mixed, alpha)
    assert list(map(processor.decode, drawn)) == list(
        map(processor.decode, processor.encode(mixed))
    )
    assert sum(a != b for a, b in zip(drawn, processor.encode(mixed), strict=True)) > 300


def test_unknown_characters_in_a_row_are_one_unknown_piece(unknown_model):
    model = load_model(unknown_model)
    (ids,) = ids_of(unknown_model, ["☃☃☃"], 0.1)
    assert ids == model.processor.encode("☃☃☃")
    assert ids.count(model.processor.unk_id()) == 1


def test_symbols_of_the_users_are_never_cut(unknown_model):
    symbol = load_model(unknown_model).processor.piece_to_id("<mask>")
    for nbest in (-1, 50):
        for ids in ids_of(unknown_model, ["ba<mask>ke"] * 200, 0.0, nbest):
            assert ids.count(symbol) == 1


@settings(deadline=None, max_examples=60)
@given(texts=TEXTS, seed=st.integers(0, 2**32))
def test_without_its_joiners_a_view_is_the_text(pieces_model, bpe_model, texts, seed):
    for path in (pieces_model, bpe_model):
        array, own = pa.array(texts, pa.string()), keys(len(texts), seed)
        joiner = "\ue000\ue001"
        for text, view in zip(
            texts, SubwordSampling(path, 0.1, joiner=joiner)(array, own).to_pylist(), strict=True
        ):
            assert (view and view.replace(joiner, "")) == text
            if text:
                assert not re.search(rf"\s{joiner}|{joiner}(\s|$)|^{joiner}", view)


def test_joiners_stand_between_the_pieces_of_a_word(characters_model):
    # Its pieces are characters, so all cuts are one. An accent that stands alone is not parted from
    # its letter, nor what the model does not know, nor a character that is normalised to several.
    texts = pa.array(["ba ke", "我来", "e\u0301\u0302k", "㎏ ½a", "a,  b"])
    views = SubwordSampling(characters_model, 0.5, joiner="|")(texts, keys(5))
    assert views.to_pylist() == ["b|a k|e", "我来", "e\u0301\u0302|k", "㎏ ½|a", "a|,  b"]


def test_emoji_of_several_characters_stay_whole(bpe_model):
    # The model knows their bytes alone, so that without merges each character is cut off.
    texts = pa.array(["a👩\u200d🔬b", "a🇩🇪b", "क्\u200dष"])
    views = SubwordSampling(bpe_model, 1.0, joiner="|")(texts, keys(3))
    assert views.to_pylist() == ["a|👩\u200d🔬|b", "a|🇩🇪|b", "क्\u200dष"]


def test_most_words_are_cut_in_many_ways(pieces_model, sentences):
    sampler = SubwordSampling(pieces_model, 0.2)
    views = set(sampler(pa.array([sentences[0]] * 200), keys(200)).to_pylist())
    assert len(views) > 100


def test_properties(pieces_model, bpe_model):
    check_properties(SubwordSampling(pieces_model))
    check_properties(SubwordSampling(bpe_model, joiner="@@ "))
    check_properties(SubwordSampling(pieces_model, 0.5, nbest=8), examples=20)


def test_golden():
    model = Path(__file__).parent / "golden.model"
    check_golden(SubwordSampling(str(model), 0.2, joiner="@@ "), "subword_sampling")


def test_settings_name_the_model_by_its_content(pieces_model, tmp_path):
    copy = tmp_path / "copy.model"
    copy.write_bytes(load_model(pieces_model).data)
    told = SubwordSampling(pieces_model).settings()
    again = SubwordSampling(str(copy)).settings()
    assert told["model"]["sha256"] == again["model"]["sha256"] == load_model(str(copy)).sha256
    assert "/" not in told["model"]["name"]
    copy.write_bytes(load_model(pieces_model).data[:-1])
    assert str(copy) not in str(told)


def test_a_model_that_changes_is_read_again(train_model, pieces_model, tmp_path):
    path = tmp_path / "one.model"
    path.write_bytes(load_model(pieces_model).data)
    first = load_model(str(path)).sha256
    other = train_model("other", vocab_size=120, hard_vocab_limit=False)
    path.write_bytes(load_model(other).data)
    assert load_model(str(path)).sha256 == load_model(other).sha256 != first


def test_what_cannot_be_sampled_is_one_line(characters_model, train_model, bpe_model, tmp_path):
    words = train_model("words", model_type="word", vocab_size=100, hard_vocab_limit=False)
    with pytest.raises(UserError, match="unigram, bpe and char models only"):
        SubwordSampling(words).setup()
    with pytest.raises(UserError, match="alpha is a probability with a bpe model"):
        SubwordSampling(bpe_model, 1.5).setup()
    with pytest.raises(UserError, match="no sentencepiece model at"):
        SubwordSampling(str(tmp_path / "missing.model")).setup()


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"alpha": -0.1}, "alpha must be"),
        ({"nbest": 1}, "nbest must be"),
        ({"nbest": 1000}, "nbest must be"),
        ({"joiner": ""}, "joiner must not"),
    ],
)
def test_settings_out_of_range_are_refused(wrong, message):
    with pytest.raises(ValueError, match=message):
        SubwordSampling("any.model", **wrong)
