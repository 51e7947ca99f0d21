"""Epochs and units of work of an unmodified child training, from its log to the table, the reports and the gate."""

from __future__ import annotations

import csv
import importlib.util
import json

import pytest

from pytest_parallel_energy.testing import FakeZone, PowercapTree

TRAINING = """
import sys, time
epochs = int(sys.argv[sys.argv.index("--epochs") + 1])
time.sleep(0.3)
for epoch in range(epochs):
    end_s = time.monotonic() + 0.25
    while time.monotonic() < end_s:
        pass
    print(f"epoch {epoch + 1}: accuracy {0.5 + 0.1 * epoch:.1f}", flush=True)
"""
ENTRY = {
    "path": ".",
    "train_script": "paced.py",
    "models": ["default"],
    "supported_hyperparams": {"epochs": {"flag": "--epochs", "type": "int", "default": 40}},
    "profiles": {"quick": {"epochs": 5}},
    "performance_metrics": {
        "log_patterns": {"accuracy": "accuracy ([0-9.]+)"},
        "better": {"accuracy": "higher"},
    },
    "epoch": "^epoch (\\d+)",
    "work": {"sample": ["epochs", 1000]},
    "reach": {"accuracy": 0.7},
}
TEST = """
import pytest

@pytest.mark.workload("paced/default", profile="quick")
def test_it(train):
    train()
"""


@pytest.fixture
def paced(project):
    """A project whose training takes 0.25 s per epoch and prints a line at the end of each."""
    (project.path / "paced.py").write_text(TRAINING)
    (project.path / "models.json").write_text(json.dumps({"models": {"paced": ENTRY}}))
    project.tests(TEST)
    return project


@pytest.fixture
def steady(paced, tmp_path_factory, monkeypatch):
    """The same project on a machine whose processor draws 50 W all the time, so that other work changes no joule."""
    root = tmp_path_factory.mktemp("sysfs")
    monkeypatch.setenv("PYTEST_ENERGY_SYSFS_ROOT", str(root))
    paced.ini("energy_sensors = powercap", "energy_idle = 0")
    with PowercapTree(root, [FakeZone(path="intel-rapl:0", name="package-0", watts=50.0)]):
        yield paced


def test_the_record_has_epochs_milestones_and_units(paced):
    """Epochs follow each other and their energies lie in the window's; the moment of a value is one of their ends."""
    paced.run("--energy-interval=0.05").assert_outcomes(passed=1)
    (record,) = paced.records()
    epochs = record["epochs"]
    assert [epoch["name"] for epoch in epochs] == ["1", "2", "3", "4", "5"]
    ends_s = [epoch["start_s"] + epoch["seconds"] for epoch in epochs]
    assert [epoch["start_s"] for epoch in epochs[1:]] == pytest.approx(ends_s[:-1])
    assert all(epoch["seconds"] >= 0.24 for epoch in epochs[1:])
    assert epochs[0]["seconds"] >= 0.54
    assert 0 < sum(epoch["joules"] for epoch in epochs) <= record["energy"]["total_j"] * 1.000001
    assert all(epoch["u95_j"] > 0 for epoch in epochs)
    (milestone,) = record["milestones"]
    assert (milestone["metric"], milestone["target"]) == ("accuracy", 0.7)
    assert milestone["seconds"] + epochs[0]["start_s"] == pytest.approx(ends_s[2])
    assert milestone["joules"] == pytest.approx(sum(epoch["joules"] for epoch in epochs[:3]))
    assert record["work"] == {"sample": 5000.0, "epoch": 5.0}
    assert record["workload"]["full_epochs"] == 40.0


def test_reports_show_them(steady):
    """Table, Markdown, JSON, CSV and page have the energy per unit, and the projection calls itself one."""
    html = ("--energy-report=html",) if importlib.util.find_spec("jinja2") else ()
    result = steady.run("--energy-report=md", "--energy-report=json", "--energy-report=csv", *html)
    result.assert_outcomes(passed=1)
    words = ["J per sample", "J per epoch", "J to accuracy 0.7", "EDP"]
    begin = "projection: test_it: a full training of 40 epochs would use"
    sentence = "stable epochs of 5 trained ones; not measured"
    text = " ".join(result.stdout.str().split())
    assert all(word in text for word in (*words, begin, sentence))
    markdown = (steady.run_folder / "report.md").read_text()
    assert all(word in markdown for word in (*words, sentence))
    (cell,) = json.loads((steady.run_folder / "report.json").read_text())["cells"]
    assert cell["projection"]["stable"] >= 3  # an epoch that other work delays is left out
    assert cell["quantities"]["j_per_sample"]["unit"] == "J"
    (row,) = csv.DictReader((steady.run_folder / "summary.csv").read_text().splitlines())
    assert float(row["energy_j_per_sample"]) == pytest.approx(float(row["energy_total_j"]) / 5000)
    assert row["work_epoch"] == "5.0"
    if html:
        page = (steady.run_folder / "report.html").read_text()
        assert sentence in page
        assert ("Energy per epoch" in page) == (importlib.util.find_spec("altair") is not None)


def test_a_gate_on_the_energy_per_sample(steady):
    """The same training with half of the samples uses twice the energy per sample, though not more in total."""
    if importlib.util.find_spec("scipy") is None:
        pytest.skip("not installed: SciPy")
    steady.run("--energy-repeats=3", "--energy-save-baseline").assert_outcomes(passed=3)
    halved = {**ENTRY, "work": {"sample": ["epochs", 500]}}
    (steady.path / "models.json").write_text(json.dumps({"models": {"paced": halved}}))
    result = steady.run("--energy-repeats=3", "--energy-compare", "--energy-compare-fail=j_per_sample:40%")
    assert result.ret == 1, result.stdout.str()
    result.stdout.fnmatch_lines(["*j_per_sample*"])
    result = steady.run("--energy-repeats=3", "--energy-compare", "--energy-compare-fail=total_j:40%")
    assert result.ret == 0, result.stdout.str()


def test_a_plan_projects(paced):
    """The plan of the full training starts from the epochs that were measured, and says so."""
    paced.run().assert_outcomes(passed=1)
    (record,) = paced.records()
    paced.tests(TEST.replace('profile="quick"', 'profile="quick", epochs=40'))
    result = paced.run("--energy-plan")
    text = " ".join(result.stdout.str().split())
    assert "1 of the runs are projected from the measured epochs" in text
    assert record["duration_s"] + 35 * 0.25 < 12
    assert any(f"{seconds}" in text for seconds in ("10.", "11.", "12.")), text


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("epoch", "epoch", "has 0 groups"),
        ("epoch", {"line": "ends"}, 'lacks "pattern"'),
        ("epoch", {"pattern": "e (.)", "line": "middle"}, "middle"),
        ("work", {"sample": "epoch"}, "epochs"),
        ("work", {"per sample": 1}, "is not a unit"),
        ("work", {"sample": -1}, "above 0"),
        ("reach", {"acuracy": 0.5}, "accuracy"),
        ("reach", {"accuracy": "high"}, "must be a number"),
    ],
)
def test_mistakes_in_the_registry_are_named(paced, key, value, message):
    """Before anything runs, with the file and the key."""
    (paced.path / "models.json").write_text(json.dumps({"models": {"paced": {**ENTRY, key: value}}}))
    result = paced.run()
    assert result.ret != 0
    result.stdout.fnmatch_lines([f"*models.json*{key}*{message}*"])
