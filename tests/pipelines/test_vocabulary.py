"""The sentencepiece model of a corpus depends on its sentences, and on nothing else."""

from pathlib import Path

import pytest
import sentencepiece
from xxhash import xxh3_128_hexdigest

from pairsmith.pipelines.reading.splits import open_input
from pairsmith.pipelines.recipe import Documents, Lines, Sentences
from pairsmith.pipelines.vocabulary import Trainer, Vocabulary, train_vocabulary
from pairsmith.schemas import UserError
from tests.pipelines.corpora import documents, write_csv, write_jsonl, write_parquet

SMALL = Trainer(size=250)


def train(output: Path, *inputs: Path, trainer: Trainer = SMALL, **options: object) -> Vocabulary:
    return train_vocabulary(trainer, list(map(str, inputs)), output, **options)  # type: ignore[arg-type]


def by_hash(sentence: str) -> str:
    return xxh3_128_hexdigest(sentence.encode())


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    folder = tmp_path_factory.mktemp("expected")
    corpus = write_parquet(folder / "all.parquet", documents())
    return train(folder / "a.model", corpus).output.read_bytes()


def test_it_is_the_model_that_the_trainer_makes_of_the_sentences_by_their_hash(
    expected: bytes,
) -> None:
    cut = Sentences()
    sentences = {s for row in documents() for s in cut(row["text"], None)}
    ordered = sorted(sentences, key=by_hash)
    assert SMALL.train(ordered) == expected
    processor = sentencepiece.SentencePieceProcessor(model_proto=expected)
    assert processor.get_piece_size() == 250
    special = [processor.id_to_piece(i) for i in range(4)]
    assert special == ["<unk>", "<s>", "</s>", "<pad>"]
    for text in ("The committee repaired every clock.", "灯塔看守人修理了旧钟"):
        assert processor.decode(processor.encode(text)) == text
        assert processor.unk_id() not in processor.encode(text)


def test_same_bytes_when_files_are_renamed_reordered_and_split(
    tmp_path: Path, expected: bytes
) -> None:
    rows = documents()[::-1]
    for number, start in enumerate(range(0, len(rows), 13)):
        write_parquet(tmp_path / f"{97 - number}.parquet", rows[start : start + 13], row_group=4)
    made = train(tmp_path / "out.model", tmp_path / "*.parquet")
    assert made.output.read_bytes() == expected


def test_same_bytes_from_every_format_and_with_every_row_twice(
    tmp_path: Path, expected: bytes
) -> None:
    rows = documents()
    write_jsonl(tmp_path / "a.jsonl", rows[:20])
    write_jsonl(tmp_path / "b.jsonl.gz", rows[15:40])
    write_csv(tmp_path / "c.csv", rows[:10])
    write_parquet(tmp_path / "d.parquet", rows[30:])
    made = train(tmp_path / "out.model", tmp_path / "*.*")
    assert made.output.read_bytes() == expected
    assert made.counts.rows == 20 + 25 + 10 + 30
    assert made.counts.sentences > made.sampled


def test_the_sample_are_the_sentences_with_the_smallest_hashes(tmp_path: Path) -> None:
    cut = Sentences()
    sentences = {s for row in documents() for s in cut(row["text"], None)}
    few = sorted(sentences, key=by_hash)[:150]
    corpus = write_parquet(tmp_path / "all.parquet", documents(), row_group=5)
    trainer = Trainer(size=200)
    made = train(tmp_path / "out.model", corpus, trainer=trainer, sentences=150)
    assert made.sampled == 150
    assert made.output.read_bytes() == trainer.train(few)


def test_settings_reach_the_trainer(tmp_path: Path) -> None:
    corpus = write_parquet(tmp_path / "all.parquet", documents())
    trainer = Trainer(700, "bpe", coverage=0.99, byte_fallback=True, symbols=("[MASK]", "<x>"))
    made = train(tmp_path / "out.model", corpus, trainer=trainer)
    processor = sentencepiece.SentencePieceProcessor(model_file=str(made.output))
    assert processor.get_piece_size() == made.pieces == 700
    assert processor.id_to_piece(4) == "[MASK]"
    assert processor.is_control(4)
    assert processor.is_control(5)
    # Control pieces never come out of a text, and what is unknown becomes bytes.
    assert {4, 5}.isdisjoint(processor.encode("a [MASK] <x>"))
    assert processor.decode(processor.encode("☃")) == "☃"


