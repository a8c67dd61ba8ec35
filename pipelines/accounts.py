"""The books of a build: every source and every pair is written, dropped or failed.

Counts come from the rows that were written out, never from the engine's counters: an engine may
run a step twice. What must add up is counted twice, where it begins and where it ends.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from pairsmith.pipelines.pairing.made import Made
from pairsmith.pipelines.refused import RefusedUserError
from pairsmith.schemas import ShardFile

OUTCOMES = ("written", "dropped", "failed")
_FEW = 100
"""Of so few texts, an augmenter may leave most alone by chance."""


@dataclass(frozen=True)
class ShardResult:
    """What one shard's files hold."""

    files: dict[str, ShardFile]
    """By folder, `shards`, `dropped` and `failed`, where there are rows."""
    sources: dict[str, int]
    """Number of sources by outcome, of those that lie in this shard alone."""
    spread: list[tuple[str, str]]
    """(source id, outcome here) of the sources that lie in several shards."""
    units: dict[str, int]
    pairs: dict[str, int]
    reasons: dict[str, dict[str, int]]
    """Number of dropped and of failed rows by `stage: reason`."""
    kinds: dict[str, int]
    """Number of pairs written by kind."""
    changes: dict[str, list[int]]
    """How much each augmenter changed (`changes_of`), by `kind/role/number:name`."""

    @staticmethod
    def from_data(data: dict[str, Any]) -> "ShardResult":
        """Return the result that became this JSON data."""
        files = {folder: ShardFile(**file) for folder, file in data["files"].items()}
        spread = [(source_id, outcome) for source_id, outcome in data["spread"]]
        return ShardResult(**{**data, "files": files, "spread": spread})


