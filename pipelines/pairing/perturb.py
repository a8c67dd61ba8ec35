"""Adding perturbed negatives to pairs that passed the gates."""

import numpy as np
import pyarrow as pa

from pairsmith.augmenters.compose import join_details
from pairsmith.pipelines.pairing.augment import augment
from pairsmith.pipelines.pairing.made import Made, failed_rows
from pairsmith.pipelines.recipe.negatives import Given, Perturbed, append_negatives
from pairsmith.pipelines.recipe.recipe import Recipe
from pairsmith.schemas import record_keys, text_hashes


def add_perturbed(
    pairs: pa.RecordBatch, units: pa.StringArray, places: pa.Array, recipe: Recipe, made: Made
) -> None:
    """Add the pairs, with the negatives that the recipe's `Perturbed` rules make, to `made`.

    pairs: one draw of one kind, sorted by `pair_id`. units, places: texts, and which of them is
    each pair's unit. A pair that breaks a rule has failed.
    """
    rules = [rule for rule in recipe.negatives if isinstance(rule, Perturbed)]
    if not rules or not len(pairs):
        made.written.append(pairs)
        return
    kind, draw = pairs["kind"][0].as_py(), pairs["draw"][0].as_py()
    kept = np.ones(len(pairs), bool)
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
    table = pairs.select(["source_id", "unit"]).append_column("text", units.take(places))
    made.failed += failed_rows(table, kept, broken, stage="negatives", kind=kind, draw=draw)
    full = append_negatives(pa.Table.from_batches([pairs]), given)
    if said:
        index = full.schema.get_field_index("details")
        joined = join_details(pairs["details"], said)
        full = full.set_column(index, full.schema.field(index), joined)
    made.written += full.filter(pa.array(kept)).combine_chunks().to_batches()
