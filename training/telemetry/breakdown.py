"""How the rows of each kind, view, language, dataset and length fare: sums that cost little a step.

Under 1 % of a step of 45 ms on 1,024 rows: `benchmarks/telemetry.py`. Uniformity, which compares
vectors with each other, is worked out only when a line of groups is written.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import torch
from torch import Tensor, distributed

from pairsmith.training.losses.objective import VECTORS, Outcome
from pairsmith.training.telemetry.journal import Groups

Values = Mapping[str, npt.NDArray[Any]]
Sums = dict[str, dict[str, npt.NDArray[np.float64]]]

COLUMNS = ("kind", "anchor_view", "positive_view", "lang", "dataset")
MEASURES = ("loss", "accuracy", "positive", "hardest", "gap", "masked")
"""Of each row: its loss; whether its positive came first; the cosine of its positive, that of its
hardest negative, and their difference; the share of its candidates masked as false negatives."""
LONGEST_BUCKET = 512
HELD_ROWS = 65_536


def measures(outcome: Outcome) -> Values:
    """Return what a loss tells of each row, by the names of `MEASURES`: shape (b,) each."""
    positive, hardest = outcome.positive_similarity, outcome.hardest_similarity
    told = (outcome.losses, outcome.correct, positive, hardest, positive - hardest, outcome.masked)
    # In one piece: each transfer from a GPU waits for it.
    rows = torch.stack([values.detach().float() for values in told]).cpu().numpy()
    return dict(zip(MEASURES, rows, strict=True))


def _alone(*values: float) -> list[float]:
    return list(values)


def row_means(values: Values, add: Callable[..., list[float]] = _alone) -> dict[str, float | None]:
    """Return `accuracy`, `gap`, `alignment` and `masked` of a step, as a line of the log has them.

    alignment: mean squared distance of anchor and positive (Wang and Isola, arXiv 2005.10242), for
    unit vectors 2 - 2 cosine. add: returns the sums over all processes of the numbers it is given;
    all must then call this.
    """
    names = ("accuracy", "gap", "masked", "positive")
    known = [values[name][~np.isnan(values[name])] for name in names]
    sums = add(*(column.sum(dtype=np.float64) for column in known), *map(len, known))
    told = zip(names, sums[: len(names)], sums[len(names) :], strict=True)
    found = {name: float(total / count) if count else None for name, total, count in told}
    positive = found.pop("positive")
    return {**found, "alignment": None if positive is None else 2 - 2 * positive}


class Breakdown:
    """Sums over the rows of steps, by group; `take` returns their means and starts afresh."""

    def __init__(self, datasets: Sequence[str]):
        self._datasets = datasets
        self._held: list[tuple[pa.RecordBatch, npt.NDArray[np.int64], Values]] = []
        self._sums: Sums = {}

    def add(self, about: pa.RecordBatch, lengths: npt.NDArray[np.int64], values: Values) -> None:
        """Add the b rows of a step.

        about: b rows, any of the columns `kind`, `anchor_view`, `positive_view`, `lang` (strings,
        dictionary-encoded or not) and `dataset` (number). lengths: (b,), tokens of anchor and
        positive. values: as `measures` returns; what is missing is not told, and rows where it is
        nan do not count for it.
        """
        # Many steps are summed in one go, which is several times cheaper than each by itself.
        columns = [name for name in COLUMNS if name in about.schema.names]
        self._held.append((about.select(columns), lengths, values))
        if sum(len(held[1]) for held in self._held) >= HELD_ROWS:
            self._fold()

    def sums(self) -> Sums:
        """Return the sums since `take`, by grouping and group; those of ranks can be merged."""
        self._fold()
        return self._sums

    def _fold(self) -> None:
        if not self._held:
            return
        abouts, lengths, values = zip(*self._held, strict=True)
        self._held = []
        table = pa.Table.from_batches(abouts).unify_dictionaries()
        together = {name: np.concatenate([v[name] for v in values]) for name in values[0]}
        codes = group_codes(table, np.concatenate(lengths), self._datasets)
        merge(self._sums, group_sums(codes, together))

    def take(
        self,
        about: pa.RecordBatch | None = None,
        lengths: npt.NDArray[np.int64] | None = None,
        vectors: Tensor | None = None,
    ) -> Groups:
        """Return the means since the last call; with the last step's anchors also uniformity.

        vectors: unit vectors of the first anchors of `about`, (n, D). In a process group the means
        are of the rows of all ranks, which must all call this; uniformity is of this rank's.
        """
        groups = means(_of_all_ranks(self.sums()))
        self._sums = {}
        if about is not None and lengths is not None and vectors is not None:
            codes = group_codes(about, lengths, self._datasets)
            for column, found in uniformities(vectors, codes).items():
                for name, value in found.items():
                    groups.setdefault(column, {}).setdefault(name, {})["uniformity"] = value
        return groups


Codes = dict[str, tuple[list[str], npt.NDArray[np.int64]]]


def group_codes(
    about: pa.RecordBatch | pa.Table, lengths: npt.NDArray[np.int64], datasets: Sequence[str]
) -> Codes:
    """Return for each way to group rows the names of its groups, and each row's place in them."""
    codes: Codes = {"all": (["all"], np.zeros(about.num_rows, np.int64))}
    for column in COLUMNS:
        if column not in about.schema.names:
            continue
        array = about[column]
        if isinstance(array, pa.ChunkedArray):
            array = array.combine_chunks()
        if column == "dataset":
            codes["source"] = list(datasets), array.to_numpy().astype(np.int64)
            continue
        if array.null_count == len(array):
            continue
        if not pa.types.is_dictionary(array.type):
            array = pc.dictionary_encode(array)
        names = [str(name) for name in array.dictionary.to_pylist()]
        places = array.indices
        if array.null_count:
            names, places = [*names, "none"], places.fill_null(len(names))
        codes[column] = names, places.to_numpy().astype(np.int64)
    codes["tokens"] = length_buckets(lengths)
    return codes


