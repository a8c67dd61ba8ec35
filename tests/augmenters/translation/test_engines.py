"""The engines: pieces as MarianTokenizer has them, outputs that agree, sampling by key."""

import json
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pairsmith.augmenters.masks import FillMask, FillSpans
from pairsmith.augmenters.translation import (
    BackTranslate,
    Decoding,
    Model,
    engine_ctranslate2,
)
from pairsmith.augmenters.translation.engine_ctranslate2 import CTranslate2Engine, resolve
from pairsmith.augmenters.translation.engine_transformers import TransformersEngine
from pairsmith.augmenters.translation.sampling import Sampler
from pairsmith.augmenters.translation.tokens import MarianPieces
from pairsmith.schemas import UserError
from tests.augmenters.properties import HOSTILE, ORDINARY
from tests.augmenters.tiny_models import GOLDEN
from tests.augmenters.translation.fakes import FakeGPU

GREEDY = Decoding()
LITERAL = ["</s> a </s>", "a</s>b <pad> <unk>", ">>fr<< the cat", ">>fr<<", ">>a", "▁a", "  a  b "]


@pytest.fixture(scope="module")
def marian(make_marian, tmp_path_factory):
    """Return the folder of a small checkpoint of random weights."""
    return make_marian(tmp_path_factory.mktemp("models") / "random")


@pytest.fixture(scope="module")
def reference(marian):
    """Return transformers' engine with it."""
    return TransformersEngine(marian, "cpu")


def test_pieces_are_those_of_marian_tokenizer(marian, reference):
    ours = MarianPieces(marian)
    ids = json.loads((marian / "vocab.json").read_text())

    @settings(deadline=None, max_examples=200)
    @given(st.text(max_size=30))
    @example("the cat sees the dog.")
    def holds(text):
        texts = [text, *HOSTILE, *ORDINARY, *LITERAL]
        mine = [[ids.get(piece, ids["<unk>"]) for piece in some] for some in ours.encode(texts)]
        assert mine == reference.encode(texts)

    holds()


def test_pieces_become_the_text_that_marian_tokenizer_makes(marian, reference):
    ours = MarianPieces(marian)
    rng = np.random.default_rng(0)
    outputs = [rng.integers(1, 98, size).tolist() for size in range(40)]
    assert ours.decode(reference.pieces(outputs)) == reference.decode(outputs)
    assert ours.decode([]) == reference.decode([]) == []


@pytest.mark.parametrize("beam", [1, 4])
def test_both_engines_translate_alike(checkpoints, tatoeba, beam):
    decoding, limits = Decoding(beam=beam), [0] * 100
    shares = {}
    there = Model(checkpoints[0], "transformers", device="cpu").translator()
    expected = there.translate(tatoeba, decoding, limits).texts
    for compute_type in ("float32", "int8"):
        model = Model(checkpoints[0], device="cpu", compute_type=compute_type)
        made = model.translator().translate(tatoeba, decoding, limits)
        equal = [ours == theirs for ours, theirs in zip(made.texts, expected, strict=True)]
        shares[compute_type] = np.mean(equal)
        assert made.tokens[0] > 0
    assert shares["float32"] >= 0.9
    assert shares["int8"] >= 0.7


def test_sampling_is_greedy_where_only_the_best_is_left(reference):
    batch = reference.encode(["the cat sees the dog.", "a red house."])
    greedy = reference.generate(batch, 20, GREEDY, [])
    for narrow in ({"top_k": 1}, {"top_p": 1e-6}, {"temperature": 1e-4}):
        decoding = Decoding(**({"temperature": 1.0} | narrow))
        assert reference.generate(batch, 20, decoding, [5, 6]) == greedy


def test_transformers_samples_by_the_sentence_s_seed_whatever_its_batch(reference):
    sentences = [f"the {word} cat." for word in ("red", "blue", "small", "big")]
    batch, seeds = reference.encode(sentences), [11, 12, 13, 14]
    decoding = Decoding(temperature=1.0)
    whole = reference.generate(batch, 12, decoding, seeds)
    single = [
        reference.generate([tokens], 12, decoding, [seed])[0]
        for tokens, seed in zip(batch, seeds, strict=True)
    ]
    assert whole == single
    assert whole != reference.generate(batch, 12, decoding, [1, 2, 3, 4])


