"""Token ids in the shards: what they are, what they depend on, and who reads such datasets."""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import sentencepiece

from pairsmith.augmenters import WordDropout
from pairsmith.commands.main import main
from pairsmith.pipelines.build import BuildConfig, build
from pairsmith.pipelines.recipe import Documents, Pair, Recipe, TokenIds, View, Whole
from pairsmith.pipelines.vocabulary import Trainer
from pairsmith.schemas import Dataset, UserError, open_dataset
from tests.pipelines.corpora import documents, sums, write_parquet
from tests.pipelines.forked import Forks

RECIPE = """
from pairsmith.augmenters import WordDropout
from pairsmith.pipelines.recipe import Pair, Recipe, TokenIds, View


def with_ids():
    pairs = (Pair("dropout", View(), View(WordDropout(0.3))), Pair("same", View(), View()))
    return Recipe(pairs=pairs, shards=3, ids=TokenIds({model!r}))
"""


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_parquet(tmp_path_factory.mktemp("corpus") / "all.parquet", documents())


@pytest.fixture(scope="module")
def model(corpus: Path) -> Path:
    texts = [row["text"] for row in documents()]
    path = corpus.parent / "corpus.model"
    path.write_bytes(Trainer(size=260, symbols=("<mask0>", "<mask1>")).train(texts))
    return path


def made(
    output: Path,
    corpus: Path,
    ids: TokenIds,
    flags: Sequence[str] = (),
    batch_rows: int = 4096,
    **settings: Any,
) -> Dataset:
    settings = {"pairs": (Pair("same", View(), View()),), "shards": 2, **settings}
    recipe = Recipe(ids=ids, **settings)
    config = BuildConfig(batch_rows=batch_rows, beam_flags=flags)
    return build(recipe, "mine", [str(corpus)], output, config)


def test_the_command_line_writes_ids_that_verify_and_are_sentencepieces_own(
    tmp_path: Path, corpus: Path, model: Path, forks: Forks
) -> None:
    output, recipe = tmp_path / "out", tmp_path / "recipes.py"
    recipe.write_text(RECIPE.format(model=str(model)))
    done = forks.run(f"{recipe}:with_ids", "--input", corpus, "--output", output)
    assert done.code == 0, done.said
    assert main(["verify", str(output)]) == 0
    processor = sentencepiece.SentencePieceProcessor(model_file=str(model))
    table = open_dataset(output).read()
    assert len(table) > 500
    for text, ids in (("anchor", "anchor_ids"), ("positive", "positive_ids")):
        assert table[ids].to_pylist() == processor.encode(table[text].to_pylist())
        assert table[ids].type == pa.list_(pa.field("element", pa.int32(), nullable=False))
    content = hashlib.sha256(model.read_bytes()).hexdigest()
    for shard in (output / "shards").iterdir():
        schema = pq.read_schema(shard)
        for ids in ("anchor_ids", "positive_ids"):
            assert schema.field(ids).metadata[b"model"] == content.encode()
    recorded = open_dataset(output).manifest.recipe["ids"]
    assert recorded["model"] == {"name": "corpus.model", "sha256": content}


@pytest.mark.parametrize(
    ("batch_rows", "flags"),
    [
        (7, ()),
        (4096, ("--direct_num_workers=2", "--direct_running_mode=multi_processing")),
    ],
    ids=["batch 7", "2 processes"],
)
def test_same_bytes_however_the_work_is_done(
    tmp_path: Path, corpus: Path, model: Path, batch_rows: int, flags: tuple[str, ...]
) -> None:
    ids = TokenIds(str(model), alpha=0.3, dropout=0.1, density=0.2, marks=("<mask0>", "<mask1>"))
    expected = sums(made(tmp_path / "expected", corpus, ids).root)
    assert sums(made(tmp_path / "out", corpus, ids, flags, batch_rows).root) == expected


def test_only_positives_change_and_by_their_pairs_keys(
    tmp_path: Path, corpus: Path, model: Path
) -> None:
    processor = sentencepiece.SentencePieceProcessor(model_file=str(model))
    ids = TokenIds(str(model), alpha=0.2, dropout=0.1)
    twice = (Pair("same", View(), View(), draws=2),)
    table = made(tmp_path / "out", corpus, ids, pairs=twice).read()
    anchors = table["anchor_ids"].to_pylist()
    assert anchors == processor.encode(table["anchor"].to_pylist())
    by_unit: dict[tuple[str, int], list[list[int]]] = {}
    for row in table.to_pylist():
        by_unit.setdefault((row["source_id"], row["unit"]), []).append(row["positive_ids"])
    assert {len(draws) for draws in by_unit.values()} == {2}
    assert sum(one != two for one, two in by_unit.values()) > 0.95 * len(by_unit)
    other = made(tmp_path / "other", corpus, ids, pairs=twice, seed=18).read()
    assert other["anchor_ids"].to_pylist() == anchors
    assert other["positive_ids"].to_pylist() != table["positive_ids"].to_pylist()


