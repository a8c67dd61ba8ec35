"""Builds whose recipes ask a model: it is asked once, and says why and what in the dataset."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from pairsmith.augmenters import (
    Augmenter,
    OneOf,
    Sequence,
    Sometimes,
    WordDropout,
    cache,
    from_function,
)
from pairsmith.pipelines.build import BuildConfig, build
from pairsmith.pipelines.recipe import Pair, Perturbed, RandomNegatives, Recipe, View
from pairsmith.schemas import Dataset, UserError, open_dataset
from tests.augmenters.fakes import Calls, Model
from tests.pipelines.corpora import documents, sums, write_jsonl
from tests.pipelines.test_pairs import rejected


@pytest.fixture
def model(tmp_path: Path) -> Model:
    return Model(Calls(log=str(tmp_path / "asked")))


def shouted(text: str, rng: object) -> str:
    return text.upper()


def recipe_of(model: Model, shards: int = 3, seed: int = 17) -> Recipe:
    positive = View(Sequence(model, WordDropout(0.2)))
    return Recipe((Pair("modelled", View(), positive),), shards=shards, seed=seed)


def run(folder: Path, name: str, recipe: Recipe, count: int = 20, **options: object) -> Dataset:
    cache._index.cache_clear()
    rows = documents(count)
    rows[3]["text"] += " This costs a £ more than that."
    files = [str(write_jsonl(folder / "in.jsonl", rows))]
    return build(recipe, name, files, folder / name, BuildConfig(**options))  # type: ignore[arg-type]


def test_a_rebuild_with_the_cache_asks_nothing_and_gives_the_same_bytes(
    tmp_path: Path, model: Model
) -> None:
    shared = tmp_path / "cache"
    first = run(tmp_path, "first", recipe_of(model), cache=shared)
    assert len(model.calls.logged()) > 100
    run(tmp_path, "second", recipe_of(model), cache=shared)
    run(tmp_path, "third", recipe_of(model), cache=shared, batch_rows=50)
    assert model.calls.logged() == []
    assert sums(tmp_path / "first") == sums(tmp_path / "second") == sums(tmp_path / "third")
    assert first.manifest.recipe_digest == recipe_of(model).digest  # a cache decides nothing


def test_other_shards_seeds_and_more_input_ask_only_about_new_texts(
    tmp_path: Path, model: Model
) -> None:
    shared = tmp_path / "cache"
    run(tmp_path, "first", recipe_of(model), cache=shared)
    known = set(model.calls.logged())
    run(tmp_path, "reseeded", recipe_of(model, shards=2, seed=1), cache=shared)
    assert model.calls.logged() == []
    run(tmp_path, "more", recipe_of(model), count=24, cache=shared)
    asked = model.calls.logged()
    assert asked
    assert not known & set(asked)


def test_the_cache_lies_beside_the_dataset_unless_told_otherwise(
    tmp_path: Path, model: Model
) -> None:
    run(tmp_path, "out", recipe_of(model))
    assert list((tmp_path / "out.cache").rglob("*.parquet"))
    assert not list((tmp_path / "out").rglob("*cache*"))
    plain = Recipe((Pair("dropout", View(), View(WordDropout())),))
    run(tmp_path, "plain", plain)
    assert not (tmp_path / "plain.cache").exists()


@pytest.mark.parametrize(
    ("where", "says"),
    [
        ("file", r"cannot write to the cache .*/file: .*/file is a file"),
        ("file/views", r"cannot write to the cache .*/file/views: .*/file is a file"),
        ("gone", r"cannot write to the cache .*/gone: .*/gone: No such file or directory"),
        ("/proc/views", r"cannot write to the cache /proc/views: /"),
        ("gs://bucket/views", "--cache must be a folder, not an address of gs://"),
    ],
)
def test_a_cache_that_cannot_be_written_to_is_found_before_anything_else(
    tmp_path: Path, model: Model, where: str, says: str
) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "gone").symlink_to(tmp_path / "nowhere")
    place = Path(where) if ":" in where else tmp_path / where
    with pytest.raises(UserError, match=says) as caught:
        run(tmp_path, "out", recipe_of(model), cache=place)
    assert "\n" not in str(caught.value)
    assert "choose another --cache" in str(caught.value)
    assert model.calls.logged() == []
    assert not (tmp_path / "out").exists()


def test_a_build_that_broke_goes_on_from_the_cache(tmp_path: Path) -> None:
    calls = Calls(log=str(tmp_path / "asked"))
    refusing = recipe_of(Model(calls))

    def stop(self: Calls, batch: list[str], add: object = Calls.add) -> None:
        add(self, batch)  # type: ignore[operator]
        if len(Path(self.log).read_text().splitlines()) > 80:
            raise UserError("the service is gone; try later")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Calls, "add", stop)
        with pytest.raises(UserError, match="the service is gone"):
            run(tmp_path, "out", refusing)
    asked = calls.logged()
    assert not (tmp_path / "out").exists()
    kept = run(tmp_path, "out", refusing)
    again = calls.logged()
    assert len(again) < len(set(asked) | set(again))  # what was kept is not asked again
    other = run(tmp_path, "whole", refusing, cache=tmp_path / "another")
    assert kept.rows == other.rows


def test_reasons_stand_in_the_dropped_rows_and_details_in_the_pairs(
    tmp_path: Path, model: Model
) -> None:
    dataset = open_dataset(run(tmp_path, "out", recipe_of(model)).root)
    (row,) = [row for row in rejected(dataset, "dropped") if "£" in str(row["text"])]
    assert row["reason"] == "modelled: no positive view: a pound"
    assert json.loads(str(row["detail"])).keys() == {"model+word_dropout"}
    assert dataset.manifest.counts["reasons"]["dropped"][f"pair: {row['reason']}"] == 1
    for pair in dataset.read().to_pylist():
        told = json.loads(pair["details"])["positive"]["model+word_dropout"]["model"]
        assert told["of"] >= 1


def test_details_of_two_steps_with_one_name_stand_both_there(tmp_path: Path, model: Model) -> None:
    recipe = Recipe((Pair("twice", View(), View(model, model.with_setting(2))),))
    told = [json.loads(text) for text in run(tmp_path, "out", recipe).read()["details"].to_pylist()]
    assert told
    assert all(row["positive"].keys() == {"model", "model:2"} for row in told)


def test_recipes_whose_steps_say_nothing_have_no_column_for_it(tmp_path: Path) -> None:
    plain = Recipe((Pair("dropout", View(), View(WordDropout(0.3))),))
    assert "details" not in run(tmp_path, "out", plain).read().column_names


class Opposite(Model):
    """Says the opposite of a text, and what it changed; fails on one."""

    keeps_meaning = False

    def views(self, texts, keys):  # type: ignore[no-untyped-def]
        if any("Item 7:" in (text or "") for text in texts.to_pylist()):
            raise ValueError("what is seven?")
        return super().views(texts, keys)


def test_perturbed_negatives_come_first_with_their_kind_and_what_was_changed(
    tmp_path: Path, model: Model
) -> None:
    pair = Pair("dropout", View(), View(WordDropout(0.3)))
    opposite = Opposite(model.calls)
    with pytest.raises(ValueError, match="keeps the meaning"):
        Perturbed(model)
    recipe = Recipe(
        (pair,), negatives=(Perturbed(opposite), RandomNegatives(2)), screens=(), shards=3
    )
    dataset = run(tmp_path, "out", recipe, max_failed=0.1)
    pairs = dataset.read().to_pylist()
    assert pairs
    for row in pairs:
        kinds = [info["kind"] for info in row["negative_info"]]
        assert kinds == (["random"] * 2 if "£" in row["anchor"] else ["model", "random", "random"])
        assert [info["rank"] for info in row["negative_info"]] == list(range(len(kinds)))
        assert len(row["negatives"]) == len(kinds)
        if "£" not in row["anchor"]:
            assert row["negatives"][0].startswith(f"{row['anchor']} of ")
            assert row["negative_info"][0]["source_id"] == row["source_id"]
            assert json.loads(row["details"])["negative1"]["model"]["of"] >= 1
    failed = rejected(dataset, "failed")
    assert {row["stage"] for row in failed} == {"negatives"}
    assert all("Item 7:" in str(row["text"]) for row in failed)
    assert all(row["detail"] == "ValueError: what is seven?" for row in failed)


def test_perturbed_negatives_do_not_depend_on_how_rows_are_batched(
    tmp_path: Path, model: Model
) -> None:
    class Shuffled(WordDropout):
        name, keeps_meaning = "other", False

    recipe = Recipe(
        (Pair("dropout", View(), View(WordDropout(0.3)), draws=2),),
        negatives=(Perturbed(Shuffled(0.5)), RandomNegatives(1)),
        shards=3,
    )
    for name, rows in (("one", 4096), ("many", 5)):
        run(tmp_path, name, recipe, batch_rows=rows)
    assert sums(tmp_path / "one") == sums(tmp_path / "many")


class English(Model):
    languages = ("en",)


class British(Model):
    languages = ("en-GB", "cy")


@pytest.mark.parametrize("kind", [English, British])
@pytest.mark.parametrize(
    "around",
    [
        lambda step: step,
        lambda step: OneOf(from_function(shouted), step, weights=(1, 9)),
        lambda step: Sequence(from_function(shouted), Sometimes(step, 0.9)),
    ],
    ids=["alone", "one of", "sequence"],
)
def test_a_step_makes_no_view_of_a_text_that_is_known_to_be_in_another_language(
    tmp_path: Path, model: Model, around: Callable[[Augmenter], Augmenter], kind: type[Model]
) -> None:
    rows = [
        {"doc_id": str(n), "text": f"Text number {n}.", "lang": lang}
        for n, lang in enumerate(["en", "en-GB", "EN", "zh", "zh-Hant", None, "fr"])
    ]
    step = around(kind(model.calls))
    recipe = Recipe((Pair("modelled", View(), View(step)),), gates=())
    files = [str(write_jsonl(tmp_path / "in.jsonl", rows))]
    dataset = build(recipe, "test", files, tmp_path / "out")
    assert set(dataset.read()["source_id"].to_pylist()) == {"0", "1", "2", "5"}
    refused = {row["source_id"]: row["reason"] for row in rejected(dataset, "dropped")}
    reason = f"modelled: no positive view: not in {' or '.join(step.languages)}"
    assert refused == dict.fromkeys(("3", "4", "6"), reason)
    assert 0 < len(model.calls.logged()) <= 4
