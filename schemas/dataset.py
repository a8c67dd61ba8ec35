"""Opening a dataset folder: nothing is read before the manifest and the sums agree."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from pairsmith.schemas.errors import UserError
from pairsmith.schemas.manifest import Manifest, ShardFile
from pairsmith.schemas.pair import (
    OPTIONAL,
    PAIRS,
    REJECTED,
    SCHEMA_VERSION,
    VERSION_KEY,
    with_columns,
)

MANIFEST = "manifest.json"


@dataclass(frozen=True)
class Dataset:
    """A finished dataset: its folder and its manifest."""

    root: Path
    manifest: Manifest

    @property
    def shards(self) -> tuple[Path, ...]:
        """Return the paths of the pair shards, in manifest order."""
        return tuple(self.root / shard.path for shard in self.manifest.shards)

    @property
    def rows(self) -> int:
        """Return the number of pairs."""
        return sum(shard.rows for shard in self.manifest.shards)

    def read(self, columns: list[str] | None = None) -> pa.Table:
        """Return all pairs as one table, in shard order; for datasets that fit in memory."""
        tables = [pq.read_table(path, columns=columns) for path in self.shards]
        return (
            pa.concat_tables(tables)
            if tables
            else PAIRS.empty_table().select(columns or PAIRS.names)
        )


def open_dataset(path: str | Path, *, checksums: bool = True) -> Dataset:
    """Open the dataset folder at `path` after checking it against its manifest.

    checksums: compare every file's sha256; without it only names, sizes and row counts.
    Raises UserError, one line, when the folder or its manifest is missing, a file is missing,
    was added, cut or changed, or the schema version is newer than this library's.
    """
    dataset = read_manifest(path)
    for problem in problems(dataset, checksums=checksums):
        raise UserError(f"{problem}; build the dataset anew or fetch it again")
    return dataset


def read_manifest(path: str | Path) -> Dataset:
    """Return the dataset at `path` as its manifest has it, without a look at the other files.

    Raises UserError, one line, when the folder or its manifest is missing, unreadable or newer.
    """
    root = Path(path)
    if not root.is_dir():
        what = "it is a file" if root.exists() else "there is no such folder"
        raise UserError(f"no dataset at {root}: {what}")
    file = root / MANIFEST
    if not file.is_file() and (root.resolve().parent / MANIFEST).is_file():
        raise UserError(f"{root} is a part of a dataset; name the folder that it lies in")
    if not file.is_file():
        raise UserError(
            f"{root} has no {MANIFEST}: the build did not finish, or this is no dataset; "
            "run the same `pairsmith build` again"
        )
    return Dataset(root, Manifest.from_json(file.read_bytes(), str(file)))


def problems(dataset: Dataset, *, checksums: bool = True) -> Iterator[str]:
    """Yield one line for every way in which the files disagree with the manifest."""
    manifest = dataset.manifest
    listed = [(f, PAIRS) for f in manifest.shards]
    listed += [(f, REJECTED) for f in (*manifest.dropped, *manifest.failed)]
    for file, schema in listed:
        yield from _file_problems(dataset.root, file, schema, checksums)
    known = {file.path for file, _ in listed}
    for folder in ("shards", "dropped", "failed"):
        for path in sorted((dataset.root / folder).glob("*")):
            if f"{folder}/{path.name}" not in known:
                yield f"{path} is not in the manifest"


def _file_problems(
    root: Path, file: ShardFile, schema: pa.Schema, checksums: bool
) -> Iterator[str]:
    # Judged by the name alone: download caches keep the files themselves elsewhere, behind links.
    if file.path.startswith("/") or ".." in file.path.split("/"):
        yield f"{file.path} lies outside {root}"
        return
    path = root / file.path
    if not path.is_file():
        yield f"{path} is missing"
        return
    if path.stat().st_size != file.bytes:
        yield f"{path} has {path.stat().st_size:,} bytes, its manifest says {file.bytes:,}"
        return
    if checksums and sha256_file(path) != file.sha256:
        yield f"{path} differs from its sha256 in the manifest"
        return
    try:
        footer = pq.ParquetFile(path)
    except (pa.ArrowException, OSError) as error:
        yield f"{path} is not readable Parquet ({error})"
        return
    with footer:
        version = int((footer.schema_arrow.metadata or {}).get(VERSION_KEY, b"0"))
        if version > SCHEMA_VERSION:
            yield (
                f"{path} has schema version {version}, this pairsmith reads up to {SCHEMA_VERSION}"
            )
        elif not footer.schema_arrow.equals(_expected(schema, footer.schema_arrow)):
            yield f"{path} does not have the columns of schema version {SCHEMA_VERSION}"
        elif footer.metadata.num_rows != file.rows:
            yield f"{path} has {footer.metadata.num_rows:,} rows, its manifest says {file.rows:,}"


def _expected(schema: pa.Schema, found: pa.Schema) -> pa.Schema:
    """Return what a file of this schema must look like, given which optional columns it has."""
    if schema is not PAIRS:
        return schema
    return with_columns(*(name for name in OPTIONAL.names if name in found.names))


def sha256_file(path: Path) -> str:
    """Return the sha256 of a file's bytes, in hex."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