def length_buckets(
    lengths: npt.NDArray[np.int64],
) -> tuple[list[str], npt.NDArray[np.int64]]:
    """Return buckets that double, 1-8 to over 512 tokens, and each row's."""
    edges = [8]
    while edges[-1] < LONGEST_BUCKET:
        edges.append(2 * edges[-1])
    names = [f"{low + 1}-{high}" for low, high in zip([0, *edges], edges, strict=False)]
    return [*names, f"over {edges[-1]}"], np.searchsorted(edges, lengths)


def group_sums(codes: Codes, values: Values) -> Sums:
    """Return, by grouping and group, the number of rows, then sum and count of each of `MEASURES`.

    Rows where a measure is nan do not count for it.
    """
    found: Sums = {}
    numbers = {n: np.asarray(values[n], np.float64) for n in MEASURES if n in values}
    known = {name: ~np.isnan(column) for name, column in numbers.items()}
    for column, (names, places) in codes.items():
        counts = np.bincount(places, minlength=len(names))
        rows = np.zeros((len(names), 1 + 2 * len(MEASURES)))
        rows[:, 0] = counts
        for place, name in enumerate(MEASURES):
            if name not in numbers:
                continue
            whole = known[name].all()
            weights = numbers[name] if whole else np.where(known[name], numbers[name], 0)
            rows[:, 1 + 2 * place] = np.bincount(places, weights, len(names))
            rows[:, 2 + 2 * place] = (
                counts if whole else np.bincount(places, known[name], len(names))
            )
        found[column] = {name: row for name, row in zip(names, rows, strict=True) if row[0]}
    return found


def merge(sums: Sums, more: Sums) -> None:
    """Add `more` to `sums`: of another step, or of another rank."""
    for column, groups in more.items():
        mine = sums.setdefault(column, {})
        for name, row in groups.items():
            mine[name] = mine[name] + row if name in mine else row


def means(sums: Sums) -> Groups:
    """Return the mean of each measure by grouping and group, and alignment."""
    return {
        column: {name: _row(groups[name]) for name in sorted(groups, key=_order)}
        for column, groups in sums.items()
    }


def _order(name: str) -> tuple[int, str]:
    """Return what sorts lengths by their numbers, and other groups by name."""
    first = name.removeprefix("over ").split("-")[0]
    return (int(first), name) if first.isdecimal() else (0, name)


def _row(row: npt.NDArray[np.float64]) -> dict[str, float]:
    told = zip(MEASURES, row[1::2].tolist(), row[2::2].tolist(), strict=True)
    found = {name: total / count for name, total, count in told if count}
    if "positive" in found:
        found["alignment"] = 2 - 2 * found["positive"]
    return {"rows": int(row[0]), **found}


def _of_all_ranks(sums: Sums) -> Sums:
    if not (distributed.is_available() and distributed.is_initialized()):
        return sums
    parts: list[Any] = [None] * distributed.get_world_size()
    distributed.all_gather_object(parts, sums)
    together: Sums = {}
    for part in parts:
        merge(together, part)
    return together


def uniformities(vectors: Tensor, codes: Codes) -> dict[str, dict[str, float]]:
    """Return the uniformity of each group of at least 2 of the first 256 vectors.

    log mean exp(-2 |x - y|^2) over pairs (Wang and Isola, arXiv 2005.10242); lower is more even.
    """
    vectors = vectors[:VECTORS].detach().float()
    kernel = (4 * (vectors @ vectors.T) - 4).exp().fill_diagonal_(0)  # |x - y|^2 = 2 - 2 x.y
    found: dict[str, dict[str, float]] = {}
    for column, (names, places) in codes.items():
        first = torch.from_numpy(places[: len(vectors)]).to(kernel.device)
        member = torch.nn.functional.one_hot(first, len(names)).float()
        totals, counts = ((kernel @ member) * member).sum(0).tolist(), member.sum(0).tolist()
        found[column] = {
            name: math.log(total / (count * (count - 1)))
            for name, total, count in zip(names, totals, counts, strict=True)
            if count > 1
        }
    return found
