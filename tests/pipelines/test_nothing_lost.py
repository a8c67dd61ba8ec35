"""Whatever the rows hold, each of them is written, dropped or failed, and the books say which."""

import json
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pairsmith.schemas import open_dataset
from tests.pipelines.corpora import documents, write_parquet
from tests.pipelines.forked import Forks

GOOD = "The lighthouse keeper repaired the old engine. Nobody remembered the northern bridge."
ODD_TEXTS = (
    "word " * 1_000_000 + "end.",  # 5 MB, one sentence
    "a" * 5_000_000,
    GOOD * 20_000,
    "\x00\x01\x02 control \x07 characters \x1b[31m in a text. Another one follows \x7f here.",
    "zero\u200bwidth\u200djoined \ufeffcharacters are \u2060here. And \u200b\u200b\u200b there.",
    "مرحبا بالعالم هذا نص من اليمين إلى اليسار. هذه جملة أخرى أطول قليلا.",
    "שלום לכולם זה משפט בעברית. \u202eand this runs backwards\u202c to the end.",
    "👩‍👩‍👧‍👦 👍🏽 🏳️‍🌈 🇨🇭 family of emoji sequences here. 🤷🏿‍♀️ and more of them 👨‍💻 follow.",
    "e\u0301e\u0301e\u0301 combining\u0301 marks\u0308 on\u0323 many letters. Z̷̡a̸l̶g̵o̴ text here too.",
    "\u2028line\u2029separators\u0085everywhere\x0band\x0cfeeds in one text.",
    "ﷺ ﷺ ﷺ ﷺ ﷺ ligatures that grow. \U0001f9ff \U000e0041 tags \U0010ffff end.",
    "ไม่มีช่องว่างระหว่างคำในภาษาไทยเลยแม้แต่น้อย",
    "委员会审查了报告。没有人记得那封信！真的吗？是的…… 好",
    "한국어 문장은 띄어쓰기를 합니다. 그래서 단어를 나눌 수 있습니다.",
    "これは日本語の文章です。単語の間に空白はありません。「はい」と言った。",
    "。。。！！！？？？",
    "............ !!!!! ?????",
    "<script>alert('x')</script> | pipes | and `ticks` and \"quotes\" all over.",
    "a\r\nb\rc\nd\n\n\n\ne f g h i j",
)
NO_TEXTS = (None, "", " ", "\t\n\r", "\u3000\u00a0\u2003", "\x1c\x1d")
BROKEN_LINES = (
    b"{",
    b"not json at all",
    b'{"text": "cut off',
    b'{"text": "lone surrogate \\ud800 here and more words"}',
    b'{"text": "wrong pair \\udc00\\ud800 of surrogates here"}',
    b'{"text": 17}',
    b'{"text": ["a", "list"]}',
    b'{"text": {"an": "object"}}',
    b'{"text": true}',
    b'{"other": "no text column"}',
    b'["a", "list", "of", "texts"]',
    b'"a bare string that is not an object"',
    b"null",
    b"3.14",
    b'{"text": "bad bytes \xff\xfe in it", "doc_id": "x"}',
    b'{"text": "good words in it are here", "doc_id": {"an": "object"}}',
    b'{"text": "good words in it are here", "lang": 5.5}',
    b'{"text": "trailing"} {"text": "second"}',
    b'{"text": NaN}',
    b"[" * 5000,
)
COPIES = 8


def hostile_lines() -> Iterator[bytes]:
    for copy in range(COPIES):
        for number, text in enumerate(ODD_TEXTS[3:] if copy else ODD_TEXTS):
            yield json.dumps({"text": f"{text} {copy}", "doc_id": f"odd/{copy}/{number}"}).encode()
        for number, text in enumerate(NO_TEXTS):
            yield json.dumps({"text": text, "doc_id": f"none/{copy}/{number}"}).encode()
        yield from BROKEN_LINES


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory, forks: Forks) -> Path:
    """Build from over 300 hostile lines, and a few good documents, and return the dataset."""
    folder = tmp_path_factory.mktemp("hostile")
    (folder / "rows.jsonl").write_bytes(b"\n".join(hostile_lines()))
    (folder / "notes.txt").write_bytes(b"\xff\xfa\x00 not UTF-8 at all \xc3\x28\n" + GOOD.encode())
    write_parquet(folder / "good.parquet", documents(9))
    done = forks.run(
        *("quickstart", "--input", folder / "*.*", "--output", folder / "out"),
        *("--shards", 3, "--max-failed", 0.9),
    )
    assert done.code == 0, done.said
    return folder / "out"


def test_every_row_is_written_dropped_or_failed(hostile: Path) -> None:
    lines = list(hostile_lines())
    assert len(lines) >= 300
    sources = open_dataset(hostile).manifest.counts["sources"]
    assert sources["read"] == len(lines) + 2 + 9
    assert sources["read"] == sources["written"] + sources["dropped"] + sources["failed"]


def test_every_broken_line_has_failed_with_its_place(hostile: Path) -> None:
    failed = read(hostile / "failed")
    assert len(failed) == len(BROKEN_LINES) * COPIES + 1
    places = {(row["path"], row["position"]) for row in failed}
    assert len(places) == len(failed)
    assert ("notes.txt", 0) in places
    start = 0
    for line in hostile_lines():
        assert (("rows.jsonl", start) in places) == (line in BROKEN_LINES), line[:80]
        start += len(line) + 1


def test_every_null_or_blank_text_is_dropped_by_name(hostile: Path) -> None:
    dropped = [row for row in read(hostile / "dropped") if row["stage"] == "read"]
    named = {row["source_id"]: row["reason"] for row in dropped}
    assert len(named) == len(NO_TEXTS) * COPIES
    assert named["none/0/0"] == "null text"
    assert {named[f"none/0/{n}"] for n in range(1, len(NO_TEXTS))} == {"blank text"}


def test_every_odd_text_is_accounted_for_by_its_id(hostile: Path) -> None:
    written = {row["source_id"] for row in read(hostile / "shards")}
    dropped = {row["source_id"] for row in read(hostile / "dropped")}
    for copy in range(COPIES):
        for number in range(len(ODD_TEXTS[3:] if copy else ODD_TEXTS)):
            assert f"odd/{copy}/{number}" in written | dropped


def test_written_texts_are_whole_unicode_and_never_empty(hostile: Path) -> None:
    for path in (hostile / "shards").iterdir():
        table = pq.read_table(path)
        table.validate(full=True)
        for column in ("anchor", "positive"):
            assert min(len(text.strip()) for text in table[column].to_pylist()) > 0


def test_a_bad_value_in_parquet_fails_alone(tmp_path: Path, forks: Forks) -> None:
    texts = pa.array([GOOD.encode(), b"\xff\xfe broken \xc3(", None, GOOD.upper().encode()])
    table = pa.table({"text": pa.Array.from_buffers(pa.string(), 4, texts.buffers())})
    pq.write_table(table, tmp_path / "in.parquet")
    done = forks.run(
        *("context", "--input", tmp_path / "in.parquet"),
        *("--output", tmp_path / "out", "--max-failed", 0.5),
    )
    assert done.code == 0, done.said
    counts = open_dataset(tmp_path / "out").manifest.counts
    assert counts["sources"] == {"read": 4, "written": 2, "dropped": 1, "failed": 1}
    assert [(row["reason"], row["position"]) for row in read(tmp_path / "out" / "failed")] == [
        ("not UTF-8", 1)
    ]


def read(folder: Path) -> list[dict[str, object]]:
    return [row for path in sorted(folder.iterdir()) for row in pq.read_table(path).to_pylist()]
