"""Every format gives the same documents, and every line is read by exactly one split."""

import gzip
import itertools
from collections import Counter
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pairsmith.pipelines.reading.inputs import plan_inputs
from pairsmith.pipelines.reading.read import read_split
from pairsmith.pipelines.reading.splits import Split
from pairsmith.pipelines.recipe import Documents
from pairsmith.schemas import UserError, text_ids
from tests.pipelines.corpora import documents, write_csv, write_jsonl, write_parquet

WRITERS = {
    "a.parquet": write_parquet,
    "a.jsonl": write_jsonl,
    "a.ndjson": write_jsonl,
    "a.jsonl.gz": write_jsonl,
    "a.jsonl.zst": write_jsonl,
    "A.JSONL.GZ": write_jsonl,
    "A.JSONL.ZST": write_jsonl,
    "a.csv": write_csv,
}


def read_all(path: Path, batch_rows: int = 4) -> list[dict[str, object]]:
    rows = []
    for file in plan_inputs([str(path)], Documents()):
        for split in file.splits:
            for read in read_split(split, Documents(), batch_rows):
                assert read.rows == sum(map(len, (read.documents, read.dropped, read.failed)))
                rows += read.documents.to_pylist()
    return rows


@pytest.mark.parametrize("name", WRITERS)
def test_every_format_gives_the_same_documents(tmp_path: Path, name: str) -> None:
    labels = [("en", "news"), ("", "news"), ("en", ""), ("", "")]  # empty is unknown
    rows = [
        {**row, "lang": labels[n % 4][0], "label": labels[n % 4][1]}
        for n, row in enumerate(documents(10))
    ]
    read = read_all(WRITERS[name](tmp_path / name, rows))
    assert [(row["source_id"], row["text"], row["lang"], row["label"]) for row in read] == [
        (row["doc_id"], row["text"], row["lang"] or None, row["label"] or None) for row in rows
    ]


@pytest.mark.parametrize("name", ["a.txt", "a.txt.gz"])
def test_a_line_of_text_is_a_document_known_by_its_hash(tmp_path: Path, name: str) -> None:
    data = "\ufeffone line\r\n第二行\n\nlast".encode()
    (tmp_path / name).write_bytes(gzip.compress(data) if name.endswith("gz") else data)
    read = read_all(tmp_path / name)
    texts = ["one line", "第二行", "last"]
    assert [row["text"] for row in read] == texts
    assert [row["source_id"] for row in read] == text_ids(pa.array(texts)).to_pylist()


@given(
    lines=st.lists(st.text(st.characters(exclude_characters="\n\r", exclude_categories=["Cs"]))),
    cuts=st.sets(st.integers(1, 400)),
    ends_with_break=st.booleans(),
)
def test_every_line_belongs_to_one_split(
    tmp_path_factory: pytest.TempPathFactory,
    lines: list[str],
    cuts: set[int],
    ends_with_break: bool,
) -> None:
    data = "\n".join(lines).encode() + (b"\n" if ends_with_break else b"")
    path = tmp_path_factory.mktemp("lines") / "a.txt"
    path.write_bytes(data)
    edges = [0, *sorted(cut for cut in cuts if cut < len(data)), len(data)]
    read: Counter[int] = Counter()
    for start, stop in itertools.pairwise(edges):
        for part in read_split(Split(str(path), "text", start, stop, 0), Documents(), 3):
            read["rows"] += part.rows
            read["kept"] += len(part.documents)
    split_lines = data.decode().split("\n")
    if split_lines[-1] == "":
        split_lines.pop()
    assert read["rows"] == len(split_lines)
    assert read["kept"] == sum(bool(line.removeprefix("\ufeff").strip()) for line in split_lines)


def test_one_big_file_is_cut_into_many_splits(tmp_path: Path) -> None:
    path = write_parquet(tmp_path / "a.parquet", documents(30), row_group=5)
    (file,) = plan_inputs([str(path)], Documents())
    assert [(split.start, split.stop) for split in file.splits] == [(g, g + 1) for g in range(6)]


