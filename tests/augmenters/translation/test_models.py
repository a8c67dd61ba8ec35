"""Where models are found, what they are told apart by, and what is said when they are not there."""

import json
import shutil

import pytest

from pairsmith.augmenters.translation import Model
from pairsmith.augmenters.translation.models import content_sha256, find_model, kind_of
from pairsmith.schemas import UserError


@pytest.fixture
def copy(tiny_models, tmp_path):
    """Return a folder that holds a copy of a converted model."""
    return shutil.copytree(f"{tiny_models}/tiny-en-fr", tmp_path / "copy")


def line(caught):
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_folder_that_is_not_there_is_one_line():
    with pytest.raises(UserError) as caught:
        find_model("/nowhere/opus-mt-en-fr")
    assert line(caught).startswith("no translation model at /nowhere/opus-mt-en-fr")


def test_a_model_that_neither_a_folder_nor_the_hub_has_is_one_line_that_says_both(tmp_path):
    with pytest.raises(UserError) as caught:
        find_model("Helsinki-NLP/opus-mt-en-tlh")
    assert "'Helsinki-NLP/opus-mt-en-tlh': there is no such folder here, and" in line(caught)
    assert "Hugging Face hub gave none (" in line(caught)


def test_a_model_in_the_hub_s_cache_is_found_without_a_network(tiny_models, tmp_path, monkeypatch):
    from huggingface_hub import constants

    # The layout of the hub's cache: refs name a revision, whose files lie in its snapshot.
    repository = tmp_path / "models--someone--en-fr"
    (repository / "refs").mkdir(parents=True)
    (repository / "refs" / "main").write_text("c0ffee")
    shutil.copytree(f"{tiny_models}/tiny-en-fr", repository / "snapshots" / "c0ffee")
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    model = Model("someone/en-fr", device="cpu")
    assert model.translator().max_tokens() == 256
    assert model.content() == {
        "name": "someone/en-fr",
        "sha256": content_sha256(find_model(f"{tiny_models}/tiny-en-fr")),
    }


@pytest.mark.parametrize("lacking", ["source.spm", "target.spm"])
def test_a_converted_model_without_its_pieces_is_refused(copy, lacking):
    (copy / lacking).unlink()
    with pytest.raises(UserError, match=f"is no translation model: it lacks {lacking};"):
        kind_of(copy)


def test_a_folder_of_something_else_is_refused(tmp_path):
    with pytest.raises(UserError, match=r"lacks model.safetensors or pytorch_model.bin or model.b"):
        kind_of(tmp_path)
    for name in ("source.spm", "target.spm", "vocab.json", "model.safetensors"):
        (tmp_path / name).touch()
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "t5"}))
    with pytest.raises(UserError, match="of type 't5': only 'marian'"):
        kind_of(tmp_path)
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(UserError, match="is not JSON"):
        kind_of(tmp_path)


@pytest.mark.parametrize("size", [0, 10, 5000])
def test_a_damaged_model_is_one_line(copy, size):
    data = (copy / "model.bin").read_bytes()
    (copy / "model.bin").write_bytes(data[:size])
    with pytest.raises(
        UserError, match=r"model.bin is cut short|CTranslate2 cannot load"
    ) as caught:
        Model(str(copy), device="cpu").translator()
    assert line(caught)


def test_a_truncated_model_is_one_line(copy):
    data = (copy / "model.bin").read_bytes()
    (copy / "model.bin").write_bytes(data[: len(data) // 2])
    with pytest.raises(UserError) as caught:
        Model(str(copy), device="cpu").translator()
    assert line(caught)


def test_the_reference_engine_wants_a_checkpoint(copy):
    with pytest.raises(UserError, match="engine='transformers' needs the checkpoint"):
        Model(str(copy), "transformers").translator()


def test_a_model_is_told_by_its_content_not_its_place(tiny_models, copy):
    there, here = Model(f"{tiny_models}/tiny-en-fr").content(), Model(str(copy)).content()
    assert (here["name"], here["sha256"]) == ("copy", there["sha256"])
    (copy / "README.md").write_text("notes")
    assert Model(str(copy)).content() == here
    data = bytearray((copy / "model.bin").read_bytes())
    data[-1] ^= 1
    (copy / "model.bin").write_bytes(data)
    assert Model(str(copy)).content()["sha256"] != there["sha256"]
