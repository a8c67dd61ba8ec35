"""Conversion: whole or not at all, and only of what CTranslate2 translates alike."""

import multiprocessing
import os
import shutil
import signal
import time
from pathlib import Path

import pytest

from pairsmith.augmenters.translation import Decoding, Model
from pairsmith.augmenters.translation.convert import (
    MOST_DIFFERENCE,
    cache_folder,
    compare,
    convert,
    converted,
)
from pairsmith.augmenters.translation.engine_ctranslate2 import CTranslate2Engine
from pairsmith.augmenters.translation.engine_transformers import TransformersEngine
from pairsmith.augmenters.translation.models import converted_positions
from pairsmith.schemas import UserError


@pytest.fixture(scope="module")
def marian(make_marian, tmp_path_factory):
    """Return the folder of a small checkpoint of random weights."""
    return make_marian(tmp_path_factory.mktemp("models") / "random")


def conversions(cache):
    return [path.name for path in cache.iterdir() if not path.name.startswith(".")]


def test_a_checkpoint_is_converted_once_and_then_found(marian, tmp_path):
    folder = converted(marian, "float16", tmp_path)
    assert conversions(tmp_path) == [folder.name]
    made = (folder / "model.bin").stat().st_mtime_ns
    assert converted(marian, "float16", tmp_path) == folder
    assert (folder / "model.bin").stat().st_mtime_ns == made
    assert converted(marian, "float32", tmp_path) != folder
    assert len(conversions(tmp_path)) == 2


def test_a_checkpoint_can_be_named_as_the_model_and_is_converted_on_first_use(
    marian, tmp_path, monkeypatch
):
    monkeypatch.setenv("PAIRSMITH_CACHE", str(tmp_path))
    texts = ["the cat sees the dog.", "a red house."]
    made, expected = (
        Model(str(marian), engine, device="cpu", compute_type="float32", threads=1)
        .translator()
        .translate(texts, Decoding(), [0, 0])
        for engine in ("ctranslate2", "transformers")
    )
    assert made == expected
    assert len(conversions(tmp_path / "models")) == 1


def test_a_damaged_checkpoint_is_one_line(marian, tmp_path):
    checkpoint = shutil.copytree(marian, tmp_path / "copy")
    weights = checkpoint / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:5000])
    with pytest.raises(UserError, match=r"transformers cannot load .*copy: ") as caught:
        Model(str(checkpoint), "transformers", device="cpu").translator()
    assert "\n" not in str(caught.value)
    weights.unlink()
    for data in (b"", b"not a pickle"):
        (checkpoint / "pytorch_model.bin").write_bytes(data)
        with pytest.raises(UserError, match=r"transformers cannot load .*copy: .") as caught:
            converted(checkpoint, "float16", tmp_path / "cache")
        assert "\n" not in str(caught.value)


