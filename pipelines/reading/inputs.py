"""Which files are read, what they are, and how they are cut into splits for many workers.

All that can be refused by looking at names, sizes, headers and footers is refused here, before
anything is written.
"""

import codecs
import csv
import stat
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from pairsmith.pipelines.reading.splits import Format, Split, codec_of, open_input
from pairsmith.pipelines.recipe.recipe import Documents
from pairsmith.pipelines.refused import RefusedUserError
from pairsmith.pipelines.storage.files import check_place
from pairsmith.schemas import UserError
from pairsmith.schemas.store import is_remote

_FORMATS: dict[str, Format] = {
    ".parquet": "parquet",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".csv": "csv",
    ".txt": "text",
}
_SPLIT_BYTES = 32 << 20
_State = tuple[int, float | str]
"""What tells a file from what it was before: its size, and `Input.changed`."""


@dataclass(frozen=True)
class Input:
    """One input file."""

    path: str
    bytes: int
    splits: tuple[Split, ...]
    changed: float | str = 0.0
    """When it was last changed, in seconds since 1970; of an object on a store, its checksum."""


def plan_inputs(globs: Sequence[str], source: Documents) -> tuple[Input, ...]:
    """Return the input files in order of path, each with its splits.

    Raises UserError for a glob without files, an unknown ending, an empty corpus, a truncated
    Parquet file and a missing or wrongly typed text column.
    """
    found: dict[str, _State] = {}
    for glob in globs:
        check_place(glob)
        files = _match(glob)
        if not files:
            hint = "; to read a folder, add '/*'" if _is_folder(glob) else ""
            raise UserError(f"no input file matches {glob!r}{hint}")
        found |= files
    inputs = [
        replace(_plan_file(path, found[path][0], source), changed=found[path][1])
        for path in _once(found)
    ]
    if not any(file.splits for file in inputs):
        raise UserError(f"the corpus is empty: no rows in {', '.join(map(repr, globs))}")
    return tuple(
        replace(file, splits=tuple(replace(split, file=number) for split in file.splits))
        for number, file in enumerate(inputs)
    )


def check_unchanged(files: Sequence[Input]) -> None:
    """Raise RefusedUserError when a file is not what it was when the build was planned.

    Raises UserError where one cannot look.
    """
    now = _states([file.path for file in files])
    for file in files:
        if now.get(file.path) != (file.bytes, file.changed):
            raise RefusedUserError(
                f"{file.path} changed while it was read; build again when it is whole"
            )


def absolute(file: Input) -> Input:
    """Return the file by a path that leads there from any working folder."""
    if "://" in file.path:
        return file
    path = str(Path(file.path).absolute())
    return replace(
        file, path=path, splits=tuple(replace(split, path=path) for split in file.splits)
    )


def _match(glob: str) -> dict[str, _State]:
    """Return the states of the files that match, by path; a file of that name comes first."""
    if not is_remote(glob) and (found := _states([glob])):
        return found
    from pairsmith.pipelines.storage.stores import match  # patterns and stores are as Beam has them

    return _states([file.path for file in match(glob)])


def _states(paths: Sequence[str]) -> dict[str, _State]:
    """Return what the files of exactly these names are now, without those that are gone."""
    here = {path: _state(path) for path in paths if not is_remote(path)}
    states: dict[str, _State] = {path: state for path, state in here.items() if state}
    if stored := [path for path in paths if is_remote(path)]:
        from pairsmith.pipelines.storage.stores import object_states

        states |= object_states(stored)
    return states


def _state(path: str) -> _State | None:
    """Return what a file is now; None when there is none of that name, or a folder."""
    try:
        found = Path(path).stat()
        return None if stat.S_ISDIR(found.st_mode) else (found.st_size, found.st_mtime)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise UserError(
            f"cannot look for {path!r}: {error.strerror}; look at its name and its folders"
        ) from error


