"""New encoders of every family are trained by the command, and gone on with."""

from pathlib import Path

import numpy as np
import pytest

from pairsmith.commands.main import main
from tests.training.encoders.conftest import TEXTS
from tests.training.encoders.opened import encoder, sentence_vectors


@pytest.mark.parametrize("model", ["bert::1x16", "gpt2::1x16", "t5::1x16"])
def test_a_new_encoder_learns_from_the_data_and_another_run_goes_on(
    tmp_path: Path, dataset: Path, model: str
) -> None:
    flags = ["--steps", "2", "--batch-size", "8", "--no-tensorboard"]
    flags += ["--device", "cpu", "--learning-rate", "0.01"]
    first, second = tmp_path / "first", tmp_path / "second"
    new = ["--model", model, "--vocabulary", "150"]
    assert main(["train", str(dataset), "--output", str(first), *new, *flags]) == 0
    assert (
        main(["train", str(dataset), "--output", str(second), "--model", str(first), *flags]) == 0
    )
    vectors = sentence_vectors(second)
    np.testing.assert_allclose(encoder(second).encode(TEXTS), vectors, atol=1e-5)
    assert not np.allclose(sentence_vectors(first), vectors, atol=1e-3)
