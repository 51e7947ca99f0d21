"""The commands that README and docs give for baselines and gates, run as they stand there on a small suite.

``tests/reports/test_docs.py`` runs the recipes for CI services.
"""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from pytest_parallel_energy.testing import FakeZone, PowercapTree

pytest.importorskip("altair", reason="the extra report is not installed")

ROOT = Path(__file__).parents[2]
SUITE = """
import os, time
import pytest

@pytest.mark.energy(repeats=5)
def test_training_alone(energy_meter):
    time.sleep(float(os.environ["TRAINING_S"]))
"""


def console_commands(page):
    """Return the commands of pytest in a page's console blocks."""
    blocks = re.findall(r"```console\n(.*?)```", (ROOT / page).read_text(), re.DOTALL)
    lines = [line.removeprefix("$ ").partition("  #")[0] for block in blocks for line in block.splitlines()]
    return [line for line in lines if line.startswith("pytest ")]


@pytest.fixture
def suite(project, tmp_path_factory, monkeypatch):
    """A suite that stands for ``experiments/``, on a machine whose processor draws 50 W."""
    root = tmp_path_factory.mktemp("sysfs")
    monkeypatch.setenv("HOME", str(project.path))
    monkeypatch.setenv("PYTEST_ENERGY_SYSFS_ROOT", str(root))
    project.ini("energy_sensors = powercap", "energy_idle = 0")
    (project.path / "experiments").mkdir()
    (project.path / "experiments" / "test_suite.py").write_text(SUITE)

    def run(command, training_s):
        monkeypatch.setenv("TRAINING_S", str(training_s))
        words = [word.replace("$HOME", str(project.path)) for word in shlex.split(command)]
        return project.run(*words[1:])

    with PowercapTree(root, [FakeZone(path="intel-rapl:0", name="package-0", watts=50.0)]):
        yield run


@pytest.mark.parametrize("page", ["README.md", "docs/reports.md"])
def test_the_gate_of_a_recipe_can_fail_and_can_pass(suite, page):
    """The first run has no baseline and passes; then the same work passes, and five times as much fails."""
    commands = console_commands(page)
    (save,) = [command for command in commands if "--energy-save-baseline" in command]
    (gate,) = [command for command in commands if "--energy-compare-fail" in command]
    first = suite(gate, 0.1)
    assert first.ret == 0
    first.stdout.fnmatch_lines(["*nothing to compare with: *"])
    assert suite(save, 0.1).ret == 0
    assert suite(gate, 0.1).ret == 0
    worse = suite(gate, 0.5)
    assert worse.ret == 1
    worse.stdout.fnmatch_lines(["*1 regression (test_training_alone)*"])
    worse.stdout.no_fnmatch_line("*cannot fail*")