def test_sampled_tokens_have_the_shares_that_the_model_gives_them():
    torch = pytest.importorskip("torch")
    logits = torch.tensor([2.0, -1.0, 1.0, 0.0, 3.0])
    rows = 40_000

    def shares(**options):
        sampler = Sampler(Decoding(**options), list(range(rows)))
        scores = sampler(torch.zeros(rows, 3, dtype=torch.long), logits.repeat(rows, 1))
        drawn = scores.argmax(-1)
        assert torch.isfinite(scores).sum(-1).eq(1).all()
        return np.bincount(drawn.numpy(), minlength=5) / rows

    def softmax(values):
        powers = np.exp(values)
        return powers / powers.sum()

    # Three standard deviations of a share are at most 3 * sqrt(1/4 / 40,000) = 0.0075.
    close = {"abs": 0.0075}
    every = softmax(logits.numpy())
    assert shares(temperature=1.0) == pytest.approx(every, **close)
    assert shares(temperature=2.0) == pytest.approx(softmax(logits.numpy() / 2), **close)
    best = every * [1, 0, 0, 0, 1]
    assert shares(temperature=1.0, top_k=2) == pytest.approx(best / best.sum(), **close)
    # The likeliest has 0.64, the two likeliest 0.87.
    assert shares(temperature=1.0, top_p=0.8) == pytest.approx(best / best.sum(), **close)
    assert shares(temperature=1.0, top_p=0.6).tolist() == [0, 0, 0, 0, 1]


def test_ctranslate2_samples_by_the_seeds_of_the_batch(tiny_models):
    translator = Model(f"{tiny_models}/tiny-en-fr", device="cpu").translator()
    sentences = [f"I saw {number} birds in the garden." for number in range(20)]
    decoding = Decoding(temperature=1.0, top_k=50)

    def sample(seeds):
        return translator.translate(sentences, decoding, seeds).texts

    first = sample(list(range(20)))
    assert sample(list(range(20))) == first
    assert sample(list(range(1, 21))) != first
    assert len(set(sample([3] * 20))) > 10


def test_a_sentence_that_would_not_end_is_not_taken_for_whole(tiny_models):
    engine = CTranslate2Engine(Path(tiny_models) / "tiny-en-fr", "cpu", "int8", 1)
    (output,) = engine.generate(engine.encode(["The cat sat on the mat."]), 4, GREEDY, [])
    assert len(output) == 5


def test_transformers_too_tells_a_cut_from_an_end(reference):
    batch = reference.encode(["the cat."])
    (full,) = reference.generate(batch, 40, GREEDY, [])
    (cut,) = reference.generate(batch, len(full) - 3, GREEDY, [])
    assert len(cut) == len(full) - 2


def test_the_longest_sentence_that_a_model_reads_can_be_translated(tiny_models):
    translator = Model(f"{tiny_models}/tiny-en-fr", device="cpu").translator()
    most = translator.max_tokens()
    assert most == 256
    sentence = "a" + " b" * (most - 2)
    assert translator.count_tokens([sentence]) == [most]
    assert len(translator.translate([sentence], GREEDY, [0]).texts) == 1


def test_transformers_translates_the_longest_sentence_too(reference):
    assert reference.positions == 64
    (output,) = reference.generate([[10] * 63 + [0]], 62, GREEDY, [])
    assert len(output) <= 63


def test_a_process_holds_one_copy_of_a_model(tiny_models):
    name = f"{tiny_models}/tiny-en-fr"
    assert Model(name, device="cpu").translator() is Model(name, device="cpu").translator()


def test_what_is_recorded_of_a_named_type_does_not_ask_this_machine(tiny_models, monkeypatch):
    monkeypatch.setattr(engine_ctranslate2, "ctranslate2", lambda: pytest.fail("asked"))
    models = (f"{tiny_models}/tiny-en-fr", f"{tiny_models}/tiny-fr-en")
    translate = BackTranslate(to="fr", models=models, device="cuda", compute_type="float16")
    assert translate.settings()["compute_type"] == "float16"


def test_a_device_or_type_that_this_machine_lacks_is_one_line():
    import ctranslate2

    if ctranslate2.get_cuda_device_count():
        pytest.skip("this machine has a GPU")
    with pytest.raises(UserError, match="sees no GPU here"):
        resolve("cuda", "auto")
    with pytest.raises(UserError, match="'float16': this cpu computes in float32, int8"):
        resolve("cpu", "float16")
    assert resolve("auto", "auto") == ("cpu", "int8")


