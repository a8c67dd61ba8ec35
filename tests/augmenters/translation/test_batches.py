"""Batches by padded tokens, and what happens when the memory does not hold them."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pairsmith.augmenters.memory import cut_batches, run_batches
from pairsmith.augmenters.translation.batches import BatchedTranslator, output_limit
from pairsmith.augmenters.translation.translator import Decoding
from pairsmith.pipelines.pairing.augment import augment
from pairsmith.schemas import UserError
from tests.augmenters.translation.fakes import FakeEngine, faked

TINY = str(Path(__file__).parents[3] / "examples" / "translation" / "models")
GREEDY = Decoding()
LENGTHS = st.lists(st.integers(1, 40), max_size=30)


def translate(engine, sentences, decoding=GREEDY, **options):
    translator = BatchedTranslator(engine)
    return translator.translate(sentences, decoding, list(range(len(sentences))), **options)


@given(LENGTHS, st.integers(1, 100))
def test_batches_hold_every_row_once_by_falling_length_within_the_padded_size(lengths, tokens):
    batches = cut_batches(range(len(lengths)), lengths, tokens)
    assert sorted(row for batch in batches for row in batch) == list(range(len(lengths)))
    for batch in batches:
        padded = len(batch) * lengths[batch[0]]
        assert padded <= tokens or len(batch) == 1
        assert lengths[batch[0]] == max(lengths[row] for row in batch)
    firsts = [lengths[batch[0]] for batch in batches]
    assert firsts == sorted(firsts, reverse=True)


@given(LENGTHS, st.integers(1, 100), st.integers(40, 200), st.sampled_from([1, 3]))
def test_rows_come_back_in_order_however_little_the_memory_holds(lengths, tokens, holds, workers):
    def run(rows):
        if len(rows) * max(lengths[row] for row in rows) > holds:
            raise RuntimeError("CUDA failed with error out of memory")
        return [row * 10 for row in rows]

    results, held = run_batches(run, lengths, tokens, workers)
    assert results == [row * 10 for row in range(len(lengths))]
    assert held <= tokens


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB"),  # torch
        RuntimeError("CUDA failed with error out of memory"),  # CTranslate2
        RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried"),
        RuntimeError("cuBLAS failed with status CUBLAS_STATUS_ALLOC_FAILED"),
        MemoryError("std::bad_alloc"),
    ],
)
def test_a_batch_halves_when_memory_runs_out_and_goes_on(error):
    engine = FakeEngine(holds=16, error=error, batch_tokens=64)
    sentences = [f"a b {number}" for number in range(16)]
    assert translate(engine, sentences).texts == [s.upper() for s in sentences]
    sizes = [len(batch) for batch in engine.batches]
    assert sizes == [16, 8, 4, 4, 4, 4]


def test_what_did_not_fit_once_is_not_tried_again():
    engine = FakeEngine(holds=16, batch_tokens=64)
    translator = BatchedTranslator(engine)
    sentences = [f"a b {number}" for number in range(16)]
    translator.translate(sentences, GREEDY, [0] * 16)
    engine.batches.clear()
    translator.translate(sentences, GREEDY, [0] * 16)
    assert [len(batch) for batch in engine.batches] == [4, 4, 4, 4]


def test_a_single_sentence_that_does_not_fit_is_one_line():
    with pytest.raises(UserError, match=r"^a sentence of 5 tokens does not fit .*memory") as caught:
        translate(FakeEngine(holds=4), ["a b", "a b c d"])
    assert "\n" not in str(caught.value)


def test_other_errors_of_a_model_are_not_taken_for_a_lack_of_memory():
    engine = FakeEngine(holds=4, error=RuntimeError("no position encodings"))
    with pytest.raises(RuntimeError, match="no position"):
        translate(engine, ["a b c d", "e f g h"])
    assert len(engine.batches) == 1


@pytest.mark.parametrize(
    "error",
    [
        "CUDA error: an illegal memory access was encountered\nFor debugging consider",  # torch
        "cuBLAS failed with status CUBLAS_STATUS_EXECUTION_FAILED",  # CTranslate2
        "cuDNN error: CUDNN_STATUS_EXECUTION_FAILED",
        "Library libcublas.so.12 is not found or cannot be loaded",
    ],
)
def test_a_gpu_that_fails_is_one_line_and_no_failure_of_the_texts(error):
    broken = BatchedTranslator(FakeEngine(holds=0, error=RuntimeError(error)))
    translate = faked(broken, broken, TINY)
    texts = pa.array(["The cat sees the dog."])
    with pytest.raises(UserError, match=r"^the GPU failed .*nvidia-smi") as caught:
        augment([translate], texts, np.zeros(1, np.uint64))
    assert "\n" not in str(caught.value)


def test_equal_sentences_are_translated_once_unless_they_are_sampled():
    engine = FakeEngine()
    made = translate(engine, ["a", "b c", "a", "a"])
    assert (made.texts, made.tokens) == (["A", "B C", "A", "A"], [1, 2, 1, 1])
    assert sum(map(len, engine.batches)) == 2
    sampled = FakeEngine()
    translate(sampled, ["a", "b c", "a", "a"], Decoding(temperature=1.0))
    assert sum(map(len, sampled.batches)) == 4


def test_an_output_is_whole_only_below_its_own_limit_whatever_its_batch():
    class Talker(FakeEngine):
        def generate(self, batch, limit, decoding, seeds):
            return [["la"] * (limit + 1) if "on" in words else words for words in batch]

    short, long = "go on", "a b c d e f g h i j k l m n o p q r s t u v w x y z and so on"
    assert output_limit(3, 512) == 26
    for sentences in ([short], [short, long], [long, short, "a b"]):
        made = translate(Talker(), sentences)
        assert made.whole == ["on" not in sentence.split() for sentence in sentences]


def test_sentences_longer_than_the_model_reads_are_refused_not_cut():
    with pytest.raises(ValueError, match="9 tokens: at most 8"):
        translate(FakeEngine(positions=8), ["a b c d e f g h"])


def test_every_worker_gets_a_share_of_the_batches():
    engine = FakeEngine(batch_tokens=10**6, workers=2)
    translate(engine, [f"{number} b c" for number in range(1000)])
    assert len(engine.batches) >= 8


def test_sampled_batches_are_the_same_on_any_number_of_cores():
    cut = []
    for workers in (1, 4):
        engine = FakeEngine(batch_tokens=400, workers=workers)
        translate(engine, [f"{number} b c" for number in range(300)], Decoding(temperature=1.0))
        cut.append(sorted(engine.batches))
    assert cut[0] == cut[1]


def test_nothing_to_translate_asks_nothing():
    engine = FakeEngine()
    assert translate(engine, []) == ([], [], [])
    assert engine.batches == []


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"beam": 0}, "beam"),
        ({"temperature": -1.0}, "temperature"),
        ({"temperature": 1.0, "top_k": -1}, "top_k"),
        ({"temperature": 1.0, "top_p": 0.0}, "top_p"),
        ({"temperature": 1.0, "beam": 4}, "no beam"),
        ({"top_p": 0.9}, "set temperature"),
    ],
)
def test_a_decoding_that_makes_no_sense_is_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        Decoding(**settings)
