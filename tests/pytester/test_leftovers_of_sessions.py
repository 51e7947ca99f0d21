"""What dead sessions left behind is ended before a session measures, and by the console script."""

from __future__ import annotations

import os
import secrets
import subprocess
import sys

import pytest

from pytest_parallel_energy.console.cli import main
from pytest_parallel_energy.processes.cookie import REALM_VARIABLE, VARIABLE
from pytest_parallel_energy.testing.misbehaving import misbehaving_argv

METERED = """
def test_metered(energy_meter):
    pass
"""


@pytest.fixture
def leftover(monkeypatch):
    monkeypatch.setenv(REALM_VARIABLE, secrets.token_hex(8))
    code = "from pytest_parallel_energy.processes.cookie import Cookie; print(Cookie.mine())"
    cookie = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()
    argv = misbehaving_argv("plain", f"left-{secrets.token_hex(8)}")
    with subprocess.Popen(argv, env={**os.environ, VARIABLE: cookie}, start_new_session=True) as process:
        yield process
        process.kill()


def test_a_session_sweeps_first(project, leftover):
    """The next session with experiments ends a dead one's load, and says so."""
    project.tests(METERED)
    result = project.run()
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines([
        f"energy: warning: killed process {leftover.pid}, left over from the crashed session *"
    ])
    assert leftover.wait(10) == -9


def test_other_suites_sweep_nothing(project, leftover):
    """A suite without experiments looks at nobody's processes."""
    project.tests("def test_plain(): pass")
    project.run().assert_outcomes(passed=1)
    assert leftover.poll() is None


def test_the_console_script_sweeps(project, leftover, capsys):
    """``pytest-parallel-energy kill-background`` ends them, and then finds nothing more."""
    assert main(["kill-background"]) == 0
    assert f"killed process {leftover.pid}" in capsys.readouterr().out
    assert leftover.wait(10) == -9
    assert main(["kill-background"]) == 0
    assert "no leftover processes were found" in capsys.readouterr().out
