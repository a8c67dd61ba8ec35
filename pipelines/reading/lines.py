"""Rows of line formats: JSONL, CSV and plain text. A row that cannot be read says why and where."""

import csv
import io
import sys
from collections import deque
from collections.abc import Iterator
from typing import Any, BinaryIO, NamedTuple

import orjson

from pairsmith.pipelines.reading.splits import Split
from pairsmith.pipelines.recipe.recipe import Documents

SHOWN_CHARS = 2000
"""Kept of a line that could not be read; its position finds the rest."""


class Row(NamedTuple):
    """A row that was read. Its fields may still be null or blank."""

    text: str | None
    id: str | None
    lang: str | None
    label: str | None
    position: int


class Unreadable(NamedTuple):
    """A row that was not."""

    reason: str
    detail: str
    shown: str | None
    position: int


def text_rows(stream: BinaryIO, split: Split, source: Documents) -> Iterator[Row | Unreadable]:
    """Yield a row for each line; position is its first byte."""
    for position, line in _lines(stream, split):
        try:
            text = line.decode("utf-8-sig" if position == 0 else "utf-8")
        except UnicodeDecodeError as error:
            yield Unreadable("not UTF-8", str(error), _show(line), position)
        else:
            yield Row(text, None, None, None, position)


def json_rows(stream: BinaryIO, split: Split, source: Documents) -> Iterator[Row | Unreadable]:
    """Yield a row for each line, which must hold a JSON object; position is its first byte."""
    for position, line in _lines(stream, split):
        if position == 0:
            line = line.removeprefix(b"\xef\xbb\xbf")
        if not line.strip():
            yield Row(None, None, None, None, position)
            continue
        try:
            value = orjson.loads(line)
        except orjson.JSONDecodeError as error:
            yield Unreadable("not JSON", str(error), _show(line), position)
        else:
            yield _json_row(value, line, position, source)


def csv_rows(stream: BinaryIO, split: Split, source: Documents) -> Iterator[Row | Unreadable]:
    """Yield a row for each record; position is the line that it begins on, the header being 0.

    A quote that is not closed makes one record of all that follows. Such a record costs only its
    first line: the lines after it are read again as records of their own.
    """
    csv.field_size_limit(sys.maxsize)  # the module's only switch for texts above 128 KiB
    decoded = io.TextIOWrapper(stream, "utf-8-sig", "surrogateescape", newline="")
    try:
        lines = _Lines(decoded)
        reader = csv.reader(lines, strict=True)
        header = next(reader)
        places = [header.index(c) if c in header else None for c in source.columns]
        while True:
            position = lines.begin_record()
            try:
                row = _csv_row(next(reader), len(header), places, position)
            except csv.Error as error:
                row = Unreadable("not CSV", str(error), None, position)
            if isinstance(row, Unreadable):
                row = row._replace(shown=lines.give_back_all_but_the_first())
                reader = csv.reader(lines, strict=True)
            yield row
    except StopIteration:
        return
    finally:
        decoded.detach()  # the stream is its opener's to close


class _Lines:
    """The lines of a CSV file, which remembers those of the record at hand."""

    def __init__(self, stream: io.TextIOWrapper) -> None:
        self._stream = stream
        self._record: deque[str] = deque()
        self._again: deque[str] = deque()
        self._position = 0

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = self._again.popleft() if self._again else next(self._stream)
        self._record.append(line)
        return line

    def begin_record(self) -> int:
        """Forget the record before and return the number of the line that comes next."""
        self._position += len(self._record)
        self._record.clear()
        return self._position

    def give_back_all_but_the_first(self) -> str:
        """Let the record end with its first line, and return that line as it may be shown."""
        first = self._record.popleft()
        self._again.extendleft(reversed(self._record))
        self._record = deque([first])
        return _show(first.rstrip("\r\n").encode("utf-8", "surrogateescape"))


def _csv_row(
    record: list[str], width: int, places: list[int | None], position: int
) -> Row | Unreadable:
    if not record:
        return Row(None, None, None, None, position)
    if len(record) != width:
        detail = f"{len(record)} fields, the header has {width}"
        return Unreadable("not CSV", detail, None, position)
    text, ids, lang, label = (None if i is None else record[i] for i in places)
    if not all(_is_unicode(field) for field in (text, ids, lang, label)):
        return Unreadable("not UTF-8", "a field", None, position)
    return Row(text, ids or None, lang or None, label or None, position)


def _lines(stream: BinaryIO, split: Split) -> Iterator[tuple[int, bytes]]:
    """Yield the position and bytes of each line that begins in the split, without its end."""
    position = split.start
    if position:
        stream.seek(position - 1)
        position += len(stream.readline()) - 1
    while split.stop < 0 or position < split.stop:
        line = stream.readline()
        if not line:
            return
        yield position, line.rstrip(b"\r\n")
        position += len(line)


def _json_row(value: Any, line: bytes, position: int, source: Documents) -> Row | Unreadable:
    if not isinstance(value, dict):
        return Unreadable("not a JSON object", type(value).__name__, _show(line), position)
    if source.text not in value:
        return Unreadable("no text column", f"expected {source.text!r}", _show(line), position)
    fields: list[str | None] = []
    for column in source.columns:
        field = value.get(column)
        if column != source.text and isinstance(field, int):
            field = str(field).lower() if isinstance(field, bool) else str(field)
        if field is not None and not isinstance(field, str):
            detail = f"{type(field).__name__}, not text"
            return Unreadable(f"wrong type of {column!r}", detail, _show(line), position)
        fields.append(field)
    text, ids, lang, label = fields
    return Row(text, ids, lang, label, position)


def _is_unicode(field: str | None) -> bool:
    return field is None or field.isascii() or not any("\udc80" <= c <= "\udcff" for c in field)


def _show(line: bytes) -> str:
    return line[: SHOWN_CHARS * 4].decode(errors="replace")[:SHOWN_CHARS]
