"""The cells of a sweep."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_parallel_energy.errors import ConfigError, ParallelEnergyWarning
from pytest_parallel_energy.mutation.distributions import (
    Grid,
    as_distribution,
    choice,
    int_uniform,
    log_uniform,
    uniform,
)
from pytest_parallel_energy.mutation.draw import Draw, draw_mutations, mutation_key
from pytest_parallel_energy.mutation.labels import distinct_labels, value_label

LR = {"learning_rate": log_uniform(1e-4, 1e-1)}
DEFAULTS = {"learning_rate": 0.1, "dropout": 0.5, "epochs": 10}


def values(cells):
    return [dict(cell.values) for cell in cells]


def test_the_same_seed_gives_the_same_cells_in_another_process():
    """A fresh interpreter with another hash seed draws exactly the same floats."""
    code = (
        "from pytest_parallel_energy.mutation.distributions import *;"
        "from pytest_parallel_energy.mutation.draw import *;"
        "print([dict(m.values) for m in draw_mutations({'lr': log_uniform(1e-4, 1e-1), 'n': int_uniform(1, 99)},"
        " Draw(samples=5, seed=7))])"
    )
    told = subprocess.run(
        [sys.executable, "-c", code],
        check=True,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONHASHSEED": "4242", "PYTHONPATH": os.pathsep.join(sys.path)},
    ).stdout.strip()
    here = draw_mutations({"lr": log_uniform(1e-4, 1e-1), "n": int_uniform(1, 99)}, Draw(samples=5, seed=7))
    assert told == str(values(here))


def test_the_draws_of_a_seed_are_pinned():
    """5000 draws of every kind, to the last bit: the same on Python 3.11, 3.12 and 3.13 (all three were tried)."""
    space = {
        "lr": log_uniform(1e-4, 1e-1, 0.1),
        "n": int_uniform(1, 10**6),
        "d": uniform(0.1, 0.6),
        "c": choice(["a", "b"]),
    }
    drawn = repr(values(draw_mutations(space, Draw(samples=5000, seed=7))))
    assert hashlib.sha256(drawn.encode()).hexdigest().startswith("078406e9c1ffc551")


def test_another_seed_gives_other_cells():
    """Seeds differ."""
    one, two = (draw_mutations(LR, Draw(samples=3, seed=seed)) for seed in (0, 1))
    assert values(one) != values(two)


def test_more_samples_keep_the_earlier_ones():
    """Asking for more samples, or for one more parameter, leaves the values already drawn as they were."""
    few = draw_mutations(LR, Draw(samples=2))
    assert draw_mutations(LR, Draw(samples=9))[:2] == few
    wider = draw_mutations({"dropout": choice([0.1, 0.2]), **LR}, Draw(samples=2))
    assert [cell.values["learning_rate"] for cell in wider] == [cell.values["learning_rate"] for cell in few]


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 12), st.integers(), st.sampled_from(["all", "one-at-a-time"]))
@pytest.mark.filterwarnings("ignore::pytest_parallel_energy.errors.ParallelEnergyWarning")
def test_cells_are_unique_and_never_the_default(samples, seed, vary):
    """However small the space: no cell twice, and none equal to the defaults."""
    space = {"a": int_uniform(1, 3), "b": choice(["x", "y"])}
    defaults = {"a": 2, "b": "x"}
    cells = draw_mutations(space, Draw(samples=samples, seed=seed, vary=vary), defaults=defaults)
    keys = [mutation_key({**defaults, **cell.values}) for cell in cells]
    assert len(set(keys)) == len(keys)
    assert mutation_key(defaults) not in keys
    if vary == "all":
        assert len(cells) == min(samples, 5)


def test_a_space_too_small_gives_all_there_is_and_says_so():
    """Ten of four values with one of them the default: the other three, and a warning with both numbers."""
    with pytest.warns(ParallelEnergyWarning, match="10 mutations of n were requested; the space holds 3") as caught:
        cells = draw_mutations({"n": int_uniform(1, 4)}, Draw(samples=10), defaults={"n": 2})
    assert sorted(cell.values["n"] for cell in cells) == [1, 3, 4]
    assert caught[0].filename == __file__


def test_a_rare_value_is_found_all_the_same():
    """When drawing would hardly ever hit the last value, it is listed instead."""
    space = {"w": log_uniform(1, 1, zero_probability=1e-9)}
    assert len(draw_mutations(space, Draw(samples=2))) == 2


def test_one_at_a_time_leaves_the_others_at_their_defaults():
    """Each cell moves one parameter, ``samples`` cells a parameter."""
    space = {"learning_rate": log_uniform(0.01, 0.05), "dropout": as_distribution([0.1, 0.2, 0.3])}
    cells = draw_mutations(space, Draw(samples=2, vary="one-at-a-time"), defaults=DEFAULTS)
    assert [cell.mutated for cell in cells] == [("learning_rate",)] * 2 + [("dropout",)] * 3
    assert all({**DEFAULTS, **cell.values}[other] == DEFAULTS[other]
               for cell, other in zip(cells, ["dropout"] * 2 + ["learning_rate"] * 3, strict=True))  # fmt: skip


def test_the_default_cell_comes_first_when_asked_for():
    """include_default adds the un-mutated cell once, first, and it mutates nothing."""
    cells = draw_mutations(LR, Draw(samples=2, include_default=True), defaults=DEFAULTS)
    assert [cell.is_default for cell in cells] == [True, False, False]
    assert cells[0].values == {"learning_rate": 0.1}
    assert cells[0].mutated == ()
    assert cells[0].label() == "default"


def test_grids_are_crossed_with_the_same_draws():
    """Each point of the grids meets the same drawn values: a full factorial plan."""
    cells = draw_mutations({"batch_size": Grid((16, 32)), **LR}, Draw(samples=3))
    assert len(cells) == 6
    by_batch = {size: [c.values["learning_rate"] for c in cells if c.values["batch_size"] == size] for size in (16, 32)}
    assert by_batch[16] == by_batch[32]


def test_a_grid_runs_its_values_as_written():
    """A default that the grid lists runs too, marked as the default, and not twice."""
    cells = draw_mutations(
        {"n": Grid((8, 16, 32))}, Draw(samples=99, include_default=True), defaults={"n": 16}
    )  # fmt: skip
    assert [(cell.values["n"], cell.is_default) for cell in cells] == [(16, True), (8, False), (32, False)]


def test_a_mutation_may_vary_a_few_parameters_only():
    """per_mutation bounds how many parameters one cell moves; the rest stays at the defaults."""
    space = {name: log_uniform(1e-3, 1e-2) for name in "abcd"}
    defaults = dict.fromkeys("abcd", 1.0)
    cells = draw_mutations(space, Draw(samples=30, per_mutation=(1, 3)), defaults=defaults)
    assert {len(cell.mutated) for cell in cells} == {1, 2, 3}
    assert all(cell.values[name] == 1.0 for cell in cells for name in "abcd" if name not in cell.mutated)


def test_known_mutations_are_not_drawn_again():
    """What older results hold is left out, and others are drawn in its place."""
    first = draw_mutations(LR, Draw(samples=3))
    known = {mutation_key(cell.values) for cell in first[:2]}
    again = draw_mutations(LR, Draw(samples=3, known=known))
    assert again[0] == first[2]
    assert len(again) == 3


@pytest.mark.parametrize(
    ("keywords", "words"),
    [
        ({"samples": 0}, "samples"),
        ({"samples": 2.0}, "samples"),
        ({"samples": True}, "samples"),
        ({"samples": 10**9}, "samples"),
        ({"seed": "a"}, "seed"),
        ({"vary": "some"}, "one-at-a-time"),
        ({"vary": []}, "one-at-a-time"),
        ({"include_default": []}, "True or False"),
        ({"per_mutation": (3, 1)}, "least before most"),
    ],
)
def test_a_bad_draw_is_refused(keywords, words):
    """Each impossible setting is refused with its name and value."""
    with pytest.raises(ConfigError, match=words):
        Draw(**keywords)


def test_nothing_to_mutate_is_refused():
    """An empty space, and one that holds the default alone, are errors that name the remedy."""
    with pytest.raises(ConfigError, match="name at least one"):
        draw_mutations({}, Draw())
    with (
        pytest.warns(ParallelEnergyWarning, match="holds 0"),
        pytest.raises(ConfigError, match="nothing to run"),
    ):
        draw_mutations({"n": int_uniform(1, 1)}, Draw(), defaults={"n": 1})


def test_too_large_a_sweep_is_refused_before_memory_is_spent():
    """A grid of a thousand million cells is an error, not a wait."""
    space = {name: Grid(tuple(range(1000))) for name in "abc"}
    with pytest.raises(ConfigError, match="more than 1000000"):
        draw_mutations(space, Draw())


def test_labels_shorten_the_name_and_never_the_value():
    """A label shows few digits; the value keeps all of them."""
    (cell,) = draw_mutations(LR, Draw())
    assert cell.label().startswith("learning_rate=0.")
    assert len(cell.label()) <= len("learning_rate=0.000") + 4
    assert repr(cell.values["learning_rate"]) not in cell.label()


def test_labels_grow_until_cells_can_be_told_apart():
    """Values that look alike in few digits get more of them, down to the last bit."""
    near = 0.1 + 2**-56
    assert distinct_labels([{"x": 0.1}, {"x": near}]) == ("x=0.1", f"x={near!r}")


def test_a_label_can_be_typed():
    """Spaces, quotes, brackets and newlines in a text value become an underscore in the id."""
    assert value_label("a b'\"[$()]\n") == "a_b_"
