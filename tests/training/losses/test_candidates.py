"""Identity masks, tile by tile, against the rule written out row by row."""

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pairsmith.training.collate import Identities
from pairsmith.training.losses.candidates import Candidates, Marks
from pairsmith.training.losses.plain import false_negatives
from pairsmith.training.losses.tiles import parts

few = st.integers(1, 4)  # few values, so that many collide


@st.composite
def identities(draw: st.DrawFn) -> Identities:
    rows, negatives = draw(st.integers(2, 7)), draw(st.integers(0, 5))

    def column(values: st.SearchStrategy[int], count: int) -> torch.Tensor:
        drawn = draw(st.lists(values, min_size=count, max_size=count))
        return torch.tensor(drawn, dtype=torch.int64)

    many = st.integers(1, draw(st.sampled_from([4, 40])))
    return Identities(
        group=column(many, rows),
        anchor=column(many.map(lambda v: v * 10), rows),
        positive=column(many.map(lambda v: v * 10), rows),
        negative=column(many.map(lambda v: v * 10), negatives),
        negative_group=column(st.integers(0, 4), negatives),
        owner=column(st.integers(0, rows - 1), negatives),
    )


def plainly_masked(ids: Identities, row: int, candidate: int) -> bool:
    rows = len(ids.group)
    mine = {int(ids.anchor[row]), int(ids.positive[row])}
    if candidate < rows:
        theirs = {int(ids.anchor[candidate]), int(ids.positive[candidate])}
        same_group = bool(ids.group[row] == ids.group[candidate])
        return candidate != row and (same_group or bool(mine & theirs))
    number = candidate - rows
    if int(ids.negative[number]) in mine:
        return True
    foreign = int(ids.owner[number]) != row
    return foreign and int(ids.negative_group[number]) == int(ids.group[row])


def marks(ids: Identities, label: torch.Tensor) -> tuple[Marks, Marks]:
    """Return those of rows, and of columns: positives, then hard negatives."""
    number = torch.arange(len(ids.group))
    rows = Marks(number, ids.group, ids.anchor, ids.positive, label, number < 0)
    none = torch.zeros_like(ids.owner)
    hard = Marks(ids.owner, ids.negative_group, ids.negative, ids.negative, none, none == 0)
    return rows, Marks(*(torch.cat(parts) for parts in zip(rows, hard, strict=True)))


def in_tiles(candidates: Candidates, height: int, width: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return masked and own places, put together from tiles."""
    count, across = len(candidates.rows.pair), len(candidates.columns.pair)
    whole = torch.zeros(2, count, across, dtype=torch.bool)
    for up in parts(count, height):
        for along in parts(across, width):
            whole[0, up, along][candidates.masked(up, along)] = True
            whole[1, up, along][candidates.mine(up, along)] = True
    return whole[0], whole[1]


@settings(max_examples=200, deadline=None)
@given(ids=identities(), height=st.integers(1, 8), width=st.integers(1, 13))
def test_what_may_say_the_same_is_masked_and_nothing_else(
    ids: Identities, height: int, width: int
) -> None:
    rows, candidates = len(ids.group), len(ids.group) + len(ids.negative)
    expected = [[plainly_masked(ids, i, j) for j in range(candidates)] for i in range(rows)]
    assert false_negatives(ids).tolist() == expected
    up, across = marks(ids, torch.zeros_like(ids.group))
    masked, mine = in_tiles(Candidates(up, across, torch.arange(rows)[None]), height, width)
    assert masked.tolist() == expected
    assert mine.tolist() == torch.eye(rows, candidates, dtype=torch.bool).tolist()


@settings(max_examples=50, deadline=None)
@given(ids=identities(), data=st.data())
def test_a_row_of_the_same_label_is_not_masked(ids: Identities, data: st.DataObject) -> None:
    rows = len(ids.group)
    label = torch.tensor(data.draw(st.lists(st.integers(0, 2), min_size=rows, max_size=rows)))
    up, across = marks(ids, label)
    candidates = Candidates(up, across, torch.arange(rows)[None], supervised=True)
    masked, _ = in_tiles(candidates, 3, 4)
    alike = [[bool(x and x == y) for y in label] + [False] * len(ids.owner) for x in label]
    assert torch.equal(masked, false_negatives(ids) & ~torch.tensor(alike))
    everything = candidates.positive(slice(0, rows), slice(0, len(across.pair)))
    assert everything.tolist() == alike
