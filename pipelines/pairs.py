"""Blocks of units become pairs: screen, view, measure, gate."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pairsmith.augmenters import word_overlap
from pairsmith.pipelines.augment import Broken, augment
from pairsmith.pipelines.bases import Base
from pairsmith.pipelines.lines import SHOWN_CHARS
from pairsmith.pipelines.recipe import Pair, Recipe, View
from pairsmith.pipelines.rejected import plain, rejected_batch
from pairsmith.pipelines.rules import Mask, Measured, Overlap, Values
from pairsmith.schemas import PAIRS, UserError, group_ids, pair_ids, record_keys, text_hashes
from pairsmith.schemas.keys import UNITS_PER_BLOCK

PLAIN_PAIRS = plain(PAIRS)


class Units(NamedTuple):
    """The units that pairs may be made of: arrays of one length, and how to see them."""

    table: pa.RecordBatch
    """source_id, unit, text, lang, label, group_id"""
    of_base: Callable[[Base], pa.StringArray]
    """The text of every unit as a base sees it."""


@dataclass
class Made:
    """What became of the units of some blocks."""

    units: int = 0
    pairs: int = 0
    """Pairs tried: written + dropped + failed."""
    written: list[pa.RecordBatch] = field(default_factory=list)
    dropped: list[pa.RecordBatch] = field(default_factory=list)
    failed: list[pa.RecordBatch] = field(default_factory=list)


def make_pairs(blocks: pa.RecordBatch, recipe: Recipe, made: Made) -> None:
    """Add all pairs of the blocks (BLOCKS), and all rows that did not become one, to `made`."""
    units = list_units(blocks)
    made.units += len(units.table)
    kept = np.ones(len(units.table), bool)
    for rule in recipe.screens:
        refused, values = _judge(rule, rule.refused_texts, units.table["text"])
        refused &= kept
        kept &= ~refused
        if refused.any():
            made.dropped.append(_refused(units.table, refused, values, "screen", rule.reason))
    for pair in recipe.pairs:
        chosen = kept & (units.table["unit"].to_numpy() % pair.every == 0)
        rows = pa.array(np.flatnonzero(chosen))
        for draw in range(pair.draws):
            if len(rows):
                _make_kind(units, rows, pair, draw, recipe, made)


def list_units(blocks: pa.RecordBatch) -> Units:
    """Return the own units of blocks, in order."""
    before, own = blocks["before"].to_numpy(), blocks["own"].to_numpy()
    texts: list[list[str]] = blocks["units"].to_pylist()
    spans = [range(b, b + n) for b, n in zip(before.tolist(), own.tolist(), strict=True)]
    row = pa.array(np.repeat(np.arange(len(blocks)), own))
    start = np.repeat(np.cumsum(own) - own, own)
    block = blocks["block"].to_numpy().astype(np.int64)
    unit = np.repeat(block * UNITS_PER_BLOCK, own) + np.arange(len(row)) - start

    def of_base(base: Base) -> pa.StringArray:
        seen = (base(units, span) for units, span in zip(texts, spans, strict=True))
        return pa.array([text for block_texts in seen for text in block_texts], pa.string())

    owned = (units[span.start : span.stop] for units, span in zip(texts, spans, strict=True))
    table = pa.RecordBatch.from_pydict(
        {
            "source_id": blocks["source_id"].take(row),
            "unit": pa.array(unit.astype(np.int32)),
            "text": pa.array([text for units in owned for text in units], pa.string()),
            "lang": blocks["lang"].take(row),
            "label": blocks["label"].take(row),
            "group_id": pa.array(group_ids(blocks["source_id"])).take(row),
        }
    )
    return Units(table, of_base)


def _make_kind(
    units: Units, rows: pa.Array, pair: Pair, draw: int, recipe: Recipe, made: Made
) -> None:
    """Add one draw of one pair kind for the units at `rows`."""
    table = units.table.take(rows)
    made.pairs += len(table)
    anchors, broken = _see(units, rows, pair, "anchor", draw, recipe.seed)
    positives, also_broken = _see(units, rows, pair, "positive", draw, recipe.seed)
    broken += also_broken
    place = {"stage": "pair", "kind": pair.kind, "draw": draw}
    kept = np.ones(len(table), bool)
    if broken:
        problems = {problem.row: problem for problem in broken}  # one a pair
        at = pa.array(sorted(problems), pa.int64())
        kept[at.to_numpy()] = False
        made.failed.append(_rejected(table.take(at), **place, **_described(problems)))
    for texts, role in ((anchors, "anchor"), (positives, "positive")):
        missing = texts.is_null().to_numpy(zero_copy_only=False) & kept
        if missing.any():
            at = table.filter(pa.array(missing))
            made.dropped.append(_rejected(at, **place, reason=f"{pair.kind}: no {role} view"))
            kept &= ~missing
    if not kept.all():
        keep = pa.array(kept)
        table, anchors, positives = (x.filter(keep) for x in (table, anchors, positives))
    gates = recipe.gates_of(pair)
    measures_overlap = any(isinstance(gate, Overlap) for gate in gates)
    measured = Measured(
        anchors,
        positives,
        text_hashes(anchors),
        text_hashes(positives),
        word_overlap(anchors, positives) if measures_overlap else np.zeros(len(table), np.float32),
    )
    kept = np.ones(len(table), bool)
    for gate in gates:
        refused, values = _judge(gate, gate.refused_pairs, measured)
        refused &= kept
        kept &= ~refused
        if refused.any():
            reason = f"{pair.kind}: {gate.reason}"
            made.dropped.append(_refused(table, refused, values, "gate", reason, pair.kind, draw))
    made.written.append(_rows(table, pair, draw, measured, measures_overlap).filter(pa.array(kept)))


def _see(
    units: Units, rows: pa.Array, pair: Pair, role: str, draw: int, seed: int
) -> tuple[pa.StringArray, list[Broken]]:
    """Return one view of the units at `rows`; its keys name the pair kind and the role."""
    view: View = getattr(pair, role)
    texts = units.of_base(view.base).take(rows)
    if not view.steps:
        return texts, []
    source_ids = units.table["source_id"].take(rows)
    numbers = units.table["unit"].take(rows).to_numpy()
    keys = record_keys(seed, source_ids, numbers, f"{pair.kind}/{role}", draw)
    return augment(view.steps, texts, keys)


def _rows(
    table: pa.RecordBatch, pair: Pair, draw: int, measured: Measured, measures_overlap: bool
) -> pa.RecordBatch:
    """Return PLAIN_PAIRS without negatives."""
    count = len(table)
    source_id, unit = table["source_id"], table["unit"]
    columns = {
        "pair_id": pair_ids(source_id, unit.to_numpy(), pair.kind, draw),
        "anchor": measured.anchors,
        "positive": measured.positives,
        "source_id": source_id,
        "unit": unit,
        "group_id": table["group_id"],
        "anchor_hash": pa.array(measured.anchor_hashes),
        "positive_hash": pa.array(measured.positive_hashes),
        "kind": pair.kind,
        "anchor_view": pair.anchor.name,
        "positive_view": pair.positive.name,
        "draw": draw,
        "lang": table["lang"],
        "overlap": pa.array(measured.overlap) if measures_overlap else None,
        "weight": 1.0,
        "label": table["label"],
    }
    none = np.zeros(count + 1, np.int32)
    arrays = []
    for schema_field in PLAIN_PAIRS:
        value, kind = columns.get(schema_field.name), schema_field.type
        if pa.types.is_list(kind):
            empty = pa.array([], kind.value_type)
            value = pa.ListArray.from_arrays(pa.array(none), empty, type=kind)
        elif not isinstance(value, pa.Array):
            value = pa.repeat(pa.scalar(value, kind), count)
        arrays.append(value)
    return pa.RecordBatch.from_arrays(arrays, schema=PLAIN_PAIRS)


def _judge(rule: object, refuses: Callable[[Any], tuple[Mask, Values]], given: Any) -> Any:
    try:
        return refuses(given)
    except Exception as error:
        name = type(rule).__name__
        raise UserError(f"the rule {name} raised {type(error).__name__}: {error}") from error


def _refused(
    table: pa.RecordBatch,
    refused: npt.NDArray[np.bool_],
    values: npt.NDArray[np.float64],
    stage: str,
    reason: str,
    kind: str | None = None,
    draw: int | None = None,
) -> pa.RecordBatch:
    details = pa.array([f"{value:.4g}" for value in values[refused].tolist()])
    rows = table.filter(pa.array(refused))
    return _rejected(rows, stage=stage, reason=reason, detail=details, kind=kind, draw=draw)


def _rejected(table: pa.RecordBatch, **columns: object) -> pa.RecordBatch:
    return rejected_batch(
        len(table),
        source_id=table["source_id"],
        unit=table["unit"],
        text=table["text"],
        **columns,
    )


def _described(problems: dict[int, Broken]) -> dict[str, pa.Array]:
    ordered = [problems[row] for row in sorted(problems)]
    return {
        "reason": pa.array([f"{problem.augmenter} raised an error" for problem in ordered]),
        "detail": pa.array([problem.error[:SHOWN_CHARS] for problem in ordered]),
    }
