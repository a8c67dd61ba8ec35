"""Pairs are what the recipe says: every row can be made again from its provenance."""

import dataclasses
from pathlib import Path
from types import FunctionType
from typing import ClassVar

import numpy as np
import pyarrow as pa
import pytest

from pairsmith.augmenters import Crop, SpanMask, TokenDropout, WordDropout, from_function
from pairsmith.pipelines.build import BuildConfig, build
from pairsmith.pipelines.recipe import (
    Documents,
    Lines,
    MaxChars,
    MaxWords,
    MinWords,
    Neighbours,
    Overlap,
    Pair,
    Passage,
    RandomNegatives,
    Recipe,
    Sentences,
    Unchanged,
    View,
)
from pairsmith.pipelines.recipe.shipped import sources_of
from pairsmith.pipelines.shards import fill
from pairsmith.schemas import (
    PAIRS,
    Dataset,
    UserError,
    pair_ids,
    record_keys,
    subkeys,
    text_hashes,
)
from tests.pipelines.corpora import documents, write_jsonl, write_parquet


def build_from(folder: Path, recipe: Recipe, rows: list[dict[str, str]]) -> Dataset:
    return build(recipe, "test", [str(write_jsonl(folder / "in.jsonl", rows))], folder / "out")


def rejected(dataset: Dataset, folder: str) -> list[dict[str, object]]:
    files = sorted((dataset.root / folder).glob("*.parquet"))
    return [row for file in files for row in pa.parquet.read_table(file).to_pylist()]


def test_every_row_can_be_replayed_from_seed_source_unit_kind_and_draw(tmp_path: Path) -> None:
    steps = (WordDropout(p=0.3), Crop(0.4, 0.9))
    recipe = Recipe(
        pairs=(Pair("both", View(Crop(0.5, 0.9)), View(*steps, base=Passage(2)), draws=2),),
        seed=-5,
        source=Documents(segment=Lines()),
        shards=3,
    )
    rows = [{"doc_id": d["doc_id"], "text": d["text"].replace(". ", ".\n")} for d in documents(8)]
    texts = {row["doc_id"]: row["text"].split("\n") for row in rows}
    made = build_from(tmp_path, recipe, rows).read().to_pylist()
    assert len(made) == 2 * sum(map(len, texts.values()))
    for row in made:
        source, unit = pa.array([row["source_id"]]), np.array([row["unit"]], np.int32)
        lines = texts[row["source_id"]]
        for role, base, chain in (
            ("anchor", lines[row["unit"]], (Crop(0.5, 0.9),)),
            ("positive", " ".join(lines[row["unit"] : row["unit"] + 2]), steps),
        ):
            keys = record_keys(-5, source, unit, f"both/{role}", row["draw"])
            text = pa.array([base])
            for number, step in enumerate(chain):
                step.setup()
                text = step(text, subkeys(keys, number))
            assert row[role] == text[0].as_py()
        assert row["pair_id"] == pair_ids(source, unit, "both", row["draw"])[0].as_py()
        assert row["anchor_hash"] == text_hashes(pa.array([row["anchor"]]))[0]
    assert {row["positive_view"] for row in made} == {"passage+word_dropout+crop"}


def test_rows_are_sorted_typed_and_of_the_schema(tmp_path: Path) -> None:
    write_parquet(tmp_path / "in.parquet", documents(20))
    recipe = Recipe(pairs=(Pair("context", View(), View(base=Neighbours(2))),), shards=2)
    dataset = build(recipe, "test", [str(tmp_path / "in.parquet")], tmp_path / "out")
    for shard in dataset.shards:
        ids = pa.parquet.read_table(shard)["pair_id"].to_pylist()
        assert ids == sorted(set(ids))
    table = dataset.read()
    assert table["kind"].type == pa.dictionary(pa.int32(), pa.string())
    assert set(table["weight"].to_pylist()) == {1.0}
    assert table["overlap"].null_count == len(table)  # no gate measured it


def test_an_anchor_of_several_pairs_is_written_once(tmp_path: Path) -> None:
    kinds = tuple(Pair(f"{n}", View(), View(base=Neighbours(n))) for n in (1, 2, 3))
    recipe = Recipe(pairs=kinds, source=Documents(segment=Lines()), shards=1)
    lines = [f"{n} " + "said in many words " * 20 for n in range(50)]
    dataset = build_from(tmp_path, recipe, [{"doc_id": "d", "text": "\n".join(lines)}])
    file = pa.parquet.read_metadata(dataset.shards[0])
    assert file.num_rows == 3 * len(lines)
    column = PAIRS.get_field_index("anchor")
    assert file.row_group(0).column(column).total_uncompressed_size < 1.2 * sum(map(len, lines))


