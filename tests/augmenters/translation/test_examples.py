"""The examples: a model is trained, loads in both engines, and is scored on what was kept out."""

import importlib
import random
import sys

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pairsmith.augmenters.translation.convert import convert

WORDS = {"one": "un", "two": "deux", "red": "rouge", "big": "grand", "cat": "chat", "dog": "chien"}


@pytest.fixture
def script(tiny_models, monkeypatch):
    """Return a function that imports a script of examples/translation."""
    monkeypatch.syspath_prepend(f"{tiny_models}/..")
    yield importlib.import_module
    for name in ("parallel_text", "score", "train"):
        sys.modules.pop(name, None)


@pytest.fixture
def parallel(tmp_path):
    """Return a Parquet file of made sentences and their translations word by word."""
    rng = random.Random(2)
    made = [rng.choices(sorted(WORDS), k=rng.randint(2, 12)) for _ in range(600)]
    english = [" ".join(words) for words in made]
    french = [" ".join(WORDS[word] for word in words) for words in made]
    pq.write_table(pa.table({"en": english, "fr": french}), tmp_path / "parallel.parquet")
    return tmp_path / "parallel.parquet"


@pytest.mark.usefixtures("_one_thread")
def test_a_model_can_be_trained_converted_and_scored(script, parallel, tmp_path, capsys):
    train, score = script("train"), script("score")
    small = {"vocabulary": 30, "width": 32, "encoder_layers": 1, "decoder_layers": 1}
    steps = {"steps": 120, "warm_up": 10, "batch_tokens": 512, "rate": 1e-2, "held_out": 50}
    train.main(train.Train(parallel, "en", "fr", tmp_path / "model", **small, **steps))
    losses = [float(line.split()[-1]) for line in capsys.readouterr().out.splitlines()[1:]]
    assert losses[-1] < losses[0]
    convert(tmp_path / "model", tmp_path / "converted", "float32")
    scores = []
    for engine, folder in (("ctranslate2", "converted"), ("transformers", "model")):
        model = str(tmp_path / folder)
        options = {"engine": engine, "device": "cpu", "threads": 1, "sentences": 50}
        if engine == "ctranslate2":
            options["compute_type"] = "float32"
        score.main(score.Score(parallel, "en", "fr", model, **options))
        lines = capsys.readouterr().out.splitlines()
        assert lines[1] == "50 sentences of en to fr"
        scores.append(float(lines[2].split()[3]))
    assert scores[0] == pytest.approx(scores[1], abs=2)
    assert scores[0] > 10


def test_what_is_kept_for_scoring_is_not_trained_on_and_does_not_depend_on_order(script, parallel):
    text = script("parallel_text")
    pairs = text.read_pairs(parallel, "en", "fr")
    kept = text.held_out(pairs, 50)
    assert len(kept) == 50
    assert text.held_out(pairs[::-1], 50).keys() == kept.keys()
    assert all(set(theirs) == {t for o, t in pairs if o == ours} for ours, theirs in kept.items())
