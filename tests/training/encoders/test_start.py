"""What static encoders start from."""

import numpy as np
import pytest
import torch

from pairsmith.schemas import UserError
from pairsmith.training.encoders.config import EncoderConfig
from pairsmith.training.encoders.start import fresh_weight, letter_vectors, rarity

WORDS = {"[UNK]": 0, "sing": 1, "singer": 2, "bank": 3, "##ing": 4, "a": 5, "银": 6, "": 7}


def cosine(table: torch.Tensor, one: int, other: int) -> float:
    return torch.cosine_similarity(table[one], table[other], dim=0).item()


def test_letter_vectors():
    """Their cosine is the number of runs in common over the root of the product of all."""
    torch.manual_seed(3)
    table = letter_vectors(WORDS, 10_000)
    # <s si in ng <si sin ing <sin sing are in both; <sing> has 12 runs, <singer> 18.
    assert cosine(table, 1, 2) == pytest.approx(9 / (12 * 18) ** 0.5, abs=0.03)
    assert cosine(table, 1, 3) == pytest.approx(0, abs=0.03)
    # ##ing is `ing>`: in ng g> ing ng> ing> are all its runs, and in <sing> too.
    assert cosine(table, 1, 4) == pytest.approx(6 / (12 * 6) ** 0.5, abs=0.03)
    assert table.std(dim=1).sub(1).abs().max() < 0.05
    assert torch.isfinite(table).all()


def test_fresh_weight():
    torch.manual_seed(3)
    plain = fresh_weight(WORDS, 10_000, letters=False)
    spelled = fresh_weight(WORDS, 10_000, letters=True)
    for table in (plain, spelled):
        assert table.std().item() == pytest.approx(0.05, rel=0.02)
    assert cosine(plain, 1, 2) == pytest.approx(0, abs=0.03)
    assert cosine(spelled, 1, 2) == pytest.approx(0.7 * 9 / (12 * 18) ** 0.5, abs=0.03)


def test_rarity():
    factors = rarity(np.array([0, 1, 999_999_000, 999]), 0.001)
    shares = np.array([0, 1e-9, 0.999999, 999e-9])
    np.testing.assert_allclose(factors, 0.001 / (0.001 + shares), rtol=1e-4)


@pytest.mark.parametrize(
    ("settings", "line"),
    [
        (
            {"rarity": 0.001, "model": "bert::2x128"},
            "--rarity is for new static encoders, not bert",
        ),
        (
            {"letters": True, "model": "some/model"},
            "--letters is for new static encoders, not some",
        ),
        ({"rarity": -0.1}, "--rarity -0.1 is no share; give 0 or more, such as 0.001"),
    ],
)
def test_refused(settings, line):
    with pytest.raises(UserError, match=line):
        EncoderConfig(**settings).check()