def _once(paths: Iterable[str]) -> list[str]:
    """Return the paths in order, each local file by one of its names only."""
    files: dict[str, str] = {}
    for path in sorted(paths, reverse=True):
        if not _is_text(path):
            raise UserError(f"{path!a}: the file's name is not UTF-8; rename it")
        files[path if "://" in path else str(Path(path).resolve())] = path
    return sorted(files.values())


def _is_text(path: str) -> bool:
    try:
        path.encode()
    except UnicodeEncodeError:
        return False
    return True


def _is_folder(path: str) -> bool:
    return "://" not in path and Path(path).is_dir()


def _plan_file(path: str, size: int, source: Documents) -> Input:
    bare = path.removesuffix(Path(path).suffix) if codec_of(path) else path
    kind = _FORMATS.get(Path(bare).suffix.lower())
    if kind is None:
        endings = ", ".join(_FORMATS)
        raise UserError(
            f"{path}: unknown ending; expected {endings}, or one of the text ones with .gz or .zst"
        )
    if kind == "parquet":
        if bare != path:
            raise UserError(f"{path}: Parquet is compressed inside; decompress the file itself")
        return _plan_parquet(path, size, source)
    if size:
        first = _first_line(path)
        if first.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
            raise UserError(f"{path} is UTF-16; convert it to UTF-8")
        if kind == "csv":
            _check_csv_header(first, path, source)
    whole = kind == "csv" or bare != path  # quoted line breaks and compressed bytes cannot be cut
    if whole:
        splits = [Split(path, kind, 0, -1, size)] if size else []
    else:
        edges = range(0, size, _SPLIT_BYTES)
        splits = [
            Split(path, kind, a, a + _SPLIT_BYTES, min(_SPLIT_BYTES, size - a)) for a in edges
        ]
    return Input(path, size, tuple(splits))


def _first_line(path: str) -> bytes:
    try:
        with open_input(path) as stream:
            return stream.readline()
    except (pa.ArrowException, OSError) as error:
        raise UserError(f"{path} is cut or damaged; fetch it again ({error})") from error


def _check_csv_header(first: bytes, path: str, source: Documents) -> None:
    try:
        names = next(csv.reader([first.decode("utf-8-sig")], strict=True), [])
    except (csv.Error, UnicodeDecodeError) as error:
        raise UserError(f"{path}: the header is not CSV in UTF-8 ({error})") from error
    if not names:
        raise UserError(f"{path}: the first line is blank; it must name the columns")
    _require_column(source, names, path)


def _plan_parquet(path: str, size: int, source: Documents) -> Input:
    try:
        with open_input(path) as stream, pq.ParquetFile(stream) as file:
            names, types = file.schema_arrow.names, file.schema_arrow
            groups = [file.metadata.row_group(g) for g in range(file.metadata.num_row_groups)]
            sizes = {g: group.total_byte_size for g, group in enumerate(groups) if group.num_rows}
    except (pa.ArrowException, OSError) as error:
        raise UserError(
            f"{path} is not whole Parquet; fetch or write it again ({error})"
        ) from error
    _require_column(source, names, path)
    for column in set(source.columns) & set(names):
        kind = types.field(column).type
        kind = kind.value_type if pa.types.is_dictionary(kind) else kind
        allowed = [pa.string(), pa.large_string(), pa.string_view(), pa.null()]
        castable = column != source.text and (
            pa.types.is_integer(kind) or pa.types.is_boolean(kind)
        )
        if kind not in allowed and not castable:
            raise UserError(f"{path}: column {column!r} is {kind}, not text; cast it")
    total = sum(sizes.values()) or 1
    splits = tuple(
        Split(path, "parquet", group, group + 1, size * share // total)
        for group, share in sizes.items()
    )
    return Input(path, size, splits)


def _require_column(source: Documents, names: Sequence[str], path: str) -> None:
    if source.text not in names:
        raise UserError(
            f"{path} has no column {source.text!r} (it has {', '.join(map(repr, names))}); "
            "rename the column, or set Documents(text=…) in a recipe of your own"
        )
    for column in source.columns:
        if names.count(column) > 1:
            raise UserError(f"{path} has several columns {column!r}; leave one")