def test_row_groups_without_rows_hide_no_others(tmp_path: Path) -> None:
    table = pa.Table.from_pylist(documents(3))
    with pq.ParquetWriter(tmp_path / "a.parquet", table.schema) as writer:
        for some in (table[:0], table[:2], table[:0], table[2:]):
            writer.write_table(some)
    assert [row["source_id"] for row in read_all(tmp_path / "a.parquet")] == [
        "doc/000",
        "doc/001",
        "doc/002",
    ]


@pytest.mark.parametrize("column_type", [pa.string(), pa.large_string(), pa.string_view()])
def test_all_of_arrows_strings_are_text(tmp_path: Path, column_type: pa.DataType) -> None:
    table = pa.table({"text": pa.array(["some text"], column_type), "doc_id": pa.array([7])})
    pq.write_table(table, tmp_path / "a.parquet")
    assert [row["source_id"] for row in read_all(tmp_path / "a.parquet")] == ["7"]


def test_dictionary_encoded_text_is_text(tmp_path: Path) -> None:
    table = pa.table({"text": pa.array(["a text", "b text", "a text"]).dictionary_encode()})
    pq.write_table(table, tmp_path / "a.parquet")
    assert [row["text"] for row in read_all(tmp_path / "a.parquet")] == [
        "a text",
        "b text",
        "a text",
    ]


def test_language_and_label_are_kept_where_there_are_some(tmp_path: Path) -> None:
    rows = [
        {"text": "bonjour", "lang": "fr", "label": "hello"},
        {"text": "adieu", "label": 3},
        {"text": "non", "label": True},
    ]
    read = read_all(write_jsonl(tmp_path / "a.jsonl", rows))
    assert [(row["lang"], row["label"]) for row in read] == [
        ("fr", "hello"),
        (None, "3"),
        (None, "true"),
    ]


@pytest.mark.parametrize("name", ["a.jsonl.gz", "a.jsonl.zst"])
def test_compressed_input_that_was_cut_is_refused_by_name(tmp_path: Path, name: str) -> None:
    path = write_jsonl(tmp_path / name, documents(50))
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(UserError, match=rf"{name} is cut or damaged"):
        read_all(path)


def refusal(path: object, *more: object) -> str:
    with pytest.raises(UserError) as refused:
        plan_inputs([str(path), *map(str, more)], Documents())
    return str(refused.value)


def test_input_that_cannot_be_read_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    good = write_parquet(tmp_path / "good.parquet", documents(20))
    cut = tmp_path / "cut.parquet"
    cut.write_bytes(good.read_bytes()[:-100])
    (tmp_path / "empty.jsonl").touch()
    (tmp_path / "notes.docx").touch()
    (tmp_path / "folder").mkdir()
    pq.write_table(pa.table({"body": ["x"]}), tmp_path / "other.parquet")
    pq.write_table(pa.table({"text": [1, 2]}), tmp_path / "numbers.parquet")
    (tmp_path / "other.csv").write_text("id,body\n1,x\n")
    assert "cut.parquet is not whole Parquet" in refusal(good, cut)
    assert "no input file matches" in refusal(tmp_path / "none*.parquet")
    assert "add '/*'" in refusal(tmp_path / "folder")
    assert "corpus is empty" in refusal(tmp_path / "empty.jsonl")
    assert "notes.docx: unknown ending" in refusal(tmp_path / "notes.docx")
    assert "other.parquet has no column 'text' (it has 'body')" in refusal(
        tmp_path / "other.parquet"
    )
    assert "other.csv has no column 'text'" in refusal(tmp_path / "other.csv")
    assert "column 'text' is int64, not text" in refusal(tmp_path / "numbers.parquet")
    pq.write_table(
        pa.Table.from_arrays([pa.array(["x"])] * 2, ["text", "text"]), tmp_path / "twice.parquet"
    )
    (tmp_path / "twice.csv").write_text("text,text\na,b\n")
    (tmp_path / "blank.csv").write_text("\ntext\na\n")
    (tmp_path / "wide.txt").write_bytes("some text".encode("utf-16"))
    (tmp_path / "a.jsonl.zst.gz").touch()
    whole = gzip.compress(b"text\n" + b"some words\n" * 9)
    (tmp_path / "cut.csv.gz").write_bytes(whole[:-9])
    assert "several columns 'text'" in refusal(tmp_path / "twice.parquet")
    assert "several columns 'text'" in refusal(tmp_path / "twice.csv")
    assert "first line is blank" in refusal(tmp_path / "blank.csv")
    assert "wide.txt is UTF-16" in refusal(tmp_path / "wide.txt")
    assert "unknown ending" in refusal(tmp_path / "a.jsonl.zst.gz")
    assert "cut.csv.gz is cut or damaged" in refusal(tmp_path / "cut.csv.gz")
    assert "no file system foo://" in refusal("foo://bar/x.txt")
    assert "no file system file://" in refusal("file:///bar/x.txt")


