"""Words filled by a masked language model: which, by what chance, and what stays."""

import json
import math
import re
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from pairsmith.augmenters import Cached, views_of
from pairsmith.augmenters.augmenter import Costly
from pairsmith.augmenters.cache import with_cache
from pairsmith.augmenters.masks import FillMask
from pairsmith.augmenters.masks.masked_model import masked_filler
from pairsmith.schemas import UserError
from tests.augmenters.plain_tokens import keys
from tests.augmenters.properties import check_golden, check_properties
from tests.augmenters.tiny_models import DOES, GOLDEN, make_bert, sentences

TRAINED = str(GOLDEN / "fill_mask")
WORD = re.compile(r"[^\W\d]+")
HAN = re.compile(r"[\u4e00-\u9fff]")


@pytest.fixture(scope="module")
def untrained(tmp_path_factory):
    """Return a model of random weights, made here."""
    folder = tmp_path_factory.mktemp("models") / "bert"
    make_bert(folder, sentences())
    return str(folder)


def english(count=400):
    """Return sentences of English words that the model knows, of 6 to 10 words."""
    texts = [text for text in sentences() if text.isascii()]
    dice = np.random.default_rng(3)
    return [" ".join(texts[i].rstrip(".") for i in dice.integers(0, len(texts), 2)) + "!"
            for _ in range(count)]  # fmt: skip


def replaced(augmenter, texts, own=None):
    """Return the views and, for each, the list of (was, is)."""
    own = keys(len(texts)) if own is None else own
    views = augmenter.views(pa.array(texts), own)
    details = [json.loads(d)["replaced"] if d else [] for d in views.details.to_pylist()]
    return views.texts.to_pylist(), details


def test_golden():
    check_golden(FillMask(TRAINED, 0.25, top_k=3, temperature=0.5), "fill_mask")


def test_properties(untrained):
    check_properties(FillMask(untrained, 0.4, 2.0), examples=25)
    check_properties(FillMask(TRAINED), examples=15)


def test_all_but_the_chosen_words_stays_byte_for_byte(untrained):
    texts = ["  The cat,\tdrinks — milk (my  “old” dog) 3.5% of it!? ", *english(100)]
    views, details = replaced(FillMask(untrained, 0.4, 2.0), texts)
    changed = 0
    for text, view, pairs in zip(texts, views, details, strict=True):
        assert WORD.split(view) == WORD.split(text)
        words, filled = WORD.findall(text), WORD.findall(view)
        differ = [(a, b) for a, b in zip(words, filled, strict=True) if a != b]
        assert [list(pair) for pair in differ] == pairs
        changed += len(differ)
    assert changed > 100


@pytest.mark.parametrize("mean_length", [1.0, 2.5])
def test_the_share_of_words_is_the_density_asked_for(untrained, mean_length):
    texts = english(1500)
    views, details = replaced(FillMask(untrained, 0.2, mean_length), texts)
    share = sum(map(len, details)) / sum(len(WORD.findall(text)) for text in texts)
    assert abs(share - 0.2) < 0.01
    runs = 0
    for text, view in zip(texts, views, strict=True):
        flags = "".join("x" if a != b else " "
                        for a, b in zip(text.split(), view.split(), strict=True))  # fmt: skip
        runs += len(flags.split())
    assert abs(sum(map(len, details)) / runs - mean_length) < 0.1


def test_a_word_is_never_filled_with_itself_but_when_it_may(untrained):
    texts = english(300)
    for temperature in (0.0, 1.0):
        _, details = replaced(FillMask(untrained, 0.3, temperature=temperature), texts)
        assert sum(map(len, details)) > 500
        assert all(was.lower() != now.lower() for pairs in details for was, now in pairs)
    masked = sum(map(len, details))
    own = FillMask(untrained, 0.3, top_k=0, differ=False)
    # Some of the fills, drawn among all words at random, are what was there.
    assert 0.9 * masked < sum(map(len, replaced(own, texts)[1])) < masked


def test_verbs_and_their_objects_are_restored_by_a_model_that_knows_them():
    texts = [text for text in sentences() if text.isascii()]
    linked = {word for triple in DOES for word in triple[1:]}
    _, details = replaced(FillMask(TRAINED, 0.1), texts)
    alone = [row for row, pairs in enumerate(details) if len(pairs) == 1 and pairs[0][0] in linked]
    assert len(alone) > 20
    views, _ = replaced(FillMask(TRAINED, 0.1, temperature=0.0, differ=False), texts)
    restored = [views[row] == texts[row] for row in alone]
    assert sum(restored) >= 0.9 * len(alone)


