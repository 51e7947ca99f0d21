"""Trainings inside the test's own process: parts of a window, meters of a module, metrics, and pytest below pytest."""

from __future__ import annotations

import csv
import importlib.util
import json

import pytest


def test_windows_are_shown_with_their_share(project):
    """Terminal, Markdown and CSV name the parts of a test; rounds of a loop are one entry."""
    project.tests(
        """
        def test_parts(energy_meter):
            energy_meter.begin("forward")
            sum(range(300_000))
            energy_meter.end("forward")
            for epoch in energy_meter.windows("epoch", range(3)):
                sum(range(300_000))
        """
    )
    result = project.run("--energy-report=md", "--energy-report=csv")
    result.assert_outcomes(passed=1)
    result.stdout.re_match_lines([r".*windows forward .*J \(.*%\); epoch × 3 .*J each \(.*%\)"])
    assert "epoch × 3" in (project.run_folder / "report.md").read_text()
    (row,) = csv.DictReader((project.run_folder / "summary.csv").read_text().splitlines())
    assert row["window_epoch_count"] == "3"
    assert 0 < float(row["window_epoch_share"]) < 1
    assert float(row["window_forward_total_j"]) > 0


def test_a_module_is_measured_as_a_whole(project):
    """The window of the module contains the fixture that trains once; it is printed and kept in run.json."""
    project.tests(
        """
        import pytest

        @pytest.fixture(scope="module")
        def model(module_energy_meter):
            with module_energy_meter.window("pretraining") as window:
                sum(range(300_000))
            return window

        def test_first(model, energy_meter):
            assert model.total_j > 0

        def test_second(model, module_energy_meter):
            assert module_energy_meter.total_j > model.total_j
        """
    )
    result = project.run("-p", "no:randomly")
    result.assert_outcomes(passed=2)
    result.stdout.re_match_lines([r"module test_it.py: .*J in .*s \(estimated\), cool-downs and waiting.*"])
    (scope,) = json.loads((project.run_folder / "run.json").read_text())["scopes"]
    assert scope["windows"][0]["name"] == "pretraining"
    assert all(record["energy"]["start_s"] == 0.0 for record in project.records())


def test_metrics_of_other_libraries_are_numbers(project):
    """NumPy scalars and tensors of one element are taken; NaN is unknown and flagged; arrays and texts are refused."""
    if not all(map(importlib.util.find_spec, ("numpy", "torch"))):  # pytester would forget modules imported here
        pytest.skip("not installed: numpy or torch")
    project.tests(
        """
        import numpy, pytest, torch

        def test_it(record_metric):
            record_metric("a", numpy.float32(0.5))
            record_metric("b", torch.ones(1, requires_grad=True))
            record_metric("loss", float("nan"))
            for wrong in (torch.ones(2), "1", True, 1j, None):
                with pytest.raises(TypeError, match="must be a number"):
                    record_metric("c", wrong)
        """
    )
    project.run().assert_outcomes(passed=1)
    (record,) = project.records()
    assert record["metrics"] == {"a": 0.5, "b": 1.0, "loss": None}
    assert "loss: the test recorded nan, which is not a finite number" in record["meter"]["flags"]


COMMANDS = """
import pytest

CODE = "import os, sys; open(os.environ['PARALLEL_ENERGY_OUTPUT_DIR'] + '/{x}', 'w'); print(sys.argv)"
WORDS = ["python", "-c", CODE]

@pytest.mark.workload(command=WORDS)
def test_marked(train):
    result = train()
    assert [file.name for file in result.output_dir.iterdir()] == ["{x}"]

def test_called(train, background_load):
    result = train([*WORDS, "--lr", 0.1])
    assert "['-c', '--lr', '0.1']" in result.log.read_text()

def test_failing(train):
    train(["false"])

def test_text(train):
    train(["python x.py"])
"""


def test_plain_commands_are_trained(project):
    """As a marker and as an argument; a command that fails or is not found fails its test with a message."""
    project.tests(COMMANDS)
    result = project.run("-p", "no:randomly")
    result.assert_outcomes(passed=2, failed=2)
    result.stdout.fnmatch_lines([
        "*command/false: exit code 1*",
        "*the program 'python x.py' of the command is not found*",
    ])
    marked, called, *_ = project.records()
    assert (marked["workload"]["repository"], marked["workload"]["model"]) == ("command", "python")
    assert marked["cell"] != called["cell"]


def test_a_command_takes_no_hyperparameters(project):
    """The error names what is too much."""
    project.tests(
        """
        import pytest

        @pytest.mark.workload(command=["true"], lr=0.1)
        def test_it(train):
            train()
        """
    )
    result = project.run()
    assert result.ret != 0
    result.stdout.fnmatch_lines(["*has a command and lr*"])


@pytest.mark.parametrize("how", ["in the test", "as a training"])
def test_a_pytest_below_a_measuring_one_measures_nothing(project, how):
    """It says by whom it is measured, waits for no lock, and leaves no record; its assertions about energy hold."""
    project.pytester.makepyfile(
        inner="""
        def test_inner(energy_meter, background_load):
            print(energy_meter)
            assert energy_meter.total_j < 0
        """
    )
    command = ["python", "-m", "pytest", "-s", "-p", "pytest_parallel_energy.plugin", "inner.py"]
    body = (
        f"done = subprocess.run([sys.executable, *{command[1:]!r}], capture_output=True, text=True)\n"
        "    assert done.returncode == 0, done.stdout\n    text = done.stdout"
        if how == "in the test"
        else f"text = train({command!r}).log.read_text()"
    )
    project.tests(
        f"""
import os, subprocess, sys

def test_outer(energy_meter, train):
    {body}
    assert text.count(f"measured by the pytest that started this one (process {{os.getpid()}})") == 2, text
    assert "measures nothing of its own" in text
"""
    )
    project.run().assert_outcomes(passed=1)
    assert [record["nodeid"] for record in project.records()] == ["test_it.py::test_outer"]