def test_code_that_lies_in_no_file_is_never_taken_for_that_of_before() -> None:
    def recipe(module: str) -> Recipe:
        cut = FunctionType(and_more.__code__, {})
        cut.__module__ = module
        return Recipe(pairs=(Pair("more", View(), View(from_function(cut, name="more"))),))

    assert sources_of(recipe("__notebook__")) != sources_of(recipe("__notebook__"))
    assert sources_of(recipe(__name__)) == sources_of(recipe(__name__)) != []


def spaced_and_shouted(text: str, _: np.random.Generator) -> str:
    return f" {text.upper()}  "


def and_more(text: str, _: np.random.Generator) -> str:
    return text + " more"


def test_a_reason_is_given_for_every_unit_and_pair_that_is_left_out(tmp_path: Path) -> None:
    recipe = Recipe(
        pairs=(
            Pair("copy", View(), View(from_function(spaced_and_shouted))),
            Pair("same", View(), View(), gates=()),
            Pair("near", View(), View(from_function(and_more)), every=2),
        ),
        source=Documents(segment=Lines()),
        screens=(MinWords(2), MaxChars(30)),
        gates=(Unchanged(), Overlap(max=0.7), MaxWords(5)),
    )
    lines = ["one", "two words", "three words here", "x" * 20 + " " + "y" * 20, "a b c d e"]
    dataset = build_from(tmp_path, recipe, [{"doc_id": "d", "text": "\n".join(lines)}])
    kinds = {(row["kind"], row["unit"]) for row in dataset.read().to_pylist()}
    assert kinds == {("same", 1), ("same", 2), ("same", 4)}
    left_out = {
        (row["stage"], row["kind"], row["unit"]): (row["reason"], row["detail"], row["text"])
        for row in rejected(dataset, "dropped")
    }
    assert left_out == {
        ("screen", None, 0): ("fewer than 2 words", "1", lines[0]),
        ("screen", None, 3): ("more than 30 characters", "41", lines[3]),
        ("gate", "copy", 1): ("copy: positive unchanged", "1", lines[1]),
        ("gate", "copy", 2): ("copy: positive unchanged", "1", lines[2]),
        ("gate", "copy", 4): ("copy: positive unchanged", "1", lines[4]),
        ("gate", "near", 2): ("near: word overlap not in [0, 0.7]", "0.75", lines[2]),
        ("gate", "near", 4): ("near: word overlap not in [0, 0.7]", "0.8333", lines[4]),
    }
    assert dataset.manifest.counts["pairs"] == {
        "made": 8,
        "written": 3,
        "dropped": 5,
        "failed": 0,
    }


def test_one_bad_text_does_not_take_its_batch_with_it(tmp_path: Path) -> None:
    def moody(text: str, _: object) -> str:
        if "11" in text or "27" in text:
            raise RuntimeError(f"cannot bear {text}")
        return text + "!"

    recipe = Recipe(
        pairs=(Pair("moody", View(), View(from_function(moody, name="moody"))),),
        source=Documents(segment=Lines()),
        shards=1,
    )
    rows = [{"doc_id": f"{n}", "text": f"text {n}"} for n in range(40)]
    (tmp_path / "in.jsonl").touch()
    dataset = build(
        *(recipe, "test", [str(write_jsonl(tmp_path / "in.jsonl", rows))], tmp_path / "out"),
        BuildConfig(max_failed=0.1),
    )
    assert dataset.manifest.counts["sources"]["failed"] == 2
    assert dataset.rows == 38
    assert [(row["reason"], row["detail"]) for row in rejected(dataset, "failed")] == [
        ("moody raised an error", "RuntimeError: cannot bear text 11"),
        ("moody raised an error", "RuntimeError: cannot bear text 27"),
    ]


def test_a_long_document_is_one_source_over_many_shards(tmp_path: Path) -> None:
    text = "\n".join(f"line number {n} of the long document" for n in range(2000))
    recipe = Recipe(
        pairs=(Pair("context", View(), View(base=Neighbours(1))),),
        source=Documents(segment=Lines()),
        shards=4,
    )
    dataset = build_from(tmp_path, recipe, [{"doc_id": "long", "text": text}])
    assert dataset.manifest.counts["sources"]["written"] == 1
    assert len([shard for shard in dataset.manifest.shards if shard.rows]) > 1
    assert sorted(dataset.read(["unit"])["unit"].to_pylist()) == list(range(2000))


def test_the_digest_changes_with_every_setting_that_changes_bytes() -> None:
    def recipe(**changes: object) -> Recipe:
        settings = {
            "pairs": (Pair("k", View(), View(WordDropout(p=0.1))),),
            "screens": (MinWords(3),),
            **changes,
        }
        return Recipe(**settings)  # type: ignore[arg-type]

    recipes = [
        recipe(),
        recipe(seed=18),
        recipe(shards=3),
        recipe(screens=(MinWords(4),)),
        recipe(gates=(Unchanged(),)),
        recipe(source=Documents(text="body")),
        recipe(source=Documents(segment=Sentences(line_breaks="wrap"))),
        recipe(pairs=(Pair("k", View(), View(WordDropout(p=0.2))),)),
        recipe(pairs=(Pair("k", View(), View(SpanMask(density=0.1))),)),
        recipe(pairs=(Pair("k", View(), View(WordDropout(p=0.1)), draws=2),)),
    ]
    assert len({r.digest for r in recipes}) == len(recipes)
    assert recipe().digest == recipe().digest


