"""In which order cells run."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pytest_parallel_energy.plan.order import ORDERS, Slot, arrange

SLOTS = [
    Slot(cell=cell, repetition=repetition, warmup=warmup)
    for cell in "abcdef"
    for warmup, count in ((True, 2), (False, 3))
    for repetition in range(count)
]


@given(st.sampled_from(ORDERS), st.integers())
def test_each_runs_once(order, seed):
    """Whatever the order: every planned repetition, once; the same for the same seed."""
    arranged = arrange(SLOTS, order, seed)
    assert sorted(arranged) == list(range(len(SLOTS)))
    assert arrange(SLOTS, order, seed) == arranged


@given(st.sampled_from(["random", "blocked"]), st.integers())
def test_warm_ups_come_directly_before_their_cell(order, seed):
    """A warm-up warms up the first measured repetition of its own cell, with nothing between."""
    arranged = [SLOTS[index] for index in arrange(SLOTS, order, seed)]
    for position, slot in enumerate(arranged):
        if slot.warmup:
            after = next(one for one in arranged[position:] if not one.warmup)
            assert after.cell == slot.cell
    first = {slot.cell: position for position, slot in reversed(list(enumerate(arranged))) if not slot.warmup}
    assert all(arranged[first[cell] - 1].warmup for cell in "abcdef")


@given(st.integers())
def test_blocks_hold_each_cell_once(seed):
    """The first repetition of all cells, then the second of all cells: drift touches them alike."""
    measured = [SLOTS[index] for index in arrange(SLOTS, "blocked", seed) if not SLOTS[index].warmup]
    assert [slot.repetition for slot in measured] == [0] * 6 + [1] * 6 + [2] * 6
    assert {slot.cell for slot in measured[:6]} == set("abcdef")


def test_blocks_are_shuffled_anew():
    """Two blocks do not have the same order, and two seeds do not give the same blocks."""
    arranged = [[SLOTS[index] for index in arrange(SLOTS, "blocked", seed)] for seed in (0, 1)]
    orders = [
        [slot.cell for slot in slots if not slot.warmup and slot.repetition == block]
        for slots in arranged
        for block in (0, 1)
    ]
    assert len({tuple(order) for order in orders}) == 4


@given(st.integers(), st.sets(st.integers(0, len(SLOTS) - 1)))
def test_leaving_cells_out_does_not_move_the_others(seed, left_out):
    """A resumed run, or -k, keeps the relative order of what is left."""
    slots = [slot for slot in SLOTS if not slot.warmup]
    left = [slot for index, slot in enumerate(slots) if index not in left_out]
    whole = [slots[index] for index in arrange(slots, "random", seed)]
    assert [left[index] for index in arrange(left, "random", seed)] == [slot for slot in whole if slot in left]


def test_the_order_of_a_seed_is_pinned():
    """Another version or machine that orders otherwise fails here: a run could not be repeated."""
    slots = [Slot(cell=cell) for cell in "abcdef"]
    assert "".join(slots[index].cell for index in arrange(slots, "random", 0)) == "dcafeb"