def test_sampled_ids_say_what_the_positive_says(tmp_path: Path, corpus: Path, model: Path) -> None:
    processor = sentencepiece.SentencePieceProcessor(model_file=str(model))
    table = made(tmp_path / "out", corpus, TokenIds(str(model), alpha=0.2)).read()
    sampled = table["positive_ids"].to_pylist()
    own = processor.encode(table["positive"].to_pylist())
    assert processor.decode(sampled) == processor.decode(own)
    assert sum(a != b for a, b in zip(sampled, own, strict=True)) > 0.75 * len(own)


def test_rates_of_dropout_and_spans_are_those_asked_for(
    tmp_path: Path, corpus: Path, model: Path
) -> None:
    long = {"source": Documents(segment=Whole())}
    corpus = write_parquet(tmp_path / "many.parquet", documents(600))
    dropped = made(tmp_path / "dropped", corpus, TokenIds(str(model), dropout=0.2), **long).read()
    lengths = [pa.compute.list_value_length(dropped[name]).to_numpy().sum()
               for name in ("anchor_ids", "positive_ids")]  # fmt: skip
    assert abs(1 - lengths[1] / lengths[0] - 0.2) < 0.01
    marks = ("<mask0>", "<mask1>")
    spans = TokenIds(str(model), density=0.3, mean_length=3.0, marks=marks)
    masked = made(tmp_path / "masked", corpus, spans, **long).read()
    processor = sentencepiece.SentencePieceProcessor(model_file=str(model))
    first, second = map(processor.piece_to_id, marks)
    hidden = kept = 0
    for anchor, positive in zip(
        masked["anchor_ids"].to_pylist(), masked["positive_ids"].to_pylist(), strict=True
    ):
        stand = [i for i in positive if i in (first, second)]
        assert stand[:1] in ([], [first])
        assert set(stand[1:]) <= {second}
        kept += len(positive) - len(stand)
        hidden += len(anchor)
    assert abs(1 - kept / hidden - 0.3) < 0.01


def test_the_digest_knows_the_model_by_content(model: Path, tmp_path: Path) -> None:
    def digest(path: Path, **settings: Any) -> str:
        ids = TokenIds(str(path), **settings)
        return Recipe(pairs=(Pair("same", View(), View()),), ids=ids).digest

    copy = tmp_path / model.name
    copy.write_bytes(model.read_bytes())
    assert digest(copy) == digest(model)
    assert digest(model, dropout=0.1) != digest(model)
    other = tmp_path / "other" / model.name
    other.parent.mkdir()
    other.write_bytes(Trainer(size=240).train([row["text"] for row in documents()]))
    assert digest(other) != digest(model)
    plain = Recipe(pairs=(Pair("same", View(), View()),))
    assert "anchor_ids" not in plain.schema.names


def test_the_trainer_reads_such_datasets(
    tmp_path: Path, corpus: Path, model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("torch")
    made(
        tmp_path / "pairs",
        corpus,
        TokenIds(str(model)),
        pairs=(Pair("dropout", View(), View(WordDropout(0.3))),),
    )
    arguments = ["train", str(tmp_path / "pairs"), "--model", "static::16"]
    arguments += ["--output", str(tmp_path / "model"), "--steps", "4", "--batch-size", "16"]
    assert main(arguments) == 0, capsys.readouterr().err


def test_shards_without_pairs_and_texts_without_pieces_do_no_harm(model: Path) -> None:
    ids = TokenIds(str(model), alpha=0.1, dropout=0.5, density=0.5, marks=("<mask0>",))
    some = ids.ids_of(pa.array(["", " ", "Item"]), np.arange(3, dtype=np.uint64))
    assert some.to_pylist()[:2] == [[], []]
    assert len(some[2]) > 0
    assert len(ids.ids_of(pa.array([], pa.string()), np.empty(0, np.uint64))) == 0


def test_what_the_user_can_mend_is_one_line(model: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no sentencepiece model at"):
        TokenIds(str(tmp_path / "missing.model")).setup()
    with pytest.raises(UserError, match="has no piece '<extra_id_0>'"):
        TokenIds(str(model), density=0.1, marks=("<extra_id_0>",)).setup()
    with pytest.raises(ValueError, match="p must be"):
        TokenIds(str(model), dropout=1.0)
    with pytest.raises(TypeError, match="ids must be TokenIds"):
        Recipe(pairs=(Pair("same", View(), View()),), ids=str(model))  # type: ignore[arg-type]
