"""The identity of an experiment."""

from __future__ import annotations

import json
import subprocess

import pytest

from pytest_parallel_energy.errors import ConfigError, RegistryError
from pytest_parallel_energy.plan.cells import CellParam, MarkedPlan
from pytest_parallel_energy.plan.finished import Finished
from pytest_parallel_energy.plan.markers import LoadRequest, WorkloadMark
from pytest_parallel_energy.records.codec import decode, encode
from pytest_parallel_energy.records.record import Status, all_values

NET = WorkloadMark(name="toy/net")
LOAD = LoadRequest.of("toy/net", {"epochs": 1})
COMMAND = LoadRequest.of(["python", "busy.py"], {})


@pytest.mark.parametrize(
    ("cell_id", "profile", "plan", "param"),
    [
        ("ca72024a813c", None, MarkedPlan(), CellParam()),
        ("f426869aa380", None, MarkedPlan(), CellParam(parameters={"a": 1, "b": "two"})),
        ("0a4e6ca5f9aa", None, MarkedPlan(workload=NET), CellParam()),
        ("35f7b3e35791", "quick", MarkedPlan(workload=NET), CellParam(repetition=3)),
        (
            "586a26559c67",
            None,
            MarkedPlan(workload=WorkloadMark(name="toy/net", fixed={"epochs": 4})),
            CellParam(values={"learning_rate": 0.25}),
        ),
        ("143d4cdc8888", None, MarkedPlan(workload=NET, loads=(LOAD,)), CellParam()),
        ("4bc79cb6e98a", None, MarkedPlan(loads=(COMMAND, LOAD)), CellParam()),
    ],
    ids=["plain", "parametrized", "workload", "profile", "mutated", "load", "command"],
)
def test_identities_stay_what_they_were(world, monkeypatch, cell_id, profile, plan, param):
    """Stored identities: results of earlier versions are compared and resumed by them."""
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    cell = world.new_run(threads=2).cell("test_it.py::test_x[rep0]", world.settings(profile=profile), plan, param)
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
    assert cell.id_with([cell.load_identity(LOAD)]) == world.cell("toy/net", [LOAD]).id != cell.id
    assert world.cell("toy/net", [LOAD]).work_and_values == cell.work_and_values


def test_another_thread_budget_is_another_cell(world):
    """One thread against four is not a saving of 30 %: the budget is part of the cell and of the foreground."""
    one, four = (world.cell("toy/net", run=world.new_run(threads=threads)).identity() for threads in (1, 4))
    assert one.cell != four.cell
    assert one.foreground != four.foreground
    own = [world.cell(run=world.new_run(threads=threads)).id for threads in (1, 4)]
    assert own[0] != own[1]


def test_other_devices_are_another_cell(world, monkeypatch):
    """The GPUs that the session may use are part of the cell."""
    found = []
    for devices in ("0", "0,1"):
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", devices)
        found.append(world.cell("toy/net").id)
    assert found[0] != found[1]


@pytest.mark.parametrize(
    "change",
    [
        {"required_args": {"net": ["--n_layer=4"]}},
        {"env": {"MODE": "fast"}},
        {"python": "python3"},
        {"profiles": {"quick": {"epochs": 2, "args": ["--fast"]}}},
    ],
    ids=lambda change: next(iter(change)),
)
def test_another_command_line_is_another_cell(world, change):
    """Required and profile arguments, environment and a registered interpreter are what was run."""
    settings = world.settings(profile="quick")
    before = world.cell("toy/net", settings=settings).id
    registry = world.folder / "models.json"
    models = json.loads(registry.read_text())
    models["models"]["toy"].update(change)
    registry.write_text(json.dumps(models))
    assert world.cell("toy/net", run=world.new_run(), settings=settings).id != before


@pytest.mark.parametrize("change", [{"required_args": {"net": ["--n_layer=4"]}}, {"env": {"MODE": "fast"}}], ids=str)
def test_another_command_line_of_a_load_is_another_cell(world, change):
    """A load that runs other arguments is another load, of the same foreground, as planned and as started."""
    before = world.cell("toy/net", [LOAD]).identity()
    registry = world.folder / "models.json"
    models = json.loads(registry.read_text())
    models["models"]["beside"] = {**models["models"]["toy"], **change}
    models["models"]["toy"]["required_args"] = {}
    registry.write_text(json.dumps(models))
    other = LoadRequest.of("beside/net", {"epochs": 1})
    run = world.new_run()
    assert run.registry.workload("beside/net").values() == run.registry.workload("toy/net").values()
    cell = world.cell("toy/net", run=run)
    identities = [cell.load_identity(load) for load in (LOAD, other)]
    assert {**identities[0], "name": ""} != {**identities[1], "name": ""}
    assert cell.identity([identities[0]]).loads == before.loads
    assert cell.identity([identities[1]]).foreground == before.foreground


def test_the_place_of_a_checkout_is_no_part_of_the_cell(tmp_path, world):
    """The same project in another folder, with another interpreter for the tests, has the same cells."""
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    other = type(world)(folder)
    assert other.cell("toy/net").identity() == world.cell("toy/net").identity()
    other.meter.close()


