"""Augmenters on sentencepiece tokens, and on lists of ids."""

import re

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pairsmith.augmenters import TokenDropout, TokenSpanMask, drop_ids, mask_id_spans
from pairsmith.schemas import UserError
from tests.augmenters.plain_tokens import TEXTS, is_subsequence, keys, views

SEEDS = st.integers(0, 2**32)
LISTS = st.lists(st.lists(st.integers(0, 99), max_size=30), max_size=6)
quick = settings(deadline=None, max_examples=80)


def arrays(lists):
    offsets = np.cumsum([0, *map(len, lists)])
    return np.array([i for one in lists for i in one], np.int32), offsets


def lists_of(values, offsets):
    return [part.tolist() for part in np.split(values, offsets[1:-1])] if len(offsets) > 1 else []


def letters(text):
    return "".join(text.split())


@quick
@given(texts=TEXTS, seed=SEEDS)
def test_texts_never_become_empty_and_keep_the_order_of_their_letters(pieces_model, texts, seed):
    for augmenter in (
        TokenDropout(pieces_model, 0.5),
        TokenSpanMask(pieces_model, 0.4, 2.0, "delete"),
    ):
        array, own = pa.array(texts, pa.string()), keys(len(texts), seed)
        found = augmenter(array, own)
        assert augmenter(array[1:], own[1:]) == found[1:]
        assert augmenter(array.cast(pa.string_view()), own) == found
        for text, view in zip(texts, found.to_pylist(), strict=True):
            if text is None:
                assert view is None
            else:
                assert is_subsequence(letters(view), letters(text))
                assert bool(letters(view)) == bool(letters(text))


@quick
@given(texts=TEXTS)
def test_texts_of_which_nothing_goes_are_the_same_bytes(pieces_model, texts):
    # Although the model normalises what it reads, and knows few of these characters.
    assert views(TokenDropout(pieces_model, 0.0), texts) == texts
    assert views(TokenSpanMask(pieces_model, 0.0), texts) == texts


def test_what_is_left_are_pieces_of_the_model_in_order(pieces_model, sentences):
    import sentencepiece

    model = sentencepiece.SentencePieceProcessor(model_file=pieces_model)
    few = [text for text in sentences[:500] if text.isascii()]
    changed = 0
    for text, view in zip(few, views(TokenDropout(pieces_model, 0.3), few), strict=True):
        places = {0}
        for piece in model.encode(text, out_type=str):
            byte = re.fullmatch("<0x(..)>", piece)
            piece = chr(int(byte[1], 16)) if byte else piece.replace("▁", "")
            places |= {p + len(piece) for p in places if letters(view).startswith(piece, p)}
        assert len(letters(view)) in places
        changed += view != text
    assert changed > 0.9 * len(few)


def test_the_share_of_tokens_dropped_is_the_rate_asked_for(characters_model, sentences):
    few = sentences[:4000]
    left = views(TokenDropout(characters_model, 0.1), few)
    share = 1 - sum(map(len, map(letters, left))) / sum(map(len, map(letters, few)))
    assert abs(share - 0.1) < 0.005


def test_density_and_length_of_token_spans_are_those_asked_for(characters_model, sentences):
    few = sentences[:4000]
    masked = views(TokenSpanMask(characters_model), few)
    spans = sum(len(re.findall(r"<extra_id_\d+>", view)) for view in masked)
    left = sum(len(letters(re.sub(r"<extra_id_\d+>", "", view))) for view in masked)
    everything = sum(map(len, map(letters, few)))
    assert abs((everything - left) / everything - 0.15) < 0.005
    assert abs((everything - left) / spans - 3) < 0.05


def test_a_mark_takes_the_space_of_what_it_stands_for(characters_model):
    # Two of five tokens, never side by side.
    found = set(views(TokenSpanMask(characters_model, 0.4, 1.0, "mask", "_"), ["ab ke 我"] * 600))
    assert found == {"_b _e 我", "_b k_ 我", "_b ke _", "a_ k_ 我", "a_ ke _", "ab _e _"}