def shares(masked, was, top_k, temperature):
    """Return how likely each word is for the mask by transformers' own account; not what it was."""
    import torch
    import transformers

    tokenizer = transformers.AutoTokenizer.from_pretrained(TRAINED)
    model = transformers.BertForMaskedLM.from_pretrained(TRAINED, dtype=torch.float32).eval()
    read = tokenizer(masked, return_tensors="pt")
    place = read["input_ids"][0].tolist().index(tokenizer.mask_token_id)
    with torch.no_grad():
        logits = model(**read).logits[0, place]
    allowed = {
        word: logits[number].item() / temperature
        for word, number in tokenizer.get_vocab().items()
        if word.isascii() and word.isalpha() and word != was
    }
    best = sorted(allowed, key=lambda word: -allowed[word])[:top_k]
    total = sum(math.exp(allowed[word]) for word in best)
    return {word: math.exp(allowed[word]) / total for word in best}


def differs(drawn, expected, count):
    """Return by how many standard errors the worst share is off."""
    assert set(drawn) <= set(expected)
    return max(
        abs(drawn[word] / count - share) / math.sqrt(max(share * (1 - share), 1 / count) / count)
        for word, share in expected.items()
    )


def test_words_are_drawn_as_the_model_has_them():
    text = "my cat drinks milk"
    augmenter = FillMask(TRAINED, 0.25, top_k=6, temperature=1.5)
    views = augmenter(pa.array([text] * 20_000), keys(20_000)).to_pylist()
    filled = (re.fullmatch(r"my (\w+) drinks milk", view) for view in views)
    drawn = Counter(match[1] for match in filled if match and match[1] != "cat")
    count = sum(drawn.values())
    assert count > 3000
    assert differs(drawn, shares("my [MASK] drinks milk", "cat", 6, 1.5), count) < 5


def test_chinese_words_are_filled_by_as_many_characters():
    texts = [text for text in sentences() if HAN.search(text)]
    views, details = replaced(FillMask(TRAINED, 0.3), texts)
    for text, view, pairs in zip(texts, views, details, strict=True):
        assert len(view) == len(text)
        assert HAN.split(view) == HAN.split(text)
        for was, now in pairs:
            assert all(a != b for a, b in zip(was, now, strict=True))
    assert any(len(was) > 1 for pairs in details for was, _ in pairs)


def test_a_chinese_word_that_begins_with_a_latin_letter_is_filled_with_characters(untrained):
    views, _ = replaced(FillMask(untrained, 0.5), ["他穿了一件T恤。", "拍X光"] * 100)
    tees, rays = ({view[-3:] for view in views[i::2]} for i in (0, 1))
    for seen, was in ((tees, "T恤。"), (rays, "拍X光")):
        filled = {view for view in seen if "T" not in view and "X" not in view}
        assert filled
        assert all(len(HAN.findall(view)) == len(HAN.findall(was)) + 1 for view in filled)


def test_side_by_side_masks_are_filled_in_turn_each_seeing_the_one_before():
    text = "my old teacher writes letters every day."
    _, details = replaced(FillMask(TRAINED, 0.28, 2.0, top_k=5), [text] * 20_000)
    both = [pairs for pairs in details if [was for was, _ in pairs] == ["writes", "letters"]]
    assert len(both) > 1000
    verbs = Counter(verb for (_, verb), _ in both)
    for verb, count in verbs.most_common(3):
        objects = Counter(what for (_, does), (_, what) in both if does == verb)
        expected = shares(f"my old teacher {verb} [MASK] every day.", "letters", 5, 1.0)
        assert differs(objects, expected, count) < 5


def test_numbers_and_punctuation_are_left_alone(untrained):
    texts = ["12 — 3.5% (2021) !!! $7", "B2B a1 x@y.z"] * 50
    views, _ = replaced(FillMask(untrained, 0.5), texts)
    assert views == texts


