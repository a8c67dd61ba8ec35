"""What became of the units of some blocks: rows written, dropped and failed, and counts."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from pairsmith.augmenters.changes import Changes
from pairsmith.pipelines.pairing.augment import Augmented, Broken
from pairsmith.pipelines.pairing.rejected import rejected_batch
from pairsmith.pipelines.reading.lines import SHOWN_CHARS


@dataclass
class Made:
    """What became of the units of some blocks."""

    units: int = 0
    pairs: int = 0
    """Pairs tried: written + dropped + failed."""
    kinds: Counter[str] = field(default_factory=Counter)
    """Pairs written, by kind."""
    sources: list[pa.StringArray] = field(default_factory=list)
    """Ids of sources that have a pair; some stand there more than once."""
    dropped: list[pa.RecordBatch] = field(default_factory=list)
    failed: list[pa.RecordBatch] = field(default_factory=list)
    changes: dict[str, Changes] = field(default_factory=dict)
    """How much each augmenter changed, by `kind/role/number:name`."""

    def count_written(self, pairs: pa.RecordBatch, kind: str) -> None:
        """Add pairs of one kind."""
        if len(pairs):
            self.kinds[kind] += len(pairs)
            self.sources.append(pc.unique(pairs["source_id"]))

    def count_changes(self, place: str, seen: Augmented) -> None:
        """Add what a chain of augmenters changed."""
        for step, counts in seen.changes.items():
            name = f"{place}/{step}"
            self.changes[name] = self.changes.get(name, 0) + counts


def failed_rows(
    table: pa.RecordBatch, kept: npt.NDArray[np.bool_], broken: Sequence[Broken], **columns: object
) -> list[pa.RecordBatch]:
    """Return the rows that broke as rows of `failed/`, and take them out of `kept`."""
    if not broken:
        return []
    problems = {problem.row: problem for problem in broken}  # one a pair
    at = sorted(problems)
    kept[at] = False
    reasons = [f"{problems[row].augmenter} raised an error" for row in at]
    details = [problems[row].error[:SHOWN_CHARS] for row in at]
    rows = pa.array(at, pa.int64())
    told = {"reason": pa.array(reasons), "detail": pa.array(details)}
    return [rejected_rows(table, rows, **told, **columns)]


def rejected_rows(table: pa.RecordBatch, rows: pa.Array, **columns: object) -> pa.RecordBatch:
    """Return rows of `dropped/` or `failed/` for some of the units in a table."""
    units = {name: table[name].take(rows) for name in ("source_id", "unit", "text")}
    return rejected_batch(len(rows), **units, **columns)