def test_a_model_that_is_not_there_or_is_none_is_a_user_error(tmp_path):
    with pytest.raises(UserError, match=r"no sentencepiece model at .*missing\.model"):
        TokenDropout(str(tmp_path / "missing.model")).setup()
    wrong = tmp_path / "wrong.model"
    wrong.write_text("not a model")
    with pytest.raises(UserError, match="is no sentencepiece model"):
        TokenSpanMask(str(wrong)).setup()


@pytest.mark.parametrize(
    ("kind", "wrong", "message"),
    [
        (TokenDropout, {"p": 1.0}, "p must be"),
        (TokenSpanMask, {"density": 1.5}, "density must be"),
        (TokenSpanMask, {"style": "none"}, "style must be"),
        (TokenSpanMask, {"mask": " "}, "mask must be"),
    ],
)
def test_settings_out_of_range_are_refused(kind, wrong, message):
    with pytest.raises(ValueError, match=message):
        kind("any.model", **wrong)


@quick
@given(lists=LISTS, seed=SEEDS, p=st.floats(0, 0.99))
def test_lists_of_ids_never_become_empty_and_keep_their_order(lists, seed, p):
    own = keys(len(lists), seed)
    found = lists_of(*drop_ids(*arrays(lists), own, p))
    assert len(found) == len(lists)
    for ids, left in zip(lists, found, strict=True):
        assert is_subsequence(left, ids)
        assert bool(left) == bool(ids)


@quick
@given(lists=LISTS, seed=SEEDS, marks=st.lists(st.integers(-3, -1), max_size=3, unique=True))
def test_marks_stand_in_order_and_the_last_one_stays(lists, seed, marks):
    own, ids = keys(len(lists), seed), arrays(lists)
    deleted = lists_of(*mask_id_spans(*ids, own, density=0.4, mean_length=1.5))
    found = lists_of(
        *mask_id_spans(*ids, own, density=0.4, mean_length=1.5, marks=np.array(marks, np.int32))
    )
    for left, marked in zip(deleted, found, strict=True):
        assert [i for i in marked if i >= 0] == left
        stand = [i for i in marked if i < 0]
        assert stand == [marks[min(j, len(marks) - 1)] for j in range(len(stand))]


def test_rates_on_ids_are_those_asked_for():
    values, offsets = np.arange(600_000, dtype=np.int32), np.arange(0, 600_001, 30)
    own = keys(20_000)
    left, _ = drop_ids(values, offsets, own, 0.1)
    assert abs(1 - left.size / values.size - 0.1) < 0.005
    masked, _ = mask_id_spans(values, offsets, own, marks=np.array([-1], np.int32))
    spans = (masked < 0).sum()
    hidden = values.size - (masked.size - spans)
    assert abs(hidden / values.size - 0.15) < 0.005
    assert abs(hidden / spans - 3) < 0.05


def test_a_list_cut_out_of_a_longer_array_gives_the_same():
    values, offsets = np.arange(100, dtype=np.int32), np.array([10, 40, 40, 90], np.int32)
    own = keys(3)
    assert lists_of(*drop_ids(values, offsets, own, 0.5)) == lists_of(
        *drop_ids(values[10:], offsets - 10, own, 0.5)
    )


@pytest.mark.parametrize(
    ("values", "offsets", "message"),
    [
        (np.zeros(3, np.int64), [0, 3], "values must be a flat int32 array, not int64"),
        (np.zeros(3, np.int32), [0, 4], "offsets must be a flat array within"),
        (np.zeros(3, np.int32), [-1, 3], "offsets must be a flat array within"),
        (np.zeros(3, np.int32), [], "offsets must be a flat array within"),
        (np.zeros(3, np.int32), [0, 2, 1, 3], "offsets must not decrease"),
    ],
)
def test_arrays_that_are_no_lists_of_ids_are_refused(values, offsets, message):
    with pytest.raises(ValueError, match=message):
        drop_ids(values, np.array(offsets, np.int64), keys(max(len(offsets) - 1, 0)), 0.1)
