"""Spans written anew by a T5-type model: by whose account, by what chance, and what stays."""

import json
import math
import re
from collections import Counter
from dataclasses import replace

import pyarrow as pa
import pytest

from pairsmith.augmenters import views_of
from pairsmith.augmenters.augmenter import Costly
from pairsmith.augmenters.masks import FillSpans
from pairsmith.augmenters.masks.span_model import span_filler
from pairsmith.schemas import UserError
from tests.augmenters.plain_tokens import keys
from tests.augmenters.properties import check_golden, check_properties
from tests.augmenters.tiny_models import GOLDEN, MOST_SPANS, make_bert, make_t5, sentences

TRAINED = str(GOLDEN / "fill_spans")


@pytest.fixture(scope="module")
def untrained(tmp_path_factory):
    """Return a model of random weights, made here."""
    folder = tmp_path_factory.mktemp("models") / "t5"
    make_t5(folder, sentences())
    return str(folder)


@pytest.fixture(scope="module")
def english():
    return [text for text in sentences() if text.isascii()]


@pytest.fixture(scope="module")
def reference():
    """Return the tokenizer and the model as transformers itself loads them."""
    import torch
    import transformers

    tokenizer = transformers.AutoTokenizer.from_pretrained(TRAINED)
    model = transformers.T5ForConditionalGeneration.from_pretrained(TRAINED, dtype=torch.float32)
    return tokenizer, model.eval()


def replaced(augmenter, texts, seed=0):
    """Return the views and, for each, the list of (was, is)."""
    views = augmenter.views(pa.array(texts), keys(len(texts), seed))
    details = [json.loads(d)["replaced"] if d else [] for d in views.details.to_pylist()]
    return views.texts.to_pylist(), details


def test_golden():
    check_golden(FillSpans(TRAINED, 0.35, 2.0, top_k=3, temperature=0.5), "fill_spans")


def test_properties(untrained):
    check_properties(FillSpans(TRAINED, 0.4, 2.0), examples=25)
    check_properties(FillSpans(untrained, 0.3, 1.0), examples=10)


def test_undoing_the_fills_gives_the_text_byte_for_byte(english):
    texts = ["  The cat,\tdrinks — milk (my  “old” dog) 3.5% of it!? ", *english]
    views, details = replaced(FillSpans(TRAINED, 0.3, 2.0), texts)
    assert sum(map(len, details)) > 100
    for text, view, pairs in zip(texts, views, details, strict=True):
        # Which place a pair stands at is not told: some way to undo them in order must give it.
        undone = {("", 0)}
        for was, now in pairs:
            undone = {
                (before + text_between + was, match.end())
                for before, start in undone
                for match in re.finditer(re.escape(now), view)
                if match.start() >= start
                and text.startswith(before + (text_between := view[start : match.start()]) + was)
            }
        assert any(before + view[start:] == text for before, start in undone)


def test_the_likeliest_fills_are_those_of_transformers_own_search(english, reference):
    tokenizer, model = reference
    augmenter = FillSpans(TRAINED, 0.2, 2.0, temperature=0.0, differ=False)
    asked = FillSpans(TRAINED, 0.2, 2.0, temperature=0.0)
    views, _ = replaced(augmenter, english)
    compared = 0
    for text, view, pairs in zip(english, views, replaced(asked, english)[1], strict=True):
        # Where only one span is masked, what it was tells which one.
        if len(pairs) != 1 or text.count(pairs[0][0]) != 1:
            continue
        was = pairs[0][0]
        read = tokenizer(text.replace(was, "<extra_id_0>"), return_tensors="pt")
        first = tokenizer.convert_tokens_to_ids("<extra_id_0>")
        output = model.generate(
            **read, max_new_tokens=24, do_sample=False, decoder_start_token_id=0,
            forced_bos_token_id=None,
        )[0].tolist()  # fmt: skip
        if output[1] != first:
            continue
        sentinels = [place for place, i in enumerate(output) if i > first]
        said = tokenizer.decode(output[2 : sentinels[0]]) if sentinels else was
        head, tail = text.split(was)
        assert view.lower() == f"{head}{said}{tail}".lower()
        compared += 1
    assert compared > 30


def test_first_words_are_drawn_as_the_model_has_them(reference):
    import torch

    tokenizer, model = reference
    text, top_k = "our old cat drinks milk every day.", 4
    _, details = replaced(FillSpans(TRAINED, 0.15, 1.0, top_k=top_k), [text] * 12_000)
    drawn = Counter(
        now.lower().split()[0] for pairs in details if len(pairs) == 1
        for was, now in pairs if was == "old"
    )  # fmt: skip
    count = sum(drawn.values())
    assert count > 1000
    read = tokenizer("our <extra_id_0> cat drinks milk every day.", return_tensors="pt")
    first = tokenizer.convert_tokens_to_ids("<extra_id_0>")
    with torch.no_grad():
        logits = model(**read, decoder_input_ids=torch.tensor([[0, first]])).logits[0, -1]
    # Neither an end, nor the word that was there.
    logits[[0, 1, 2, tokenizer.convert_tokens_to_ids("old"), *range(first, len(tokenizer))]] = -99
    top = torch.topk(logits, top_k)
    for word, share in zip(
        tokenizer.convert_ids_to_tokens(top.indices), torch.softmax(top.values, -1), strict=True
    ):
        error = math.sqrt(share * (1 - share) / count)
        # Fills that end in no word, or are no word, are left out: a few.
        assert abs(drawn[word] / count - share) < 5 * error + 0.02