def test_fills_take_the_case_of_what_they_replace(untrained):
    text = "The CAT drinks Milk and books and letters"
    views, _ = replaced(FillMask(untrained, 0.4), [text] * 200)
    for view in views:
        first, second, third, fourth = view.split()[:4]
        assert first.istitle()
        assert second.isupper()
        assert third.islower()
        assert fourth.istitle()


def test_only_at_the_start_of_a_sentence_is_a_fill_of_i_capitalised(untrained):
    text = "I am, as I said, “I” in Paris. I go, so I'm here"
    views, _ = replaced(FillMask(untrained, 0.5), [text] * 200)
    cases = {place: set() for place in (0, 3, 5, 7, 8, 11)}
    for view in views:
        for place, seen in cases.items():
            was, now = (whole.split()[place].strip("“”.") for whole in (text, view))
            if was != now:
                seen.add("capital" if now.istitle() else "small")
    capital, small = {"capital"}, {"small"}
    assert cases == {0: capital, 3: small, 5: capital, 7: capital, 8: capital, 11: small}


def test_long_texts_are_filled_to_their_end(untrained):
    text = " ".join(english(60))  # many times the 64 tokens of the model
    chinese = "".join(t for t in sentences() if HAN.search(t)) * 2
    views, details = replaced(FillMask(untrained, 0.2), [text, chinese, "a" * 3000 + " cat milk"])
    assert WORD.split(views[0]) == WORD.split(text)
    assert len(views[1]) == len(chinese)
    words = len(WORD.findall(text))
    assert abs(len(details[0]) / words - 0.2) < 0.07
    changed = [
        i for i, (a, b) in enumerate(zip(text.split(), views[0].split(), strict=True)) if a != b
    ]
    # Each tenth of the text has its share.
    assert len({10 * place // words for place in changed}) == 10
    assert views[2].startswith("a" * 3000)


def test_a_text_with_the_mask_token_has_no_view_and_a_reason(untrained):
    texts = ["the [MASK] drinks milk every day at home", "the cat drinks milk every day at home"]
    views = views_of(FillMask(untrained, 0.5), pa.array(texts), keys(2))
    assert views.texts.to_pylist()[0] is None
    assert views.reasons.to_pylist() == ["mask token", None]
    assert views.texts.to_pylist()[1] is not None


def test_batches_are_cut_by_padded_tokens_and_halved_when_memory_runs_out(untrained, monkeypatch):
    texts = [*english(60), *(text[:20] for text in english(60))]
    augmenter = FillMask(untrained, 0.3, batch_tokens=400)
    expected, _ = replaced(augmenter, texts)
    filler = masked_filler(untrained, "auto")
    sizes = []
    fill = filler.fill

    def small(batch, *rest):
        sizes.append((len(batch), max(len(one.ids) for one in batch)))
        if len(batch) > 5:
            raise RuntimeError("CUDA out of memory. Tried to allocate 2 GiB")
        return fill(batch, *rest)

    monkeypatch.setattr(filler, "fill", small)
    assert replaced(augmenter, texts)[0] == expected
    assert max(rows * width for rows, width in sizes) <= 400
    assert max(sizes)[0] > 5
    assert len(sizes) > 20
    # One text at a time comes to the same.
    assert replaced(replace(augmenter, batch_tokens=1), texts)[0] == expected


def test_a_cache_asks_the_model_once_for_each_record(untrained, tmp_path, monkeypatch):
    augmenter = FillMask(untrained, 0.3)
    assert isinstance(augmenter, Costly)
    assert augmenter.cache_by == "record"
    cached = with_cache(augmenter, str(tmp_path))
    assert isinstance(cached, Cached)
    texts = pa.array(english(20))
    first = views_of(cached, texts, keys(20))

    def forbidden(*_):
        raise AssertionError("the model was asked again")

    monkeypatch.setattr(masked_filler(untrained, "auto"), "fill", forbidden)
    assert views_of(cached, texts, keys(20)) == first
    with pytest.raises(AssertionError, match="asked again"):
        cached(texts, keys(20, 1))


def test_settings_are_of_the_models_content_not_of_its_place(untrained, tmp_path):
    told = FillMask(untrained, device="cpu", batch_tokens=7).settings()
    assert "device" not in told
    assert "batch_tokens" not in told
    assert str(Path(untrained).parent) not in json.dumps(told)
    copy = tmp_path / Path(untrained).name
    make_bert(copy, sentences())
    assert FillMask(str(copy)).settings() == FillMask(untrained).settings()
    make_bert(copy, sentences(), seed=1)
    assert FillMask(str(copy)).settings() != FillMask(untrained).settings()


def subword_tokenizer(mark):
    """Return a tokenizer of subwords that begin with a mark where a word does."""
    import tokenizers
    import transformers

    words = ["the", "cat", "drinks", "milk", "sees", "dog"]
    bits = ["s", "er", "ca", "ts", "-", "."]
    texts = ["<s>", "<pad>", "</s>", "<unk>", *(mark + word for word in words), *bits, "<mask>"]
    if mark == "Ġ":
        model = tokenizers.models.WordLevel({t: i for i, t in enumerate(texts)}, unk_token="<unk>")
        before = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=True)
    else:
        scores = [(text, -1.0 if text.startswith(mark) else -5.0) for text in texts]
        model = tokenizers.models.Unigram(scores, unk_id=3)
        before = tokenizers.pre_tokenizers.Metaspace()
    plain = tokenizers.Tokenizer(model)
    plain.pre_tokenizer = before
    plain.decoder = (
        tokenizers.decoders.ByteLevel() if mark == "Ġ" else tokenizers.decoders.Metaspace()
    )
    plain.post_processor = tokenizers.processors.TemplateProcessing(
        single="<s> $A </s>", special_tokens=[("<s>", 0), ("</s>", 2)]
    )
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=plain,
        bos_token="<s>",
        pad_token="<pad>",
        eos_token="</s>",
        unk_token="<unk>",
        mask_token=tokenizers.AddedToken("<mask>", lstrip=True),
        model_max_length=32,
    ), words


