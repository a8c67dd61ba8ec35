"""A build over a finished dataset equals a build from nothing, and does only what it must."""

import importlib.metadata
import shutil
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from pairsmith.augmenters import (
    FillMask,
    Negation,
    OneOf,
    PinyinTypos,
    Synonyms,
    WordDropout,
    cache,
)
from pairsmith.pipelines import increments
from pairsmith.pipelines.build import BuildConfig, build
from pairsmith.pipelines.recipe import Pair, Perturbed, RandomNegatives, Recipe, Similarity, View
from pairsmith.pipelines.settle import versions
from pairsmith.schemas import Dataset, UserError, open_dataset, problems
from tests.augmenters.fakes import Calls, Model
from tests.pipelines.corpora import (
    documents,
    everything,
    sums,
    write_jsonl,
    write_parquet,
)
from tests.pipelines.forked import Fault, Forks


def run(
    folder: Path, name: str, recipe: Recipe, rows: list[dict[str, str]], shared: Path | None = None
) -> str:
    """Build, and return what was said."""
    cache._index.cache_clear()
    increments._known.cache_clear()
    console = Console(record=True, width=200)
    files = [str(write_jsonl(folder / "in.jsonl", rows))]
    build(recipe, "mine", files, folder / name, BuildConfig(cache=shared), console)
    return console.export_text()


def recipe_of(model: Model, p: float = 0.3) -> Recipe:
    pairs = (
        Pair("modelled", View(), View(model)),
        Pair("dropout", View(), View(WordDropout(p))),
    )
    return Recipe(pairs, shards=5, negatives=(RandomNegatives(1),))


def test_more_input_asks_models_only_about_new_texts_and_equals_a_build_from_nothing(
    tmp_path: Path,
) -> None:
    shared = tmp_path / "cache"
    model = Model(Calls(log=str(tmp_path / "asked")))
    recipe = recipe_of(model)
    run(tmp_path, "out", recipe, documents(20), shared)
    first = set(model.calls.logged())
    said = run(tmp_path, "out", recipe, documents(24), shared)
    asked = model.calls.logged()
    assert not first & set(asked)
    views = said.split("used again: ")[1].split(" views by models")[0].split(" and ")[-1]
    kept, whole = (int(number) for number in views.split(" of "))
    assert kept > 0
    assert whole - kept == len(asked)
    # Without the cache a model would be asked in other batches; the fake says so in its views.
    run(tmp_path, "anew", recipe, documents(24), shared)
    assert everything(tmp_path / "out") == everything(tmp_path / "anew")


def test_another_recipe_equals_a_build_from_nothing_byte_for_byte(tmp_path: Path) -> None:
    shared = tmp_path / "cache"
    model = Model(Calls(log=str(tmp_path / "asked")))
    run(tmp_path, "out", recipe_of(model), documents(20), shared)
    model.calls.logged()
    said = run(tmp_path, "out", recipe_of(model, p=0.4), documents(20), shared)
    assert model.calls.logged() == []
    assert "180 of 180 views by models" in said
    run(tmp_path, "anew", recipe_of(model, p=0.4), documents(20), shared)
    assert everything(tmp_path / "out") == everything(tmp_path / "anew")


def test_shards_that_come_out_the_same_are_not_made_again(tmp_path: Path) -> None:
    def plain(**settings: object) -> Recipe:
        pair = Pair("dropout", View(), View(WordDropout(0.3)))
        return Recipe((pair,), shards=9, **settings)  # type: ignore[arg-type]

    run(tmp_path, "out", plain(), documents(20))
    assert "used again: 9 of 9 shards" in run(tmp_path, "out", plain(), documents(20))
    said = run(tmp_path, "out", plain(), [*documents(20), {"doc_id": "new", "text": "A new text."}])
    assert "used again: 8 of 9 shards" in said
    assert "used again" not in run(tmp_path, "out", plain(seed=1), documents(20))
    run(tmp_path, "anew", plain(seed=1), documents(20))
    assert everything(tmp_path / "out") == everything(tmp_path / "anew")
    assert not list((tmp_path / "out").glob(".*"))


def test_another_version_of_a_library_that_makes_the_views_makes_the_shards_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = Recipe((Pair("pinyin", View(), View(PinyinTypos(0.3))),), shards=3)
    installed = importlib.metadata.version
    changed = set()
    monkeypatch.setattr(
        importlib.metadata, "version", lambda name: "0.1" if name in changed else installed(name)
    )
    run(tmp_path, "out", recipe, documents(20))
    changed.add("wn")  # which the recipe does not use
    assert "used again: 3 of 3 shards" in run(tmp_path, "out", recipe, documents(20))
    changed.add("pypinyin")
    assert "used again" not in run(tmp_path, "out", recipe, documents(20))


