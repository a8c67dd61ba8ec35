"""Rows that may say the same are dealt to different batches, as far as that is possible."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from xxhash import xxh3_64_hexdigest

from pairsmith.schemas import subkeys
from pairsmith.training.streaming.lookahead import conflicts, deal

KEY = np.array([7], np.uint64)
quick = settings(max_examples=60, deadline=None)


def plainly(group: list[int], texts: list[set[int]], batch: list[int]) -> list[bool]:
    """Return which rows share a group or text with a row before them in their batch."""
    found = []
    for i in range(len(group)):
        before = [j for j in range(i) if batch[j] == batch[i]]
        found.append(any(group[i] == group[j] or texts[i] & texts[j] for j in before))
    return found


small = st.integers(0, 12)
rows = st.lists(st.tuples(small, small, small), min_size=2, max_size=60)


def columns(drawn: list[tuple[int, int, int]]) -> list[np.ndarray]:
    return [np.array(column, np.uint64) for column in zip(*drawn, strict=True)]


@quick
@given(drawn=rows, data=st.data())
def test_a_conflict_is_an_equal_group_or_text_on_either_side(
    drawn: list[tuple[int, int, int]], data: st.DataObject
) -> None:
    batch = data.draw(st.lists(st.integers(0, 3), min_size=len(drawn), max_size=len(drawn)))
    found = conflicts(*columns(drawn), np.array(batch))
    texts = [{a, p} for _, a, p in drawn]
    assert found.tolist() == plainly([g for g, _, _ in drawn], texts, batch)


@quick
@given(drawn=rows, size=st.integers(2, 12), seed=st.integers(0, 2**64 - 1), parted=st.booleans())
def test_every_row_is_dealt_once_and_what_stands_is_told(
    drawn: list[tuple[int, int, int]], size: int, seed: int, parted: bool
) -> None:
    group, anchor, positive = columns(drawn)
    sizes = np.diff([*range(0, len(drawn), size), len(drawn)])
    key = np.array([seed], np.uint64)
    order, standing = deal(group, anchor, positive, sizes, key, parted=parted)
    assert sorted(order) == list(range(len(drawn)))
    batch = np.empty(len(drawn), np.int64)
    batch[order] = np.repeat(np.arange(len(sizes)), sizes)
    assert standing.tolist() == conflicts(group, anchor, positive, batch).tolist()
    again, _ = deal(group, anchor, positive, sizes, key, parted=parted)
    assert again.tolist() == order.tolist()


@quick
@given(
    counts=st.lists(st.integers(1, 40), min_size=5, max_size=40),
    size=st.integers(2, 16),
    seed=st.integers(0, 2**64 - 1),
)
def test_a_group_has_no_more_rows_in_a_batch_than_it_must(
    counts: list[int], size: int, seed: int
) -> None:
    group = np.repeat(np.arange(len(counts)), counts).astype(np.uint64)
    texts = np.arange(2 * len(group), dtype=np.uint64).reshape(2, -1)
    batches = len(group) // size
    if not batches:
        return
    group, texts = group[: batches * size], texts[:, : batches * size]
    sizes = np.full(batches, size)
    order, standing = deal(group, texts[0], texts[1], sizes, np.array([seed], np.uint64))
    batch = np.repeat(np.arange(batches), size)
    for number, count in Counter(group.tolist()).items():
        most = max(Counter(batch[group[order] == number].tolist()).values())
        assert most == -(-count // batches)
    forced = sum(max(0, count - batches) for count in Counter(group.tolist()).values())
    assert standing.sum() == forced


@pytest.mark.parametrize("size", [16, 64])
def test_texts_that_several_documents_have_are_parted_too(size: int) -> None:
    rng = np.random.default_rng(0)
    count = 64 * size
    group = rng.integers(0, count // 4, count).astype(np.uint64)
    anchor = rng.integers(0, count, count).astype(np.uint64)  # a third of them twice or more
    positive = rng.integers(0, count, count).astype(np.uint64)
    sizes = np.full(64, size)
    by_chance = deal(group, anchor, positive, sizes, KEY, parted=False)[1]
    assert by_chance.mean() > 0.03
    assert deal(group, anchor, positive, sizes, KEY)[1].sum() == 0


def test_rows_are_dealt_alike_on_every_machine_and_by_every_version() -> None:
    # A run goes on after an update. Texts join groups, the last batch is smaller, and rows change
    # places over several rounds.
    numbers = np.arange(3 * 4000, dtype=np.uint64).reshape(3, -1)
    kinds = np.array([[900], [2500], [2500]], np.uint64)
    group, anchor, positive = subkeys(numbers, 0) % kinds
    sizes = np.array([*[128] * 31, 32])
    order, standing = deal(group, anchor, positive, sizes, np.array([5], np.uint64))
    assert order[:8].tolist() == [639, 1012, 3184, 203, 2638, 1219, 1102, 3036]
    assert xxh3_64_hexdigest(order.astype("<i8").tobytes()) == "b60e402fded401f3"
    assert standing.sum() == 1


def test_whom_a_row_meets_is_drawn_anew_for_every_key() -> None:
    group = np.arange(512, dtype=np.uint64) // 2
    texts = np.arange(1024, dtype=np.uint64).reshape(2, -1)
    sizes = np.full(16, 32)

    def mates(seed: int) -> set[tuple[int, int]]:
        order, _ = deal(group, texts[0], texts[1], sizes, np.array([seed], np.uint64))
        return {(i, j) for batch in order.reshape(16, 32) for i in batch for j in batch if i < j}

    first, second = mates(1), mates(2)
    assert len(first & second) / len(first) == pytest.approx(1 / 16, rel=0.3)
