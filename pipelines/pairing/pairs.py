"""Blocks of units become pairs: screen, view, measure, gate."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pairsmith.augmenters.compose import join_details
from pairsmith.pipelines.pairing.augment import Augmented, augment
from pairsmith.pipelines.pairing.gates import pass_gates, pass_screens
from pairsmith.pipelines.pairing.made import Made, failed_rows, rejected_rows
from pairsmith.pipelines.pairing.perturb import add_perturbed
from pairsmith.pipelines.pairing.rejected import plain
from pairsmith.pipelines.recipe.bases import Base, Unit
from pairsmith.pipelines.recipe.recipe import Pair, Recipe, View
from pairsmith.pipelines.recipe.rules import Mask, Measured
from pairsmith.pipelines.shards.row_groups import in_order
from pairsmith.schemas import group_ids, pair_ids, record_keys, text_hashes
from pairsmith.schemas.keys import UNITS_PER_BLOCK, UInt64Array

DETAILS = "details"
NO_KEYS = np.empty(0, np.uint64)
_ROLES = ("anchor", "positive")


class Units(NamedTuple):
    """The units that pairs may be made of: arrays of one length, and how to see them."""

    table: pa.RecordBatch
    """source_id, unit, text, text_hash, lang, label, group_id"""
    of_base: Callable[[Base], pa.StringArray]
    """The text of every unit as a base sees it."""


def make_pairs(blocks: pa.RecordBatch, recipe: Recipe, made: Made) -> None:
    """Add all pairs of the blocks (BLOCKS), and all rows that did not become one, to `made`."""
    units = list_units(blocks)
    made.units += len(units.table)
    kept = pass_screens(units.table, recipe.screens, made)
    for pair in recipe.pairs:
        chosen = kept & (units.table["unit"].to_numpy() % pair.every == 0)
        rows = pa.array(np.flatnonzero(chosen))
        for draw in range(pair.draws):
            if len(rows):
                _make_kind(units, rows, pair, draw, recipe, made)


def list_units(blocks: pa.RecordBatch) -> Units:
    """Return the own units of blocks, in order."""
    before, own = blocks["before"].to_numpy(), blocks["own"].to_numpy()
    row = pa.array(np.repeat(np.arange(len(blocks)), own))
    within = np.arange(len(row)) - np.repeat(np.cumsum(own) - own, own)
    block = blocks["block"].to_numpy().astype(np.int64)
    unit = np.repeat(block * UNITS_PER_BLOCK, own) + within
    around = blocks["units"].value_lengths().to_numpy()
    ends = np.cumsum(around).astype(np.int64)
    place = np.repeat(ends - around + before, own) + within
    flat = pc.list_flatten(blocks["units"])
    text = flat.take(pa.array(place))
    table = pa.RecordBatch.from_pydict(
        {
            "source_id": blocks["source_id"].take(row),
            "unit": pa.array(unit.astype(np.int32)),
            "text": text,
            "text_hash": text_hashes(text),
            "lang": blocks["lang"].take(row),
            "label": blocks["label"].take(row),
            "group_id": pa.array(group_ids(blocks["source_id"])).take(row),
        }
    )
    first, end = np.repeat(ends - around, own), np.repeat(ends, own)

    def of_base(base: Base) -> pa.StringArray:
        return base(flat, place, first, end)

    return Units(table, of_base)


def _make_kind(
    units: Units, rows: pa.Array, pair: Pair, draw: int, recipe: Recipe, made: Made
) -> None:
    """Add one draw of one pair kind for the units at `rows`."""
    table = units.table.take(rows)
    made.pairs += len(table)
    seen = {r: _see(units, rows, table, pair, r, draw, recipe.seed, made) for r in _ROLES}
    place = {"kind": pair.kind, "draw": draw}
    kept = np.ones(len(table), bool)
    broken = [problem for role in _ROLES for problem in seen[role].broken]
    made.failed += failed_rows(table, kept, broken, stage="pair", **place)
    for role in _ROLES:
        views = seen[role].views
        if not views.texts.null_count:
            continue
        missing = views.texts.is_null().to_numpy(zero_copy_only=False) & kept
        if missing.any():
            at = pa.array(np.flatnonzero(missing))
            said = views.reasons.take(at)
            reason = pc.fill_null(
                pc.binary_join_element_wise(f"{pair.kind}: no {role} view", said, ": "),
                f"{pair.kind}: no {role} view",
            )
            told = {"reason": reason, "detail": views.details.take(at)}
            rejected = rejected_rows(table, at, stage="pair", **place, **told)
            made.dropped.append(rejected)
            kept &= ~missing
    anchors, positives = (seen[role].views.texts for role in _ROLES)
    details = None
    if DETAILS in recipe.schema.names:
        details = join_details(None, {role: seen[role].views.details for role in _ROLES})
    if not kept.all():
        keep = pa.array(kept)
        table, anchors, positives = (x.filter(keep) for x in (table, anchors, positives))
        details = details and details.filter(keep)
    hashes = (
        _hashes_of(pair.anchor, anchors, table),
        _hashes_of(pair.positive, positives, table),
    )
    measured = Measured(anchors, positives, *hashes)
    gates = recipe.gates_of(pair)
    kept, measured = pass_gates(table, measured, gates, made, kind=pair.kind, draw=draw)
    ids, places = _pair_ids(table, kept, pair.kind, draw)
    pairs = _rows(table, ids, places, pair, draw, measured, details, plain(recipe.schema))
    add_perturbed(pairs, table["text"], places, recipe, made)


def _see(
    units: Units,
    rows: pa.Array,
    table: pa.RecordBatch,
    pair: Pair,
    role: str,
    draw: int,
    seed: int,
    made: Made,
) -> Augmented:
    """Return one view of the units at `rows`; its keys name the pair kind and the role.

    table: those units.
    """
    view: View = getattr(pair, role)
    texts = table["text"] if view.base == Unit() else units.of_base(view.base).take(rows)
    numbers = table["unit"].to_numpy()
    place = f"{pair.kind}/{role}"
    keys = record_keys(seed, table["source_id"], numbers, place, draw) if view.steps else NO_KEYS
    seen = augment(view.steps, texts, keys, table["lang"])
    made.count_changes(place, seen)
    return seen


def _hashes_of(view: View, texts: pa.StringArray, table: pa.RecordBatch) -> UInt64Array:
    """Return the hashes of the texts that a view made of the units in the table."""
    if view.base == Unit() and not view.steps:
        return table["text_hash"].to_numpy()  # type: ignore[no-any-return]
    return text_hashes(texts)


def _pair_ids(
    table: pa.RecordBatch, kept: Mask, kind: str, draw: int
) -> tuple[pa.StringArray, pa.Array]:
    """Return the pair ids of the units that are kept, sorted, and where in the table those are."""
    rows = np.flatnonzero(kept)
    source_ids = table["source_id"].take(pa.array(rows))
    ids = pair_ids(source_ids, table["unit"].to_numpy()[rows], kind, draw)
    order = in_order(ids)
    return ids.take(pa.array(order)), pa.array(rows[order])


def _rows(
    table: pa.RecordBatch,
    ids: pa.StringArray,
    places: pa.Array,
    pair: Pair,
    draw: int,
    measured: Measured,
    details: pa.StringArray | None,
    schema: pa.Schema,
) -> pa.RecordBatch:
    """Return rows of the schema without negatives: `ids` of the pairs of the units at `places`.

    What differs from row to row is taken from there; the rest is made as long as it must be.
    """
    count = len(places)
    columns = {
        "anchor": measured.anchors,
        "positive": measured.positives,
        "source_id": table["source_id"],
        "unit": table["unit"],
        "group_id": table["group_id"],
        "anchor_hash": measured.anchor_hashes,
        "positive_hash": measured.positive_hashes,
        "kind": pair.kind,
        "anchor_view": pair.anchor.name,
        "positive_view": pair.positive.name,
        "draw": draw,
        "lang": table["lang"],
        "similarity": measured.similarity,
        "overlap": measured.overlap,
        "weight": 1.0,
        "label": table["label"],
        DETAILS: details,
    }
    none = np.zeros(count + 1, np.int32)
    arrays = []
    for schema_field in schema:
        value, kind = columns.get(schema_field.name), schema_field.type
        if schema_field.name == "pair_id":
            value = ids
        elif pa.types.is_list(kind):
            empty = pa.array([], kind.value_type)
            value = pa.ListArray.from_arrays(pa.array(none), empty, type=kind)
        elif isinstance(value, np.ndarray):
            value = pa.array(value[places.to_numpy()])
        elif isinstance(value, pa.Array):
            value = value.take(places)
        else:
            value = pa.repeat(pa.scalar(value, kind), count)
        arrays.append(value)
    return pa.RecordBatch.from_arrays(arrays, schema=schema)