def test_the_versions_are_those_of_what_the_recipe_uses() -> None:
    plain = Recipe((Pair("k", View(), View(Synonyms("words.json"))),))
    lmf = Recipe((Pair("k", View(), View(OneOf(Synonyms("wordnet.xml"), WordDropout()))),))
    gated = Recipe(plain.pairs, gates=(Similarity("encoder"),))
    masked = Recipe(plain.pairs, negatives=(Perturbed(Negation(), FillMask("model")),))
    used = versions(plain).keys()
    assert {"numba", "pypinyin"} < used
    assert versions(lmf).keys() - used == {"wn"}
    assert versions(masked).keys() - used == {"tokenizers", "torch", "transformers"}
    assert "sentence-transformers" in versions(gated).keys() - used


def test_a_shard_that_was_changed_since_is_made_again(tmp_path: Path) -> None:
    recipe = Recipe((Pair("dropout", View(), View(WordDropout(0.3))),), shards=4)
    run(tmp_path, "out", recipe, documents(20))
    before = sums(tmp_path / "out")
    shard = tmp_path / "out" / "shards" / "00002.parquet"
    shard.write_bytes(shard.read_bytes()[:-7] + b"tampers")
    assert "used again: 3 of 4 shards" in run(tmp_path, "out", recipe, documents(20))
    assert sums(tmp_path / "out") == before
    (tmp_path / "out" / "increments.json").write_text("nonsense")
    assert "used again" not in run(tmp_path, "out", recipe, documents(20))
    assert sums(tmp_path / "out") == before


def test_a_build_that_is_refused_leaves_the_finished_dataset_as_it_was(tmp_path: Path) -> None:
    recipe = Recipe((Pair("dropout", View(), View(WordDropout(0.3))),), shards=4)
    run(tmp_path, "out", recipe, documents(20))
    before = {path: path.read_bytes() for path in (tmp_path / "out").rglob("*") if path.is_file()}

    def broken(text: str, rng: object) -> str:
        raise ValueError("broken")

    from pairsmith.augmenters import from_function

    bad = Recipe((Pair("broken", View(), View(from_function(broken))),), shards=4)
    with pytest.raises(UserError, match="more than --max-failed"):
        run(tmp_path, "out", bad, documents(20))
    after = {path: path.read_bytes() for path in (tmp_path / "out").rglob("*") if path.is_file()}
    assert after == before
    assert isinstance(open_dataset(tmp_path / "out"), Dataset)


def test_until_its_end_a_build_over_a_dataset_leaves_that_usable(
    tmp_path: Path, forks: Forks
) -> None:
    corpus = write_parquet(tmp_path / "in.parquet", documents(20))
    output = tmp_path / "out"
    build = ("quickstart", "--input", corpus, "--shards", 4, "--waves", 4, "--output")
    assert forks.run(*build, output).code == 0
    write_parquet(corpus, documents(21))
    killed = forks.run(*build, output, fault=Fault(path=f"{output}/.work/wave-00003.json"))
    assert killed.killed
    assert open_dataset(output).rows  # the old one, whole
    assert forks.run(*build, output).code == 0
    assert forks.run(*build, tmp_path / "anew").code == 0
    assert everything(output) == everything(tmp_path / "anew")


def test_files_of_the_old_dataset_that_somebody_reads_do_not_hinder_the_new_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On NFS an open file that is removed gets another name, and its folder stays."""
    remove = shutil.rmtree

    def remove_as_nfs(path: Any, *arguments: Any, **options: Any) -> None:
        there = [folder for folder in (Path(path), *Path(path).rglob("*")) if folder.is_dir()]
        remove(path, *arguments, **options)
        for folder in there:
            if folder.name == "shards":
                folder.mkdir(parents=True, exist_ok=True)
                (folder / ".nfs1").touch()

    recipe = Recipe((Pair("dropout", View(), View(WordDropout(0.3))),), shards=2)
    monkeypatch.setattr(shutil, "rmtree", remove_as_nfs)
    for count in (6, 7, 8):
        run(tmp_path, "out", recipe, documents(count))
        assert list(problems(open_dataset(tmp_path / "out"))) == []
    monkeypatch.undo()
    assert list((tmp_path / "out").rglob(".nfs1"))
    shutil.rmtree(tmp_path / "out" / ".work")
    run(tmp_path, "anew", recipe, documents(8))
    assert everything(tmp_path / "out") == everything(tmp_path / "anew")
