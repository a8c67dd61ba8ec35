"""Models from elsewhere: opened as their folder says, and only what is safe to open."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
import tyro
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer import modules
from torch import nn

from pairsmith.schemas import UserError
from pairsmith.training.config import make_config
from pairsmith.training.encoders.config import EncoderConfig
from pairsmith.training.encoders.transformer import TransformerEncoder
from pairsmith.training.evaluation.saved import open_saved
from pairsmith.training.settings import change
from tests.training.encoders.conftest import TEXTS
from tests.training.encoders.opened import (
    assert_opens_with_equal_vectors,
    encoder,
    sentence_vectors,
)


def edit(file: Path, **changes: object) -> None:
    data = json.loads(file.read_text()) if file.exists() else {}
    file.write_text(json.dumps(data | changes))


@pytest.fixture
def saved(tmp_path: Path, bert: Path) -> Path:
    """Return a sentence-transformers folder that a test may change."""
    encoder(bert).save(tmp_path / "folder")
    return tmp_path / "folder"


@pytest.mark.parametrize("pooling", ["cls", "max", "lasttoken", "weightedmean"])
def test_a_folder_made_by_sentence_transformers_is_opened_as_it_is(
    tmp_path: Path, bert: Path, pooling: str
) -> None:
    transformer = modules.Transformer(str(bert), processor_kwargs={"model_max_length": 9})
    dense = modules.Dense(16, 8, bias=False, activation_function=nn.GELU())
    first = modules.Dense(32, 16)
    parts = [transformer, modules.Pooling(32, pooling), first, dense, modules.Normalize()]
    theirs = SentenceTransformer(modules=parts, device="cpu")
    theirs.save(str(tmp_path / "theirs"))
    mine = encoder(tmp_path / "theirs")
    assert mine.dimension == 8
    assert max(map(len, mine.subwords(TEXTS).rows())) == 9
    expected = theirs.encode(TEXTS, show_progress_bar=False)
    np.testing.assert_allclose(mine.encode(TEXTS), expected, atol=1e-5)
    assert_opens_with_equal_vectors(mine, tmp_path / "mine")


def test_vectors_have_length_one_though_the_folder_does_not_normalise(
    tmp_path: Path, bert: Path
) -> None:
    parts = [modules.Transformer(str(bert)), modules.Pooling(32, "mean")]
    theirs = SentenceTransformer(modules=parts, device="cpu")
    theirs.save(str(tmp_path / "theirs"))
    expected = theirs.encode(TEXTS, show_progress_bar=False, normalize_embeddings=True)
    mine = encoder(tmp_path / "theirs")
    np.testing.assert_allclose(mine.encode(TEXTS), expected, atol=1e-5)
    assert_opens_with_equal_vectors(mine, tmp_path / "mine")


def test_a_static_folder_made_by_sentence_transformers_is_opened_as_it_is(
    tmp_path: Path, tokenizer_file: Path
) -> None:
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(tokenizer_file))
    theirs = SentenceTransformer(
        modules=[modules.StaticEmbedding(tokenizer, embedding_dim=16)], device="cpu"
    )
    theirs.save(str(tmp_path / "theirs"))
    assert EncoderConfig(model=str(tmp_path / "theirs")).is_static
    mine = encoder(tmp_path / "theirs", max_length=4)
    expected = encoder(tmp_path / "theirs").encode(TEXTS)
    given = theirs.encode(TEXTS, show_progress_bar=False, normalize_embeddings=True)
    np.testing.assert_allclose(expected, given, atol=1e-5)
    assert_opens_with_equal_vectors(mine, tmp_path / "mine")


def test_a_static_model_of_the_hub_is_trained_as_one(
    tmp_path: Path, tokenizer_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from huggingface_hub import constants

    # The layout of the hub's cache: refs name a revision, whose files lie in its snapshot.
    repository = tmp_path / "models--someone--static-words"
    (repository / "refs").mkdir(parents=True)
    (repository / "refs" / "main").write_text("c0ffee")
    encoder(f"static:{tokenizer_file}:16").save(repository / "snapshots" / "c0ffee")
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    config = make_config(("pairs",), Path("out"), model="someone/static-words")
    assert config.resolved().stream.batch_size == 1024
    assert config.resolved().optimizer.learning_rate == 0.003
    with pytest.raises(UserError, match="--lora is for transformers; someone/static-words is"):
        change(config, lora=2).resolved()


def test_texts_are_lower_cased_where_the_folder_says_so(saved: Path, gpt2: Path) -> None:
    folder = saved.with_name("gpt2")
    encoder(gpt2).save(folder)
    upper = [text.upper() for text in TEXTS]
    assert not np.allclose(encoder(folder).encode(upper), encoder(folder).encode(TEXTS), atol=1e-3)
    edit(folder / "sentence_bert_config.json", do_lower_case=True)
    mine = encoder(folder)
    np.testing.assert_allclose(mine.encode(upper), sentence_vectors(folder, upper), atol=1e-5)
    assert_opens_with_equal_vectors(mine, saved.with_name("again"))


@pytest.mark.parametrize("kind", ["roberta", "distilbert", "xlm-roberta", "xlnet"])
def test_settings_of_texts_are_read_under_their_older_names(
    saved: Path, gpt2: Path, kind: str
) -> None:
    folder = saved.with_name("older")
    encoder(gpt2).save(folder)
    (folder / "sentence_bert_config.json").unlink()
    edit(folder / f"sentence_{kind}_config.json", max_seq_length=6, do_lower_case=True)
    mine, upper = encoder(folder), [text.upper() for text in TEXTS]
    assert max(map(len, mine.subwords(TEXTS).rows())) == 6
    np.testing.assert_allclose(mine.encode(upper), mine.encode(TEXTS), atol=1e-5)
    edit(folder / "sentence_bert_config.json", max_seq_length=5)  # which is looked for first
    assert max(map(len, encoder(folder).subwords(TEXTS).rows())) == 5


def test_a_prompt_that_does_not_count_in_the_pooling_still_does_not(
    saved: Path, tmp_path: Path
) -> None:
    edit(saved / "config_sentence_transformers.json", prompts={"query": "the old king: "})
    edit(saved / "1_Pooling/config.json", include_prompt=False)
    encoder(saved).save(tmp_path / "again")
    before, after = (
        SentenceTransformer(str(folder), device="cpu") for folder in (saved, tmp_path / "again")
    )
    asked = {"prompt_name": "query", "show_progress_bar": False}
    expected = before.encode(TEXTS, **asked)
    np.testing.assert_allclose(after.encode(TEXTS, **asked), expected, atol=1e-5)
    after.set_pooling_include_prompt(True)
    assert not np.allclose(after.encode(TEXTS, **asked), expected, atol=1e-3)


@pytest.mark.parametrize("family", ["static", "bert"])
def test_prompts_by_name_are_kept(tmp_path: Path, families: dict[str, str], family: str) -> None:
    saved = tmp_path / "folder"
    encoder(families[family]).save(saved)
    edit(saved / "config_sentence_transformers.json", prompts={"query": "q: "})
    encoder(saved).save(tmp_path / "again")
    theirs = SentenceTransformer(str(tmp_path / "again"), device="cpu")
    assert theirs.prompts["query"] == "q: "


def test_long_texts_are_cut_on_the_side_that_the_tokenizer_says(
    saved: Path, tmp_path: Path
) -> None:
    edit(saved / "tokenizer_config.json", truncation_side="left")
    mine = encoder(saved, max_length=4)
    whole = encoder(saved).subwords(TEXTS).lists()
    assert mine.subwords(TEXTS).lists() == [row[-4:] for row in whole]
    assert_opens_with_equal_vectors(mine, tmp_path / "again")


@pytest.mark.parametrize("kind", ["MT5", "UMT5"])
def test_an_encoder_that_was_taken_out_of_a_t5_is_opened(
    tmp_path: Path, t5: Path, kind: str
) -> None:
    import transformers

    shutil.copytree(t5, tmp_path / "model")
    config = getattr(transformers, f"{kind}Config")(
        vocab_size=150, d_model=16, d_kv=8, num_heads=2, d_ff=16, num_layers=1
    )
    model = getattr(transformers, f"{kind}EncoderModel")(config)
    model.save_pretrained(tmp_path / "model")
    mine = encoder(tmp_path / "model")
    assert type(mine.model) is type(model)
    assert_opens_with_equal_vectors(mine, tmp_path / "saved")


def test_a_model_trained_on_short_texts_may_read_longer_ones(tmp_path: Path, bert: Path) -> None:
    encoder(bert, max_length=8).save(tmp_path / "short")
    assert max(map(len, encoder(tmp_path / "short").subwords(TEXTS).rows())) == 8
    longer = encoder(tmp_path / "short", max_length=32)
    assert longer.subwords(TEXTS).lists() == encoder(bert).subwords(TEXTS).lists()
    assert_opens_with_equal_vectors(longer, tmp_path / "longer")
    with pytest.raises(UserError, match=r"--max-length 65 is more than .* give at most 64"):
        encoder(tmp_path / "short", max_length=65)


def test_settings_given_come_before_those_of_the_folder(saved: Path) -> None:
    mine = encoder(saved, pooling="cls", max_length=5)
    assert isinstance(mine, TransformerEncoder)
    assert mine.pooling == "cls"
    assert max(map(len, mine.subwords(TEXTS).rows())) == 5


@pytest.mark.parametrize(
    ("file", "changes", "message"),
    [
        ("1_Pooling/config.json", {"pooling_mode_max_tokens": True}, "pools by .* and "),
        ("1_Pooling/config.json", {"pooling_mode": "mean_sqrt_len_tokens"}, "pools by mean_sqrt"),
        (
            "config_sentence_transformers.json",
            {"prompts": {"query": "q: "}, "default_prompt_name": "query"},
            "puts a prompt before every text",
        ),
    ],
)
def test_folders_that_cannot_be_trained_as_they_are_are_refused(
    saved: Path, file: str, changes: dict[str, object], message: str
) -> None:
    edit(saved / file, **changes)
    with pytest.raises(UserError, match=message) as caught:
        encoder(saved)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("kinds", "message"),
    [
        (["Transformer"], "has no Pooling"),
        (["CLIPModel"], "begins with a module CLIPModel"),
        (["Transformer", "Pooling", "LSTM"], "has a module LSTM"),
        (["Transformer", "Pooling", "Normalize", "Dense"], "has a module Normalize"),
    ],
)
def test_folders_with_other_modules_are_refused(
    saved: Path, kinds: list[str], message: str
) -> None:
    paths = {"Transformer": "", "Pooling": "1_Pooling"}
    listed = [
        {"type": f"sentence_transformers.models.{kind}", "path": paths.get(kind, kind)}
        for kind in kinds
    ]
    (saved / "modules.json").write_text(json.dumps(listed))
    with pytest.raises(UserError, match=message):
        encoder(saved)


def test_weights_that_are_pickled_are_not_opened(saved: Path) -> None:
    torch.save({}, saved / "pytorch_model.bin")
    (saved / "model.safetensors").unlink()
    with pytest.raises(UserError, match=r"cannot open .* as a model") as caught:
        encoder(saved)
    assert "\n" not in str(caught.value)


def test_dense_weights_that_are_pickled_are_not_opened(tmp_path: Path, bert: Path) -> None:
    encoder(bert, dense=4).save(tmp_path / "folder")
    (tmp_path / "folder" / "2_Dense" / "model.safetensors").rename(
        tmp_path / "folder" / "2_Dense" / "pytorch_model.bin"
    )
    with pytest.raises(UserError, match=r"has no 2_Dense/model\.safetensors"):
        encoder(tmp_path / "folder")


def test_code_in_a_folder_is_not_run(saved: Path) -> None:
    (saved / "mine.py").write_text("import pathlib; pathlib.Path('ran').touch(); raise SystemExit")
    edit(
        saved / "config.json",
        model_type="mine",
        auto_map={"AutoConfig": "mine.Config", "AutoModel": "mine.Model"},
    )
    with pytest.raises(UserError, match=r"cannot open .* as a model"):
        encoder(saved)
    assert not Path("ran").exists()


def test_code_in_a_folder_that_is_scored_is_not_run(
    saved: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (saved / "mine.py").write_text("import pathlib; pathlib.Path('ran').touch()\nclass Model: pass")
    (saved / "modules.json").write_text(json.dumps([{"idx": 0, "path": "", "type": "mine.Model"}]))
    with pytest.raises(UserError, match=r"modules.json names mine\.Model, code of its own"):
        open_saved(str(saved), "cpu")
    assert not Path("ran").exists()


def test_an_encoder_decoder_that_is_no_t5_is_refused(tmp_path: Path, bert: Path) -> None:
    from transformers import BartConfig, BartModel

    shutil.copytree(bert, tmp_path / "bart")
    BartModel(
        BartConfig(
            vocab_size=150,
            d_model=16,
            encoder_layers=1,
            decoder_layers=1,
            encoder_attention_heads=1,
            decoder_attention_heads=1,
            encoder_ffn_dim=16,
            decoder_ffn_dim=16,
        )
    ).save_pretrained(tmp_path / "bart")
    with pytest.raises(UserError, match="is an encoder-decoder of type bart"):
        encoder(tmp_path / "bart")


def test_a_tokenizer_without_special_tokens_makes_no_new_transformer(
    tmp_path: Path, bpe_file: Path
) -> None:
    with pytest.raises(UserError, match="has no tokens like"):
        encoder(f"bert:{bpe_file}:1x16")
    model = encoder(f"gpt2:{bpe_file}:1x16")
    assert_opens_with_equal_vectors(model, tmp_path / "saved")


def test_every_setting_is_a_flag() -> None:
    line = (
        "--model bert::2x128 --pooling last --append-eos True --max-length 9 --vocabulary 500 "
        "--dropout 0.2 --dense 8 --projection 4 --freeze 3 --lora 2 --lora-alpha 3 "
        "--lora-dropout 0.1 --lora-targets query value --no-lora-merge --gradient-checkpointing "
        "--compile --attention sdpa"
    )
    expected = EncoderConfig(
        model="bert::2x128",
        pooling="last",
        append_eos=True,
        max_length=9,
        vocabulary=500,
        dropout=0.2,
        dense=8,
        projection=4,
        freeze=3,
        lora=2,
        lora_alpha=3.0,
        lora_dropout=0.1,
        lora_targets=("query", "value"),
        lora_merge=False,
        gradient_checkpointing=True,
        compile=True,
        attention="sdpa",
    )
    assert tyro.cli(EncoderConfig, args=line.split()) == expected
    assert tyro.cli(EncoderConfig, args=["--freeze", "model"]).freeze == "model"


def test_a_record_shows_the_names_of_folders_only(bert: Path, tokenizer_file: Path) -> None:
    assert EncoderConfig(model=str(bert)).model_name == bert.name
    static = EncoderConfig(model=f"static:{tokenizer_file}:16")
    assert static.model_name == "static:tokenizer.json:16"
    assert EncoderConfig(model="bert::2x64").model_name == "bert::2x64"
    assert EncoderConfig(model="some/model").model_name == "some/model"


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (
            "bert:2x128",
            "bert:2x128 is not of the form bert:TOKENIZER:LAYERSxWIDTH; try bert::2x128",
        ),
        ("gpt2::128", "try gpt2::2x128"),
        ("t5::0x128", "try t5::2x128"),
        ("static::0", "try static::256"),
    ],
)
def test_sizes_in_the_wrong_form_are_told_with_an_example(model: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        encoder(model)
