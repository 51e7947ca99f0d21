"""Mutations that older results hold."""

from __future__ import annotations

from pytest_parallel_energy.mutation.draw import mutation_key
from pytest_parallel_energy.plan.history import read_history
from pytest_parallel_energy.records.store import RunStore


def test_values_of_a_test_that_trains_by_itself_are_known(tmp_path, make_record):
    """A sweep inside the process has no workload: its test stands for it, its exact values for its mutations."""
    store = RunStore.create(tmp_path / "results")
    nodeid = "test_own.py::test_depth[depth=0.3-rep0]"
    store.append(make_record(nodeid=nodeid, workload=None, hyperparameters={"depth": 0.1 + 0.2}, mutated=("depth",)))
    store.append(make_record(nodeid="test_own.py::test_plain[rep0]", workload=None))
    store.finish(0)
    history = read_history([store.folder])
    known = history.known("test_own.py::test_depth", beside_load=False, names=("depth",), fixed={})
    assert known == {mutation_key({"depth": 0.1 + 0.2})}
    assert len(history) == 1