def test_a_recipe_that_makes_no_sense_is_refused() -> None:
    pair = Pair("k", View(), View())
    for wrong in ({"pairs": ()}, {"pairs": (pair, pair)}, {"pairs": (pair,), "shards": 0}):
        with pytest.raises(ValueError, match="at least"):
            Recipe(**wrong)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="at least 1"):
        Pair("k", View(), View(), draws=0)
    for name, rules in {
        "screens": (MinWords(4), (Overlap(max=0.9),), [MinWords(4)]),
        "gates": (Overlap(max=0.9), (WordDropout(),), [Overlap(max=0.9)]),
    }.items():
        for rule in rules:
            with pytest.raises(TypeError, match=f"{name} must be a tuple of rules"):
                Recipe(pairs=(pair,), **{name: rule})  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="gates must be a tuple of rules"):
        Pair("k", View(), View(), gates=Unchanged())  # type: ignore[arg-type]


def test_a_sentencepiece_model_is_known_by_its_content_not_its_place(tmp_path: Path) -> None:
    model = Path(__file__).parents[1] / "augmenters" / "golden.model"

    def recipe(path: Path) -> Recipe:
        step = TokenDropout(str(path), p=0.2)
        return Recipe(pairs=(Pair("k", View(), View(step)),))

    copy, other = tmp_path / "golden.model", tmp_path / "other" / "golden.model"
    copy.write_bytes(model.read_bytes())
    other.parent.mkdir()
    other.write_bytes(model.read_bytes() + b"\xfa\x01\x00")  # an empty field that none knows
    assert recipe(copy).digest == recipe(model).digest != recipe(other).digest
    assert str(tmp_path) not in str(recipe(copy).as_data())


@dataclasses.dataclass(frozen=True)
class Touchy:
    """Cuts at bars; knows no 7 and sees nothing in a 0."""

    version: ClassVar[int] = 1

    def __call__(self, text: str, lang: str | None) -> list[str]:
        if "7" in text:
            raise ValueError("what is a 7?")
        return [] if "0" in text else text.split("|")


def test_a_document_that_cannot_be_cut_fails_alone_and_one_without_units_is_dropped(
    tmp_path: Path,
) -> None:
    recipe = Recipe(
        pairs=(Pair("context", View(), View(base=Neighbours(1))),),
        source=Documents(segment=Touchy()),
        shards=2,
    )
    rows = [{"doc_id": f"d{n}", "text": f"left {n}|right {n}"} for n in range(10)]
    files = [str(write_jsonl(tmp_path / "in.jsonl", rows))]
    dataset = build(recipe, "test", files, tmp_path / "out", BuildConfig(max_failed=0.1))
    assert dataset.manifest.counts["sources"] == {
        "read": 10,
        "written": 8,
        "dropped": 1,
        "failed": 1,
    }
    (failed,), (dropped,) = rejected(dataset, "failed"), rejected(dataset, "dropped")
    assert (failed["source_id"], failed["stage"], failed["detail"]) == (
        "d7",
        "segment",
        "what is a 7?",
    )
    assert (dropped["source_id"], dropped["reason"]) == ("d0", "no units")


@pytest.mark.parametrize(
    ("too_large", "part"),
    [
        (Recipe((Pair("k", View(), View(), gates=()),)), 0.5),
        (Recipe((Pair("k", View(), View(), gates=()),), negatives=(RandomNegatives(6),)), 2),
        (Recipe((Pair("k", View(), View(), draws=6),), gates=(Unchanged(),)), 2),
    ],
    ids=["units", "negatives", "dropped"],
)
def test_a_shard_that_is_too_large_names_a_number_of_shards_that_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, too_large: Recipe, part: float
) -> None:
    rows = documents(40)
    monkeypatch.setattr(fill, "COLUMN_BYTES", int(part * sum(len(r["text"]) for r in rows)))
    same = Pair("same", View(), View(), every=4, gates=())
    recipe = dataclasses.replace(too_large, pairs=(*too_large.pairs, same), shards=1)
    with pytest.raises(UserError, match=r"shard 0 of 1 holds .* in one column") as refused:
        build_from(tmp_path, recipe, rows)
    least = int(str(refused.value).rpartition("raise --shards to at least ")[2])
    assert 2 <= least <= 6
    assert build_from(tmp_path, dataclasses.replace(recipe, shards=3 * least), rows).rows
