"""Pairs, correlations and fronts are over cells that differ in one thing alone."""

from __future__ import annotations

import pytest

from pytest_parallel_energy.records.record import HostPart, LoadReport, WindowResult
from pytest_parallel_energy.statistics.analysis import cells_by_setting, hyperparameter_effects, load_pairs
from pytest_parallel_energy.statistics.grouping import group_cells

LOAD = (LoadReport(name="busy"),)
OTHER = HostPart(machine_id="machine-b", hostname="beta", cpu="EPYC 7763", sockets=2, threads=256)


def own_test(make_record, seconds, **fields):
    """A record of a test that trains by itself for some seconds, as schema version 1 has it."""
    loads = fields.get("background", ())
    name = f"test_own.py::test_wait[seconds={seconds}{'-bg=busy' if loads else ''}-rep0]"
    return make_record(seconds * 100, nodeid=name, cell=f"{name}-{fields}", workload=None, duration_s=seconds, **fields)


def test_other_values_are_no_pair(make_record):
    """0.2 s with a load are not paired with 2.0 s alone: that was a slowdown of 0.1."""
    alone = [own_test(make_record, seconds) for seconds in (0.2, 2.0)]
    loaded = own_test(make_record, 0.2, background=LOAD)
    (pair,) = load_pairs(group_cells([*alone, loaded]))
    assert pair.alone.records == (alone[0],)
    assert load_pairs(group_cells([alone[1], loaded])) == ()


@pytest.mark.parametrize(
    "other",
    [{"foreground_id": "other"}, {"host": OTHER}, {"code": "other"}, {"threads": 8}, {"devices": "1"}],
    ids=lambda other: next(iter(other)),
)
def test_a_pair_shares_everything_but_the_load(make_record, other):
    """Another foreground, machine, code, thread budget or device is no partner."""
    same = {"foreground_id": "same", "code": "c", "threads": 4, "devices": "0"}
    loaded = make_record(load=True, **same)
    assert len(load_pairs(group_cells([make_record(**same), loaded]))) == 1
    assert load_pairs(group_cells([make_record(**(same | other)), loaded])) == ()


def test_two_machines_are_two_correlations(make_record):
    """Two machines of which one needs more stay apart and are named: pooled, they correlate out of nothing."""
    records = [
        make_record(joules, lr=rate, cell=f"{host}-{rate}", **({"host": OTHER} if host else {}))
        for host, base in ((0, 100.0), (1, 200.0))
        for rate, joules in zip((1, 2, 3, 4), (base, base + 1, base - 1, base), strict=True)
    ]
    effects = hyperparameter_effects(group_cells(records))
    assert [(effect.load, len(effect.points)) for effect in effects] == [("alone, on alpha", 4), ("alone, on beta", 4)]


def test_other_sensors_are_another_correlation(make_record):
    """Joules of another boundary are not points of one correlation."""
    records = [make_record(lr=rate, cell=str(rate)) for rate in (1, 2, 3)]
    estimated = WindowResult(total_j=50.0, quality="estimated", boundary="whole server", window_s=60.0)
    records += [make_record(lr=rate, cell=str(rate), energy=estimated) for rate in (4, 5, 6)]
    assert [len(effect.points) for effect in hyperparameter_effects(group_cells(records))] == [3, 3]


def test_values_of_a_test_that_trains_by_itself_have_effects(make_record):
    """A sweep inside the process is a study too: its values are correlated with its joules."""
    records = [
        make_record(100.0 * depth, nodeid=f"t.py::test_own[depth={depth}-rep0]", cell=str(depth), workload=None,
                    hyperparameters={"depth": depth}, mutated=("depth",))
        for depth in (1, 2, 3, 4, 5)
    ]  # fmt: skip
    (effect,) = hyperparameter_effects(group_cells(records))
    assert (effect.workload, effect.name, effect.correlation.rho) == ("test_own", "depth", pytest.approx(1.0))


def test_a_front_has_no_loaded_cells_among_those_alone(make_record):
    """Alone and with a load are two groups, in the order of the cells."""
    records = [make_record(lr=rate, load=load) for load in (False, True) for rate in (1, 2)]
    assert [(group.load, len(group.cells)) for group in cells_by_setting(group_cells(records))] == [
        ("alone", 2),
        ("VulBERTa/mlp", 2),
    ]