def test_weights_that_a_checkpoint_lacks_are_not_made_up(marian, tmp_path):
    safetensors = pytest.importorskip("safetensors.torch")
    checkpoint = shutil.copytree(marian, tmp_path / "copy")
    weights = safetensors.load_file(checkpoint / "model.safetensors")
    del weights["model.encoder.layers.0.fc1.weight"]
    safetensors.save_file(weights, checkpoint / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(UserError, match=r"lacks model\.encoder\.layers\.0\.fc1\.weight"):
        Model(str(checkpoint), "transformers", device="cpu").translator()


def test_a_changed_checkpoint_is_converted_anew(marian, make_marian, tmp_path):
    folder = converted(marian, "float16", tmp_path)
    other = make_marian(tmp_path / "checkpoint", seed=1)
    assert converted(other, "float16", tmp_path / "cache").name != folder.name


def test_a_converted_model_can_be_moved_and_named_itself(marian, tmp_path):
    convert(marian, tmp_path / "moved", "float16")
    translator = Model(str(tmp_path / "moved"), device="cpu").translator()
    assert translator.max_tokens() == converted_positions(tmp_path / "moved") == 64
    assert len(translator.translate(["the cat."], Decoding(), [0]).texts) == 1


def test_the_cache_is_where_the_environment_says(monkeypatch, tmp_path):
    monkeypatch.setenv("PAIRSMITH_CACHE", str(tmp_path / "own"))
    assert cache_folder() == tmp_path / "own" / "models"
    monkeypatch.delenv("PAIRSMITH_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    if os.name == "posix" and Path("/proc").exists():
        assert cache_folder() == tmp_path / "xdg" / "pairsmith" / "models"


def test_a_checkpoint_whose_pad_row_is_not_zero_is_refused_with_the_way_out(make_marian, tmp_path):
    checkpoint = make_marian(tmp_path / "checkpoint", pad_row=0.2)
    cache = tmp_path / "cache"
    with pytest.raises(UserError, match=r"row \d+, pad\) is not zero but up to 0\.2") as caught:
        converted(checkpoint, "float16", cache)
    assert 'use engine="transformers"' in str(caught.value)
    assert "\n" not in str(caught.value)
    assert conversions(cache) == []
    reference = Model(str(checkpoint), "transformers", device="cpu").translator()
    assert len(reference.translate(["the cat."], Decoding(), [0]).texts) == 1


def test_a_trained_checkpoint_with_a_changed_pad_row_is_refused(checkpoints, tmp_path):
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    checkpoint = shutil.copytree(checkpoints[0], tmp_path / "copy", copy_function=shutil.copyfile)
    checkpoint.chmod(0o755)
    model = transformers.MarianMTModel.from_pretrained(checkpoint)
    with torch.no_grad():
        model.get_input_embeddings().weight[model.config.pad_token_id] = 0.05
    model.save_pretrained(checkpoint)
    with pytest.raises(UserError, match=r"is not zero but up to 0\.05"):
        converted(checkpoint, "float16", tmp_path / "cache")


def test_a_conversion_is_close_to_its_checkpoint_and_far_from_another(
    marian, make_marian, tmp_path
):
    convert(marian, tmp_path / "converted", "float32")
    engine = CTranslate2Engine(tmp_path / "converted", "cpu", "float32", threads=1)
    difference, equal = compare(TransformersEngine(marian, "cpu"), engine)
    assert difference < 0.001
    assert equal >= 0.9
    # What a conversion would be like that lost something: the weights of another model.
    other = TransformersEngine(make_marian(tmp_path / "other", seed=1), "cpu")
    difference, equal = compare(other, engine)
    assert difference > 5 * MOST_DIFFERENCE
    assert equal < 0.2


def test_a_conversion_that_translates_otherwise_is_refused(make_marian, tmp_path):
    # The converter takes the encoder's number of heads for both sides, without a word.
    checkpoint = make_marian(tmp_path / "checkpoint", decoder_heads=4)
    with pytest.raises(UserError, match="translates otherwise than transformers does") as caught:
        converted(checkpoint, "float16", tmp_path / "cache")
    assert 'use engine="transformers"' in str(caught.value)
    assert conversions(tmp_path / "cache") == []


def _convert(checkpoint, cache, done):
    done.put(str(converted(Path(checkpoint), "float16", Path(cache))))


def test_a_kill_half_way_leaves_nothing_and_two_at_once_make_one(marian, tmp_path):
    spawn = multiprocessing.get_context("spawn")
    done, cache = spawn.Queue(), tmp_path / "cache"
    victim = spawn.Process(target=_convert, args=(str(marian), str(cache), done))
    victim.start()
    until = time.monotonic() + 60
    while not list(cache.glob(".*")) and time.monotonic() < until:
        time.sleep(0.005)
    os.kill(victim.pid, signal.SIGKILL)
    victim.join()
    assert victim.exitcode == -signal.SIGKILL
    assert conversions(cache) == []

    both = [spawn.Process(target=_convert, args=(str(marian), str(cache), done)) for _ in range(2)]
    for process in both:
        process.start()
    folders = {done.get(timeout=120) for _ in both}
    for process in both:
        process.join()
    assert conversions(cache) == [Path(folder).name for folder in folders]
    assert Model(folders.pop(), device="cpu").translator().max_tokens() == 64


def test_what_a_killed_conversion_left_goes_after_a_day(marian, tmp_path):
    name = converted(marian, "float16", tmp_path).name
    shutil.rmtree(tmp_path / name)
    left, fresh = tmp_path / f".{name}.old", tmp_path / f".{name}.new"
    left.mkdir()
    fresh.mkdir()
    os.utime(left, (0, 0))
    converted(marian, "float16", tmp_path)
    assert not left.exists()
    assert fresh.exists()


def test_a_cache_that_cannot_be_written_is_one_line(marian, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match=r"cannot write the converted model to .*PAIRSMITH_CACHE"):
        converted(marian, "float16", tmp_path / "file" / "cache")
