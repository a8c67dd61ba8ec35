"""The gate that asks an encoder: its figures are the encoder's, kept, and judged last."""

import json
import re
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from rich.console import Console

from pairsmith.augmenters import WordDropout, cache
from pairsmith.pipelines.build import BuildConfig, build
from pairsmith.pipelines.recipe import Overlap, Pair, Recipe, Similarity, View, similarity
from pairsmith.schemas import Dataset, UserError
from tests.pipelines import fake_encoder
from tests.pipelines.corpora import documents, sums, write_jsonl
from tests.pipelines.test_pairs import rejected

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A static encoder with one random vector a word."""
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.models import StaticEmbedding
    from tokenizers import Tokenizer, models, pre_tokenizers

    words = sorted({w for d in documents() for w in d["text"].replace(".", " ").split()})
    vocabulary = {word: number for number, word in enumerate(["[UNK]", *words])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    weights = np.random.default_rng(3).normal(size=(len(vocabulary), 16)).astype(np.float32)
    folder = tmp_path_factory.mktemp("encoder")
    SentenceTransformer(
        modules=[StaticEmbedding(tokenizer, embedding_weights=weights)], device="cpu"
    ).save(str(folder))
    return str(folder)


def run(
    folder: Path,
    name: str,
    gate: Similarity,
    shared: Path | None = None,
    console: Console | None = None,
) -> Dataset:
    cache._index.cache_clear()
    pair = Pair("dropout", View(), View(WordDropout(0.5)))
    recipe = Recipe((pair,), gates=(Overlap(max=0.6), gate), shards=3)
    files = [str(write_jsonl(folder / "in.jsonl", documents(12)))]
    return build(recipe, name, files, folder / name, BuildConfig(cache=shared), console)


def test_similarity_is_the_encoders_cosine_and_pairs_outside_the_bounds_are_dropped(
    tmp_path: Path, encoder: str
) -> None:
    from sentence_transformers import SentenceTransformer

    dataset = run(tmp_path, "out", Similarity(encoder, min=0.5, max=0.9))
    pairs = dataset.read().to_pylist()
    model = SentenceTransformer(encoder, device="cpu")
    for row in pairs[:50]:
        a, b = model.encode([row["anchor"], row["positive"]])
        cosine = a @ b / np.linalg.norm(a) / np.linalg.norm(b)
        assert row["similarity"] == pytest.approx(cosine, abs=1e-4)
    assert all(0.5 <= row["similarity"] <= 0.9 for row in pairs)
    outside = [row for row in rejected(dataset, "dropped") if "similarity" in str(row["reason"])]
    assert outside
    assert all(not 0.5 <= float(str(row["detail"])) <= 0.9 for row in outside)
    assert {row["reason"] for row in outside} == {"dropout: similarity not in [0.5, 0.9]"}


def test_figures_are_kept_and_a_rebuild_does_not_load_the_encoder(
    tmp_path: Path, encoder: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    shared = tmp_path / "cache"
    first = run(tmp_path, "first", Similarity(encoder), shared=shared)
    assert "cache" not in json.dumps(first.manifest.recipe)

    def refuse(model: str) -> None:
        raise AssertionError("the encoder was loaded")

    monkeypatch.setattr(similarity, "_encoder", refuse)
    console = Console(record=True, width=200)
    run(tmp_path, "second", Similarity(encoder), shared=shared, console=console)
    told = r"used again: ([1-9]\d*) of \1 similarities, from the cache\n"
    assert re.fullmatch(told, console.export_text())
    assert sums(tmp_path / "first") == sums(tmp_path / "second")


def test_batches_halve_until_the_memory_holds_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = Similarity(fake_encoder.install(tmp_path, monkeypatch))
    anchors = pa.array(["a tree", "the tea", "eat", "a", "tte", "e e e"])
    positives = pa.array(["a tree", "a tea", "a", "eat", "tttt", "aaa"])
    measured = gate.measure(anchors, positives)
    assert (tmp_path / "batches").read_text().split() == ["32", "16", "8", "4"]
    few = [gate.measure(anchors[row : row + 1], positives[row : row + 1])[0] for row in range(6)]
    assert measured.tolist() == few
    monkeypatch.setattr(sys.modules["sentence_transformers"], "FITS", 0)
    with pytest.raises(UserError, match=r"^a text of 7 characters does not fit [^\n]*encoder$"):
        gate.measure(anchors, positives)


def test_only_pairs_that_passed_the_gates_before_are_measured(tmp_path: Path, encoder: str) -> None:
    run(tmp_path, "out", Similarity(encoder), shared=tmp_path / "cache")
    asked = sum(
        pa.parquet.read_table(file).num_rows for file in (tmp_path / "cache").rglob("*.parquet")
    )
    dropped = rejected(Dataset(tmp_path / "out", None), "dropped")  # type: ignore[arg-type]
    overlapping = [row for row in dropped if "overlap" in str(row["reason"])]
    assert overlapping
    assert asked < 12 * 9
    assert asked + len(overlapping) == 12 * 9


def test_a_missing_encoder_is_one_line_before_any_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(UserError, match="no encoder 'no/such-model'"):
        run(tmp_path, "out", Similarity("no/such-model"))
    assert not (tmp_path / "out").exists()


def test_a_hub_that_breaks_off_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    import huggingface_hub

    def breaks(name: str) -> None:
        client_error, _ = huggingface_hub.errors.HfHubHTTPError.__bases__
        raise client_error("the server closed\nthe connection")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", breaks)
    with pytest.raises(
        UserError, match=r"^no encoder 'some/model': .*\(the server closed\)[^\n]*$"
    ):
        Similarity("some/model").setup()


def test_a_gpu_without_room_for_the_encoder_is_one_line(
    encoder: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    def full(*_: object, **__: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20 MiB")

    monkeypatch.setattr("sentence_transformers.SentenceTransformer", full)
    similarity._encoder.cache_clear()
    texts = pa.array(["a cat"])
    with pytest.raises(UserError, match=r"encoder .* does not fit into the memory .*; free some"):
        Similarity(encoder).measure(texts, texts)


def test_bounds_that_mean_nothing_are_refused() -> None:
    with pytest.raises(ValueError, match="-1 <= min <= max <= 1"):
        Similarity("x", min=0.5, max=0.4)


def test_texts_are_told_apart_whatever_characters_they_hold(encoder: str) -> None:
    from sentence_transformers import SentenceTransformer

    one, other = "The committee examined\x1fA lighthouse", "A lighthouse keeper"
    a, b = SentenceTransformer(encoder, device="cpu").encode([one, other])
    cosine = a @ b / np.linalg.norm(a) / np.linalg.norm(b)
    measured = Similarity(encoder).measure(pa.array([one]), pa.array([other]))
    assert measured[0] == pytest.approx(cosine, abs=1e-4)
