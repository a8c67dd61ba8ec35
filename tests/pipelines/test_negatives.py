"""Random negatives are other documents' texts, never the row's own in another guise."""

import pyarrow as pa
import pyarrow.compute as pc
from hypothesis import given, settings
from hypothesis import strategies as st

from pairsmith.pipelines.recipe.negatives import RandomNegatives, add_random
from pairsmith.schemas import PAIRS, group_ids, text_hashes


def shard(rows: list[tuple[str, str, str]]) -> pa.Table:
    """Return a shard of (source id, anchor, positive) rows without negatives."""
    sources, anchors, positives = (
        pa.array([row[i] for row in rows], pa.string()) for i in range(3)
    )
    columns = {
        "pair_id": pa.array([f"{n:032x}" for n in range(len(rows))]),
        "anchor": anchors,
        "positive": positives,
        "source_id": sources,
        "group_id": pa.array(group_ids(sources)),
        "anchor_hash": pa.array(text_hashes(anchors)),
        "positive_hash": pa.array(text_hashes(positives)),
        "negatives": pa.array([[]] * len(rows), PAIRS.field("negatives").type),
        "negative_info": pa.array([[]] * len(rows), PAIRS.field("negative_info").type),
    }
    return pa.table(columns)


texts = st.sampled_from(["one", "ONE", "two", "two ", "three", "four", "五", "６", "6"])


@settings(deadline=None)
@given(st.lists(st.tuples(st.sampled_from("abc"), texts, texts)), st.integers(1, 4))
def test_a_negative_never_shares_group_or_text_with_its_row(
    rows: list[tuple[str, str, str]], count: int
) -> None:
    made = add_random(shard(rows), RandomNegatives(count), seed=3).to_pylist()
    by_text: dict[str, set[str]] = {}
    for source, _, positive in rows:
        by_text.setdefault(positive, set()).add(source)
    for row in made:
        own = [row["anchor"], row["positive"], *row["negatives"]]
        folded = text_hashes(pa.array(own)).tolist()
        assert not {folded[0], folded[1]} & set(folded[2:])
        assert len(set(folded[2:])) == len(folded[2:])
        assert len(row["negative_info"]) == len(row["negatives"]) <= count
        for rank, (text, info) in enumerate(
            zip(row["negatives"], row["negative_info"], strict=True)
        ):
            assert info["source_id"] in by_text[text] - {row["source_id"]}
            assert (info["kind"], info["rank"]) == ("random", rank)


def test_every_row_gets_all_its_negatives_where_there_are_enough_and_spread_evenly() -> None:
    rows = [(f"d{n}", f"anchor {n}", f"positive {n}") for n in range(400)]
    made = add_random(shard(rows), RandomNegatives(3), seed=3)
    assert set(pc.list_value_length(made["negatives"]).to_pylist()) == {3}
    uses = pc.value_counts(pc.list_flatten(made["negatives"])).to_pylist()
    # 1,200 uniform draws from 400: Poisson(3), whose maximum exceeds 14 once in 100,000 shards.
    assert max(use["counts"] for use in uses) <= 14
    assert len(uses) > 350