def test_verbs_with_their_objects_are_restored_by_a_model_that_knows_them(english):
    asked = replaced(FillSpans(TRAINED, 0.15, 1.0), english)[1]
    verbs = {text.split()[-4] for text in english} | {"drinks", "eats", "reads", "writes", "grows"}
    alone = [row for row, pairs in enumerate(asked) if len(pairs) == 1 and pairs[0][0] in verbs]
    views, _ = replaced(FillSpans(TRAINED, 0.15, 1.0, temperature=0.0, differ=False), english)
    assert len(alone) > 10
    assert sum(views[row] == english[row] for row in alone) >= 0.8 * len(alone)


def test_a_fill_without_end_leaves_the_words(untrained, english):
    # Random weights seldom write an end; with room for one token nearly no fill has one.
    views, details = replaced(FillSpans(untrained, 0.4, 2.0, max_tokens=1), english)
    changed = sum(view != text for view, text in zip(views, english, strict=True))
    assert changed == sum(map(bool, details)) < 0.5 * len(english)


def test_more_spans_than_sentinels_and_long_texts_are_cut_in_parts(english):
    text = " ".join(english[:80])
    assert len(text.split()) > 400  # the model reads 64 tokens
    view, pairs = (some[0] for some in replaced(FillSpans(TRAINED, 0.3, 1.0), [text]))
    assert len(pairs) > 5 * MOST_SPANS
    changed = len(pairs) / len(text.split())
    assert 0.2 < changed < 0.32
    # Its last words are read, too.
    assert any(now in view[-200:] for _, now in pairs[-5:])


def test_a_text_with_a_sentinel_has_no_view_and_a_reason():
    words = "drinks milk every day at home and eats meat in the morning"
    texts = [f"the <extra_id_0> {words}", f"the cat {words}"]
    views = views_of(FillSpans(TRAINED, 0.4, 2.0), pa.array(texts), keys(2))
    assert views.reasons.to_pylist() == ["sentinel", None]
    assert views.texts.to_pylist()[0] is None
    assert views.texts.to_pylist()[1] is not None


def test_batches_are_halved_when_memory_runs_out(english, monkeypatch):
    augmenter = FillSpans(TRAINED, 0.3, 2.0, batch_tokens=300)
    expected, _ = replaced(augmenter, english)
    filler = span_filler(TRAINED, "auto")
    sizes = []
    fill = filler.fill

    def small(batch, *rest, **settings):
        sizes.append(len(batch))
        if len(batch) > 5:
            raise RuntimeError("CUDA out of memory. Tried to allocate 2 GiB")
        return fill(batch, *rest, **settings)

    monkeypatch.setattr(filler, "fill", small)
    assert replaced(augmenter, english)[0] == expected
    assert max(sizes) > 5
    assert replaced(replace(augmenter, batch_tokens=1), english)[0] == expected


def test_it_says_what_it_costs_and_is_made_of():
    augmenter = FillSpans(TRAINED, device="cpu")
    assert isinstance(augmenter, Costly)
    assert augmenter.cache_by == "record"
    told = augmenter.settings()
    assert told["model"]["name"] == "fill_spans"
    assert "device" not in told
    assert told == FillSpans(TRAINED).settings()


def test_what_the_user_can_mend_is_one_line(tmp_path):
    with pytest.raises(UserError, match="no sequence-to-sequence language model"):
        FillSpans(str(tmp_path / "missing")).setup()
    make_bert(tmp_path / "bert", sentences())
    with pytest.raises(UserError, match=r"cannot load .* as a sequence-to-sequence") as error:
        FillSpans(str(tmp_path / "bert")).setup()
    assert "\n" not in str(error.value)


def test_models_with_other_marks_of_gaps_are_refused(tmp_path):
    import transformers

    make_t5(tmp_path / "byt5", sentences())
    transformers.ByT5Tokenizer().save_pretrained(tmp_path / "byt5")
    make_t5(tmp_path / "mt5", sentences(), others=["▁<extra_id_0>"])
    for name in ("byt5", "mt5"):
        with pytest.raises(UserError, match=f"{name} was taught other marks .* choose T5"):
            FillSpans(str(tmp_path / name)).setup()


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"density": 1.0}, "density must be"),
        ({"max_tokens": 0}, "max_tokens must"),
        ({"batch_tokens": 0}, "batch_tokens and"),
        ({"temperature": -1.0}, "temperature must"),
    ],
)
def test_settings_out_of_range_are_refused(wrong, message):
    with pytest.raises(ValueError, match=message):
        FillSpans("any", **wrong)
