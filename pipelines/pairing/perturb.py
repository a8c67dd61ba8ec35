"""Adding perturbed negatives to pairs that passed the gates."""

import numpy as np
import pyarrow as pa

from pairsmith.augmenters.compose import join_details
from pairsmith.pipelines.pairing.augment import augment
from pairsmith.pipelines.pairing.made import Made, failed_rows
from pairsmith.pipelines.recipe.negatives import Given, Perturbed, append_negatives
from pairsmith.pipelines.recipe.recipe import Recipe
from pairsmith.pipelines.recipe.rules import Mask
from pairsmith.schemas import record_keys, text_hashes


def add_perturbed(
    pairs: pa.RecordBatch, units: pa.StringArray, recipe: Recipe, made: Made
) -> tuple[pa.RecordBatch, Mask]:
    """Return the pairs that break no `Perturbed` rule of the recipe, with the negatives by these.

    And which of the pairs those are; one that breaks a rule is added to what failed.
    pairs: one draw of one kind. units: the text of each one's unit.
    """
    kept = np.ones(len(pairs), bool)
    rules = [rule for rule in recipe.negatives if isinstance(rule, Perturbed)]
    if not rules or not len(pairs):
        return pairs, kept
    kind, draw = pairs["kind"][0].as_py(), pairs["draw"][0].as_py()
    taken = [pairs["anchor_hash"].to_numpy(), pairs["positive_hash"].to_numpy()]
    given, said, broken = [], {}, []
    for number, rule in enumerate(rules):
        place = f"{kind}/negative{number + 1}"
        numbers = pairs["unit"].to_numpy()
        keys = record_keys(recipe.seed, pairs["source_id"], numbers, place, draw)
        seen = augment(rule.steps, pairs["anchor"], keys, pairs["lang"])
        made.count_changes(place, seen)
        broken += seen.broken
        texts, _, details = seen.views
        hashes = text_hashes(texts.fill_null(""))
        good = texts.is_valid().to_numpy(zero_copy_only=False)
        for others in taken:
            good &= hashes != others
        taken.append(np.where(good, hashes, taken[0]))
        rows = np.flatnonzero(good)
        at = pa.array(rows)
        given.append(Given(rows, texts.take(at), pairs["source_id"].take(at), rule.name))
        if details.null_count < len(details):
            mask = pa.array(np.where(good, np.arange(len(pairs)), -1), mask=~good)
            said[f"negative{number + 1}"] = details.take(mask)
    table = pairs.select(["source_id", "unit"]).append_column("text", units)
    made.failed += failed_rows(table, kept, broken, stage="negatives", kind=kind, draw=draw)
    full = append_negatives(pa.Table.from_batches([pairs]), given)
    if said:
        index = full.schema.get_field_index("details")
        joined = join_details(pairs["details"], said)
        full = full.set_column(index, full.schema.field(index), joined)
    (good,) = full.filter(pa.array(kept)).combine_chunks().to_batches() or [pairs[:0]]
    return good, kept
