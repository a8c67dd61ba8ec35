"""What `NlpAug` says when an augmenter of nlpaug does not work here."""

import warnings

import pytest

from pairsmith.augmenters.nlpaug_adapter import NlpAug
from pairsmith.schemas import UserError
from tests.augmenters.properties import check_properties

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # it has stray backslashes
    pytest.importorskip("nlpaug.augmenter.word")

CHARACTERS, WORDS = "nlpaug.augmenter.char", "nlpaug.augmenter.word"
SENTENCES = "nlpaug.augmenter.sentence"
ON_FIVE = r"with transformers 5.*pip install 'transformers<5'"


@pytest.mark.parametrize(
    ("name", "arguments", "says"),
    [
        (f"{WORDS}.WordEmbsAug", {"model_type": "word2vec"}, "needs gensim: pip install gensim"),
        (f"{WORDS}.NoSuchAug", {}, f"there is no {WORDS}.NoSuchAug"),
        ("nlpaug.nowhere.KeyboardAug", {}, "there is no nlpaug.nowhere.KeyboardAug"),
        (f"{CHARACTERS}.KeyboardAug", {"nope": 1}, "unexpected keyword argument 'nope'"),
        (f"{WORDS}.SynonymAug", {"model_path": "/nowhere"}, "apt-get install wordnet-base"),
        (
            f"{WORDS}.ReservedAug",
            {"reserved_tokens": [["fox", "wolf"]], "aug_p": 1, "generate_all_combinations": True},
            "makes list of a text, not one text",
        ),
    ],
)
def test_what_does_not_work_is_told_at_setup_in_one_line(name, arguments, says):
    if "Embs" in name:
        try:
            import gensim  # noqa: F401
        except ModuleNotFoundError:
            pass
        else:
            pytest.skip("gensim is installed")
    with pytest.raises(UserError, match=says) as caught:
        NlpAug(name, **arguments).setup()
    assert "\n" not in str(caught.value)


def test_sentences_without_nltk_data_are_told_at_setup():
    nltk = pytest.importorskip("nltk")
    try:
        nltk.data.find("tokenizers/punkt_tab")
    except LookupError:
        with pytest.raises(UserError, match=r"needs NLTK's punkt_tab: python -m nltk\.downloader"):
            NlpAug("nlpaug.augmenter.sentence.RandomSentAug").setup()
    else:
        pytest.skip("NLTK's data are installed")


def test_contextual_embeddings_are_told_apart_by_the_version_of_transformers(tmp_path):
    transformers = pytest.importorskip("transformers")
    vocabulary = [
        "[PAD]",
        "[UNK]",
        "[CLS]",
        "[SEP]",
        "[MASK]",
        "the",
        "quick",
        "brown",
        "fox",
        "dog",
    ]
    (tmp_path / "vocab.txt").write_text("\n".join(vocabulary))
    small = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1}
    config = transformers.BertConfig(vocab_size=10, intermediate_size=8, **small)
    transformers.BertForMaskedLM(config).save_pretrained(tmp_path)
    transformers.BertTokenizer(str(tmp_path / "vocab.txt")).save_pretrained(tmp_path)
    augmenter = NlpAug(
        f"{WORDS}.ContextualWordEmbsAug", model_path=str(tmp_path), model_type="bert"
    )
    if transformers.__version__.startswith("4"):
        check_properties(augmenter, 5)
    else:
        with pytest.raises(UserError, match=ON_FIVE):
            augmenter.setup()


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        (f"{WORDS}.ContextualWordEmbsAug", {"model_path": "nobody/has-this-bert"}),
        (f"{SENTENCES}.ContextualWordEmbsForSentenceAug", {"model_path": "nobody/xlnet"}),
        (f"{SENTENCES}.ContextualWordEmbsForSentenceAug", {"model_type": "xlnet"}),
        (f"{SENTENCES}.AbstSummAug", {"use_custom_api": False}),
    ],
)
def test_what_transformers_5_breaks_is_told_before_a_model_is_looked_for(name, arguments):
    transformers = pytest.importorskip("transformers")
    if transformers.__version__.startswith("4"):
        pytest.skip("nlpaug works with transformers 4; this is about 5 and later")
    with pytest.raises(UserError, match=ON_FIVE) as caught:
        NlpAug(name, **arguments).setup()
    assert "\n" not in str(caught.value)
