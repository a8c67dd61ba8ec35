"""Letting rules judge units and pairs, cheap rules before those that ask a model."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pairsmith.augmenters import word_overlap
from pairsmith.pipelines.pairing.made import Made, rejected_rows
from pairsmith.pipelines.recipe.rules import Mask, Measured, Overlap, PairRule, TextRule, Values
from pairsmith.pipelines.recipe.similarity import Similarity
from pairsmith.schemas import UserError


def pass_screens(units: pa.RecordBatch, screens: Sequence[TextRule], made: Made) -> Mask:
    """Return which units no screen refuses; the others are added to what was dropped."""
    kept = np.ones(len(units), bool)
    for screen in screens:
        refused, values = _judge(screen, screen.refused_texts, units["text"])
        _drop(units, kept, refused, values, made, stage="screen", reason=screen.reason)
    return kept


def pass_gates(
    table: pa.RecordBatch,
    measured: Measured,
    gates: Sequence[PairRule | Similarity],
    made: Made,
    *,
    kind: str,
    draw: int,
) -> tuple[Mask, Measured]:
    """Return which pairs no gate refuses, and what was measured of all of them.

    measured: the views of the units in the table, and what is known of them before any gate.
    The pairs that are refused are added to what was dropped, once each. Similarity is measured of
    those that passed the gates before it; it is nan for the others.
    """
    anchors, positives = measured.anchors, measured.positives
    if any(isinstance(gate, Overlap) for gate in gates):
        measured = dataclasses.replace(measured, overlap=word_overlap(anchors, positives))
    kept = np.ones(len(table), bool)
    for gate in gates:
        if isinstance(gate, Similarity):
            similarity = np.full(len(table), np.nan, np.float32)
            mask = pa.array(kept)
            similarity[kept] = gate.measure(anchors.filter(mask), positives.filter(mask))
            measured = dataclasses.replace(measured, similarity=similarity)
        refused, values = _judge(gate, gate.refused_pairs, measured)
        place = {"stage": "gate", "reason": f"{kind}: {gate.reason}", "kind": kind, "draw": draw}
        _drop(table, kept, refused, values, made, **place)
    return kept, measured


def _drop(
    rows: pa.RecordBatch,
    kept: Mask,
    refused: Mask,
    values: npt.NDArray[np.float64],
    made: Made,
    **place: object,
) -> None:
    """Add the rows that are refused and were not before to what was dropped, out of `kept`."""
    refused = refused & kept
    if refused.any():
        kept &= ~refused
        told, which = np.unique(values[refused], return_inverse=True)  # few, and slow to write
        detail = pa.array([f"{value:.4g}" for value in told.tolist()]).take(pa.array(which))
        rejected = rejected_rows(rows, pa.array(np.flatnonzero(refused)), detail=detail, **place)
        made.dropped.append(rejected)


def _judge(rule: object, refuses: Callable[[Any], tuple[Mask, Values]], given: Any) -> Any:
    try:
        return refuses(given)
    except UserError:
        raise
    except Exception as error:
        name = type(rule).__name__
        raise UserError(f"the rule {name} raised {type(error).__name__}: {error}") from error