@dataclass(frozen=True)
class Totals:
    """The sums over all shards."""

    sources: dict[str, int] = field(default_factory=dict)
    units: dict[str, int] = field(default_factory=dict)
    pairs: dict[str, int] = field(default_factory=dict)
    kinds: dict[str, int] = field(default_factory=dict)
    reasons: dict[str, dict[str, int]] = field(default_factory=dict)
    augmenters: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Of each augmenter: texts, no_view, changed, and changed_share: of how many which tenth."""

    def as_data(self) -> dict[str, Any]:
        """Return the totals as they stand in the manifest."""
        return asdict(self)


def count_shard(
    files: dict[str, ShardFile],
    blocks: pa.RecordBatch,
    dropped: pa.Table,
    failed: pa.Table,
    made: Made,
) -> ShardResult:
    """Return the counts of one shard, from the rows of its files.

    A source is written when it has a pair, else failed when a row of it failed, else dropped.
    """
    first = blocks.filter(pc.equal(blocks["blocks"], 1))["source_id"]
    several = pc.unique(blocks.filter(pc.greater(blocks["blocks"], 1))["source_id"])
    written = pa.chunked_array(made.sources, pa.string())
    seen = [pc.unique(ids) for ids in (written, failed["source_id"])]
    outcomes = [_outcome(ids, *seen) for ids in (first, several)]
    sources = Counter(outcomes[0])
    sources["dropped"] += dropped["unit"].null_count
    sources["failed"] += failed["unit"].null_count
    units_dropped = _present(dropped, "unit") - _present(dropped, "kind")
    pair_counts = {
        "made": made.pairs,
        "written": made.kinds.total(),
        "dropped": _present(dropped, "kind"),
        "failed": _present(failed, "kind"),
    }
    return ShardResult(
        files=files,
        sources={outcome: sources[outcome] for outcome in OUTCOMES},
        spread=list(zip(several.to_pylist(), outcomes[1], strict=True)),
        units={"made": made.units, "dropped": units_dropped},
        pairs=pair_counts,
        reasons={"dropped": _reasons(dropped), "failed": _reasons(failed)},
        kinds=dict(sorted(made.kinds.items())),
        changes={name: counts.tolist() for name, counts in sorted(made.changes.items())},
    )


def add_up(rows_read: int, results: Sequence[ShardResult]) -> Totals:
    """Return the sums of all shards.

    rows_read: input rows as the reading step counted them.
    Raises RuntimeError unless sources read = written + dropped + failed, pairs likewise, and the
    rows of the files are those that were counted.
    """
    spread: dict[str, set[str]] = {}
    for result in results:
        for source_id, outcome in result.spread:
            spread.setdefault(source_id, set()).add(outcome)
    sources = _sum(result.sources for result in results)
    for seen in spread.values():
        sources[next(o for o in ("written", "failed", "dropped") if o in seen)] += 1
    totals = Totals(
        sources={"read": rows_read, **{outcome: sources[outcome] for outcome in OUTCOMES}},
        units=dict(_sum(result.units for result in results)),
        pairs=dict(_sum(result.pairs for result in results)),
        kinds=dict(sorted(_sum(result.kinds for result in results).items())),
        reasons={
            folder: dict(_sum(result.reasons[folder] for result in results).most_common())
            for folder in ("dropped", "failed")
        },
        augmenters=_augmenters(results),
    )
    _check(totals, results)
    return totals


def check_failed(totals: Totals, limit: float) -> None:
    """Raise RefusedUserError with the top reasons when over a `limit` share of rows has failed."""
    for noun, counts, whole in (
        ("pairs", totals.pairs, totals.pairs["made"]),
        ("input rows", totals.sources, totals.sources["read"]),
    ):
        if counts["failed"] > limit * whole:
            raise RefusedUserError(
                f"{counts['failed']:,} of {whole:,} {noun} failed, more than --max-failed "
                f"{limit:g} allows: {top_reasons(totals, 'failed')}; "
                "mend the input or the recipe, or raise --max-failed, which keeps them in failed/"
            )


def idle_augmenters(totals: Totals, floor: float) -> str | None:
    """Return a line about augmenters that changed less than a `floor` share of at least 100 texts.

    Texts that an augmenter made no view of count as changed: they are dropped, not passed off.
    """
    idle = [
        f"{name} changed {counts['changed']:,} of {counts['texts']:,} texts"
        for name, counts in totals.augmenters.items()
        if counts["texts"] >= _FEW
        and counts["changed"] + counts["no_view"] < floor * counts["texts"]
    ]
    return "; ".join(idle) or None


def top_reasons(totals: Totals, *folders: str) -> str:
    """Return the three most frequent reasons in the folders, with their counts."""
    reasons = [reason for folder in folders for reason in totals.reasons[folder].items()]
    top = sorted(reasons, key=lambda reason: -reason[1])[:3]
    return ", ".join(f"{reason} ({count:,})" for reason, count in top)


def _check(totals: Totals, results: Sequence[ShardResult]) -> None:
    balances = [
        ("sources", totals.sources["read"], sum(totals.sources[o] for o in OUTCOMES)),
        ("pairs", totals.pairs["made"], sum(totals.pairs[o] for o in OUTCOMES)),
        ("written pairs", totals.pairs["written"], sum(totals.kinds.values())),
    ]
    counted = {"shards": totals.pairs["written"]}
    counted |= {folder: sum(reasons.values()) for folder, reasons in totals.reasons.items()}
    for folder, count in counted.items():
        rows = sum(r.files[folder].rows for r in results if folder in r.files)
        balances.append((f"rows of {folder}/", count, rows))
    for name, begun, ended in balances:
        if begun != ended:
            raise RuntimeError(f"the books do not balance: {name} {begun:,} != {ended:,}")


def _outcome(source_ids: pa.Array, with_pairs: pa.Array, with_failed: pa.Array) -> list[str]:
    written = pc.is_in(source_ids, with_pairs)
    broken = pc.is_in(source_ids, with_failed)
    outcome = pc.if_else(written, "written", pc.if_else(broken, "failed", "dropped"))
    return outcome.to_pylist()  # type: ignore[no-any-return]


def _augmenters(results: Sequence[ShardResult]) -> dict[str, dict[str, Any]]:
    names = sorted({name for result in results for name in result.changes})
    totals = {}
    for name in names:
        counts = [
            sum(c)
            for c in zip(*(r.changes[name] for r in results if name in r.changes), strict=True)
        ]
        no_view, _, *changed = counts
        totals[name] = {
            "texts": sum(counts),
            "no_view": no_view,
            "changed": sum(changed),
            "changed_share": changed,
        }
    return totals


def _present(rows: pa.Table, column: str) -> int:
    return len(rows) - rows[column].null_count  # type: ignore[no-any-return]


def _reasons(rows: pa.Table) -> dict[str, int]:
    return _count(pc.binary_join_element_wise(rows["stage"], rows["reason"], ": "))


def _count(values: pa.ChunkedArray) -> dict[str, int]:
    counted = values.value_counts().to_pylist()
    return dict(sorted((item["values"], item["counts"]) for item in counted))


def _sum(counts: Iterable[dict[str, int]]) -> "Counter[str]":
    total: Counter[str] = Counter()
    for one in counts:
        total.update(one)
    return total
