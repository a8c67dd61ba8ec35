"""What back-translation is when little is said, what it refuses, and what it loads."""

import subprocess
import sys

import pytest

from pairsmith.augmenters.translation import BackTranslate
from pairsmith.schemas import UserError


def test_by_default_the_models_are_opus_mt_and_missing_ones_are_one_line():
    augmenter = BackTranslate("de")
    with pytest.raises(UserError, match="'Helsinki-NLP/opus-mt-en-de'") as caught:
        augmenter.setup()
    assert "\n" not in str(caught.value)
    with pytest.raises(UserError, match="'Helsinki-NLP/opus-mt-fr-en'"):
        BackTranslate("en", source="fr").setup()
    assert BackTranslate("en", source="fr").languages == ("fr",)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({}, "name a language"),
        ({"models": ("a", "")}, "models must be two"),
        ({"to": "fr", "length": (1.5, 2.0)}, "length"),
        ({"to": "fr", "batch_tokens": -1}, "batch_tokens"),
        ({"to": "fr", "longest": -1}, "longest"),
        ({"to": "fr", "beam": 2, "temperature": 1.0}, "no beam"),
        ({"to": "fr", "engine": "marian"}, "engine must be"),
    ],
)
def test_settings_that_make_no_sense_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        BackTranslate(**settings)


def test_importing_it_loads_nothing_heavy():
    code = (
        "import sys; import pairsmith.augmenters.translation as t; t.BackTranslate('fr');"
        "heavy = {'torch', 'transformers', 'ctranslate2', 'sentencepiece', 'sacrebleu',"
        " 'py3langid', 'sentencex', 'huggingface_hub'};"
        "sys.exit(str(heavy & set(sys.modules)) if heavy & set(sys.modules) else 0)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_translating_a_converted_model_needs_neither_torch_nor_transformers(tiny_models):
    code = (
        "import sys; sys.modules.update(torch=None, transformers=None, huggingface_hub=None);"
        "import numpy as np, pyarrow as pa;"
        "from pairsmith.augmenters.translation import BackTranslate;"
        f"m = '{tiny_models}';"
        "b = BackTranslate('fr', models=(m + '/tiny-en-fr', m + '/tiny-fr-en'), device='cpu');"
        "b.setup();"
        "texts = pa.array(['All my friends say that I talk too much.']);"
        "print(b(texts, np.zeros(1, np.uint64))[0])"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout == "All my friends say I speak too much.\n"