def test_two_tests_are_two_cells_of_one_foreground(world):
    """Another function or file is another cell; what it trains is the same."""
    names = ("test_it.py::test_x[rep0]", "test_it.py::test_y[rep0]", "other/test_it.py::test_x[rep0]")
    found = [world.cell("toy/net", nodeid=name).identity() for name in names]
    assert len({identity.cell for identity in found}) == 3
    assert len({identity.foreground for identity in found}) == 1


def test_what_train_overrides_is_part_of_the_record(world):
    """A test that trains with other values than its markers say has another cell; its planned cell is for resuming."""
    experiment = world.experiment("toy/net")
    experiment.begin()
    experiment.open_window()
    experiment.train(None, None, {"epochs": 3})
    experiment.close_window()
    record = experiment.attempt.record(Status.PASSED, None, experiment.attempt.result)
    assert record.planned_cell == experiment.cell.id != record.cell
    finished = Finished.of([record], git_commit=record.host.git_commit)
    assert finished.holds(record.nodeid, experiment.cell.id, experiment.cell.code)
    plain = world.experiment("toy/net")
    plain.begin()
    plain.open_window()
    plain.train(None, None, {})
    plain.close_window()
    record = plain.attempt.record(Status.PASSED, None, plain.attempt.result)
    assert record.planned_cell == record.cell == plain.cell.id
    assert (record.threads, record.schema_version) == (world.run.threads, 2)


def test_a_changed_module_is_other_code(world):
    """The training imports more than its script: a changed model.py is other code; a test or a page is not."""
    (world.folder / "model.py").write_text("LAYERS = 2\n")
    before = world.cell("toy/net", run=world.new_run()).code
    (world.folder / "test_it.py").write_text("def test_x(): 'changed'\n")
    (world.folder / "README.md").write_text("changed\n")
    assert world.cell("toy/net", run=world.new_run()).code == before
    (world.folder / "model.py").write_text("LAYERS = 4\n")
    assert world.cell("toy/net", run=world.new_run()).code != before


def test_a_changed_module_outside_of_the_checkout_is_other_code(world, tmp_path):
    """Folders and files that the registry names as modules count, wherever they lie; a missing one is refused."""
    shared, extra = tmp_path / "shared", tmp_path / "extra.cfg"
    shared.mkdir()
    registry = world.folder / "models.json"
    models = json.loads(registry.read_text())
    models["models"]["toy"]["modules"] = [str(shared), str(extra)]
    registry.write_text(json.dumps(models))
    with pytest.raises(RegistryError, match=r"modules\[1\].*there is no file or folder .*extra\.cfg"):
        world.new_run()
    codes = []
    for text in ("1", "2"):
        for file in (shared / "loop.py", extra):
            file.write_text(text)
            codes.append(world.cell("toy/net", run=world.new_run()).code if extra.exists() else None)
    assert len(set(codes)) == 4
    (shared / "test_loop.py").write_text("changed")
    assert world.cell("toy/net", run=world.new_run()).code == codes[-1]


def test_the_trained_checkout_is_in_the_record(world):
    """Commit and dirty state of the trained checkout are recorded; a tracked file that is not Python counts as code."""
    git = ["git", "-C", str(world.folder), "-c", "user.name=n", "-c", "user.email=e@example.org"]
    (world.folder / "net.yaml").write_text("layers: 2\n")
    subprocess.run([*git, "init", "-q"], check=True)
    subprocess.run([*git, "add", "net.yaml", "toy_training.py"], check=True)
    subprocess.run([*git, "commit", "-qm", "first"], check=True)
    states = []
    for text in ("layers: 2\n", "layers: 4\n"):
        (world.folder / "net.yaml").write_text(text)
        experiment = world.experiment("toy/net", run=world.new_run())
        experiment.begin()
        record = experiment.attempt.record(Status.FAILED, "it did not train", None)
        states.append((record.workload.commit, record.workload.dirty, record.code))
        experiment.run.close()
    commit = subprocess.run([*git, "rev-parse", "HEAD"], check=True, capture_output=True, text=True).stdout.strip()
    assert [state[:2] for state in states] == [(commit, False), (commit, True)]
    assert states[0][2] != states[1][2]


def test_values_of_a_test_that_trains_by_itself_are_recorded(world):
    """A sweep inside the process has no workload: its values are in the record, exact, and so are its parameters."""
    experiment = world.experiment(values={"lr": 0.1 + 0.2, "depth": 3}, parameters={"cache": "on"})
    experiment.begin()
    record = decode(encode(experiment.attempt.record(Status.FAILED, "it did not train", None)))
    assert record.workload is None
    assert all_values(record) == {"lr": 0.1 + 0.2, "depth": 3}
    assert record.mutated == ("lr", "depth")
    assert record.parameters == {"cache": "on"}


def test_what_is_unknown_is_refused(world):
    """Unknown workloads and values are named; a command written as one text is explained."""
    with pytest.raises(RegistryError, match="toy/nut"):
        world.cell("toy/nut").id  # noqa: B018
    with pytest.raises(RegistryError, match="a command is a list of words"):
        world.cell(loads=[LoadRequest.of("python busy.py", {})]).id  # noqa: B018
    with pytest.raises(ConfigError, match="momentum"):
        world.cell("toy/net", values={"momentum": 1}).id  # noqa: B018
