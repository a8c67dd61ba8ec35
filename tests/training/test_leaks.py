"""Evaluation texts among the pairs: told, and refused before anything is written."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyarrow.fs import LocalFileSystem

from pairsmith.schemas import Dataset, UserError, open_dataset
from pairsmith.schemas.store import RemoteDataset, Store
from pairsmith.training.config import make_config
from pairsmith.training.evaluation.leaks import check_leaks, find_leaks
from pairsmith.training.evaluation.scores import EvaluationConfig, Tasks
from pairsmith.training.settings import change
from pairsmith.training.streaming.corpus import StreamConfig, remote_shards, shard_files
from pairsmith.training.streaming.row_groups import Shard
from pairsmith.training.train import train
from tests.training.pair_folders import paired_sentences, write_dataset

LEAKED = "A man is playing a large flute."
OTHER = "Two dogs run across the wide field."


def pair_folder(folder: Path, texts: Sequence[str]) -> Path:
    """Return a dataset of 40 made pairs and one more for each text."""
    rows = [{"anchor": text, "positive": f"{text} Or so they say."} for text in texts]
    return write_dataset(folder, [*paired_sentences(40), *rows], shards=2)


def shards(*datasets: Dataset) -> list[Shard]:
    return [shard for dataset in datasets for shard in shard_files(dataset, StreamConfig())]


def sts(path: Path, lefts: Sequence[str], split: str = "dev") -> Path:
    scores = [float(number) for number in range(len(lefts))]
    columns = {
        "split": [split] * len(lefts),
        "sentence1": list(lefts),
        "sentence2": [f"{OTHER} Case {i}." for i in range(len(lefts))],
        "score": scores,
    }
    pq.write_table(pa.table(columns), path)
    return path


def test_a_text_is_found_in_other_case_and_spacing_but_only_whole(tmp_path: Path) -> None:
    within = f"They say that {LEAKED}"
    data = open_dataset(pair_folder(tmp_path / "pairs", ["a MAN  is playing a large flute. "]))
    file = sts(tmp_path / "sts.parquet", [LEAKED, within, OTHER])
    (leak,) = find_leaks(shards(data), Tasks(sts=(file,)))
    assert (leak.found, leak.texts, leak.example) == (1, 6, LEAKED)
    assert leak.share == pytest.approx(1 / 6)
    assert str(file) in str(leak)


def test_a_text_is_found_among_the_pairs_of_a_dataset_in_a_store(tmp_path: Path) -> None:
    local = open_dataset(pair_folder(tmp_path / "pairs", [OTHER, LEAKED]))
    store = Store("s3://bucket/pairs", LocalFileSystem(), str(local.root))
    config = StreamConfig(shard_cache=tmp_path / "cache")
    far = remote_shards(RemoteDataset(store, local.manifest), config)
    file = sts(tmp_path / "sts.parquet", [LEAKED, "nothing of the kind is there"])
    assert find_leaks(far, Tasks(sts=(file,))) == find_leaks(shards(local), Tasks(sts=(file,)))
    assert [leak.found for leak in find_leaks(far, Tasks(sts=(file,)))] == [1]


def test_a_positive_counts_as_an_anchor_does(tmp_path: Path) -> None:
    data = open_dataset(pair_folder(tmp_path / "pairs", [OTHER]))
    file = sts(tmp_path / "sts.parquet", [f"{OTHER} Or so they say.", LEAKED])
    (leak,) = find_leaks(shards(data), Tasks(sts=(file,)))
    assert leak.found == 1


def test_other_splits_may_be_trained_on(tmp_path: Path) -> None:
    data = open_dataset(pair_folder(tmp_path / "pairs", [LEAKED]))
    file = sts(tmp_path / "sts.parquet", [LEAKED, OTHER], split="train")
    assert find_leaks(shards(data), Tasks(sts=(file,), split="train"))
    both = pa.concat_tables([pq.read_table(file), pq.read_table(sts(tmp_path / "x", [OTHER] * 2))])
    pq.write_table(both, file)
    assert not find_leaks(shards(data), Tasks(sts=(file,)))


@pytest.mark.parametrize(
    ("text", "counts"),
    [
        ("Yes, that works for me.", True),
        ("Yes, that is fine.", False),
        ("一架飞机正在起飞。", True),
        ("你好，谢谢。", False),
    ],
)
def test_what_anyone_says_is_no_leak(tmp_path: Path, text: str, counts: bool) -> None:
    data = open_dataset(pair_folder(tmp_path / "pairs", [text]))
    file = tmp_path / "labels.parquet"
    pq.write_table(pa.table({"text": [text, LEAKED, OTHER], "label": ["a", "a", "b"]}), file)
    assert bool(find_leaks(shards(data), Tasks(intent=(file,)))) == counts


def test_of_retrieval_the_queries_count_and_the_documents_do_not(tmp_path: Path) -> None:
    folder = tmp_path / "search"
    folder.mkdir()
    pq.write_table(pa.table({"doc_id": ["d"], "text": [LEAKED]}), folder / "docs.parquet")
    pq.write_table(pa.table({"query_id": ["q"], "text": [OTHER]}), folder / "queries.parquet")
    pq.write_table(pa.table({"query_id": ["q"], "doc_id": ["d"]}), folder / "qrels.parquet")
    tasks = Tasks(retrieval=(folder,))
    documents = open_dataset(pair_folder(tmp_path / "documents", [LEAKED]))
    queries = open_dataset(pair_folder(tmp_path / "queries", [OTHER]))
    assert not find_leaks(shards(documents), tasks)
    (leak,) = find_leaks(shards(documents, queries), tasks)
    assert leak.example == OTHER


def test_of_many_evaluations_each_is_told_of_by_itself(tmp_path: Path) -> None:
    data = open_dataset(pair_folder(tmp_path / "pairs", [LEAKED, OTHER]))
    label = pa.array([1, 0], pa.int8())
    table = pa.table({"sentence1": [LEAKED, OTHER], "sentence2": ["x", "y"], "label": label})
    pq.write_table(table, tmp_path / "pairs.parquet")
    pq.write_table(
        pa.table({"en": [OTHER, "Good morning"], "de": ["Hunde", "Guten Morgen"]}),
        tmp_path / "bitext.parquet",
    )
    tasks = Tasks(
        sts=(sts(tmp_path / "sts.parquet", ["nothing", "of the kind"]),),
        pairs=(tmp_path / "pairs.parquet",),
        bitext=(tmp_path / "bitext.parquet",),
    )
    found = {leak.path.name: leak.found for leak in find_leaks(shards(data), tasks)}
    assert found == {"pairs.parquet": 2, "bitext.parquet": 1}


def test_a_run_that_leaks_is_refused_in_one_line_and_leaves_nothing(
    tmp_path: Path, tokenizer_file: Path
) -> None:
    data = pair_folder(tmp_path / "pairs", [LEAKED])
    file = sts(tmp_path / "sts.parquet", [LEAKED, OTHER])
    before = sorted(tmp_path.rglob("*"))
    evaluation = EvaluationConfig(sts=(file,))
    config = make_config(
        (data,),
        tmp_path / "model",
        model=f"static:{tokenizer_file}:8",
        batch_size=16,
        evaluation=evaluation,
    )
    with pytest.raises(UserError, match=r"1 of the 4 texts of .*--allow-leaks 0\.25") as caught:
        train(config)
    assert "\n" not in str(caught.value)
    assert LEAKED in str(caught.value)
    assert sorted(tmp_path.rglob("*")) == before
    assert train(change(config, evaluation=replace(evaluation, allow_leaks=0.25)))


def test_few_enough_are_told_and_trained_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = shards(open_dataset(pair_folder(tmp_path / "pairs", [LEAKED])))
    many = [f"This is sentence number {i}." for i in range(1500)]
    file = sts(tmp_path / "sts.parquet", [LEAKED, *many])
    check_leaks(data, EvaluationConfig(sts=(file,)))
    assert "note: 1 of the 3,002 texts" in capsys.readouterr().err
    check_leaks(data, EvaluationConfig(sts=(file,), leak_check=False))
    assert capsys.readouterr().err == ""
    with pytest.raises(UserError, match=r"--allow-leaks 0\.00034$"):
        check_leaks(data, EvaluationConfig(sts=(file,), allow_leaks=0))
    check_leaks(data, EvaluationConfig(sts=(file,), allow_leaks=0.00034))
