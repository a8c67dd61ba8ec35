"""Blocks of units become pairs: screen, view, measure, gate."""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from pairsmith.augmenters.compose import join_details
from pairsmith.pipelines.pairing.augment import Augmented, augment
from pairsmith.pipelines.pairing.gates import pass_gates, pass_screens
from pairsmith.pipelines.pairing.made import Made, failed_rows, rejected_rows
from pairsmith.pipelines.pairing.perturb import add_perturbed
from pairsmith.pipelines.pairing.rejected import plain
from pairsmith.pipelines.recipe.bases import Around, Base, Unit
from pairsmith.pipelines.recipe.recipe import Pair, Recipe, View
from pairsmith.pipelines.recipe.rules import Mask, Measured
from pairsmith.pipelines.shards.row_groups import in_order
from pairsmith.schemas import group_ids, pair_ids, record_keys, text_hashes
from pairsmith.schemas.keys import UNITS_PER_BLOCK, UInt64Array

DETAILS = "details"
NO_KEYS = np.empty(0, np.uint64)
_ROLES = ("anchor", "positive")


class Units(NamedTuple):
    """The units of a shard that pairs may be made of: arrays of one length, and how to see them."""

    table: pa.RecordBatch
    """source_id, unit, text, text_hash, lang, label, group_id"""
    of_base: Callable[[Base, npt.NDArray[np.int64]], pa.StringArray]
    """The texts of some units, by their rows, as a base sees them."""


class _Tried(NamedTuple):
    """One draw of one kind for all units that it is made for: arrays of one length."""

    pair: Pair
    draw: int
    rows: npt.NDArray[np.int64]
    """Of the units."""
    ids: pa.StringArray


def make_pairs(units: Units, recipe: Recipe, made: Made, batch_units: int) -> Iterator[pa.Table]:
    """Yield all pairs of the units in the order of their ids, those of some units at a time.

    What an id is made of is known before the pair is, so no pair waits for another. What became of
    the units that have no pair is added to `made` meanwhile.
    batch_units: about how many units of a kind are seen at a time; it does not change the rows.
    """
    made.units += len(units.table)
    tried = list(_list_pairs(units, pass_screens(units.table, recipe.screens, made), recipe))
    if not tried:
        return
    order = in_order(*(one.ids for one in tried))
    ends = np.cumsum([len(one.rows) for one in tried])
    for start in range(0, len(order), batch_units * len(tried)):
        some = order[start : start + batch_units * len(tried)]
        which = np.searchsorted(ends, some, side="right")
        batches, places = [], []
        for number, one in enumerate(tried):
            at = np.flatnonzero(which == number)
            if len(at):
                mine = some[at] - (ends[number] - len(one.rows))
                pairs, kept = _make_kind(units, one, mine, recipe, made)
                batches.append(pairs)
                places.append(at[kept])
        yield pa.Table.from_batches(batches).take(pa.array(np.argsort(np.concatenate(places))))


def _list_pairs(units: Units, kept: Mask, recipe: Recipe) -> Iterator[_Tried]:
    """Yield the pairs that are tried."""
    numbers = units.table["unit"].to_numpy()
    for pair in recipe.pairs:
        rows = np.flatnonzero(kept & (numbers % pair.every == 0))
        source_ids = units.table["source_id"].take(pa.array(rows))
        for draw in range(pair.draws if len(rows) else 0):
            ids = pair_ids(source_ids, numbers[rows], pair.kind, draw)
            yield _Tried(pair, draw, rows, ids)


def list_units(blocks: pa.RecordBatch) -> Units:
    """Return the own units of all blocks of a shard, in order."""
    before, own = blocks["before"].to_numpy(), blocks["own"].to_numpy()
    row = pa.array(np.repeat(np.arange(len(blocks)), own))
    within = np.arange(len(row)) - np.repeat(np.cumsum(own) - own, own)
    block = blocks["block"].to_numpy().astype(np.int64)
    unit = np.repeat(block * UNITS_PER_BLOCK, own) + within
    around = blocks["units"].value_lengths().to_numpy()
    ends = np.cumsum(around).astype(np.int64)
    place = np.repeat(ends - around + before, own) + within
    flat = pc.list_flatten(blocks["units"])
    text = flat if len(flat) == len(place) else flat.take(pa.array(place))
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

    around_them = Around(flat)

    def of_base(base: Base, rows: npt.NDArray[np.int64]) -> pa.StringArray:
        return base(around_them, place[rows], first[rows], end[rows])

    return Units(table, of_base)


def _make_kind(
    units: Units, tried: _Tried, some: npt.NDArray[np.int64], recipe: Recipe, made: Made
) -> tuple[pa.RecordBatch, npt.NDArray[np.int64]]:
    """Return the pairs that come of some of those tried, and which of these they are.

    some: which of those tried; the pairs come in their order.
    """
    pair, draw, rows = tried.pair, tried.draw, tried.rows[some]
    table = units.table.take(pa.array(rows))
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
    are = np.flatnonzero(kept)
    if len(are) < len(kept):
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
    good = np.flatnonzero(kept)
    are, places = are[good], pa.array(good)
    ids = tried.ids.take(pa.array(some[are]))
    pairs = _rows(table, ids, places, pair, draw, measured, details, plain(recipe.schema))
    pairs, kept = add_perturbed(pairs, table["text"].take(places), recipe, made)
    made.count_written(pairs, pair.kind)
    return pairs, are[kept]


def _see(
    units: Units,
    rows: npt.NDArray[np.int64],
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
    texts = table["text"] if view.base == Unit() else units.of_base(view.base, rows)
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
