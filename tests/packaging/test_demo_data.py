"""What the demo is judged on is not what it learns from."""

import re

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pairsmith.schemas import text_hashes

pytestmark = pytest.mark.checkout
SENTENCE_ENDS = re.compile(r"(?<=[.!?])\s+|(?<=[。！？])")


@pytest.fixture(scope="module")
def demo(checkout):
    return checkout / "examples" / "demo"


def hashes(texts):
    return set(text_hashes(pa.array(texts, pa.string())).tolist())


def texts(path):
    return pq.read_table(path)["text"].to_pylist()


@pytest.mark.parametrize(
    "name",
    [
        "paraphrases_en/docs",
        "paraphrases_en/queries",
        "paraphrases_zh/docs",
        "paraphrases_zh/queries",
        "intents_en",
    ],
)
def test_no_evaluation_text_is_a_line_or_a_sentence_of_the_corpus(demo, name):
    lines = {
        line
        for path in (demo / "corpus").glob("*.parquet")
        for text in texts(path)
        for line in text.split("\n")
    }
    sentences = {sentence for line in lines for sentence in SENTENCE_ENDS.split(line)}
    asked = hashes(texts(demo / "eval" / f"{name}.parquet"))
    assert len(lines) > 100_000
    assert len(asked) > 150
    assert not asked & hashes(list(lines | sentences))


@pytest.mark.parametrize("language", ["en", "zh"])
def test_no_question_is_among_its_answers(demo, language):
    folder = demo / "eval" / f"paraphrases_{language}"
    docs = pq.read_table(folder / "docs.parquet").to_pydict()
    queries = pq.read_table(folder / "queries.parquet").to_pydict()
    qrels = pq.read_table(folder / "qrels.parquet").to_pydict()
    assert not hashes(docs["text"]) & hashes(queries["text"])
    assert len(set(docs["doc_id"])) == len(hashes(docs["text"])) == 5_000
    assert set(qrels["query_id"]) == set(queries["query_id"])
    assert set(qrels["doc_id"]) <= set(docs["doc_id"])


def test_every_intent_has_as_many_questions(demo):
    labels = pq.read_table(demo / "eval" / "intents_en.parquet")["label"].value_counts()
    assert len(labels) == 77
    assert {entry["counts"].as_py() for entry in labels} == {30}


def test_the_embedded_data_stays_small(demo):
    files = [path for folder in ("corpus", "eval") for path in (demo / folder).rglob("*.parquet")]
    assert sum(path.stat().st_size for path in files) <= 4_000_000


def test_every_file_has_its_source(demo):
    sources = (demo / "SOURCES.md").read_text("utf-8")
    for path in [*(demo / "corpus").iterdir(), *(demo / "eval").iterdir()]:
        assert f"`{path.relative_to(demo)}" in sources
