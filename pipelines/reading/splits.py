"""Splits: parts of input files, each read by one worker."""

import io
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Literal

import pyarrow as pa

from pairsmith.pipelines.storage.files import open_file

Format = Literal["parquet", "jsonl", "csv", "text"]
_CODECS = {".gz": "gzip", ".zst": "zstd"}


@dataclass(frozen=True)
class Split:
    """A part of one input file that one worker reads."""

    path: str
    format: Format
    start: int
    """First row group, or first byte; a line belongs to the split its first byte is in."""
    stop: int
    """One past the last; -1 for the whole of a file that cannot be cut."""
    bytes: int
    """Size on disk, for progress."""
    file: int = 0
    """Number of the file among the inputs."""


def codec_of(path: str) -> str | None:
    """Return Arrow's name of what a file is compressed by, as its ending says in either case."""
    return _CODECS.get(Path(path).suffix.lower())


def open_input(path: str) -> BinaryIO:
    """Return the bytes of an input file, decompressed by its ending.

    Arrow's streams, unlike zstandard's and Beam's, raise OSError when the data was cut.
    """
    stream = open_file(path)
    codec = codec_of(path)
    if codec is None:
        return stream
    return io.BufferedReader(pa.CompressedInputStream(pa.PythonFile(stream, "r"), codec), 1 << 20)


def name_of(path: str) -> str:
    """Return the file's own name, without the folders it lies in."""
    return path.rsplit("/", 1)[-1]
