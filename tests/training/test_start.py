"""What a run starts from, and how much of it is in the result."""

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from safetensors.numpy import load_file
from tokenizers import Tokenizer

from pairsmith.schemas import UserError
from pairsmith.training.config import TrainConfig, make_config
from pairsmith.training.encoders.opening import open_encoder
from pairsmith.training.evaluation.saved import encode_with, open_saved
from pairsmith.training.evaluation.scores import sts
from pairsmith.training.settings import change
from pairsmith.training.train import train
from tests.training.pair_folders import paired_sentences, write_dataset


def vectors(model: Path) -> np.ndarray:
    return load_file(model / "0_StaticEmbedding/model.safetensors")["embedding.weight"]


def test_interpolated_weights_are_saved_and_judged(config: TrainConfig, sts_file: Path) -> None:
    start = open_encoder(config.resolved().encoder, config.seed).embedding.weight.detach().numpy()
    train(config)
    mixed = change(
        config, output=config.output.with_name("mixed"), interpolate=0.25, sts=(sts_file,)
    )
    scores = train(mixed)
    expected = start + 0.25 * (vectors(config.output) - start)
    np.testing.assert_allclose(vectors(mixed.output), expected, atol=1e-6)
    saved = encode_with(open_saved(str(mixed.output), "cpu"), 32)
    assert sts(saved, sts_file) == pytest.approx(scores[20]["sts/made/spearman"], abs=1e-6)


def test_the_best_interpolated_weights_are_kept(config: TrainConfig, sts_file: Path) -> None:
    judged = change(config, sts=(sts_file,), stop_on="sts/made/spearman", interpolate=0.5)
    scores = train(change(judged, model="static::16", vocabulary=150, seed=3, steps=8))
    saved = encode_with(open_saved(str(config.output), "cpu"), 32)
    found = {step: values["sts/made/spearman"] for step, values in scores.items()}
    best = max(found, key=lambda step: found[step])
    assert best > 0  # where start and trained weights are two
    assert sts(saved, sts_file) == pytest.approx(found[best], abs=1e-6)


def test_the_best_weights_have_their_factors_and_are_interpolated(
    config: TrainConfig, sts_file: Path
) -> None:
    last = change(
        config,
        **{"model": "static::16", "vocabulary": 150, "rarity": 0.01},
        **{"sts": (sts_file,), "steps": 4, "evaluate_every": 4, "interpolate": 0.5},
    )
    best = change(
        last, output=config.output.with_name("best"), stop_on="sts/made/spearman", keep="best"
    )
    train(last)
    scores = train(best)
    assert scores[4]["sts/made/spearman"] > scores[0]["sts/made/spearman"]
    assert np.array_equal(vectors(best.output), vectors(last.output))


def test_a_run_that_goes_on_is_interpolated_from_the_same_start(
    config: TrainConfig, sts_file: Path
) -> None:
    class StoppedError(Exception):
        pass

    def stop(step: int, scores: object) -> None:
        if step == 6:
            raise StoppedError

    mixed = change(config, interpolate=0.25, sts=(sts_file,), evaluate_every=6, checkpoint_every=5)
    train(mixed)
    again = change(mixed, output=config.output.with_name("again"))
    with pytest.raises(StoppedError):
        train(again, stop)
    train(again)
    assert np.array_equal(vectors(again.output), vectors(mixed.output))


def test_rare_subwords_start_long(tmp_path: Path) -> None:
    """Each vector has the length of SIF's factor of its share, times that of a plain start."""
    rows = paired_sentences(300)
    config = one_step(write_dataset(tmp_path / "data", rows), tmp_path / "plain", 1e-12)
    weighed = change(config, output=tmp_path / "weighed", rarity=0.01)
    train(config)
    train(weighed)
    ratio = vectors(weighed.output) / vectors(config.output)
    np.testing.assert_allclose(ratio, np.tile(factors(rows, config.output), (64, 1)).T, rtol=1e-4)


def test_rare_subwords_stay_long(tmp_path: Path) -> None:
    """Adam's first step is the learning rate for each number; SIF's factor scales it too."""
    rows = paired_sentences(300)
    still = one_step(write_dataset(tmp_path / "data", rows), tmp_path / "still", 1e-12)
    still = change(still, rarity=0.01)
    moved = change(still, output=tmp_path / "moved", learning_rate=0.01)
    train(still)
    train(moved)
    steps = np.abs(vectors(moved.output) - vectors(still.output)).max(axis=1)
    taken = steps > 0  # by the subwords of the batch
    assert taken.sum() > 30
    expected = 0.01 * factors(rows, still.output)
    np.testing.assert_allclose(steps[taken], expected[taken], rtol=1e-3)


def one_step(data: Path, output: Path, learning_rate: float) -> TrainConfig:
    config = make_config((data,), output, model="static::64", vocabulary=300, steps=1)
    return change(
        config,
        **{"learning_rate": learning_rate, "weight_decay": 0.0, "schedule": "constant"},
        **{"warmup": 0.0, "batch_size": 64, "tensorboard": False, "curves": False},
    )


def factors(rows: list[dict[str, Any]], output: Path) -> npt.NDArray[np.float64]:
    """Return 0.01 / (0.01 + share) for each subword, counted one text at a time."""
    tokenizer = Tokenizer.from_file(str(output / "0_StaticEmbedding/tokenizer.json"))
    texts = [row[side] for row in rows for side in ("anchor", "positive")]
    counts = Counter(i for text in texts for i in tokenizer.encode(text).ids)
    shares = np.array([counts[i] for i in range(tokenizer.get_vocab_size())]) / counts.total()
    return 0.01 / (0.01 + shares)


def test_interpolating_low_rank_updates_is_refused(config: TrainConfig) -> None:
    with pytest.raises(UserError, match="give a smaller --lora-alpha instead"):
        change(config, model="bert::2x64", interpolate=0.5, lora=4).resolved()
