"""Cells: what the markers of a test expand to, and what is refused before anything starts."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_parallel_energy.errors import ConfigError
from pytest_parallel_energy.mutation.distributions import choice, log_uniform
from pytest_parallel_energy.mutation.draw import Draw
from pytest_parallel_energy.plan.cells import CellParam, MarkedPlan, cells_of, check_plan, profile_of
from pytest_parallel_energy.plan.markers import LoadRequest, MutateMark, WorkloadMark
from pytest_parallel_energy.plan.settings import Settings
from pytest_parallel_energy.training.registry import load_registry

TINY = WorkloadMark(name="tiny/logistic")


@pytest.fixture(scope="module")
def registry():
    return load_registry([Path(__file__).parents[1] / "training" / "data" / "registry.json"])


def mutate(*names, samples=1, default=False, **spaces):
    return MutateMark(draw=Draw(samples=samples, include_default=default), names=names, spaces=spaces)


def ids(plan, registry, **settings):
    return [cell.id for cell in cells_of(plan, Settings(**settings), registry)]


def test_a_plain_test_has_one_cell(registry):
    """Without markers and repetitions there is a single default cell, whose id is the first repetition."""
    assert cells_of(MarkedPlan(), Settings(), registry) == (CellParam(),)
    assert ids(MarkedPlan(), registry) == ["rep0"]


def test_warm_ups_come_before_the_repetitions_of_their_cell(registry):
    """Each mutation has its own warm-ups, directly before its measured repetitions, both counted from 0."""
    plan = MarkedPlan(mutates=(mutate(lr=[1, 2]),))
    assert ids(plan, registry, repeats=2, warmup=1) == [
        "lr=1-warmup0", "lr=1-rep0", "lr=1-rep1", "lr=2-warmup0", "lr=2-rep0", "lr=2-rep1",
    ]  # fmt: skip


def test_a_disabled_run_runs_each_cell_once(registry):
    """--energy-disable keeps the mutations and drops repetitions and warm-ups."""
    assert ids(MarkedPlan(mutates=(mutate(lr=[1, 2]),)), registry, disable=True, repeats=5, warmup=3) == [
        "lr=1-rep0",
        "lr=2-rep0",
    ]


def test_loads_stand_in_the_id(registry):
    """All loads are named, and several instances of one are counted."""
    loads = (LoadRequest.of("tiny/linear", {}), LoadRequest.of(["./busy.sh"], {}, n=2))
    plan = MarkedPlan(workload=TINY, loads=loads)
    assert plan.background == "tiny/linear+2xbusy.sh"
    assert ids(plan, registry) == ["bg=tiny/linear+2xbusy.sh-rep0"]


def test_registered_ranges_and_the_cell_without_mutation(registry):
    """Names draw from the workload's ranges; default=True adds the un-mutated cell, whose values stay empty."""
    plan = MarkedPlan(workload=TINY, mutates=(mutate("epochs", samples=3, default=True),))
    default, *drawn = cells_of(plan, Settings(), registry)
    assert (default.label, default.values) == ("default", {})
    assert len({cell.values["epochs"] for cell in drawn}) == 3
    assert all(10 <= cell.values["epochs"] <= 30 and cell.values["epochs"] != 20 for cell in drawn)


def test_several_mutate_markers_add_up(registry):
    """Each marker is a sweep of its own; together they do not multiply."""
    plan = MarkedPlan(mutates=(mutate(a=[1, 2]), mutate(b=choice(["x", "y"]), samples=2)))
    assert sorted(cell.label for cell in cells_of(plan, Settings(), registry)) == ["a=1", "a=2", "b=x", "b=y"]


def test_labels_tell_close_values_apart(registry):
    """Values that round to one label get as many digits as they need."""
    assert ids(MarkedPlan(mutates=(mutate(lr=[0.1, 0.100001]),)), registry) == ["lr=0.1-rep0", "lr=0.100001-rep0"]


@pytest.mark.parametrize(
    ("marked", "run", "profile"),
    [(None, None, None), (None, "quick", "quick"), ("long", "quick", "long"), ("published", "quick", None)],
)
def test_the_profile_in_force(marked, run, profile):
    """The marker's profile takes precedence over the run's; 'published' selects the registry's defaults."""
    assert profile_of(marked, Settings(profile=run)) == profile


@pytest.mark.parametrize(
    ("plan", "words"),
    [
        (MarkedPlan(workload=WorkloadMark(name="tiny/logistc")), "did you mean 'tiny/logistic'"),
        (MarkedPlan(workload=WorkloadMark(name="tiny/logistic", profile="quik")), "did you mean 'quick'"),
        (MarkedPlan(workload=WorkloadMark(name="tiny/logistic", fixed={"epoch": 3})), "did you mean 'epochs'"),
        (MarkedPlan(loads=(LoadRequest.of("tiny/linear", {"epochs": "three"}),)), "epochs must be"),
        (MarkedPlan(loads=(LoadRequest.of("tiny/linear", {"profile": "quik"}),)), "did you mean 'quick'"),
    ],
)
def test_a_plan_that_cannot_be_trained_is_refused(plan, words, registry):
    """Workloads and loads are checked alike; a command as load needs no registry."""
    with pytest.raises(ConfigError) as refused:
        cells_of(plan, Settings(), registry)
    assert words in str(refused.value)
    check_plan(MarkedPlan(loads=(LoadRequest.of(["true"], {}),)), Settings(), registry)


def test_a_registered_range_needs_a_workload(registry):
    """The message names the marker and shows how to give the distribution itself."""
    with pytest.raises(ConfigError, match=r"mutate\('lr'\) .* the test has no workload marker; .*mutate\(lr=log_uni"):
        cells_of(MarkedPlan(mutates=(mutate("lr"),)), Settings(), registry)


def test_a_space_without_any_mutation_is_refused(registry):
    """A distribution that gives nothing but the default has no cell to run."""
    plan = MarkedPlan(workload=TINY, mutates=(mutate(learning_rate=log_uniform(0.5, 0.5)),))
    with pytest.warns(UserWarning, match="the space holds 0"), pytest.raises(ConfigError, match="nothing to run"):
        cells_of(plan, Settings(), registry)