@pytest.mark.parametrize("mark", ["Ġ", "▁"], ids=["byte-level BPE", "sentencepiece"])
def test_models_of_other_tokenizers_fill_whole_words_too(tmp_path, mark):
    import torch
    import transformers

    tokenizer, words = subword_tokenizer(mark)
    tokenizer.save_pretrained(tmp_path)
    torch.manual_seed(0)
    config = transformers.RobertaConfig(
        vocab_size=len(tokenizer),
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
        max_position_embeddings=34,
        pad_token_id=1,
    )
    transformers.RobertaForMaskedLM(config).save_pretrained(tmp_path)
    text = "the cat drinks milk the cat sees the dog"
    views, details = replaced(FillMask(str(tmp_path), 0.4), [text] * 100)
    assert {now for pairs in details for _, now in pairs} == set(words)
    assert all(len(view.split(" ")) == 9 for view in views)
    views, _ = replaced(FillMask(str(tmp_path), 0.3), [" ".join([text] * 9)])
    assert len(views[0].split(" ")) == 81


def test_what_the_user_can_mend_is_one_line(tmp_path, untrained):
    import transformers

    with pytest.raises(UserError, match=r"no masked language model .*there is no such folder here"):
        FillMask(str(tmp_path / "missing")).setup()
    with pytest.raises(UserError, match=r"transformers cannot load .* as a masked language model"):
        FillMask(str(tmp_path)).setup()
    make_bert(tmp_path / "encoder", sentences())
    encoder = transformers.BertModel.from_pretrained(tmp_path / "encoder")
    encoder.save_pretrained(tmp_path / "encoder")
    with pytest.raises(UserError, match="is no masked language model: it lacks the weights"):
        FillMask(str(tmp_path / "encoder")).setup()
    make_bert(tmp_path / "digits", ["1 2 3"])
    with pytest.raises(UserError, match="has no whole words"):
        FillMask(str(tmp_path / "digits")).setup()
    for path in (tmp_path / "missing", tmp_path / "encoder"):
        with pytest.raises(UserError) as error:
            FillMask(str(path)).setup()
        assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"density": 1.0}, "density must be"),
        ({"mean_length": 0.5}, "mean_length must be"),
        ({"top_k": -1}, "top_k must"),
        ({"temperature": -1.0}, "temperature must"),
        ({"batch_tokens": 0}, "batch_tokens must"),
        ({"device": "tpu"}, "device must"),
    ],
)
def test_settings_out_of_range_are_refused(wrong, message):
    with pytest.raises(ValueError, match=message):
        FillMask("any", **wrong)
