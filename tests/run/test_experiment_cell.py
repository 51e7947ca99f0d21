"""The identity of an experiment."""

from __future__ import annotations

import pytest

from pytest_parallel_energy.errors import ConfigError, RegistryError
from pytest_parallel_energy.plan.cells import CellParam, MarkedPlan
from pytest_parallel_energy.plan.markers import LoadRequest, WorkloadMark

NET = WorkloadMark(name="toy/net")
LOAD = LoadRequest.of("toy/net", {"epochs": 1})
COMMAND = LoadRequest.of(["python", "busy.py"], {})


@pytest.mark.parametrize(
    ("cell_id", "profile", "plan", "param"),
    [
        ("54583d08dd2f", None, MarkedPlan(), CellParam()),
        ("0900c9bdfa76", None, MarkedPlan(), CellParam(parameters={"a": 1, "b": "two"})),
        ("ec743389fe29", None, MarkedPlan(workload=NET), CellParam()),
        ("39cbee2d6d73", "quick", MarkedPlan(workload=NET), CellParam(repetition=3)),
        (
            "bfbecc3e30c5",
            None,
            MarkedPlan(workload=WorkloadMark(name="toy/net", fixed={"epochs": 4})),
            CellParam(values={"learning_rate": 0.25}),
        ),
        ("f6e2ff6fbfb1", None, MarkedPlan(workload=NET, loads=(LOAD,)), CellParam()),
        ("148a01b38d48", None, MarkedPlan(loads=(COMMAND, LOAD)), CellParam()),
    ],
    ids=["plain", "parametrized", "workload", "profile", "mutated", "load", "command"],
)
def test_identities_stay_what_they_were(world, cell_id, profile, plan, param):
    """Stored identities: results of earlier versions are compared and resumed by them."""
    cell = world.run.cell("test_it.py::test_x[rep0]", world.settings(profile=profile), plan, param)
    assert cell.id == cell_id


def test_a_cell_opens_nothing(world, monkeypatch):
    """Selection asks for identities before anything may be opened."""
    run = world.run
    monkeypatch.setattr(run, "open_meter", lambda: pytest.fail("a sensor was opened"))
    monkeypatch.setattr(run, "open_store", lambda: pytest.fail("a results folder was made"))
    cell = world.cell("toy/net", [LOAD], values={"learning_rate": 0.5})
    assert len(cell.id) == 12
    assert len(cell.code) == 12
    assert cell.hyperparameters == {"learning_rate": 0.5, "epochs": 20}
    assert not run.results_dir.exists()


def test_the_code_is_the_script_or_the_test_file(world):
    """A changed training script changes the code of its workload, a changed test file that of a test of its own."""
    own, net = world.cell().code, world.cell("toy/net").code
    assert own != net
    with (world.folder / "toy_training.py").open("a") as script:
        script.write("# changed\n")
    run = world.new_run()
    assert world.cell(run=run).code == own
    assert world.cell("toy/net", run=run).code != net


def test_repetitions_and_loads(world):
    """A repetition has the identity of its cell; a load started by the test changes it like a marked one."""
    cell = world.cell("toy/net")
    assert world.cell("toy/net", repetition=4, warmup=True).id == cell.id
    started = {"name": "toy/net", "hyperparameters": {"learning_rate": 0.1, "epochs": 1}}
    assert cell.id_with([started]) == world.cell("toy/net", [LOAD]).id != cell.id
    assert world.cell("toy/net", [LOAD]).work_and_values == cell.work_and_values


def test_what_is_unknown_is_refused(world):
    """Unknown workloads and values are named; a command written as one text is explained."""
    with pytest.raises(RegistryError, match="toy/nut"):
        world.cell("toy/nut").id  # noqa: B018
    with pytest.raises(RegistryError, match="a command is a list of words"):
        world.cell(loads=[LoadRequest.of("python busy.py", {})]).id  # noqa: B018
    with pytest.raises(ConfigError, match="momentum"):
        world.cell("toy/net", values={"momentum": 1}).id  # noqa: B018