@pytest.mark.parametrize("closed_after", [None, 100])
def test_a_stray_quote_in_csv_costs_one_line_and_not_those_after_it(
    tmp_path: Path, closed_after: int | None
) -> None:
    lines = [f"{n},this is row {n}\r\n" for n in range(300)]
    lines[150] = '150,"this quote is not closed\r\n'
    if closed_after:
        lines[150 + closed_after] = '250,"so is this one\r\n'
    (tmp_path / "a.csv").write_text("doc_id,text\r\n" + "".join(lines), newline="")
    (file,) = plan_inputs([str(tmp_path / "a.csv")], Documents())
    reads = list(read_split(file.splits[0], Documents(), 64))
    kept = {row["source_id"] for read in reads for row in read.documents.to_pylist()}
    failed = {row["position"]: row["text"] for r in reads for row in r.failed.to_pylist()}
    strays = [150, 250] if closed_after else [150]
    assert sum(read.rows for read in reads) == 300
    assert kept == {str(n) for n in range(300) if n not in strays}
    assert failed == {n + 1: lines[n].rstrip() for n in strays}


def test_a_file_that_is_named_twice_is_read_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_jsonl(tmp_path / "a.jsonl", documents(3))
    (tmp_path / "link.jsonl").symlink_to(path)
    monkeypatch.chdir(tmp_path)
    names = ["a.jsonl", "./a.jsonl", str(path), str(tmp_path / "*.jsonl")]
    assert len(plan_inputs(names, Documents())) == 1


def test_a_name_that_looks_like_a_glob_is_a_name_first(tmp_path: Path) -> None:
    path = write_jsonl(tmp_path / "a[1].jsonl", documents(3))
    assert [file.path for file in plan_inputs([str(path)], Documents())] == [str(path)]


def test_csv_keeps_quoted_line_breaks_and_huge_fields_and_fails_only_bad_records(
    tmp_path: Path,
) -> None:
    big = "word " * 100_000
    (tmp_path / "a.csv").write_bytes(
        b"\xef\xbb\xbfdoc_id,text\r\n"
        b'1,"two\nlines, and ""quotes"""\r\n'
        b"2\r\n"
        b"3,caf\xe9\r\n" + f"4,{big}\r\n".encode() + b"5,\r\n"
    )
    ids, reasons, rows = [], [], 0
    (file,) = plan_inputs([str(tmp_path / "a.csv")], Documents())
    for read in read_split(file.splits[0], Documents(), 100):
        rows += read.rows
        ids += [(row["source_id"], len(row["text"])) for row in read.documents.to_pylist()]
        reasons += [(row["position"], row["reason"]) for row in read.failed.to_pylist()]
    assert rows == 5
    assert ids == [("1", 23), ("4", 500_000)]
    assert reasons == [(3, "not CSV"), (4, "not UTF-8")]