def test_sentences_may_be_longer_than_the_trainers_own_limit(tmp_path: Path) -> None:
    # Of 4,192 bytes; it would leave them out without a word.
    long = " ".join(f"{a}{b}" for a in "abcdefgh" * 30 for b in "ijklmnop")
    assert len(long) > 4192
    (tmp_path / "a.txt").write_text(long)
    source = Documents(segment=Lines())
    made = train(tmp_path / "out.model", tmp_path / "a.txt", trainer=Trainer(28), source=source)
    processor = sentencepiece.SentencePieceProcessor(model_file=str(made.output))
    assert processor.unk_id() not in processor.encode(long)


def test_rows_that_bring_no_sentence_are_counted(tmp_path: Path) -> None:
    write_parquet(tmp_path / "a.parquet", [*documents(), {"doc_id": "x", "text": None}])
    (tmp_path / "b.jsonl").write_text('{"text": "Odd ▅ one."}\n{"text": " "}\nno json\n')
    made = train(tmp_path / "out" / "one.model", tmp_path / "*.*", max_failed=0.05)
    assert (made.counts.rows, made.counts.dropped, made.counts.failed) == (64, 2, 1)
    assert made.counts.reserved == 1
    with pytest.raises(UserError, match="1 of 64 rows cannot be read, more than --max-fai"):
        train(tmp_path / "out" / "two.model", tmp_path / "*.*")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["one.model"]


@pytest.mark.parametrize(
    ("trainer", "message"),
    [
        (Trainer(100_000), r"--size 100000 is more than \d+ sentences can fill; lower it to at m"),
        (Trainer(100_000, "bpe"), r"--size 100000 is more than \d+ sentences can fill; lower it t"),
        (
            Trainer(10),
            r"--size 10 is too small for all single characters; raise it to at least \d+",
        ),
        (Trainer(250, symbols=("a", "a")), "sentencepiece cannot train on these sentences: "),
    ],
)
def test_what_cannot_be_trained_is_one_line_and_leaves_nothing(
    tmp_path: Path, trainer: Trainer, message: str
) -> None:
    corpus = write_parquet(tmp_path / "all.parquet", documents())
    with pytest.raises(UserError, match=message) as error:
        train(tmp_path / "new" / "folder" / "out.model", corpus, trainer=trainer)
    assert "\n" not in str(error.value)
    assert [path.name for path in tmp_path.iterdir()] == ["all.parquet"]


def test_lowering_the_size_as_the_line_says_is_enough(tmp_path: Path) -> None:
    corpus = write_parquet(tmp_path / "all.parquet", documents())
    with pytest.raises(UserError) as error:
        train(tmp_path / "out.model", corpus, trainer=Trainer(100_000))
    most = int(str(error.value).split()[-1])
    assert train(tmp_path / "out.model", corpus, trainer=Trainer(most)).pieces == most


def test_a_corpus_without_sentences_and_a_file_that_is_there_are_refused(tmp_path: Path) -> None:
    blank = write_parquet(tmp_path / "blank.parquet", [{"text": " "}, {"text": "\t"}])
    with pytest.raises(UserError, match=r"no sentence in .*blank\.parquet.* \(2 rows read\)"):
        train(tmp_path / "out.model", blank)
    there = tmp_path / "there.model"
    there.write_text("mine")
    with pytest.raises(UserError, match="is there already"):
        train(there, blank)
    assert there.read_text() == "mine"
    with pytest.raises(UserError, match="no input file matches"):
        train(tmp_path / "out.model", tmp_path / "*.csv")
    with open_input(str(blank)) as stream:
        assert stream.read(4) == b"PAR1"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["blank.parquet", "there.model"]
