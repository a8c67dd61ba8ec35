"""A shuffle through local files: parts are kept by shard on disk until their shard is filled."""

import json
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa

from pairsmith.pipelines.batches import joined
from pairsmith.pipelines.shards.parts import SCHEMAS, Part, Tag, read_batch
from pairsmith.schemas import writing

_BUFFER_BYTES = 32 << 20
_SHARDS = b"shards"


class Spill:
    """Writes parts to Arrow files in a folder of its own, each with one batch a shard."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.buffer: dict[Tag, dict[int, list[bytes]]] = defaultdict(lambda: defaultdict(list))
        self.bytes = self.files = 0

    def add(self, part: Part) -> None:
        """Keep a part, and write all that is kept when it is much."""
        number, (tag, data) = part
        self.buffer[tag][number].append(data)
        self.bytes += len(data)
        if self.bytes > _BUFFER_BYTES:
            self.flush()

    def flush(self) -> None:
        """Write what is kept, a file for each tag; to be called at the end, too."""
        for tag, shards in self.buffer.items():
            numbers = sorted(shards)
            schema = SCHEMAS[tag].with_metadata({_SHARDS: json.dumps(numbers)})
            path = self.folder / f"{tag}-{self.files:05d}.arrow"
            with writing(path) as stream, pa.ipc.new_file(stream, schema) as writer:
                for number in numbers:
                    batches = [read_batch(data, SCHEMAS[tag]) for data in shards[number]]
                    batch = joined(batches, SCHEMAS[tag])
                    writer.write_batch(batch.replace_schema_metadata(schema.metadata))
        self.buffer.clear()
        self.bytes = 0
        self.files += 1


class Spilled:
    """The parts in the files of all spilling steps below a folder.

    One file is open at a time: a large input has more of them than a process may open.
    """

    def __init__(self, folder: Path) -> None:
        self._files: list[tuple[Tag, Path, list[int]]] = []
        for tag in SCHEMAS:
            for path in sorted(folder.rglob(f"{tag}-*.arrow")):
                with _opened(path) as file:
                    numbers = json.loads(file.schema.metadata[_SHARDS])
                self._files.append((tag, path, numbers))

    def parts(self, number: int) -> Iterator[tuple[Tag, pa.RecordBatch]]:
        """Yield the parts of a shard."""
        for tag, path, numbers in self._files:
            if number in numbers:
                with _opened(path) as file:
                    batch = file.get_batch(numbers.index(number))
                yield tag, batch.replace_schema_metadata(SCHEMAS[tag].metadata)


@contextmanager
def _opened(path: Path) -> Iterator[pa.RecordBatchFileReader]:
    with pa.OSFile(str(path)) as source, pa.ipc.open_file(source) as file:
        yield file