@pytest.mark.parametrize(
    ("error", "mend"),
    [
        ("Library libcublas.so.12 is not found or cannot be loaded", "install nvidia-cublas-cu12"),
        ("CUDA failed with error no kernel image is available for execution", "device='cpu'"),
    ],
)
def test_a_gpu_that_cannot_compute_is_refused_before_any_text(
    tiny_models, monkeypatch, error, mend
):
    monkeypatch.setattr(engine_ctranslate2, "ctranslate2", lambda: FakeGPU(error))
    translate = BackTranslate(to="fr", models=(f"{tiny_models}/tiny-en-fr",) * 2)
    with pytest.raises(UserError, match=f"cannot use this GPU: {error}; .*{mend}"):
        translate.setup()


@pytest.mark.skipif(sys.platform != "linux", reason="the wheel's folders are Linux's")
def test_the_wheel_of_cublas_is_loaded_where_it_is_installed(tiny_models, monkeypatch, tmp_path):
    library = tmp_path / "nvidia" / "cublas" / "lib" / "libcublas.so.12"
    library.parent.mkdir(parents=True)
    library.write_text("no library")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(engine_ctranslate2, "ctranslate2", FakeGPU)
    with pytest.raises(UserError, match=f"{library} cannot be loaded: .*"):
        CTranslate2Engine(Path(tiny_models) / "tiny-en-fr", "cuda", "float16")


@pytest.mark.parametrize(
    ("vocabulary", "top_k", "top_p", "asked"),
    [
        (60_000, 0, 0.9, 8192),  # all that CTranslate2 takes there
        (60_000, 10_000, 0.9, 8192),
        (60_000, 50, 0.9, 50),
        (500, 0, 0.9, 500),
        (60_000, 0, 1.0, 0),
    ],
)
def test_a_gpu_is_asked_for_no_more_tokens_than_its_top_p_takes(
    tiny_models, monkeypatch, tmp_path, vocabulary, top_k, top_p, asked
):
    folder = shutil.copytree(f"{tiny_models}/tiny-en-fr", tmp_path / "model")
    (folder / "shared_vocabulary.json").write_text(json.dumps(["x"] * vocabulary))
    gpu = FakeGPU()
    monkeypatch.setattr(engine_ctranslate2, "ctranslate2", lambda: gpu)
    engine = CTranslate2Engine(folder, "cuda", "float16")
    decoding = Decoding(temperature=1.0, top_k=top_k, top_p=top_p)
    engine.generate(engine.encode(["a cat"]), 20, decoding, [1])
    assert (gpu.asked[-1]["sampling_topk"], gpu.asked[-1]["sampling_topp"]) == (asked, top_p)


def test_transformers_too_fills_a_gpu_with_larger_batches(marian, monkeypatch):
    import torch

    assert TransformersEngine(marian, "cpu").batch_tokens == 2048
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.nn.Module, "to", lambda self, device: self)
    assert TransformersEngine(marian, "auto").batch_tokens == 16384


@pytest.mark.parametrize(
    "load",
    [
        lambda folder: TransformersEngine(folder / "marian", "cpu"),
        lambda folder: FillMask(str(folder / "fill_mask"), device="cpu").setup(),
        lambda folder: FillSpans(str(folder / "fill_spans"), device="cpu").setup(),
    ],
)
def test_a_gpu_without_room_for_a_model_is_one_line(marian, monkeypatch, tmp_path, load):
    import torch

    for name, model in (
        ("marian", marian),
        *((n, GOLDEN / n) for n in ("fill_mask", "fill_spans")),
    ):
        shutil.copytree(model, tmp_path / name)

    def full(self, device):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20 MiB.\nGPU 0 has")

    monkeypatch.setattr(torch.nn.Module, "to", full)
    with pytest.raises(UserError, match=r"does not fit .*out of memory.*; free some") as caught:
        load(tmp_path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"engine": "onnx"}, "engine must be one of"),
        ({"device": "tpu"}, "device must be one of"),
        ({"compute_type": "int4"}, "compute_type must be one of"),
        ({"engine": "transformers", "compute_type": "int8"}, "for transformers"),
        ({"threads": -1}, "threads"),
    ],
)
def test_settings_out_of_range_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        Model("anything", **settings)
