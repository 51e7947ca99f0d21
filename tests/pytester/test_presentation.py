"""What a user reads at the end of a session: failures told once, in few lines, with every kind of reporter."""

from __future__ import annotations

import pytest

STUCK = """
import threading, time

def test_stuck(energy_meter):
    threading.Thread(target=time.sleep, args=(3,), name="loader", daemon=True).start()
    time.sleep(30)
"""

REPLACED = """
import pytest
@pytest.hookimpl(tryfirst=True)
def pytest_sessionstart(session):
    # as pytest-rich does
    session.config.pluginmanager.unregister(name="terminalreporter")
"""


def test_a_timeout_shows_no_threads_of_the_plugin(project):
    """The report of a timeout shows where the test was and its own threads, not those that measure."""
    project.tests(STUCK)
    result = project.run("--timeout=1", "--timeout-method=signal")
    result.stdout.fnmatch_lines(["E *Failed: Timeout (>1.0s) from pytest-timeout.", "*Stack of loader (*"])
    assert "Stack of energy-" not in result.stdout.str()
    (record,) = project.records()
    assert (record["status"], record["reason"]) == ("timeout", "Timeout (>1.0s) from pytest-timeout.")


def test_a_timer_of_a_test_that_passed_is_cancelled(project):
    """The next test is not failed by the timer of the one before."""
    project.tests("import time\ndef test_a(energy_meter): pass\ndef test_b(): time.sleep(1.5)\n")
    assert project.run("--timeout=1", "--timeout-method=signal", "-k", "test_a").ret == 0
    project.tests("import time\ndef test_a(energy_meter): pass\n")
    project.run("--timeout=60").assert_outcomes(passed=1)


def test_an_expected_failure_is_not_a_failure(project):
    """An xfail test is no failed attempt in table and record; a resume does not run it again."""
    project.tests("import pytest\n@pytest.mark.xfail\ndef test_x(energy_meter): assert 0, 'known bug'\n")
    result = project.run()
    (record,) = project.records()
    assert record["status"] == "xfailed"
    result.stdout.fnmatch_lines(["*failed as expected (xfail): AssertionError: known bug*"])
    assert "no attempt passed" not in result.stdout.str()
    project.run("--energy-resume").assert_outcomes()
    assert len(project.records()) == 1


def test_a_failure_of_two_attempts_is_one_remark(project):
    """A training that failed in the same way at each attempt is told once."""
    project.tests("import pytest\n@pytest.mark.workload('toy/broken')\ndef test_b(train): train()\n")
    result = project.run("--energy-models=models.json", "--energy-max-retries=1")
    notes = [line for line in result.outlines if line.startswith("[") and "failed:" in line]
    assert len(notes) == 1
    assert "out of luck" in notes[0]


@pytest.mark.parametrize("options", [[], ["--no-summary"], ["-p", "no:terminal"]])
def test_the_table_survives_a_foreign_reporter(project, options):
    """Where a plugin removed pytest's reporter the table is printed plainly, unless the user wants no summary."""
    project.tests("def test_a(energy_meter): pass\n")
    if "no:terminal" not in options:
        (project.path / "conftest.py").write_text(REPLACED)
    result = project.run(*options)
    assert result.ret == 0
    assert "1 passed" not in result.stdout.str()
    shown = [line for line in result.outlines if line.startswith(("experiment ", "results: "))]
    assert len(shown) == (0 if options else 2)


@pytest.mark.parametrize(
    ("marker", "message"),
    [
        ("mutate(sample=2, lr=[1, 2])", "the marker 'mutate' has no argument 'sample'; did you mean 'samples'?"),
        ("background_load('toy/net', intensty=0.5)", "did you mean the marker's setting 'intensity'?"),
        ("workload('toy/net', profil='quick')", "did you mean the marker's setting 'profile'?"),
        ("energy(repeat=2)", "did you mean 'repeats'?"),
        ("limit_energy('5 J', kin='cpu')", "the marker 'limit_energy' has no argument 'kin'"),
    ],
)
def test_misspelt_keywords_of_markers_are_guessed(project, marker, message):
    """A keyword that a marker does not know is refused with the one that was meant, before anything runs."""
    project.tests(f"import pytest\n@pytest.mark.{marker}\ndef test_a(energy_meter): pass\n")
    result = project.run("--energy-models=models.json")
    assert result.ret != 0
    assert message in " ".join(result.stdout.str().split())


@pytest.mark.parametrize(("name", "meant"), [("rapl", "powercap or perf"), ("nvidia", "nvml"), ("powrcap", "powercap")])
def test_sensors_are_guessed(project, name, meant):
    """Names under which people know a sensor lead to it."""
    project.tests("def test_a(energy_meter): pass\n")
    result = project.run(f"--energy-sensors={name}")
    assert f"there is no sensor '{name}'" in result.stderr.str()
    assert meant in result.stderr.str().partition("known:")[0]
